"""Learning curves: from a few noisy (examples, loss) points to a forecast with an interval.

Why: measuring a loss on much data costs what the project exists to save, so it is extrapolated, and an
extrapolation without an honest interval is worse than none. Every cell of every family's grid is solved
in closed form and weighted by how well it explains the points; the interval comes from draws over
families, cells, linear parameters and noise (a parametric bootstrap that keeps the spread between
families). Nothing here decides how much data is enough: that is ``convergence``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dataefficient.planner.cells import Cells, Points, best_cell, draw_curves, robust_weights, solve_family
from dataefficient.planner.families import FAMILIES, Array, Family

COVERAGE = 0.8
"""Default coverage of the intervals."""
TYPICAL_NOISE = 0.0005
"""Relative noise between seeds that is assumed, weakly, where no standard error is given."""
_UNKNOWN_NOISE_WEIGHT = 1.0
"""Prior degrees of freedom of that assumption."""
_STATED_NOISE_WEIGHT = 8.0
"""Prior degrees of freedom of a stated standard error: the residuals may still scale it."""


@dataclass(frozen=True)
class Forecast:
    """A forecast and its interval, in the unit of what is forecast."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class FamilyFit:
    """The best curve of one family: ``loss(n) = floor + amplitude * basis(n / origin; theta)``."""

    name: str
    formula: str
    weight: float
    """Share of the forecast that this family carries; the weights of a fit add up to 1."""
    floor: float
    """Loss with unlimited data."""
    amplitude: float
    """Reducible loss at the smallest measured number of examples."""
    exponent: float
    second: float
    """Shift or scale of the family, in examples; 0 where the family has none."""
    origin: float
    error: float
    """Root of the mean squared residual, in units of the loss."""

    def predict(self, examples: float) -> float:
        """Expected loss of this curve alone after ``examples`` examples."""
        family = next(f for f in FAMILIES if f.name == self.name)
        theta = np.array([self.exponent, self.second / self.origin])
        return self.floor + self.amplitude * float(family.basis(theta, np.array(examples / self.origin)))


@dataclass(frozen=True, eq=False)
class CurveFit:
    """A fitted learning curve: a weighted set of possible curves."""

    examples: Array
    """Measured numbers of examples, ascending, shape (points,)."""
    loss: Array
    """Measured losses, shape (points,)."""
    families: tuple[FamilyFit, ...]
    """Best curve of each family, heaviest first."""
    origin: float
    """Smallest measured number of examples."""
    member: NDArray[np.intp]
    """Index into :data:`FAMILIES` of each drawn curve, shape (draws,)."""
    theta: Array
    """Non-linear parameters of each drawn curve, shape (draws, 2)."""
    floor: Array
    """Loss with unlimited data of each drawn curve, shape (draws,)."""
    amplitude: Array
    """Reducible loss of each drawn curve at ``origin``, shape (draws,)."""
    noise: Array
    """A noise term of one further measurement for each draw, shape (draws,)."""

    def curves(self, examples: float) -> Array:
        """Expected loss at ``examples`` under each drawn curve, shape (draws,), noise apart."""
        return self.floor + self.amplitude * self.basis(examples)

    def basis(self, examples: float) -> Array:
        """Share of each draw's ``amplitude`` that is left after ``examples`` examples, shape (draws,)."""
        x = np.array(examples / self.origin)
        out = np.zeros(self.member.shape)
        for index, family in enumerate(FAMILIES):
            chosen = self.member == index
            out[chosen] = family.basis(self.theta[chosen], x)
        return out

    def examples_for(self, share: Array) -> Array:
        """Examples at which the basis of each draw has fallen to ``share``; inf where it never does."""
        out = np.zeros(self.member.shape)
        for index, family in enumerate(FAMILIES):
            chosen = self.member == index
            out[chosen] = self.origin * family.inverse(self.theta[chosen], share[chosen])
        return out

    def predict(self, examples: float, *, coverage: float = COVERAGE, with_noise: bool = True) -> Forecast:
        """Forecast of the loss after training on ``examples`` examples.

        With noise, the interval is that of one further measurement; without, of the expected loss.

        Raises:
            ValueError: ``examples`` is not positive, or ``coverage`` lies outside (0, 1).
        """
        if not examples > 0 or not 0 < coverage < 1:
            raise ValueError(
                f"predict needs examples > 0 and 0 < coverage < 1, not {examples} and {coverage}"
            )
        values = self.curves(examples)
        centre = float(np.mean(values))
        if with_noise:
            values = values + self.noise
        low, high = np.quantile(values, [(1 - coverage) / 2, (1 + coverage) / 2])
        return Forecast(centre, min(float(low), centre), max(float(high), centre))


