"""Learning curves: from a few noisy (examples, loss) points to a forecast with an interval.

Why: measuring a loss on much data costs what the project exists to save, so it is extrapolated, and an
extrapolation without an honest interval is worse than none. Every cell of every family's grid is solved
in closed form and weighted by how well it explains the points; the interval comes from draws over
families, cells, linear parameters and noise (a parametric bootstrap that keeps the spread between
families). Nothing here decides how much data is enough: that is ``convergence``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, log_ndtr, ndtr, ndtri

from dataefficient.planner.families import FAMILIES, Array, Family, Grid

COVERAGE = 0.8
"""Default coverage of the intervals."""
DRAWS = 2000
TYPICAL_NOISE = 0.0005
"""Relative noise between seeds that is assumed, weakly, where no standard error is given."""
_UNKNOWN_NOISE_WEIGHT = 1.0
"""Prior degrees of freedom of that assumption."""
_STATED_NOISE_WEIGHT = 8.0
"""Prior degrees of freedom of a stated standard error: the residuals may still scale it."""
_FEWEST_FOR_OUTLIERS = 6
_REWEIGHTINGS = 12
_ZOOMS = 4
_NEGLIGIBLE = 9.0
"""Log weight below the best cell's at which a cell no longer counts."""
_OUTLIER = 2.5
"""Robust standard deviations from which a point is down-weighted (Huber)."""


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


@dataclass(frozen=True, eq=False)
class _Cells:
    """Closed-form posterior of one family, per cell: ``amplitude ~ N(best, variance * noise^2)`` within
    [0, ``most``], ``floor = mean - amplitude * centre``. Arrays of shape (cells,)."""

    grid: Grid
    log_weight: Array
    best: Array
    variance: Array
    most: Array
    """Amplitude at which the floor reaches 0; inf for a loss that may be negative."""
    mean: float
    centre: Array
    """Weighted mean of the basis over the points."""
    floor_variance: float
    """Of ``mean``, for unit noise."""
    residual: Array
    """Weighted sum of squares at the best amplitude within its bounds."""
    degrees: float
    """Of the noise, prior included."""
    scatter: Array
    """Weighted sum of squares of the free fit plus the prior's."""

    def at(self, cell: int) -> tuple[float, float]:
        """Floor and amplitude of the best curve of a cell."""
        amplitude = float(np.clip(self.best[cell], 0.0, self.most[cell]))
        return self.mean - amplitude * float(self.centre[cell]), amplitude


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


@dataclass(frozen=True, eq=False)
class _Points:
    """What is fitted: ``x`` = examples / smallest, losses, their weights, and how the noise is believed."""

    x: Array
    y: Array
    weight: Array
    noise: float
    """Prior of the noise relative to the weights (inverse gamma): its scale ..."""
    trust: float
    """... and its degrees of freedom."""


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
        weight, noise, trust = np.clip(s / unit, 1e-6, 1e6) ** -2.0, 1.0, _STATED_NOISE_WEIGHT
    points = _Points(x, y, weight, noise, trust)
    cells = [_zoomed(f, points) for f in FAMILIES]
    robust = _robust_weights(cells, points)
    if (robust < weight).any():
        cells = [_zoomed(f, replace(points, weight=robust)) for f in FAMILIES]
    log_total = np.logaddexp.reduce(np.concatenate([c.log_weight for c in cells]))
    fits = [
        replace(
            _family_fit(f, c, points, origin, unit),
            weight=float(np.exp(np.logaddexp.reduce(c.log_weight) - log_total)),
        )
        for f, c in zip(FAMILIES, cells, strict=True)
    ]
    member, theta, floor, amplitude, noises = _draw(cells, seed, float(np.median(weight**-0.5)))
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


def _robust_weights(cells: list[_Cells], points: _Points) -> Array:
    """Weights with outliers turned down (Huber), from refits of the family that leads at first.

    Short curves keep their weights: there an outlier cannot be told from a bend.
    """
    weight = points.weight
    if weight.size < _FEWEST_FOR_OUTLIERS:
        return weight
    leader = int(np.argmax([c.log_weight.max() for c in cells]))
    family, current = FAMILIES[leader], cells[leader]
    factor = np.ones(weight.shape)
    for _ in range(_REWEIGHTINGS):
        cell = _best_cell(current)
        floor, amplitude = current.at(cell)
        fitted = floor + amplitude * family.basis(current.grid.theta[cell], points.x)
        z = np.abs(points.y - fitted) * np.sqrt(weight)
        deviation = max(1.4826 * float(np.median(z)), 0.01 * points.noise)
        previous, factor = factor, np.minimum(1.0, _OUTLIER * deviation / np.maximum(z, 1e-300))
        if np.abs(factor - previous).max() < 0.02:
            break
        current = _zoomed(family, replace(points, weight=weight * factor))
    out: Array = weight * factor
    return out


def _best_cell(cells: _Cells) -> int:
    """The cell of least residual; the prior breaks ties."""
    return int(np.argmin(cells.residual - 1e-9 * cells.grid.log_prior * cells.scatter))


def _zoomed(family: Family, points: _Points) -> _Cells:
    """Solve a family, narrowing its grid to where the weight lies until the cells resolve it."""
    box = family.box
    cells = _solve(family, family.grid(box), points)
    for _ in range(_ZOOMS):
        relevant = cells.log_weight > cells.log_weight.max() - _NEGLIGIBLE
        if relevant.mean() > 0.25:
            break
        box = cells.grid.around(relevant, box)
        cells = _solve(family, family.grid(box), points)
    return cells


