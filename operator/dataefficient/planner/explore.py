"""What to try next, by value of information.

A trial is worth P(accepted) x saving per cycle x the cycles that it leaves of the horizon - its own cost -
P(wrongly accepted) x the cost of a roll-back. Each refusal of a point doubles the wait before the next, so
that the overhead tends to nothing where nothing pays. Accepting or refusing what a trial showed is not done
here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot, sqrt
from statistics import NormalDist
from typing import NamedTuple

from dataefficient.planner.belief import Belief, growth
from dataefficient.planner.knobs import Point
from dataefficient.planner.law import Law

MIN_LOOKS = 2
"""Paired comparisons before a trial may be accepted: one cycle decides nothing alone."""
MIN_CHANCE = 0.15
"""A trial with a smaller chance is not begun, whatever it would save."""
MAX_AGE = 40
"""Cycles after which a trial that is still undecided is refused."""
TELLING_LOOKS = 8
"""Looks at a trial after which more of them tell nothing more of a milder plan: the law's doubt is left.
Where its chances are less than even, that is so after the first two."""
PLANNED_AGE = 20
"""Cycles within which a trial that is begun should decide."""
FIRST_WAIT = 6
"""Cycles before a refused point is tried again; doubled by each further refusal."""
FAR = 8.0
"""Standard deviations below 0 from which on a belief's part above it is taken as an exponential."""
PAUSE = 3
"""Cycles without any trial after a refusal, times the refusals in a row."""


@dataclass(frozen=True)
class Trial:
    """A proposed trial: its point, what it is worth and costs (device-seconds), its chance and its age."""

    point: Point
    target: Point
    """The plan that it may certify: its own, or a milder one."""
    value: float
    cost: float
    chance: float
    age: int
    cycles: int
    """In which it holds the only place, and others wait."""

    @property
    def yields(self) -> float:
        """What it is worth for each cycle that others wait: the order of one after another (Smith, Various
        optimizers for single-stage production, Naval Research Logistics Quarterly 3, 1956)."""
        return self.value / self.cycles


class Spread(NamedTuple):
    """How well looks tell a distance, standard deviations.

    Attributes:
        error: falls with more looks of the same kind.
        stays: is left however often it is looked at, and is in what was believed after earlier ones too.
    """

    error: float
    stays: float = 0.0


@dataclass(frozen=True)
class Terms:
    """What the value of a trial depends on beside beliefs and costs.

    Attributes:
        tolerance: distance that a plan may have.
        se_cycle: expected standard error of one cycle's paired comparison, relative loss.
        z: standard deviations of the certified bound.
        carry_over: share of a distance that is left after one cycle.
        ahead: cycles ahead for which a plan is certified.
        horizon: cycles over which a saving counts.
        wrong: chance that an accepted plan is outside the tolerance.
        rollback: device-seconds that a roll-back costs.
    """

    tolerance: float
    se_cycle: float
    z: float
    carry_over: float
    ahead: float
    horizon: int
    wrong: float
    rollback: float
    apart: Callable[[float], tuple[float, float]] | None = None
    """Standard errors of what divergence tells of a plan at such a distance, of one look and of all looks
    together; None: it is not told."""

    def warm_spread(self, looks: Sequence[int], distance: float) -> Spread:
        """How well a plan's distance ``ahead`` cycles on is told by looks at a branch of these ages.

        The late looks carry the information: early ones show a small part of the distance.

        Args:
            distance: what it is believed to be; the larger, the less exactly divergence tells it.
        """
        measured = self.converted_spread(looks, 0.0).error
        if self.apart is None:
            return Spread(measured)
        each, common = self.apart(distance)
        told = replace(self, se_cycle=each).converted_spread(looks, 0.0).error
        # Of what all divergences have in common labels alone tell.
        return Spread(_both(measured, told), _both(measured, common))

    def cold_spread(self, looks: Sequence[int], luck: float) -> Spread:
        """The same of a cold start whose ``luck`` (a standard deviation) fades as the branch grows older."""
        faded = luck * float(self.carry_over ** max(looks))
        return Spread(sqrt(self.se_cycle**2 / len(looks) + faded**2))

    def converted_spread(self, looks: Sequence[int], lost: float) -> Spread:
        """The same of a branch whose model was converted from another size, by labels alone.

        What that lost, a standard deviation ``lost`` in each look, fades while the plan's own distance grows.
        Until then it is in the divergence too.
        """
        told = sum(
            growth(self.carry_over, look) ** 2 / (self.se_cycle**2 + (lost * self.carry_over**look) ** 2)
            for look in looks
        )
        return Spread(float(growth(self.carry_over, self.ahead) / sqrt(told)))


