"""LCDB's comparison of extrapolations: fit the first anchors, take the error at the last, rank.

After Mohr, Viering, Loog and van Rijn ("LCDB 1.0", ECML 2022): a model sees the mean losses of the first
anchors, four or more, up to a share of the largest; its squared error at the last anchor is compared with
that of the others, by mean and by average rank. A family alone is its curve of least squares, twice: bounded
as the planner bounds it, and free as in LCDB. Only the mean curve is seen; how the planner does with the
standard errors too is shown beside and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import rankdata, wilcoxon

from curvebench.measured import Curve
from dataefficient.planner.curves import fit_curve
from dataefficient.planner.families import FAMILIES

Array = NDArray[np.float64]

SHARES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Shares of the largest anchor that are given."""
FEWEST = 4
"""Fewest anchors given, as in LCDB."""
ALONE = ("mmf4", "pow4", "wbl4", "pow3", "last")
PLANNER = "planner"
WITH_ERRORS = "planner, errors given"
_STARTS = 4
"""Starts of a free fit."""


@dataclass(frozen=True, eq=False)
class Attempt:
    """Every forecast of one curve's last anchor from one share of it."""

    curve: Curve
    share: float
    known: int
    """Anchors given."""
    forecasts: dict[str, float]

    def squared(self, name: str) -> float:
        """Squared error at the last anchor."""
        return float((self.forecasts[name] - self.curve.loss[-1]) ** 2)


def known_anchors(rows: Array, share: float) -> int:
    """Anchors within a share of the largest; 0 where that is too few, or is all of them."""
    known = int(np.count_nonzero(rows <= share * rows[-1] * 1.001))
    return known if FEWEST <= known < rows.size else 0


def attempts(curve: Curve, *, free: bool) -> list[Attempt]:
    """Forecasts from every share that gives enough anchors; ``free`` adds LCDB's fits, which take longer."""
    found = []
    for share in SHARES:
        known = known_anchors(curve.rows, share)
        if not known:
            continue
        x, y, end = curve.rows[:known], curve.loss[:known], float(curve.rows[-1])
        fit = fit_curve(x, y, None, seed=0)
        forecasts = {PLANNER: fit.predict(end).mean}
        forecasts |= {f.name: f.predict(end) for f in fit.families}
        forecasts[WITH_ERRORS] = fit_curve(x, y, curve.error[:known], seed=0).predict(end).mean
        if free:
            forecasts |= {f"free {name}": _free(name, x, y, end) for name in ALONE[:-1]}
        found.append(Attempt(curve, share, known, forecasts))
    return found


def _free(name: str, x: Array, y: Array, end: float) -> float:
    """Least squares of a family without bounds on floor and amplitude, by Levenberg and Marquardt.

    Several starts, the least residual wins; one whose forecast is not a number is left out. Where all are,
    the last value stands.
    """
    family = next(f for f in FAMILIES if f.name == name)
    scaled, random = x / x[0], np.random.default_rng(0)

    def residuals(parameters: Array) -> Array:
        return curve(parameters, scaled) - y

    def curve(parameters: Array, at: Array) -> Array:
        theta = np.exp(parameters[2:4])
        if parameters.size == 3:
            theta = np.array([theta[0], 0.0])
        elif name == "pow4":
            theta[1] -= family.offset
        out: Array = parameters[0] + parameters[1] * family.basis(theta, at)
        return out

    best, forecast = np.inf, float(y[-1])
    for _ in range(_STARTS):
        low, high = np.array(family.box[0::2]), np.array(family.box[1::2])
        coordinates = random.uniform(low, high)[: 1 if name == "pow3" else 2]
        start = np.array([y[-1], max(y[0] - y[-1], 1e-3), *coordinates])
        with np.errstate(all="ignore"):
            try:
                solved = least_squares(residuals, start, method="lm", max_nfev=400)
            except ValueError:  # the residuals left the range of numbers
                continue
            ahead = float(curve(solved.x, np.array(end / x[0])))
        if solved.cost < best and np.isfinite(ahead):
            best, forecast = float(solved.cost), ahead
    return forecast


@dataclass(frozen=True)
class Standing:
    """How one way of forecasting does among its rivals."""

    name: str
    rank: float
    """Mean over the attempts, 1 is best."""
    error: float
    """Root of the mean squared error at the last anchor."""
    median: float
    """Median absolute error there."""
    p: float
    """Of Wilcoxon's signed-rank test of its absolute errors against the planner's; 1 for the planner."""


def standings(found: Sequence[Attempt], names: Sequence[str]) -> list[Standing]:
    """Average rank and errors of ``names`` among each other."""
    errors = np.array([[a.squared(n) for n in names] for a in found])
    ranks = rankdata(errors, axis=1).mean(axis=0)
    absolute = np.sqrt(errors)
    return [
        Standing(
            name,
            float(ranks[i]),
            float(np.sqrt(errors[:, i].mean())),
            float(np.median(absolute[:, i])),
            _p(absolute[:, 0], absolute[:, i]),
        )
        for i, name in enumerate(names)
    ]


def _p(first: Array, second: Array) -> float:
    difference = first - second
    return 1.0 if np.abs(difference).max() < 1e-12 else float(wilcoxon(difference).pvalue)


def not_worse(table: Sequence[Standing]) -> bool:
    """Whether no rival has a better average rank or a smaller mean squared error than the first."""
    first, *others = table
    return all(first.rank <= o.rank and first.error <= o.error for o in others)
