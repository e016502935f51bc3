"""Taking in how a run ended: the ledger, what was measured, and whether to try again.

Every attempt is charged, also a failed one, and none is tried again beyond the budget. A run that fails for
good is done like any other: what its end means for the cycle is decided once all runs have ended, so that
none of them goes unpaid.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

from dataefficient.contract import Role, RunReport, RunRequest, Seconds
from dataefficient.cycle import measuring, riding
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.launch import SHORTEST
from dataefficient.cycle.model import (
    EXHAUSTED,
    Entry,
    Failure,
    FailureKind,
    Ledger,
    Measured,
    Memory,
    RunOutcome,
    RunPlan,
)
from dataefficient.planner import budget, stratified

MEASURED = 64
ENTRIES = 64
FINAL = {
    FailureKind.USER_ERROR,
    FailureKind.DATA_ERROR,
    FailureKind.CHECKPOINT_MISSING,
    FailureKind.NOT_FINITE,
    FailureKind.EMPTY_INTERVAL,
}
"""Trying again cannot help."""
BLAMELESS = {FailureKind.DATA_NOT_READY, FailureKind.PREEMPTED}
"""Not counted against ``limits.maxAttempts``; the pauses before further attempts still grow."""
FIRST_BACKOFF = 10.0
FIRST_WAIT = 60.0
"""Seconds until data that were not ready are looked at again."""
DOUBLINGS = 10
LONGEST_BACKOFF = 3600.0


def take_in(k: Knowledge, outcome: RunOutcome) -> tuple[Memory, list[str]]:
    """Memory with one outcome in it, and sentences for the log. An unknown or old outcome changes nothing."""
    plan = next((r for r in k.memory.running if r.request.run == outcome.run), None)
    if plan is None or plan.attempt != outcome.attempt:
        return k.memory, []
    if outcome.report is None:
        assert outcome.failure is not None, "an outcome has a report or a failure"
        memory = replace(k.memory, ledger=_charge(k, plan, outcome))
        return _fail(replace(k, memory=memory), plan, outcome, outcome.failure)
    memory = replace(
        k.memory,
        running=tuple(r for r in k.memory.running if r is not plan),
        takes_riders=outcome.report.takes_riders and not k.memory.crashed_with_riders,
        converts_sizes=outcome.report.converts_sizes,
        tells_divergence=outcome.report.tells_divergence,
        scores_all=k.memory.scores_all or _scores_all(plan.request, outcome.report),
    )
    events: list[str] = []
    parts = riding.apart(plan.request, outcome)
    for own, (_, part) in zip(riding.plans(plan), parts, strict=True):
        led_by = "" if part is parts[0][1] else plan.request.run
        memory = replace(memory, ledger=_charge(replace(k, memory=memory), own, part, led_by))
        memory = _ended(replace(k, memory=memory), own, part, rode=bool(led_by))
        if part.failure is not None:
            events.append(f"{part.run}: {part.failure.kind.value}. {part.failure.message.capitalize()}")
    return memory, events


def _charge(k: Knowledge, plan: RunPlan, outcome: RunOutcome, rode_in: str = "") -> Ledger:
    ledger, cycle, role = k.memory.ledger, str(plan.request.cycle), plan.request.role
    start = budget.window_start(k.spec.budget, k.now)
    seconds = outcome.device_seconds
    entry = Entry(plan.request.cycle, outcome.run, outcome.attempt, role, seconds, rode_in)
    return Ledger(
        settled=ledger.settled + seconds,
        by_role={**ledger.by_role, role.value: ledger.by_role.get(role.value, 0.0) + seconds},
        by_cycle={cycle: ledger.by_cycle.get(cycle, 0.0) + seconds},
        window_start=start,
        window=(ledger.window if ledger.window_start == start else 0.0) + seconds,
        entries=(*ledger.entries, entry)[-ENTRIES:],
    )


def _ended(k: Knowledge, plan: RunPlan, outcome: RunOutcome, *, rode: bool) -> Memory:
    """Memory with a run among those of the cycle that are done, and what it measured."""
    memory, report = k.memory, outcome.report
    memory = replace(memory, done=(*memory.done, outcome), launched=(*memory.launched, plan))
    if report is None:
        return memory
    models, positives = 0, memory.positives
    if report.evaluated is not None:
        models, scored = len(report.evaluated.models), sum(report.evaluated.n)
        if scored and (positives is None or plan.request.role is Role.CANDIDATE):
            positives = sum(report.evaluated.positives) / scored
    seconds, total = report.seconds, outcome.device_seconds / plan.devices
    measured = Measured(
        size=plan.point.size,
        # A rider reads nothing itself: to draw its rows is part of training on them.
        read=0 if rode else report.rows.read,
        trained=report.rows.kept,
        evaluated=report.rows.evaluated * models,
        startup=None if rode else _startup(memory, seconds, total),
        reading=0.0 if rode else seconds.read,
        training=seconds.train + (seconds.read if rode else 0.0),
        evaluating=seconds.evaluate,
        total=total,
        carrying=seconds.startup if rode else 0.0,
    )
    memory = replace(memory, positives=positives, measured=_newest((*memory.measured, measured)))
    memory = measuring.with_cold_start(replace(k, memory=memory), plan, report)
    if "-probe-" in outcome.run:
        memory = measuring.learn_probe(replace(k, memory=memory), outcome, plan.point)
    return memory


def _scores_all(request: RunRequest, report: RunReport) -> bool:
    """Whether a trainer scored all negatives though a part was asked for, which it may."""
    asked, found = request.evaluation, report.evaluated
    if asked is None or asked.negatives == 1.0 or found is None:
        return False
    rows = sum(found.n)
    part = stratified.scored(sum(found.positives) / max(rows, 1), asked.negatives)
    return report.rows.evaluated > rows * (part + 1.0) / 2.0


def _newest(measured: tuple[Measured, ...]) -> tuple[Measured, ...]:
    """The newest runs, and longer those of a size that is rarely run: what it costs is asked again."""
    if len(measured) <= MEASURED:
        return measured
    often, _ = Counter(m.size for m in measured).most_common(1)[0]
    oldest = next(i for i, m in enumerate(measured) if m.size == often)
    return measured[:oldest] + measured[oldest + 1 :]


def _startup(memory: Memory, seconds: Seconds, total: float) -> float:
    """Seconds until a run like this one begins to work, with all that the trainer does not see.

    What only the first process of all waits for (a machine that is prepared, an image that is pulled, imports
    that later ones find in memory) is no part of it: there the trainer's own word counts, if it gave one.
    """
    if not memory.measured and seconds.startup > 0.0:
        return seconds.startup
    return max(seconds.startup, total - (seconds.read + seconds.train + seconds.evaluate))


def _fail(k: Knowledge, plan: RunPlan, outcome: RunOutcome, failure: Failure) -> tuple[Memory, list[str]]:
    """Tries again where that can help and the budget allows it; else the failure is the run's end."""
    memory, run = k.memory, plan.request.run
    told = f"{run}, attempt {plan.attempt}: {failure.kind.value}. {failure.message.rstrip('. ')}."
    waits = failure.kind is FailureKind.DATA_NOT_READY
    blameless = failure.kind in BLAMELESS
    final = failure.kind in FINAL or not (blameless or plan.failures + 1 < k.spec.limits.max_attempts)
    reserved = _reservation(k, plan)
    if not final and reserved >= SHORTEST * plan.devices:
        failures = plan.failures if blameless else plan.failures + 1
        earlier = plan.attempt - 1 - plan.failures if blameless else plan.failures
        first = FIRST_WAIT if waits else FIRST_BACKOFF
        wait = min(first * 2.0 ** min(earlier, DOUBLINGS), LONGEST_BACKOFF)
        retry = replace(
            plan,
            request=replace(plan.request, deadline_seconds=reserved / plan.devices),
            reserved_seconds=reserved,
            attempt=plan.attempt + 1,
            failures=failures,
            not_before=k.now + timedelta(seconds=wait),
            cause=failure,
        )
        if plan.request.riders and not blameless:
            memory, retry = _alone(memory, retry, outcome)
            told = f"{told} Its riders are dropped, and no run has any until the trainer changes."
        memory = replace(memory, running=tuple(retry if r is plan else r for r in memory.running))
        verb = "Looks" if waits else "Tries"
        return memory, [f"{told} {verb} again in {wait:.0f} s"]
    ended = [o for _, o in riding.apart(plan.request, outcome)]
    memory = replace(
        memory,
        running=tuple(r for r in memory.running if r is not plan),
        done=(*memory.done, *ended),
        launched=(*memory.launched, *riding.plans(plan)),
    )
    if essential(plan.request.run):
        # What stops the resource is told by the stop, once.
        return memory, [told] if failure.kind is FailureKind.NOT_FINITE else []
    return memory, [f"{told} Given up: it is not needed"]


