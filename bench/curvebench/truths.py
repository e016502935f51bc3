"""Simulated learning curves whose truth is known, and the rungs that a cycle 0 would measure of them.

Why: a convergence point can be judged only where the whole curve is known. Half of the shapes are families
that the planner fits; the other half it cannot fit exactly, and some bend only beyond what was measured.
Parameters are drawn by the rules below, which are not the priors of the fit. Nothing here knows the planner's
fits; what it says of these curves is ``stopping``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from dataefficient.cycle.measuring import RUNGS
from dataefficient.cycle.model import Memory

Array = NDArray[np.float64]
Basis = Callable[[Array], Array]

MEASURED = 0.2
"""Share of the curve that the longest rung has seen."""
END = max(RUNGS) / MEASURED
"""Length of the whole curve in units of the shortest rung."""
TOLERANCES = (0.001, 0.002, 0.005)
"""Values of ``kpi.tolerance``, taken in turn; the point is decided at half of it, as in cycle 0."""
SEED_NOISE = (1e-4, 1e-3)
"""Range of the relative deviation between seeds (log-uniform); on real streams 0.03 to 0.1 %."""
PAIRED_NOISE = (5e-5, 3e-4)
"""Range of the relative standard error of two rungs one halving apart, on the same rows (log-uniform)."""
_BLOCKS = 24
"""Time blocks from which such a standard error is estimated."""
_GRID = 20_000


@dataclass(frozen=True, eq=False)
class Truth:
    """One learning curve, over examples in units of the shortest rung."""

    shape: str
    fitted: bool
    """Whether a family of the planner can take this shape exactly."""
    loss: Basis
    tolerance: float
    """Relative gap that counts as converged."""

    def gap(self, examples: float) -> float:
        """Relative loss at ``examples`` over that of the whole curve."""
        end = float(self.loss(np.array(END)))
        return float(self.loss(np.array(examples))) / end - 1.0

    def point(self) -> float:
        """Least examples, 1 at least, from which on the gap never leaves the tolerance."""
        x = np.geomspace(1.0, END, _GRID)
        values = self.loss(x)
        outside = np.flatnonzero(values / values[-1] - 1.0 > self.tolerance)
        return 1.0 if outside.size == 0 else float(x[outside[-1] + 1])


@dataclass(frozen=True, eq=False)
class Measured:
    """What cycle 0 knows of a curve: rungs, shortest first, and the standard errors that it believes."""

    examples: Array
    loss: Array
    error: Array


def _log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(random.uniform(log(low), log(high))))


def _power(b: float) -> Basis:
    return lambda x: x**-b


def _pow3(random: np.random.Generator) -> Basis:
    return _power(random.uniform(0.2, 1.0))


def _pow4(random: np.random.Generator) -> Basis:
    b, d = random.uniform(0.3, 1.2), _log_uniform(random, 0.5, 20.0)
    return lambda x: ((x + d) / (1.0 + d)) ** -b


def _exponential(random: np.random.Generator) -> Basis:
    scale = _log_uniform(random, 5.0, 100.0)
    return lambda x: np.exp(-(x - 1.0) / scale)


def _mmf4(random: np.random.Generator) -> Basis:
    b, scale = random.uniform(0.4, 1.5), _log_uniform(random, 1.0, 50.0)
    return lambda x: (1.0 + scale**-b) / (1.0 + (x / scale) ** b)


def _wbl4(random: np.random.Generator) -> Basis:
    b, scale = random.uniform(0.2, 0.8), _log_uniform(random, 0.3, 30.0)
    return lambda x: np.exp(scale**-b - (x / scale) ** b)


def _flat(_: np.random.Generator) -> Basis:
    return np.zeros_like


def _two_powers(random: np.random.Generator) -> Basis:
    b, w = random.uniform(0.4, 1.2), random.uniform(0.3, 0.9)
    return lambda x: w * x**-b + (1.0 - w) * x ** (-b / 4.0)


def _broken_power(random: np.random.Generator) -> Basis:
    b, corner = random.uniform(0.3, 0.8), _log_uniform(random, 5.0, 100.0)
    change = random.uniform(-0.6, 1.0) * b
    return lambda x: x**-b * ((1.0 + (x / corner) ** 3) / (1.0 + corner**-3)) ** (-change / 3.0)


def _logarithm_then_plateau(random: np.random.Generator) -> Basis:
    corner = _log_uniform(random, 5.0, 150.0)
    return lambda x: 1.0 - 0.95 * np.log(np.minimum(x, corner)) / log(corner)


def _plateau_then_drop(random: np.random.Generator) -> Basis:
    b, w, corner = random.uniform(0.2, 0.8), random.uniform(0.3, 0.7), _log_uniform(random, 4.0, 60.0)
    return lambda x: (1.0 - w) * x**-b + w / (1.0 + (x / corner) ** 3)


def _double_descent(random: np.random.Generator) -> Basis:
    b, height = random.uniform(0.4, 1.0), random.uniform(0.1, 0.4)
    peak = _log_uniform(random, 2.0, 60.0)
    return lambda x: x**-b + height * np.exp(-2.0 * np.log(x / peak) ** 2)


def _stale_rows(random: np.random.Generator) -> Basis:
    b, memory = random.uniform(0.3, 1.0), _log_uniform(random, 20.0, 500.0)
    harm = random.uniform(0.0, 0.05)
    return lambda x: (memory * -np.expm1(-x / memory)) ** -b + harm * x / END


def _staircase(random: np.random.Generator) -> Basis:
    first, second, w = (
        _log_uniform(random, 1.0, 5.0),
        _log_uniform(random, 15.0, 120.0),
        random.uniform(0.4, 0.8),
    )
    return lambda x: w / (1.0 + (x / first) ** 2) + (1.0 - w) / (1.0 + (x / second) ** 2)


def _drift_between_rungs(random: np.random.Generator) -> Basis:
    b, height = random.uniform(0.3, 1.0), random.uniform(0.01, 0.05)
    phase, speed = random.uniform(0.0, 2 * np.pi), random.uniform(1.0, 3.0)
    return lambda x: x**-b + height * np.sin(phase + speed * np.log(x))


SHAPES: tuple[tuple[str, bool, Callable[[np.random.Generator], Basis]], ...] = (
    ("pow3", True, _pow3),
    ("pow4", True, _pow4),
    ("mmf4", True, _mmf4),
    ("wbl4", True, _wbl4),
    ("exponential saturation", True, _exponential),
    ("flat from the start", True, _flat),
    ("two power laws", False, _two_powers),
    ("broken power law", False, _broken_power),
    ("logarithm, then a plateau", False, _logarithm_then_plateau),
    ("plateau, then a drop", False, _plateau_then_drop),
    ("double descent", False, _double_descent),
    ("old rows go stale", False, _stale_rows),
    ("staircase", False, _staircase),
    ("drift between rungs", False, _drift_between_rungs),
)
"""Name, whether a family of the planner is of this shape, and how one is drawn."""


def draw(shape: int, index: int) -> tuple[Truth, np.random.Generator]:
    """Curve ``index`` of a shape, and the generator that goes on with its noise."""
    random = np.random.default_rng([shape, index])
    name, fitted, make = SHAPES[shape]
    floor = random.uniform(0.1, 0.6)
    drop = floor * _log_uniform(random, 0.01, 0.3)
    basis = make(random)
    truth = Truth(name, fitted, lambda x: floor + drop * basis(x), TOLERANCES[index % len(TOLERANCES)] / 2.0)
    return truth, random


def measure(truth: Truth, random: np.random.Generator) -> Measured:
    """Rungs of a curve with the noise of seeds and of paired rows, and errors believed as in cycle 0.

    The rows on which all rungs are scored are the same, so their common luck is no noise of a difference.
    """
    x = max(RUNGS) / np.array(RUNGS, float)
    seed_noise = _log_uniform(random, *SEED_NOISE)
    apart = _log_uniform(random, *PAIRED_NOISE) * np.sqrt(np.log2(x[-1] / x))
    loss = truth.loss(x) * (1.0 + np.hypot(seed_noise, apart) * random.standard_normal(x.size))
    estimated = apart * np.sqrt(random.chisquare(_BLOCKS - 1, x.size) / (_BLOCKS - 1))
    # The last rung is paired with none; a cycle's expected error stands there, a sixth of kpi.tolerance.
    estimated[-1] = truth.tolerance / 3.0
    replica = seed_noise * sqrt(2.0) * float(random.standard_normal())
    believed = sqrt((2.0 * Memory.seed_noise**2 + replica**2 / 2.0) / 3.0)
    return Measured(x, loss, loss * np.hypot(estimated, believed))