def _solve(family: Family, grid: Grid, points: _Points) -> _Cells:
    """Solve floor and amplitude for each cell and weigh it by its marginal likelihood.

    Flat priors lie on the curve's values at the first and the last point (not on floor and amplitude,
    which slow exponents would then inflate); the noise is integrated out under its prior. Amplitude and,
    for a positive loss, floor are at least 0.
    """
    x, y, weight, trust = points.x, points.y, points.weight, points.trust
    total = float(weight.sum())
    mean = float((weight * y).sum()) / total
    around = float(weight @ (y - mean) ** 2)
    log_prior = grid.log_prior
    if family.name == "last" or x[-1] == x[0]:
        degrees = trust + x.size - 1
        scatter = np.full(log_prior.shape, trust * points.noise**2 + around)
        evidence = gammaln(degrees / 2) - degrees / 2 * np.log(math.pi * scatter) - 0.5 * math.log(total)
        zero = np.zeros(log_prior.shape)
        level, variance = (mean, 1.0 / total) if x[-1] == x[0] else (float(y[-1]), 1.0 / float(weight[-1]))
        return _Cells(
            grid,
            log_prior + evidence,
            zero,
            zero,
            zero,
            level,
            zero,
            variance,
            zero + around,
            degrees,
            scatter,
        )
    phi = family.basis(grid.theta[:, None, :], x[None, :])
    centre = phi @ weight / total
    deviation = phi - centre[:, None]
    curvature = np.maximum(deviation**2 @ weight, 1e-280)
    best = deviation @ (weight * (y - mean)) / curvature
    free = np.maximum(around - best**2 * curvature, 0.0)
    degrees = trust + x.size - 2
    scatter = trust * points.noise**2 + free
    most = mean / np.maximum(centre, 1e-280) if mean > 0 else np.full(centre.shape, np.inf)
    sd = np.sqrt(scatter / degrees / curvature)
    drop = max(0.1 * abs(mean), float(y.max() - y.min()), 1e-12)
    log_weight = (
        log_prior
        + gammaln(degrees / 2)
        - degrees / 2 * np.log(math.pi * scatter)
        - 0.5 * np.log(total * curvature)
        + np.log(np.maximum(phi[:, 0] - phi[:, -1], 1e-280) / drop)
        + _log_mass(-best / sd, (most - best) / sd)
    )
    residual = free + (best - np.clip(best, 0.0, most)) ** 2 * curvature
    return _Cells(
        grid, log_weight, best, 1.0 / curvature, most, mean, centre, 1.0 / total, residual, degrees, scatter
    )


def _log_mass(low: Array, high: Array) -> Array:
    """Logarithm of the standard normal's mass in [low, high], also far in its tails."""
    flip = low > 0
    mass = ndtr(np.where(flip, -low, high)) - ndtr(np.where(flip, -high, low))
    outside = np.maximum(np.maximum(low, -high), 0.0)
    out: Array = np.where(mass > 1e-12, np.log(np.maximum(mass, 1e-300)), log_ndtr(-outside))
    return out


def _family_fit(family: Family, cells: _Cells, points: _Points, origin: float, unit: float) -> FamilyFit:
    cell = _best_cell(cells)
    floor, amplitude = cells.at(cell)
    theta = cells.grid.theta[cell]
    residual = points.y - floor - amplitude * family.basis(theta, points.x)
    error = unit * float(np.sqrt(np.mean(residual**2)))
    exponent, second = float(theta[0]), float(theta[1]) * origin
    return FamilyFit(
        family.name, family.formula, 1.0, unit * floor, unit * amplitude, exponent, second, origin, error
    )


def _draw(
    cells: list[_Cells], seed: int, typical: float
) -> tuple[NDArray[np.intp], Array, Array, Array, Array]:
    """Draw curves: a cell by its weight, then noise, amplitude and floor from its posterior.

    ``typical`` is the standard error of a typical point for unit noise.
    """
    random = np.random.default_rng(seed)
    log_weight = np.concatenate([c.log_weight for c in cells])
    cumulative = np.cumsum(np.exp(log_weight - log_weight.max()))
    # Stratified: the same number of draws represents the weights with less noise.
    points = (np.arange(DRAWS) + random.random(DRAWS)) / DRAWS * cumulative[-1]
    chosen = np.minimum(np.searchsorted(cumulative, points), log_weight.size - 1)
    sizes = [c.log_weight.size for c in cells]
    member = np.repeat(np.arange(len(cells)), sizes)[chosen]

    def picked(values: list[Array]) -> Array:
        out: Array = np.concatenate(values)[chosen]
        return out

    each = [np.ones(size) for size in sizes]
    degrees = picked([c.degrees * one for c, one in zip(cells, each, strict=True)])
    mean = picked([c.mean * one for c, one in zip(cells, each, strict=True)])
    floor_sd = picked([math.sqrt(c.floor_variance) * one for c, one in zip(cells, each, strict=True)])
    most = picked([c.most for c in cells])
    best, centre = picked([c.best for c in cells]), picked([c.centre for c in cells])
    noise = np.sqrt(picked([c.scatter for c in cells]) / random.chisquare(degrees))
    sd = noise * np.sqrt(picked([c.variance for c in cells]))
    safe = np.maximum(sd, 1e-300)
    low, high = ndtr(-best / safe), ndtr((most - best) / safe)
    drawn = best + sd * ndtri(np.clip(low + (high - low) * random.random(DRAWS), 1e-16, 1 - 1e-16))
    amplitude = np.clip(drawn, 0.0, most)
    floor = mean - amplitude * centre + noise * floor_sd * random.standard_normal(DRAWS)
    floor = np.where(mean > 0, np.maximum(floor, 0.0), floor)
    theta = np.concatenate([c.grid.theta for c in cells])[chosen]
    return member, theta, floor, amplitude, noise * typical * random.standard_normal(DRAWS)
