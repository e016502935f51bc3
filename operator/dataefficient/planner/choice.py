"""The choice: the cheapest plan that is certain to stay inside the tolerance.

A plan is *certified* when the upper bound of the distance that the lineage would reach under it, however
long it runs, lies inside the tolerance. "Not significantly worse" certifies nothing. Among
the certified plans that meet the target and fit the budget the cheapest one is chosen; the order of
priority is KPI, certainty, cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataefficient.planner.knobs import Point

STAY = 0.03
"""Plans cost about the same if they differ by less than this share: the one in force is kept then."""


@dataclass(frozen=True)
class Situation:
    """Everything beside the beliefs that the choice depends on.

    Attributes:
        tolerance: relative distance to the reference that is allowed for life.
        limit: the part of it that a plan's bound must stay inside.
        target: level of the KPI that must not be exceeded; None: no target.
        level: forecast level of the lineage in force; None: unknown.
        distance: expected distance of the lineage in force.
        affordable: most device-seconds the next candidate may cost; None: no budget.
        unresolved: why no distance of the tolerance can be told on this stream; None: it can be.
    """

    tolerance: float
    limit: float
    target: float | None = None
    level: float | None = None
    distance: float = 0.0
    affordable: float | None = None
    unresolved: str | None = None


@dataclass(frozen=True)
class Weighed:
    """One option: what it costs, what is believed, and why it was chosen or not."""

    point: Point
    cost: float
    gap: float | None
    gap_bound: float | None
    verdict: str


@dataclass(frozen=True)
class Choice:
    """The outcome; ``code`` is the enumerated reason, ``reason`` its sentence."""

    point: Point | None
    code: str
    reason: str
    options: tuple[Weighed, ...]


def spent_alpha(confidence: float, look: int) -> float:
    """Chance of a wrong look-th adoption under alpha spending: alpha * 6 / (pi j)^2, whose sum is alpha.

    Adoptions repeat for ever; this keeps the chance that any of them is wrong below alpha.
    """
    return (1.0 - confidence) * 0.6079271018540267 / max(look, 1) ** 2


@dataclass(frozen=True)
class Stake:
    """What is known of one plan: expected distance and its upper bound; None: never measured."""

    gap: float | None
    bound: float | None


def choose(
    points: Sequence[Point],
    reference: Point,
    stakes: Mapping[Point, Stake],
    costs: Mapping[Point, float],
    situation: Situation,
    *,
    expected: Mapping[Point, float],
    in_force: Point | None,
) -> Choice:
    """Pick the plan of the next cycle among ``points`` (those that the lineage can switch to at once).

    Args:
        expected: distance that is believed of each plan, measured or not; it decides between plans that cost
            about the same, and where the budget allows no plan that is certain to hold.

    Returns:
        A choice without a point when not even the cheapest one fits the budget.
    """
    refusals = {
        p: _refusal(p, reference, stakes[p], costs[p], situation) for p in dict.fromkeys((*points, reference))
    }
    open_points = [p for p in points if refusals[p] is None]
    best: Point | None
    if open_points:
        least = min(costs[p] for p in open_points)
        cheap = [p for p in open_points if costs[p] <= least * (1.0 + STAY)]
        best = min(cheap, key=lambda p: (p != in_force, expected[p], costs[p]))
        code, reason = _why(best, reference, stakes[best], situation, len(open_points))
    else:
        best, code, reason = _fallback(points, reference, costs, expected, situation)
    options = tuple(
        Weighed(
            p,
            costs[p],
            stakes[p].gap,
            stakes[p].bound,
            "Chosen" if p == best else refusals[p] or "Inside the tolerance, but not cheaper",
        )
        for p in points
    )
    return Choice(best, code, reason, options)


def _refusal(point: Point, reference: Point, stake: Stake, cost: float, situation: Situation) -> str | None:
    if situation.affordable is not None and cost > situation.affordable:
        return f"Over budget: {cost:.0f} device-seconds, {situation.affordable:.0f} are left"
    if point != reference:
        bound = stake.bound
        if bound is None:
            cause = ": no distance can be told on this stream" if situation.unresolved else ""
            return f"Never measured{cause}"
        if bound > situation.limit:
            return f"Its distance may be {bound:.2%}; {situation.limit:.2%} are allowed"
    if situation.target is not None and situation.level is not None:
        expected = situation.level * (1.0 + (stake.gap or 0.0) - situation.distance)
        if expected > situation.target:
            return f"Expected KPI {expected:.5f} misses the target {situation.target:.5f}"
    return None


def _why(best: Point, reference: Point, stake: Stake, situation: Situation, count: int) -> tuple[str, str]:
    if best == reference:
        if situation.unresolved:
            return "NotResolvable", f"Full data: {situation.unresolved}"
        return "NothingCheaperCertified", "Full data: no cheaper plan is certain to stay inside the tolerance"
    bound = stake.bound or 0.0
    return "CheapestInsideTolerance", (
        f"The cheapest of {count} plans inside the tolerance: its distance is at most {bound:.2%} "
        f"of {situation.tolerance:.2%} allowed"
    )


def _fallback(
    points: Sequence[Point],
    reference: Point,
    costs: Mapping[Point, float],
    expected: Mapping[Point, float],
    situation: Situation,
) -> tuple[Point | None, str, str]:
    """No plan meets everything: of those that can be paid, the one that is expected to lose the least."""
    limit = situation.affordable
    fitting = [p for p in points if limit is None or costs[p] <= limit]
    if not fitting:
        return (
            None,
            "BudgetTooSmall",
            (
                f"Even the cheapest plan needs {min(costs[p] for p in points):.0f} device-seconds; "
                f"{limit or 0.0:.0f} are left"
            ),
        )
    best = min(fitting, key=lambda p: (p != reference, expected[p], costs[p]))
    if best.rate == reference.rate:
        if (
            situation.target is not None
            and situation.level is not None
            and situation.level > situation.target
        ):
            return (
                best,
                "TargetOutOfReach",
                (
                    f"Expected KPI {situation.level:.5f} misses the target {situation.target:.5f} "
                    "with any plan: full data"
                ),
            )
        return (
            best,
            "NothingCheaperCertified",
            ("All rows: no cheaper plan is certain to stay inside the tolerance"),
        )
    return (
        best,
        "BudgetBinds",
        "The budget allows no plan that is certain to hold: the one that is expected to lose the least",
    )
