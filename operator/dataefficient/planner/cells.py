"""What the points say about one curve family: every cell of its grid solved and weighed in closed form.

Why: a curve through few noisy points is not one best curve but many possible ones. For each cell of
non-linear parameters the floor and the amplitude follow by weighted least squares, and the marginal
likelihood says how much the cell counts; draws from the cells are the possible curves. The families are
``families``; what is forecast from the draws is ``curves``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, stdtr, stdtrit

from dataefficient.planner.families import FAMILIES, Array, Family, Grid

_FEWEST_FOR_OUTLIERS = 6
_REWEIGHTINGS = 12
_ZOOMS = 4
_NEGLIGIBLE = 9.0
"""Log weight below the best cell's at which a cell no longer counts."""
_OUTLIER = 2.5
"""Robust standard deviations from which a point is down-weighted (Huber)."""
DRAWS = 2000


@dataclass(frozen=True, eq=False)
class Points:
    """What is fitted: ``x`` = examples / smallest, losses, their weights, and how the noise is believed."""

    x: Array
    y: Array
    weight: Array
    noise: float
    """Prior of the noise relative to the weights (inverse gamma): its scale ..."""
    trust: float
    """... and its degrees of freedom."""


@dataclass(frozen=True, eq=False)
class Cells:
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


def solve_family(family: Family, points: Points) -> Cells:
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


def _solve(family: Family, grid: Grid, points: Points) -> Cells:
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
        return Cells(
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
        + _log_mass(degrees, -best / sd, (most - best) / sd)
    )
    residual = free + (best - np.clip(best, 0.0, most)) ** 2 * curvature
    return Cells(
        grid, log_weight, best, 1.0 / curvature, most, mean, centre, 1.0 / total, residual, degrees, scatter
    )


def _log_mass(degrees: float, low: Array, high: Array) -> Array:
    """Logarithm of Student's mass in [low, high], from the side where it keeps its digits."""
    flip = low > 0
    mass = stdtr(degrees, np.where(flip, -low, high)) - stdtr(degrees, np.where(flip, -high, low))
    out: Array = np.log(np.maximum(mass, 1e-300))
    return out


def robust_weights(cells: list[Cells], points: Points) -> Array:
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
        cell = best_cell(current)
        floor, amplitude = current.at(cell)
        fitted = floor + amplitude * family.basis(current.grid.theta[cell], points.x)
        z = np.abs(points.y - fitted) * np.sqrt(weight)
        deviation = max(1.4826 * float(np.median(z)), 0.01 * points.noise)
        previous, factor = factor, np.minimum(1.0, _OUTLIER * deviation / np.maximum(z, 1e-300))
        if np.abs(factor - previous).max() < 0.02:
            break
        current = solve_family(family, replace(points, weight=weight * factor))
    out: Array = weight * factor
    return out


def best_cell(cells: Cells) -> int:
    """The cell of least residual; the prior breaks ties."""
    return int(np.argmin(cells.residual - 1e-9 * cells.grid.log_prior * cells.scatter))


def draw_curves(
    cells: list[Cells], seed: int, typical: float
) -> tuple[NDArray[np.intp], Array, Array, Array, Array]:
    """Draw curves: a cell by its weight, then amplitude, noise and floor from its posterior.

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
    scatter, variance = picked([c.scatter for c in cells]), picked([c.variance for c in cells])
    sd = np.sqrt(scatter / degrees * variance)
    safe = np.maximum(sd, 1e-300)
    low, high = stdtr(degrees, -best / safe), stdtr(degrees, (most - best) / safe)
    share = np.clip(low + (high - low) * random.random(DRAWS), 1e-12, 1 - 1e-12)
    amplitude = np.clip(best + sd * stdtrit(degrees, share), 0.0, most)
    varies = variance > 0
    beyond = np.where(varies, (amplitude - best) ** 2 / np.where(varies, variance, 1.0), 0.0)
    noise = np.sqrt((scatter + beyond) / random.chisquare(degrees + varies))
    floor = mean - amplitude * centre + noise * floor_sd * random.standard_normal(DRAWS)
    floor = np.where(mean > 0, np.maximum(floor, 0.0), floor)
    theta = np.concatenate([c.grid.theta for c in cells])[chosen]
    return member, theta, floor, amplitude, noise * typical * random.standard_normal(DRAWS)
