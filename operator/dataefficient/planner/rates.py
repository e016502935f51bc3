"""The rate curve: how much quality is lost by training on a sample of the rows.

Why: sampling saves in proportion to its rate and harms little until it harms much; the planner needs the
harm at rates that were not tried. Nested rates over one interval are compared with full data, paired, so
the gap at rate 1 is exactly 0. The shape is ``gap(r) = c (r^-b - 1)``: a power law in the rows that are
left, seen from the full data. It says nothing about the length of history: that is ``convergence``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, log_ndtr, ndtr, ndtri
from scipy.stats import chi2

from dataefficient.planner.curves import COVERAGE, Forecast
from dataefficient.planner.families import Array

_EXPONENTS = np.geomspace(0.05, 4.0, 600)
_PRIOR_MEDIAN = 0.7
_PRIOR_SPREAD = 0.8
_TRUST = 8.0
"""Prior degrees of freedom of the stated standard errors."""
_DRAWS = 2000
_MONOTONE_DRAWS = 400
_SMALLEST_ERROR = 1e-5
"""Relative standard error that no paired measurement is believed to undercut."""
_MISFIT = 0.001
"""Probability of the residuals below which the shape is given up for a monotone one."""


@dataclass(frozen=True, eq=False)
class RateFit:
    """A fitted rate curve. Gaps are relative losses: 0.001 is 0.1 % worse than full data."""

    rates: Array
    """Measured rates, ascending, shape (points,)."""
    scale: float
    """``c`` of the best curve; 0 where no harm is visible."""
    exponent: float
    """``b`` of the best curve."""
    monotone: Array | None
    """Gaps at ``rates`` of the monotone fit that replaces the shape; None where the shape fits."""
    draws: Array
    """Drawn (c, b) of the shape, or gaps at ``rates`` of the monotone fit; shape (draws, 2 or points)."""

    def gaps(self, rate: float) -> Array:
        """Gap at ``rate`` under each draw, shape (draws,); inf where the monotone fit knows nothing."""
        if self.monotone is None:
            out: Array = self.draws[:, 0] * np.expm1(-self.draws[:, 1] * np.log(rate))
            return out
        if rate < self.rates[0] * (1 - 1e-9):
            return np.full(self.draws.shape[0], np.inf)
        knots, values = self.rates, self.draws
        if knots[-1] < 1.0:
            knots = np.append(knots, 1.0)
            values = np.concatenate([values, np.zeros((values.shape[0], 1))], axis=1)
        right = int(np.clip(np.searchsorted(knots, rate), 1, knots.size - 1)) if knots.size > 1 else 0
        if right == 0:
            return np.zeros(values.shape[0])
        low, high = np.log(knots[right - 1]), np.log(knots[right])
        share = float(np.clip((np.log(rate) - low) / (high - low), 0.0, 1.0))
        mixed: Array = (1 - share) * values[:, right - 1] + share * values[:, right]
        return mixed

    def predict(self, rate: float, *, coverage: float = COVERAGE) -> Forecast:
        """Expected relative gap to full data at ``rate``; inf, with an inf top, where that is not known.

        Raises:
            ValueError: ``rate`` lies outside (0, 1].
        """
        if not 0 < rate <= 1:
            raise ValueError(f"a sampling rate must lie in (0, 1], not {rate}")
        values = self.gaps(rate)
        tails = [(1 - coverage) / 2, 0.5, (1 + coverage) / 2]
        if np.isinf(values).any():
            return Forecast(np.inf, float(np.quantile(self.gaps(float(self.rates[0])), tails[0])), np.inf)
        low, centre, high = (float(v) for v in np.quantile(values, tails))
        return Forecast(centre, low, high)

    def smallest_rate(self, tolerance_relative: float, *, confidence: float = 0.95) -> float:
        """Smallest rate whose gap stays inside the tolerance at the one-sided ``confidence``; 1 at worst."""
        grid = np.geomspace(float(self.rates[0]) / 4, 1.0, 200)
        for rate in grid[:-1]:
            if float(np.quantile(self.gaps(float(rate)), confidence, method="higher")) <= tolerance_relative:
                return float(rate)
        return 1.0


def fit_rates(rates: object, gaps: object, se: object, *, seed: int) -> RateFit:
    """Fit the rate curve to paired relative gaps of nested rates.

    Args:
        rates: sampling rates in (0, 1]; points at 1 are dropped, their gap is 0 by definition.
        gaps: relative gap of each to full data; noise may make it negative, the curve never is.
        se: standard error of each gap, positive.
        seed: of the draws.

    Raises:
        ValueError: no rate below 1, different lengths, or a value out of its range.
    """
    r, g, s = (np.atleast_1d(np.asarray(v, float)) for v in (rates, gaps, se))
    if r.ndim != 1 or r.shape != g.shape or r.shape != s.shape:
        raise ValueError("rates, gaps and se must be sequences of one length")
    if not all(np.isfinite(v).all() for v in (r, g, s)):
        raise ValueError("rates, gaps and se must be finite numbers")
    if r.size and (r.min() <= 0 or r.max() > 1 or s.min() < 0):
        raise ValueError("rates must lie in (0, 1] and standard errors must not be negative")
    below = r < 1
    if not below.any():
        raise ValueError("a rate curve needs at least one rate below 1")
    r, g, s = _merged(r[below], g[below], np.maximum(s[below], _SMALLEST_ERROR))
    random = np.random.default_rng(seed)
    phi = np.expm1(-np.outer(_EXPONENTS, np.log(r)))
    weight = s**-2.0
    curvature = phi**2 @ weight
    best = phi @ (weight * g) / curvature
    residual = np.maximum(weight @ g**2 - best**2 * curvature, 0.0) + np.minimum(best, 0.0) ** 2 * curvature
    cell = int(residual.argmin())
    free = max(r.size - 2, 1)
    if r.size > 2 and float(chi2.sf(residual[cell], free)) < _MISFIT:
        return _monotone(r, g, s, random)
    return _shaped(r, (phi, best, curvature), weight, g, random)


def _merged(r: Array, g: Array, s: Array) -> tuple[Array, Array, Array]:
    """Ascending distinct rates; repeats are averaged, and their error grows where they disagree."""
    rates, which = np.unique(r, return_inverse=True)
    weight = np.bincount(which, s**-2.0)
    mean = np.bincount(which, g * s**-2.0) / weight
    spare = np.maximum(np.bincount(which) - 1, 1)
    disagreement = np.bincount(which, ((g - mean[which]) / s) ** 2) / spare
    return rates, mean, np.sqrt(np.maximum(disagreement, 1.0) / weight)


def _shaped(
    r: Array, solved: tuple[Array, Array, Array], weight: Array, g: Array, random: np.random.Generator
) -> RateFit:
    """Draw (c, b) from their posterior: flat in the gap at the smallest rate, c >= 0."""
    phi, best, curvature = solved
    degrees = _TRUST + r.size - 1
    scatter = _TRUST + np.maximum(weight @ g**2 - best**2 * curvature, 0.0)
    noise = np.sqrt(scatter / degrees)
    z = (np.log(_EXPONENTS) - np.log(_PRIOR_MEDIAN)) / _PRIOR_SPREAD
    log_weight = (
        -0.5 * z * z
        + gammaln(degrees / 2)
        - degrees / 2 * np.log(scatter)
        - 0.5 * np.log(curvature)
        + np.log(phi[:, 0])
        + log_ndtr(best * np.sqrt(curvature) / noise)
    )
    share = np.exp(log_weight - log_weight.max())
    chosen = random.choice(share.size, _DRAWS, p=share / share.sum())
    sd = np.sqrt(scatter[chosen] / random.chisquare(degrees, _DRAWS) / curvature[chosen])
    low = ndtr(-best[chosen] / sd)
    uniform = np.clip(low + (1 - low) * random.random(_DRAWS), 1e-16, 1 - 1e-16)
    scale = np.maximum(best[chosen] + sd * ndtri(uniform), 0.0)
    top = int(log_weight.argmax())
    draws = np.stack([scale, _EXPONENTS[chosen]], axis=1)
    return RateFit(r, max(float(best[top]), 0.0), float(_EXPONENTS[top]), None, draws)


def _monotone(r: Array, g: Array, s: Array, random: np.random.Generator) -> RateFit:
    """Non-increasing, non-negative gaps by pooling adjacent violators, on the points and on noisy copies."""
    weight = s**-2.0
    draws = g + s * random.standard_normal((_MONOTONE_DRAWS, r.size))
    return RateFit(r, 0.0, 0.0, _pooled(g[None, :], weight)[0], _pooled(draws, weight))


def _pooled(gaps: Array, weight: Array) -> Array:
    """Closest non-increasing, non-negative rows to ``gaps`` (rows, points): the max-min form of pooling.

    Robertson, Wright and Dykstra, "Order Restricted Statistical Inference" (1988), theorem 1.4.4.
    """
    points = weight.size
    mass = np.concatenate([[0.0], np.cumsum(weight)])
    total = np.concatenate([np.zeros((gaps.shape[0], 1)), np.cumsum(gaps * weight, axis=1)], axis=1)
    out = np.empty(gaps.shape)
    for i in range(points):
        first, last = np.arange(i + 1), np.arange(i, points) + 1
        sums = total[:, None, last] - total[:, first, None]
        means = sums / (mass[None, last] - mass[first, None])
        out[:, i] = means.max(axis=2).min(axis=1)
    return np.maximum(out, 0.0)
