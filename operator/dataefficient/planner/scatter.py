"""What a cycle adds of its own to a comparison.

The standard error of a look comes from the blocks of one cycle. But two models' difference moves from cycle
to cycle by more than that (another season, another mix of rows), and how much more only several looks can
tell. Consecutive looks at one branch differ by both; what the standard errors do not explain is the cycles'
own (the method of moments of a random-effects model: DerSimonian and Laird 1986, here on successive
differences). What a branch that grows older may show more of its harm is left out: it is no scatter.

The larger a difference, the more it moves: what is told here is of plans that hardly differ, and ``weight``
says how many times that a look at a given gap moves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import hypot, log, log1p, sqrt
from statistics import median

from dataefficient.planner.contrasts import Contrast

SIMILAR, DIFFERENT = 0.15, 0.3
"""Typical difference in log-odds between a model and what it was a cycle ago, and between different plans:
they give the standard deviations of 0.2 and 0.4 a row that the levers study found at 2.4 % of positives."""
COMMON = 0.024
"""Share of positives that is assumed before any is known: that of the levers study."""
PRIOR_PAIRS = 2.0
"""Pairs of looks that the prior counts for: a cycle's own effect as large as its standard error. On four real
streams it was between nothing and five times that."""
GROWS = 3.0
"""Tolerances of a gap at which a cycle's own effect is sqrt(2) times that on plans that hardly differ. On
women's tennis it was 0.13 % for a gap of nothing and 1.6 % for one of 3.5 %."""


def of_rows(positives: float | None, shift: float) -> float:
    """Standard deviation of two models' difference on one row, relative to their mean loss.

    Log-odds that differ by ``shift`` change a row's loss by it times the residual, whose standard deviation
    is sqrt(p (1 - p)) at a share p of positives; the mean loss is at most the entropy of p. Where positives
    are rare the ratio is large: most of the loss then hangs on a few rows.

    Args:
        positives: share of positives; None: not known.
        shift: typical difference in log-odds.
    """
    p = min(max(COMMON if positives is None else positives, 1e-6), 1.0 - 1e-6)
    return shift * sqrt(p * (1.0 - p)) / -(p * log(p) + (1.0 - p) * log1p(-p))


def weight(gap: float, tolerance: float) -> float:
    """How many times the effect on plans that hardly differ a cycle has on a gap like this."""
    return hypot(1.0, gap / (GROWS * tolerance))


def of_cycles(contrasts: Sequence[Contrast], tolerance: float) -> float:
    """Standard deviation of a cycle's own effect on the relative difference of plans that hardly differ.

    0 before any look. How a converted model moves tells of what it had lost.
    """
    looks = [c for c in contrasts if c.age is not None or c.cold]
    if not looks:
        return 0.0
    branches: defaultdict[object, list[Contrast]] = defaultdict(list)
    for look in looks:
        if not look.converted:
            branches[look.mine[-1].point, look.against[-1].point, look.cold].append(look)
    beyond = [
        (_moved(earlier, later) ** 2 - earlier.standard_error**2 - later.standard_error**2)
        / (weight(earlier.gap, tolerance) ** 2 + weight(later.gap, tolerance) ** 2)
        for series in branches.values()
        for earlier, later in _pairs(series)
    ]
    typical = median(look.standard_error / weight(look.gap, tolerance) for look in looks) ** 2
    return sqrt(max(PRIOR_PAIRS * typical + sum(beyond), 0.0) / (PRIOR_PAIRS + len(beyond)))


def _moved(earlier: Contrast, later: Contrast) -> float:
    """By how much a gap moved beyond what growing older explains: at most as many times as the age grew."""
    if not earlier.age or not later.age:
        return later.gap - earlier.gap
    low, high = sorted((earlier.gap, earlier.gap * later.age / earlier.age))
    return max(low - later.gap, later.gap - high, 0.0)


def _pairs(series: Sequence[Contrast]) -> Iterable[tuple[Contrast, Contrast]]:
    ordered = sorted(series, key=lambda c: (c.cycle, c.age or c.cold_age))
    return pairwise(ordered)
