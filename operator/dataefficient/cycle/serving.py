"""What the numbers of Prometheus about serving may do: block, hold, or withdraw.

They never replace the paired gate, because a level has no standard error and no reference on the same
rows. A guardrail out of bounds blocks a candidate. What is not known, and a target that is missed, hold
the plan: nothing cheaper is adopted or tried. Only a target that was met before the plan in force and is
missed under it withdraws the plan: a fall that began earlier is the stream's, not the plan's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dataefficient.api.measure import Direction, Kpi
from dataefficient.api.serving import ServingGuardrail
from dataefficient.cycle.answers import Answer, Heard, Verdict
from dataefficient.planner.knobs import Point


@dataclass(frozen=True)
class Ruling:
    """What follows, each as the sentences that it follows from; empty: it does not follow."""

    block: tuple[str, ...] = ()
    """The candidate is not published in this cycle."""
    hold: tuple[str, ...] = ()
    """No plan cheaper than the one in force is adopted, and no trial begins."""
    withdraw: tuple[str, ...] = ()
    """The plan in force gives way to the next one with more data; it implies ``hold``."""

    def __add__(self, other: Ruling) -> Ruling:
        return Ruling(self.block + other.block, self.hold + other.hold, self.withdraw + other.withdraw)


def rule(
    kpi: Kpi,
    guardrails: Iterable[ServingGuardrail],
    *,
    reference: Point,
    heard: Sequence[Heard],
    guarded: Mapping[str, Answer],
) -> Ruling:
    """The ruling on all that was asked. What never was is no reason: the local driver asks nobody.

    Args:
        reference: full data at the largest size; there is nothing to withdraw from it to.
        heard: answers to ``kpi.query`` by cycle, oldest first, the newest of the cycle in hand.
        guarded: answers by the guardrail's name.
    """
    ruling = _on_kpi(kpi, reference, heard) if kpi.query and heard else Ruling()
    for guardrail in guardrails:
        if guardrail.name in guarded:
            ruling += _on_guardrail(guardrail, guarded[guardrail.name])
    return ruling


def level(kpi: Kpi, heard: Sequence[Heard]) -> float | None:
    """Mean of the finite fresh numbers of the last ``overCycles`` cycles; None without one."""
    return _mean(heard[-kpi.over_cycles :])


def meets(kpi: Kpi, value: float) -> bool:
    """Whether a level meets the target; without a target every level does."""
    if kpi.target is None:
        return True
    target = float(kpi.target)
    return value <= target if kpi.direction is Direction.MINIMIZE else value >= target


def _mean(heard: Sequence[Heard]) -> float | None:
    values = [one.value for one in heard if one.value is not None]
    return sum(values) / len(values) if values else None


def _on_kpi(kpi: Kpi, reference: Point, heard: Sequence[Heard]) -> Ruling:
    newest = heard[-1]
    if newest.verdict is not Verdict.OK:
        return Ruling(hold=(_unknown("kpi.query", newest),))
    pooled = level(kpi, heard)
    if pooled is None or meets(kpi, pooled):
        return Ruling()
    told = f"kpi.query is at {pooled:.6g} over {kpi.over_cycles} cycles and misses the target {kpi.target}"
    in_force = newest.point
    under = 0
    while under < len(heard) and heard[-1 - under].point == in_force:
        under += 1
    before = _mean(heard[:-under][-kpi.over_cycles :])
    if in_force == reference or under < kpi.over_cycles or before is None or not meets(kpi, before):
        return Ruling(hold=(told,))
    fell = f"{told}; before {in_force} it was at {before:.6g} and met it"
    return Ruling(hold=(told,), withdraw=(fell,))


def _on_guardrail(guardrail: ServingGuardrail, answer: Answer) -> Ruling:
    title = f"Serving guardrail {guardrail.name}"
    if answer.value is None:
        return Ruling(hold=(_unknown(title, answer),))
    if guardrail.min is not None and answer.value < float(guardrail.min):
        return Ruling(block=(f"{title}: {answer.value:.6g} is below {guardrail.min}",))
    if guardrail.max is not None and answer.value > float(guardrail.max):
        return Ruling(block=(f"{title}: {answer.value:.6g} is above {guardrail.max}",))
    return Ruling()


def _unknown(title: str, answer: Answer | Heard) -> str:
    return f"{title} is {answer.verdict.value}: {answer.message}"