def checked(examples: object, loss: object, se: object | None) -> tuple[Array, Array, Array | None]:
    """Sorted float arrays of a learning curve.

    Raises:
        ValueError: different lengths, no point, a value that is not finite, examples <= 0 or a negative
            standard error; the message says which.
    """
    n, y = np.atleast_1d(np.asarray(examples, float)), np.atleast_1d(np.asarray(loss, float))
    s = None if se is None else np.atleast_1d(np.asarray(se, float))
    if n.ndim != 1 or n.shape != y.shape or (s is not None and s.shape != n.shape):
        raise ValueError("examples, loss and se must be sequences of one length")
    if n.size == 0:
        raise ValueError("the curve has no point")
    if not (np.isfinite(n).all() and np.isfinite(y).all() and (s is None or np.isfinite(s).all())):
        raise ValueError("examples, loss and se must be finite numbers")
    if n.min() <= 0:
        raise ValueError(f"examples must be positive, found {n.min():g}")
    if s is not None and s.min() < 0:
        raise ValueError(f"se must not be negative, found {s.min():g}")
    order = np.argsort(n, kind="stable")
    return n[order], y[order], None if s is None else s[order]


def fit_curve(examples: object, loss: object, se: object | None = None, *, seed: int) -> CurveFit:
    """Fit all families to a learning curve.

    Args:
        examples: training examples of each measurement, positive; repeats are allowed.
        loss: measured loss, any unit.
        se: standard error of each loss in the same unit, or None where unknown (then it is estimated).
        seed: of the draws; equal inputs give equal fits.

    Raises:
        ValueError: as :func:`checked`. Any finite curve is accepted: a flat, rising, bumpy or short one
            gives a flat curve or a wide interval.
    """
    n, measured, s = checked(examples, loss, se)
    origin, unit = float(n[0]), float(np.max(np.abs(measured))) or 1.0
    x, y = n / origin, measured / unit
    if s is None:
        weight, noise, trust = np.ones(n.shape), TYPICAL_NOISE, _UNKNOWN_NOISE_WEIGHT
    else:
        weight, noise, trust = (
            np.maximum(np.minimum(s, 1e6 * unit) / unit, 1e-6) ** -2.0,
            1.0,
            _STATED_NOISE_WEIGHT,
        )
    points = Points(x, y, weight, noise, trust)
    cells = [solve_family(f, points) for f in FAMILIES]
    robust = robust_weights(cells, points)
    if (robust < weight).any():
        cells = [solve_family(f, replace(points, weight=robust)) for f in FAMILIES]
    log_total = np.logaddexp.reduce(np.concatenate([c.log_weight for c in cells]))
    fits = [
        replace(
            _family_fit(f, c, points, origin, unit),
            weight=float(np.exp(np.logaddexp.reduce(c.log_weight) - log_total)),
        )
        for f, c in zip(FAMILIES, cells, strict=True)
    ]
    member, theta, floor, amplitude, noises = draw_curves(cells, seed, float(np.median(weight**-0.5)))
    return CurveFit(
        examples=n,
        loss=measured,
        families=tuple(sorted(fits, key=lambda f: -f.weight)),
        origin=origin,
        member=member,
        theta=theta,
        floor=unit * floor,
        amplitude=unit * amplitude,
        noise=unit * noises,
    )


def _family_fit(family: Family, cells: Cells, points: Points, origin: float, unit: float) -> FamilyFit:
    cell = best_cell(cells)
    floor, amplitude = cells.at(cell)
    theta = cells.grid.theta[cell]
    residual = points.y - floor - amplitude * family.basis(theta, points.x)
    error = unit * float(np.sqrt(np.mean(residual**2)))
    exponent, second = float(theta[0]), float(theta[1]) * origin
    return FamilyFit(
        family.name, family.formula, 1.0, unit * floor, unit * amplitude, exponent, second, origin, error
    )
