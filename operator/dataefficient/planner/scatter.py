"""What a cycle adds of its own to a comparison.

The standard error of a look comes from the blocks of one cycle. But two models' difference moves from cycle
to cycle by more than that (another season, another mix of rows), and how much more only several looks can
tell. Consecutive looks at one branch differ by both; what the standard errors do not explain is the cycles'
own (the method of moments of a random-effects model: DerSimonian and Laird 1986, here on successive
differences, so that a slow growth of harm hardly counts).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import sqrt
from statistics import median

from dataefficient.planner.contrasts import Contrast

PRIOR_PAIRS = 2.0
"""Pairs of looks that the prior counts for: a cycle's own effect as large as its standard error. On four real
streams it was between nothing and five times that."""


def of_cycles(contrasts: Sequence[Contrast]) -> float:
    """Standard deviation of a cycle's own effect on a relative difference of losses; 0 before any look."""
    looks = [c for c in contrasts if c.age is not None or c.cold]
    if not looks:
        return 0.0
    branches: defaultdict[object, list[Contrast]] = defaultdict(list)
    for look in looks:
        branches[look.mine[-1].point, look.against[-1].point, look.cold].append(look)
    beyond = [
        ((later.gap - earlier.gap) ** 2 - earlier.standard_error**2 - later.standard_error**2) / 2.0
        for series in branches.values()
        for earlier, later in _pairs(series)
    ]
    typical = median(look.standard_error for look in looks) ** 2
    return sqrt(max(PRIOR_PAIRS * typical + sum(beyond), 0.0) / (PRIOR_PAIRS + len(beyond)))


def _pairs(series: Sequence[Contrast]) -> Iterable[tuple[Contrast, Contrast]]:
    ordered = sorted(series, key=lambda c: (c.cycle, c.age or c.cold_age))
    return pairwise(ordered)
