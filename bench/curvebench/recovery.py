"""Surfaces with known exponents: are they recovered, and how long does a fit take.

Why: the surface says what size is best at a given compute; exponents outside their intervals would send a
search to the wrong sizes. Truths follow the form that is fitted: this checks the fit, not the form.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataefficient.planner.surface import fit_surface

Array = NDArray[np.float64]

DESIGNS = ((10, 25, 1e-3), (6, 5, 1e-3), (5, 5, 1e-2), (3, 5, 1e-3), (4, 6, 3e-4), (3, 6, 6e-4))
"""Sizes, amounts of data and relative noise; the last one is what rungs of three sizes give."""
BOOTSTRAPS = 200
"""As in cycle 0."""
_TIMED = 5


@dataclass(frozen=True)
class Recovery:
    """Shares of the simulations of one design."""

    sizes: int
    amounts: int
    noise: float
    simulations: int
    alpha: float
    """Share whose 95 % interval holds the exponent of the size ..."""
    beta: float
    """... and of the data."""
    unidentified: float
    """Share in which either exponent is reported as not identified; its interval counts as it is."""


def draw_runs(
    random: np.random.Generator, sizes: int, amounts: int, noise: float
) -> tuple[Array, Array, Array, dict[str, float]]:
    """Runs on a full grid; at the smallest size and amount either term is 5 to 50 % of the floor."""
    n, d = (v.ravel() for v in np.meshgrid(np.geomspace(8e3, 5.12e5, sizes), np.geomspace(1e4, 1e7, amounts)))
    e, alpha, beta = random.uniform(0.2, 1.0), random.uniform(0.2, 0.8), random.uniform(0.2, 0.8)
    a, b = (random.uniform(0.05, 0.5) * e for _ in range(2))
    y = e + a * (n / n.min()) ** -alpha + b * (d / d.min()) ** -beta
    return n, d, y * np.exp(noise * random.standard_normal(n.size)), {"alpha": alpha, "beta": beta}


def recover(design: int, simulations: int) -> Recovery:
    """Fit ``simulations`` surfaces of a design and count the intervals that hold the truth."""
    sizes, amounts, noise = DESIGNS[design]
    held = {"alpha": 0, "beta": 0}
    unidentified = 0
    for index in range(simulations):
        n, d, y, truth = draw_runs(np.random.default_rng([design, index]), sizes, amounts, noise)
        found = fit_surface(n, d, y, bootstraps=BOOTSTRAPS, seed=0).parameters
        for name, value in truth.items():
            held[name] += found[name].low <= value <= found[name].high
        unidentified += any(found[name].not_identified is not None for name in truth)
    alpha, beta = held["alpha"] / simulations, held["beta"] / simulations
    return Recovery(sizes, amounts, noise, simulations, alpha, beta, unidentified / simulations)


def seconds() -> float:
    """Median wall-clock seconds of a fit of 250 runs without bootstrap."""
    n, d, y, _ = draw_runs(np.random.default_rng(0), 10, 25, 1e-3)
    taken = []
    for _ in range(_TIMED):
        begin = time.perf_counter()
        fit_surface(n, d, y, bootstraps=0, seed=0)
        taken.append(time.perf_counter() - begin)
    return float(np.median(taken))