def _both(one: float, other: float) -> float:
    """Standard error of two measurements taken together."""
    return one * other / max(hypot(one, other), 1e-300)


def wait_after(count: int) -> int:
    """Cycles to wait after the count-th refusal of one point."""
    return int(FIRST_WAIT * 2 ** (count - 1))


def chance(belief: Belief, terms: Terms, spread: Spread, *, truth: Belief | None = None) -> float:
    """P(the certified bound comes out inside the tolerance), measured as well as ``spread`` says.

    What will be believed afterwards is known in spread and not in place (preposterior analysis; Raiffa and
    Schlaifer, Applied Statistical Decision Theory, 1961, chapter 5).

    Args:
        belief: what is believed now, from which certainty will be reckoned.
        truth: where the distance may be; None: where ``belief`` says.
    """
    truth = truth or belief
    error, stays = max(spread.error, 1e-12), min(spread.stays, belief.sd)
    open_ = max(belief.sd**2 - stays**2, 1e-24)
    heard = open_ / (open_ + error**2)
    after = hypot(error * sqrt(heard), stays)
    limit = (terms.tolerance - terms.z * after - (1.0 - heard) * belief.mean) / heard
    return NormalDist().cdf((limit - truth.mean) / hypot(sqrt(max(truth.sd**2 - stays**2, 0.0)), error))


def plausible(beliefs: Mapping[Point, Belief], size: int) -> dict[Point, Belief]:
    """Where distances may be: beliefs without the part by which to train on fewer rows would help.

    That part of a wide normal belief is largest for the harshest plans, and no chance at all. It is
    cut off where only the rows differ; another size may well do better, beside what its sample loses.

    Args:
        size: the lineage's. Of plans without a counterpart of that size, beliefs stay.
    """
    full = max(point.rate for point in beliefs)
    found: dict[Point, Belief] = {}
    for point, belief in beliefs.items():
        sampled = beliefs.get(replace(point, size=size))
        if point.rate >= full or sampled is None:
            found[point] = belief
            continue
        mean, sd = _above_zero(sampled)
        by_size = max(belief.sd**2 - sampled.sd**2, 0.0) if point.size != size else 0.0
        found[point] = Belief(belief.mean - sampled.mean + mean, hypot(sd, sqrt(by_size)))
    return found


def _above_zero(belief: Belief) -> tuple[float, float]:
    """Mean and standard deviation of a belief whose part below 0 is cut off."""
    normal, sd = NormalDist(), max(belief.sd, 1e-12)
    edge = -belief.mean / sd
    if edge > FAR:
        return sd / edge, sd / edge
    ratio = normal.pdf(edge) / normal.cdf(-edge)
    return belief.mean + sd * ratio, sd * sqrt(max(1.0 + edge * ratio - ratio**2, 1e-12))


@dataclass(frozen=True)
class Pace:
    """When a trial is looked at: first at age ``first``, then every ``stride`` cycles.

    ``twice`` at first: once as it learns, in the run that it rides with, and once frozen.
    """

    first: int
    stride: int
    twice: bool = False

    def looks(self, age: int) -> tuple[int, ...]:
        """Ages of the looks up to ``age``."""
        return (*((self.first,) if self.twice else ()), *range(self.first, age + 1, self.stride))


