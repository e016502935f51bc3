"""Taking in how a run ended: the ledger, what was measured, and whether to try again.

Every attempt is charged, also a failed one. What a failure means depends on its kind and on whose it is:
a candidate that cannot be had stops the resource with a reason, a probe or a branch is given up.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from dataefficient.contract import Role
from dataefficient.cycle import measuring
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.model import (
    Entry,
    Failure,
    FailureKind,
    Ledger,
    Measured,
    Memory,
    RunOutcome,
    RunPlan,
    Step,
    Stopped,
)
from dataefficient.planner import budget

MEASURED = 64
ENTRIES = 64
FINAL = {
    FailureKind.USER_ERROR,
    FailureKind.DATA_ERROR,
    FailureKind.CHECKPOINT_MISSING,
    FailureKind.NOT_FINITE,
}
"""Trying again cannot help."""
FIRST_BACKOFF = 10.0
LONGEST_BACKOFF = 3600.0


def take_in(k: Knowledge, outcome: RunOutcome) -> tuple[Memory, list[str]]:
    """Memory with one outcome in it, and sentences for the log. An unknown or old outcome changes nothing."""
    plan = next((r for r in k.memory.running if r.request.run == outcome.run), None)
    if plan is None or plan.attempt != outcome.attempt:
        return k.memory, []
    memory = replace(k.memory, ledger=_charge(k, plan, outcome))
    if outcome.report is not None:
        return _succeed(replace(k, memory=memory), plan, outcome), []
    assert outcome.failure is not None, "an outcome has a report or a failure"
    return _fail(replace(k, memory=memory), plan, outcome, outcome.failure)


def _charge(k: Knowledge, plan: RunPlan, outcome: RunOutcome) -> Ledger:
    ledger, cycle, role = k.memory.ledger, str(plan.request.cycle), plan.request.role
    start = budget.window_start(k.spec.budget, k.now)
    seconds = outcome.device_seconds
    entry = Entry(plan.request.cycle, outcome.run, outcome.attempt, role, seconds)
    return Ledger(
        settled=ledger.settled + seconds,
        by_role={**ledger.by_role, role.value: ledger.by_role.get(role.value, 0.0) + seconds},
        by_cycle={cycle: ledger.by_cycle.get(cycle, 0.0) + seconds},
        window_start=start,
        window=(ledger.window if ledger.window_start == start else 0.0) + seconds,
        entries=(*ledger.entries, entry)[-ENTRIES:],
    )


def _succeed(k: Knowledge, plan: RunPlan, outcome: RunOutcome) -> Memory:
    memory, report = k.memory, outcome.report
    assert report is not None
    models = len(report.evaluated.models) if report.evaluated else 0
    measured = Measured(
        size=plan.point.size,
        read=report.rows.read,
        trained=report.rows.kept,
        evaluated=report.rows.evaluated * models,
        startup=report.seconds.startup,
        reading=report.seconds.read,
        training=report.seconds.train,
        evaluating=report.seconds.evaluate,
        total=outcome.device_seconds / plan.devices,
    )
    memory = replace(
        memory,
        running=tuple(r for r in memory.running if r is not plan),
        done=(*memory.done, outcome),
        launched=(*memory.launched, plan),
        measured=(*memory.measured, measured)[-MEASURED:],
    )
    if "-probe-" in outcome.run:
        memory = measuring.learn_probe(replace(k, memory=memory), outcome, plan.point)
    return memory


def _fail(k: Knowledge, plan: RunPlan, outcome: RunOutcome, failure: Failure) -> tuple[Memory, list[str]]:
    memory, run = k.memory, plan.request.run
    essential = plan.request.role is Role.CANDIDATE or run.endswith("-pilot")
    told = f"{run}, attempt {plan.attempt}: {failure.kind.value}. {failure.message}"
    if failure.kind is FailureKind.DATA_NOT_READY:
        wait = min(FIRST_BACKOFF * 6 * 2.0 ** (plan.attempt - 1), LONGEST_BACKOFF)
        return _again(memory, plan, k, wait), [f"{told} Looks again in {wait:.0f} s"]
    if failure.kind is FailureKind.EMPTY_INTERVAL and essential and plan.request.cycle > 0:
        memory = replace(memory, running=(), trial=None)
        return memory, [told]
    if failure.kind is FailureKind.CHECKPOINT_MISSING and plan.request.role is Role.CANDIDATE:
        return _fall_back(memory, told)
    if (
        failure.kind is FailureKind.NOT_FINITE
        and plan.request.role is Role.CANDIDATE
        and plan.request.cycle > 0
    ):
        return _give_up(memory, plan, outcome), [f"{told} The champion stays"]
    final = failure.kind in FINAL or failure.kind is FailureKind.EMPTY_INTERVAL
    if not final and plan.attempt < k.spec.limits.max_attempts:
        wait = min(FIRST_BACKOFF * 2.0 ** (plan.attempt - 1), LONGEST_BACKOFF)
        return _again(memory, plan, k, wait), [f"{told} Tries again in {wait:.0f} s"]
    if essential:
        stopped = Stopped(failure.kind.value, told, memory.step)
        return replace(memory, step=Step.STOPPED, stopped=stopped), [told]
    return _give_up(memory, plan, outcome), [f"{told} Given up: it is not needed"]


def _again(memory: Memory, plan: RunPlan, k: Knowledge, seconds: float) -> Memory:
    retry = replace(plan, attempt=plan.attempt + 1, not_before=k.now + timedelta(seconds=seconds))
    return replace(memory, running=tuple(retry if r is plan else r for r in memory.running))


def _give_up(memory: Memory, plan: RunPlan, outcome: RunOutcome) -> Memory:
    return replace(
        memory,
        running=tuple(r for r in memory.running if r is not plan),
        done=(*memory.done, outcome),
        launched=(*memory.launched, plan),
    )


def _fall_back(memory: Memory, told: str) -> tuple[Memory, list[str]]:
    """The champion's checkpoint is gone: the one before it takes its place and the cycle is planned anew."""
    if not memory.previous_champions:
        stopped = Stopped(
            FailureKind.CHECKPOINT_MISSING.value, f"{told} No older champion is left", memory.step
        )
        return replace(memory, step=Step.STOPPED, stopped=stopped), [told]
    older, *rest = memory.previous_champions
    memory = replace(
        memory,
        champion=older,
        previous_champions=tuple(rest),
        running=(),
        done=(),
        launched=(),
        trial=None,
        control=None,
        step=Step.WAITING,
    )
    return memory, [f"{told} Goes on from the champion of cycle {older.cycle}"]
