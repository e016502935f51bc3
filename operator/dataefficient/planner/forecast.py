"""Forecasts of the next cycle's quality level and cost, with intervals that are honest about the past.

The interval comes from the errors that the same rule made before, never from a model's own opinion of
itself. Forecasts inform people and budgets; no plan is accepted on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt
from statistics import median

from scipy.special import stdtrit

COVERAGE = 0.8
SMOOTHING = 0.6
"""Weight of the newest level in the exponential smoothing."""
MEMORY = 20
"""Errors further back than this many cycles are forgotten."""
OUTLIER = 3.7
"""Errors count as at most so many times their median: 2.5 standard deviations of a normal one."""
FIRST_COST_SPREAD = 0.15
"""Standard deviation of the logarithm of actual over forecast cost before anything was compared."""


def next_level(levels: Sequence[float], prior_spread: float) -> tuple[float, float, float] | None:
    """Mean and 80 % interval of the next level by simple exponential smoothing.

    With zero-mean normal errors e_1..e_n of the same rule, the next error over their root mean square
    follows Student's t with n degrees of freedom. Until three errors are known, ``prior_spread`` (a
    standard deviation, in the levels' unit) stands in for the missing ones.

    Returns:
        None without any level.
    """
    if not levels:
        return None
    smooth, errors = levels[0], []
    for level in levels[1:]:
        errors.append(level - smooth)
        smooth += SMOOTHING * (level - smooth)
    return (smooth, *_interval(smooth, errors[-MEMORY:], prior_spread))


def next_cost(expected: float, past: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Mean and 80 % interval of a run's device-seconds.

    Args:
        expected: what the cost model says.
        past: (forecast, actual) of earlier runs of this kind; their ratio's logarithm is taken as normal.
    """
    errors = [log(actual / forecast) for forecast, actual in past[-MEMORY:] if forecast > 0 and actual > 0]
    low, high = _interval(0.0, errors, FIRST_COST_SPREAD)
    return expected, expected * exp(low), expected * exp(high)


def _interval(centre: float, errors: Sequence[float], prior_spread: float) -> tuple[float, float]:
    stand_in = max(0, 3 - len(errors))
    freedom = len(errors) + stand_in
    limit = OUTLIER * median([*map(abs, errors), *[prior_spread] * stand_in])
    squares = [min(abs(error), limit) ** 2 for error in errors]
    scale = sqrt((sum(squares) + stand_in * prior_spread**2) / freedom)
    reach = float(stdtrit(freedom, (1.0 + COVERAGE) / 2.0)) * scale
    return centre - reach, centre + reach
