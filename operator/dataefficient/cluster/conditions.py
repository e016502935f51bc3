"""The answers that the memory allows to each question about a resource.

All conditions are set, from the first visit on. What only Prometheus can answer stays Unknown here until a
reading of it is taken in. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from dataefficient.api.conditions import (
    REASONS,
    Condition,
    ConditionStatus,
    ConditionType,
    Reason,
    first_conditions,
    with_condition,
)
from dataefficient.api.spec import Mode
from dataefficient.cluster.kpi import pooled
from dataefficient.cluster.names import APPROVE_ANNOTATION
from dataefficient.cluster.view import Answer, Refused, View
from dataefficient.contract import format_time
from dataefficient.cycle.covering import headroom
from dataefficient.cycle.figures import Proposal
from dataefficient.cycle.launch import SHORTEST, devices
from dataefficient.cycle.model import EXHAUSTED, FailureKind, Step

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
_PARTS = {
    "budget.initial": Reason.INITIAL_REACHED,
    "budget.perCycle": Reason.PER_CYCLE_REACHED,
    "budget.total": Reason.TOTAL_REACHED,
    "budget.window": Reason.WINDOW_REACHED,
}

_UNSTARTED = {
    FailureKind.IMAGE_NOT_PULLED: Reason.IMAGE_NOT_PULLED,
    FailureKind.UNSCHEDULABLE: Reason.UNSCHEDULABLE,
    FailureKind.NOT_STARTED: Reason.RUN_FAILED,
}
"""Failures of attempts that never trained: they stand until one does."""


def conditions(view: View) -> tuple[Condition, ...]:
    """Every condition of a resource that is acted on."""
    generation = view.resource.metadata.generation
    return _with(view.before, (*_answers(view), *view.answers), generation, view.now)


def refusal(
    refused: Refused, before: tuple[Condition, ...], generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Every condition of a resource that is not acted on; what was known otherwise stays."""
    answers = (
        Answer(ConditionType.ACCEPTED, FALSE, refused.reason, refused.message),
        Answer(ConditionType.READY, FALSE, Reason.NOT_ACCEPTED, refused.message),
        Answer(ConditionType.PROGRESSING, FALSE, Reason.NOT_ACCEPTED, refused.message),
    )
    return _with(before, answers, generation, now)


def _with(
    before: tuple[Condition, ...], answers: Iterable[Answer], generation: int, now: datetime
) -> tuple[Condition, ...]:
    known = {c.type for c in before}
    found = (*before, *(c for c in first_conditions(generation, now) if c.type not in known))
    for answer in answers:
        found = with_condition(found, *answer, generation=generation, now=now)
    return found


def _answers(view: View) -> Iterator[Answer]:
    yield Answer(ConditionType.ACCEPTED, TRUE, Reason.VALID, "Valid, and its Job is accepted here.")
    yield _ready(view)
    yield _progressing(view)
    yield from _quality(view)
    yield _converged(view)
    yield _within_budget(view)


def _stopped(view: View) -> tuple[Reason, str] | None:
    """What stopped the resource, and what to do; None: nothing has."""
    stopped = view.memory.stopped
    if view.memory.step is not Step.STOPPED or stopped is None:
        return None
    reason = {
        EXHAUSTED: Reason.BUDGET_EXHAUSTED,
        "RejectedTooOften": Reason.CANDIDATES_REJECTED,
        FailureKind.CHECKPOINT_MISSING.value: Reason.CHECKPOINT_MISSING,
        **{kind.value: reason for kind, reason in _UNSTARTED.items()},
    }.get(stopped.code, Reason.RUN_FAILED)
    way_out = "An edit of the spec, or a new word in the annotation dataefficient.training/resume, goes on."
    return reason, f"{stopped.message.rstrip('.')}. {way_out}"


def _ready(view: View) -> Answer:
    kind = ConditionType.READY
    if (stopped := _stopped(view)) is not None:
        return Answer(kind, FALSE, *stopped)
    if view.resource.spec.suspend:
        return Answer(kind, TRUE, Reason.SUSPENDED, "Suspended: no run is started.")
    if (stuck := _stuck(view)) is not None:
        return Answer(kind, FALSE, *stuck)
    for answer in view.answers:
        if (answer.kind, answer.status) == (ConditionType.ACCEPTED, FALSE):
            return Answer(kind, FALSE, Reason.NOT_ACCEPTED, answer.message)
    if view.memory.rejections > 1:
        told = f"{view.memory.rejections} candidates in a row were not published; see status.history for why."
        return Answer(kind, FALSE, Reason.CANDIDATES_REJECTED, told)
    if view.memory.step is Step.FINISHED:
        return Answer(kind, TRUE, Reason.FINISHED, "Every interval up to schedule.endTime was run.")
    if (asked := _awaited(view)) is not None:
        return Answer(kind, TRUE, Reason.AWAITING_APPROVAL, _how_to_approve(asked))
    return Answer(kind, TRUE, Reason.OPERATING, "Operating.")


def _awaited(view: View) -> Proposal | None:
    """What the cycle in hand waits for; None: for no person."""
    memory, recommends = view.memory, view.resource.spec.mode is Mode.RECOMMEND
    asked = memory.proposal if recommends and not memory.running else None
    return asked if asked is not None and asked.holds else None


def _how_to_approve(asked: Proposal) -> str:
    return f"{asked.told}: write it into the annotation {APPROVE_ANNOTATION}."


