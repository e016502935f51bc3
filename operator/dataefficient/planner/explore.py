"""What to try next, by value of information.

A trial is worth P(accepted) x saving per cycle x horizon - its own cost - P(wrongly accepted) x the cost
of a roll-back. Each refusal of a point doubles the wait before the next, so that the overhead tends to
nothing where nothing pays. Accepting or refusing what a trial showed is not done here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from dataefficient.planner.belief import Belief, Dynamics
from dataefficient.planner.knobs import Point

MIN_LOOKS = 2
"""Paired comparisons before a trial may be accepted: one cycle decides nothing alone."""
MAX_AGE = 6
"""Cycles after which a trial that is still undecided is refused."""
FIRST_WAIT = 4
"""Cycles before a refused point is tried again; doubled by each further refusal."""


@dataclass(frozen=True)
class Trial:
    """A proposed trial: its point, what it is worth and costs (device-seconds), and its chance."""

    point: Point
    value: float
    cost: float
    chance: float
    cycles: int


@dataclass(frozen=True)
class Terms:
    """What the value of a trial depends on beside beliefs and costs.

    Attributes:
        room: distance that a plan may have, tolerance less what the lineage carries over.
        se_cycle: expected standard error of one cycle's paired comparison, relative loss.
        z: standard deviations of the certified bound.
        horizon: cycles over which a saving counts.
        wrong: chance that an accepted plan is outside the tolerance.
        rollback: device-seconds that a roll-back costs.
    """

    room: float
    se_cycle: float
    z: float
    horizon: int
    wrong: float
    rollback: float


def wait_after(count: int) -> int:
    """Cycles to wait after the count-th refusal of one point."""
    return int(FIRST_WAIT * 2 ** (count - 1))


def chance(belief: Belief, terms: Terms, spread: float) -> float:
    """P(the certified bound comes out inside the room) for a measurement with standard error ``spread``."""
    margin = terms.room - terms.z * spread - belief.mean
    return NormalDist().cdf(margin / max(sqrt(belief.sd**2 + spread**2), 1e-12))


def best_trial(
    candidates: Sequence[Point],
    beliefs: Mapping[Point, Belief],
    dynamics: Dynamics,
    terms: Terms,
    saving: Mapping[Point, float],
    cost: Callable[[Point, int], float],
    account: float,
) -> Trial | None:
    """The trial of the highest positive value that the account can pay, or None.

    Args:
        saving: device-seconds saved per cycle by each candidate against the plan in force.
        cost: device-seconds of a trial of a point over a number of cycles, catch-up included.
    """
    best: Trial | None = None
    for point in candidates:
        if saving[point] <= 0.0:
            continue
        for cycles in range(MIN_LOOKS, MAX_AGE + 1):
            spent = cost(point, cycles)
            if spent > account:
                break
            # Looks at ages 1..m show growing shares of the harm; the late ones carry the information.
            information = sum(dynamics.growth(age) ** 2 for age in range(1, cycles + 1))
            spread = terms.se_cycle / sqrt(information)
            accepted = chance(beliefs[point], terms, spread)
            gain = accepted * saving[point] * max(terms.horizon - cycles, 0)
            value = gain - spent - terms.wrong * accepted * terms.rollback
            if value > 0.0 and (best is None or value > best.value):
                best = Trial(point, value, spent, accepted, cycles)
    return best


def best_probe(
    candidates: Sequence[Point],
    beliefs: Mapping[Point, Belief],
    terms: Terms,
    saving: Mapping[Point, float],
    cost: Mapping[Point, float],
    account: float,
) -> Point | None:
    """The cold-start probe of the history that is worth most and can be paid, or None."""
    best, best_value = None, 0.0
    for point in candidates:
        if saving[point] <= 0.0 or cost[point] > account:
            continue
        accepted = chance(beliefs[point], terms, terms.se_cycle)
        value = accepted * saving[point] * terms.horizon - cost[point]
        if value > best_value:
            best, best_value = point, value
    return best
