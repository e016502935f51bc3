"""The data-convergence point: the least history after which more of it barely helps.

Why: past that point every further row costs compute and buys nothing. The point is decided at an upper
bound, so that noise buys more data and never less. It is a property of cold starts over histories with
one common end, scored on one later window; the running loss of a single pass is not such a curve.
Sampling rates have their own curve (``rates``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataefficient.planner.curves import COVERAGE, CurveFit, fit_curve
from dataefficient.planner.families import Array

WITHIN = 0.5
"""A point beyond this share of the longest history is no convergence: the last doubling still paid."""
_IDENTIFIED = 30.0
"""An extrapolated need whose interval is wider than this factor is not identified."""
_FEWEST = 3
"""Distinct numbers of examples below which nothing is decided."""


@dataclass(frozen=True)
class Convergence:
    """Where a learning curve has converged, in training examples."""

    point: float | None
    """Smallest number of examples whose gap stays inside the tolerance at the upper bound; None: not
    within this data."""
    upper: float
    """The same bound without that verdict: where ``point`` is None, up to ``longest``."""
    low: float
    high: float
    """Interval, of the stated coverage, of the true bound."""
    longest: float
    """The history that the gap is measured against."""
    need: float | None
    """Examples, at the upper bound, whose gap to unlimited data stays inside the tolerance; None where
    the curve does not identify it."""
    extrapolated: bool
    """The point or the longest history lies beyond the largest measured one."""
    reason: str
    """One sentence for people."""


def _gap_point(fit: CurveFit, tolerance_relative: float, longest: float | None) -> Array:
    """Examples at which each drawn curve comes within the tolerance of ``longest`` (None: unlimited)."""
    share = np.zeros(fit.member.shape) if longest is None else fit.basis(longest)
    reference = fit.floor + fit.amplitude * share
    allowed = share + tolerance_relative * np.abs(reference) / np.maximum(fit.amplitude, 1e-300)
    point = fit.examples_for(np.minimum(allowed, 1.0))
    flat = fit.amplitude <= 0.0
    top = np.inf if longest is None else longest
    return np.clip(np.where(flat, fit.origin, point), fit.origin, top)


def converge(
    fit: CurveFit,
    *,
    tolerance_relative: float,
    confidence: float = COVERAGE,
    coverage: float = COVERAGE,
    longest: float | None = None,
) -> Convergence:
    """The convergence point of a fitted curve.

    Args:
        fit: the learning curve.
        tolerance_relative: largest gap that counts as converged, as a fraction of the loss at ``longest``.
        confidence: one-sided confidence of the point: the gap is inside the tolerance with this probability.
        coverage: of the two-sided interval.
        longest: examples of the longest history; the largest measured one where None.

    Raises:
        ValueError: an argument lies outside its range.
    """
    if not tolerance_relative > 0:
        raise ValueError(f"the tolerance must be positive, not {tolerance_relative}")
    if not 0.5 <= confidence < 1 or not 0 < coverage < 1:
        raise ValueError(
            f"confidence must lie in [0.5, 1) and coverage in (0, 1), not {confidence}, {coverage}"
        )
    measured = float(fit.examples[-1])
    top = measured if longest is None else float(longest)
    if top < measured:
        raise ValueError(f"longest ({top:g}) is shorter than the largest measured history ({measured:g})")
    distinct = np.unique(fit.examples).size
    if distinct < _FEWEST:
        reason = f"{distinct} distinct numbers of examples were measured; at least {_FEWEST} are needed"
        return Convergence(None, top, fit.origin, top, top, None, top > measured, reason)
    tails = [(1 - coverage) / 2, confidence, (1 + coverage) / 2]
    low, upper, high = (float(v) for v in np.quantile(_gap_point(fit, tolerance_relative, top), tails))
    need = _identified_need(fit, tolerance_relative, tails)
    percent = f"{100 * tolerance_relative:g} %"
    if upper <= WITHIN * top:
        reason = f"from {upper:,.0f} examples on, the loss stays within {percent} of that of {top:,.0f}"
        return Convergence(upper, upper, low, high, top, need, max(upper, top) > measured, reason)
    reason = (
        f"not within this data: the last doubling, up to {top:,.0f} examples, still gains more than {percent}"
    )
    if low <= WITHIN * top:
        reason = f"not within this data: a gain of more than {percent} by the last doubling is not excluded"
    return Convergence(None, upper, low, high, top, need, top > measured, reason)


def _identified_need(fit: CurveFit, tolerance_relative: float, tails: list[float]) -> float | None:
    points = _gap_point(fit, tolerance_relative, None)
    low, upper, high = (float(v) for v in np.quantile(points, tails, method="nearest"))
    return upper if np.isfinite(high) and high <= _IDENTIFIED * max(low, fit.origin) else None


def convergence_point(
    examples: object,
    loss: object,
    se: object | None = None,
    *,
    tolerance_relative: float,
    confidence: float = COVERAGE,
    longest: float | None = None,
    seed: int,
) -> Convergence:
    """Fit a learning curve and find its convergence point; arguments as ``fit_curve`` and ``converge``."""
    fit = fit_curve(examples, loss, se, seed=seed)
    return converge(fit, tolerance_relative=tolerance_relative, confidence=confidence, longest=longest)