def best_trial(
    candidates: Sequence[Point],
    beliefs: Mapping[Point, Belief],
    law: Law,
    terms: Terms,
    *,
    saving: Mapping[Point, float],
    cost: Callable[[Point, int, int], float],
    spread: Callable[[Point, Sequence[int]], Spread],
    speaks: Callable[[Point], bool],
    size: int,
    pace: Pace,
    purse: Callable[[int], float],
    only: Point | None = None,
    least: int = MIN_LOOKS,
    likely: float = MIN_CHANCE,
) -> Trial | None:
    """The trial of the highest positive value that the purse can pay, or None.

    A trial also speaks for the milder plans above it, by the law of the rate, and what it is worth counts all
    that it may certify; ``target`` is the plan that most of it comes from.

    Args:
        saving: device-seconds saved per cycle by each candidate against the plan in force.
        cost: device-seconds of a trial of a point up to an age (cycles), with so many looks.
        spread: how well looks at these ages tell a point's distance.
        speaks: whether a trial of a point speaks for milder ones. They must be open to the lineage at once,
            and so differ from it by their rows alone.
        size: the lineage's.
        purse: device-seconds that a trial up to an age may take.
        only: the one plan that may be tried, of all that may be spoken for; None: any.
        least: looks before it may be accepted.
        likely: smallest chance that counts.
    """
    best: Trial | None = None
    truths = plausible(beliefs, size)
    for point in candidates:
        if saving[point] <= 0.0 or only not in {None, point}:
            continue
        spoken_for = candidates if speaks(point) else (point,)
        shares = {p: law.share(p, point) for p in spoken_for if saving[p] > 0.0}
        parts = [(p, share) for p, share in shares.items() if share is not None]
        for age in range(pace.first, max(PLANNED_AGE, pace.first + MIN_LOOKS) + 1, pace.stride):
            looks = pace.looks(age)
            spent = cost(point, age, len(looks))
            if len(looks) < least or spent > purse(age):
                continue
            told = spread(point, looks)
            odds = {}
            for milder, part in parts:
                belief, truth = beliefs[milder], truths[milder]
                doubt = law.doubt(milder, point) * max(belief.mean, 0.0)
                its = Spread(part * told.error, hypot(part * told.stays, doubt))
                odds[milder] = chance(belief, terms, its, truth=truth)
            odds = {p: accepted for p, accepted in odds.items() if accepted >= likely}
            if not odds:
                continue
            cycles = age - pace.first + 1
            gain = _expected_saving(odds, saving) * max(terms.horizon - cycles, 0)
            value = gain - spent - terms.wrong * max(odds.values()) * terms.rollback
            if value > 0.0 and (best is None or value > best.value):
                target = max(odds, key=lambda p: odds[p] * saving[p])
                best = Trial(point, target, value, spent, odds[target], age, cycles)
    return best


def _expected_saving(odds: Mapping[Point, float], saving: Mapping[Point, float]) -> float:
    """Expected saving of the best plan that a trial certifies; it certifies those that save less with it."""
    total = reached = 0.0
    for point in sorted(odds, key=lambda p: saving[p]):
        total += odds[point] * (saving[point] - reached)
        reached = saving[point]
    return total


def best_probe(
    candidates: Sequence[Point],
    beliefs: Mapping[Point, Belief],
    terms: Terms,
    *,
    saving: Mapping[Point, float],
    cost: Mapping[Point, float],
    spread: Mapping[Point, float],
    size: int,
    account: float,
) -> Point | None:
    """The cold-start probe of the history that is worth most and can be paid, or None.

    Args:
        spread: standard error of a point's distance after a probe of it.
        size: the lineage's.
    """
    best, best_value = None, 0.0
    truths = plausible(beliefs, size)
    for point in candidates:
        if saving[point] <= 0.0 or cost[point] > account:
            continue
        accepted = chance(beliefs[point], terms, Spread(spread[point]), truth=truths[point])
        value = accepted * saving[point] * terms.horizon - cost[point]
        if value > best_value:
            best, best_value = point, value
    return best