def _alone(memory: Memory, retry: RunPlan, outcome: RunOutcome) -> tuple[Memory, RunPlan]:
    """The next attempt without riders, which may be what broke this one: they take memory and time."""
    plans, ended = riding.plans(retry)[1:], riding.apart(retry.request, outcome)[1:]
    memory = replace(
        memory,
        done=(*memory.done, *(o for _, o in ended)),
        launched=(*memory.launched, *(replace(plan, attempt=outcome.attempt) for plan in plans)),
        takes_riders=False,
        crashed_with_riders=True,
    )
    return memory, replace(retry, request=replace(retry.request, riders=()), riders=())


def essential(run: str) -> bool:
    """Whether nothing goes on without the run of this name."""
    return run.endswith(("-candidate", "-pilot"))


def _reservation(k: Knowledge, plan: RunPlan) -> float:
    """What the budget leaves for another attempt, the one that failed being paid, up to what it had."""
    others = replace(k.memory, running=tuple(r for r in k.memory.running if r is not plan))
    left = replace(k, memory=others).headroom.seconds
    return plan.reserved_seconds if left is None else min(plan.reserved_seconds, left)


ADVICE = MappingProxyType(
    {
        FailureKind.USER_ERROR: "Correct what it names in the resource",
        FailureKind.DATA_ERROR: "Mend the data, or the column that the resource names",
        FailureKind.DATA_NOT_READY: "See that the stream arrives, or raise schedule.labelDelaySeconds",
        FailureKind.EMPTY_INTERVAL: "See data.uri, data.label, schedule.historyFrom and startTime: "
        "there is nothing to learn from",
        FailureKind.CHECKPOINT_MISSING: "Bring the checkpoint back: no older champion is left",
        FailureKind.NOT_FINITE: "See its log; a lower learning rate in trainer.config may help",
        FailureKind.NO_REPORT: "See its log; the trainer must write a report before it ends",
        FailureKind.GARBAGE: "See its log; the report must keep the trainer contract",
        FailureKind.DEADLINE: "Raise the budget, or see in its log what it waits for",
        FailureKind.UNSCHEDULABLE: "Ask in spec.accelerators and the template for machines that there are, "
        "add some, or raise spec.limits.maxWaitSeconds",
        FailureKind.IMAGE_NOT_PULLED: "Correct the image, give the pull secret that its registry wants, or "
        "bring the image there",
        FailureKind.NOT_STARTED: "Correct what it names in spec.trainer.template, or make what is missing",
        FailureKind.CRASHED: "See its log",
        FailureKind.PREEMPTED: "See why its machine is taken away, or ask for one that stays",
    }
)
"""What a person can do about a run that nothing goes on without."""


def stop_for(k: Knowledge, outcome: RunOutcome) -> tuple[str, str]:
    """Code and message of the stop that the failure of an essential run leads to."""
    plan = next(p for p in k.memory.launched if p.request.run == outcome.run)
    failure = outcome.failure or Failure(FailureKind.GARBAGE, "The report has no checkpoint.")
    told = f"{outcome.run}, attempt {outcome.attempt}: {failure.kind.value}. {failure.message}"
    left = k.headroom
    if failure.kind not in FINAL and left.seconds is not None and left.seconds < SHORTEST * plan.devices:
        return EXHAUSTED, f"{left.part} leaves nothing for another attempt: raise it. {told}"
    return failure.kind.value, f"{told.rstrip('. ')}. {ADVICE[failure.kind]}"