def _stuck(view: View) -> tuple[Reason, str] | None:
    """A launched run that waits for something that a person may have to provide."""
    for run, live in view.live.items():
        if live.waiting is not None:
            return Reason(live.waiting.kind), f"{run}: {live.waiting.message}"
    for plan in view.memory.running:
        state = view.live.get(plan.request.run)
        if plan.cause is not None and plan.cause.kind in _UNSTARTED and not (state and state.running):
            told = f"{plan.request.run}, attempt {plan.attempt - 1}: {plan.cause.message}. It is tried again."
            return _UNSTARTED[plan.cause.kind], told
    return None


def _progressing(view: View) -> Answer:
    kind = ConditionType.PROGRESSING
    memory = view.memory
    if (stopped := _stopped(view)) is not None:
        reason, message = stopped
        blocked = reason if reason in REASONS[kind] else Reason.RUN_FAILED
        return Answer(kind, FALSE, blocked, message)
    if view.resource.spec.suspend:
        return Answer(kind, FALSE, Reason.SUSPENDED, "spec.suspend is true; set it to false to go on.")
    if memory.step is Step.FINISHED:
        return Answer(kind, FALSE, Reason.FINISHED, "No interval is left; move schedule.endTime to go on.")
    if (stuck := _stuck(view)) is not None:
        return Answer(kind, FALSE, *stuck)
    later = [r for r in memory.running if r.not_before is not None and r.not_before > view.now]
    if memory.running and len(later) == len(memory.running):
        first = min(later, key=lambda r: r.not_before or view.now)
        assert first.not_before is not None
        told = f"{first.request.run} is tried again at {format_time(first.not_before)}."
        waits = first.cause is not None and first.cause.kind is FailureKind.DATA_NOT_READY
        return Answer(kind, TRUE, Reason.DATA_NOT_READY if waits else Reason.RUNNING, told)
    if memory.running:
        names = ", ".join(r.request.run for r in memory.running)
        return Answer(kind, TRUE, Reason.RUNNING, f"Cycle {memory.cycle}: {names}.")
    if (asked := _awaited(view)) is not None:
        return Answer(kind, FALSE, Reason.AWAITING_APPROVAL, _how_to_approve(asked))
    if view.wait_until is not None:
        told = f"Cycle {memory.cycle} begins at {format_time(view.wait_until)}."
        return Answer(kind, TRUE, Reason.WAITING_FOR_INTERVAL, told)
    return Answer(kind, TRUE, Reason.RUNNING, f"Cycle {memory.cycle} is being planned.")


def _quality(view: View) -> Iterator[Answer]:
    kpi, found = view.resource.spec.kpi, pooled(view.memory, view.resource.spec)
    if kpi.query:
        return  # answered by a reading of Prometheus
    if found is None:
        told = "No model has served for a whole cycle yet."
        yield Answer(ConditionType.KPI_AVAILABLE, UNKNOWN, Reason.NOT_YET_KNOWN, told)
    else:
        told = f"Reported by the runs, pooled over {found.cycles} cycles."
        yield Answer(ConditionType.KPI_AVAILABLE, TRUE, Reason.REPORTED, told)
    if kpi.target is None:
        told = "kpi.target is not given; kpi.tolerance decides."
        yield Answer(ConditionType.TARGET_MET, UNKNOWN, Reason.NO_TARGET, told)
    elif found is None:
        told = "There is no level to hold against the target yet."
        yield Answer(ConditionType.TARGET_MET, UNKNOWN, Reason.NOT_YET_KNOWN, told)
    else:
        met = found.level <= float(kpi.target)
        told = f"{found.level:.4f} against a target of {kpi.target}, over {found.cycles} cycles."
        yield Answer(
            ConditionType.TARGET_MET, TRUE if met else FALSE, Reason.MET if met else Reason.MISSED, told
        )


def _converged(view: View) -> Answer:
    kind, found = ConditionType.CONVERGED, view.memory.convergence
    if found is None:
        how = "Measured by small runs in cycle 0."
        if view.resource.spec.mode is Mode.RECOMMEND:
            how = "Measured by small runs on the history, once they are recommended and approved."
        return Answer(kind, UNKNOWN, Reason.NOT_YET_KNOWN, how)
    if found.examples is not None:
        told = f"{found.reason.rstrip('.')}: {found.examples:,.0f} rows suffice."
        return Answer(kind, TRUE, Reason.CONVERGED, told)
    if not found.measured:
        return Answer(kind, UNKNOWN, Reason.NOT_RESOLVABLE, found.reason)
    return Answer(kind, FALSE, Reason.NOT_WITHIN_DATA, found.reason)


def _within_budget(view: View) -> Answer:
    kind, memory = ConditionType.WITHIN_BUDGET, view.memory
    if not list(view.resource.spec.budget.parts()):
        return Answer(kind, TRUE, Reason.NO_BUDGET, "spec.budget names no bound.")
    rest = headroom(view.resource.spec, memory, view.now)
    part = _PARTS.get(rest.part.rpartition(".")[0], Reason.TOTAL_REACHED)
    stopped = memory.stopped if memory.step is Step.STOPPED else None
    if stopped is not None and stopped.code == EXHAUSTED:
        never = memory.ledger.settled == 0.0
        return Answer(kind, FALSE, Reason.TOO_SMALL_FOR_ONE_RUN if never else part, stopped.message)
    if (
        rest.seconds is not None
        and rest.seconds < SHORTEST * devices(view.resource.spec)
        and not memory.running
    ):
        return Answer(kind, FALSE, part, f"{rest.part} leaves nothing for another run; raise it.")
    told = "" if rest.seconds is None else f" {rest.part} is the tightest: {rest.seconds / 3600:.3f} h left."
    return Answer(kind, TRUE, Reason.WITHIN_BUDGET, f"Within the budget.{told}")
