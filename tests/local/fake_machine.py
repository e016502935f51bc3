"""A small state machine that stands in for the real one where the driver alone is tested.

Each cycle runs a candidate and a trial side by side; a failed attempt is tried twice more, at once; a
third failure of the candidate stops the resource.
"""

from dataclasses import replace
from datetime import UTC, datetime

from dataefficient.api.schedule import due, interval
from dataefficient.contract import Data, Evaluation, Policy, Role, RunRequest, Train
from dataefficient.cycle.model import CycleRecord, Decision, Entry, Ledger, Memory, RunPlan, Step, Stopped
from dataefficient.planner.knobs import Point

MAX_ATTEMPTS = 3
RESERVED_SECONDS = 20.0
EPOCH = datetime(2001, 1, 1, tzinfo=UTC)


def advance(spec, memory, observation):
    events = []
    for outcome in observation.outcomes:
        memory = _take_in(memory, outcome, events)
    if memory.step is Step.STOPPED or memory.running:
        return Decision(memory, events=tuple(events))
    if memory.step is Step.TRAINING:
        period = interval(spec.schedule, memory.cycle)
        record = CycleRecord(
            cycle=memory.cycle,
            start=period.start,
            end=period.end,
            plan=None,
            kpi=0.45,
            kpi_standard_error=0.001,
            distance=0.0,
            distance_bound=0.001,
            gate=None,
            spent_seconds=0.0,
            runs=(),
            notes=("done",),
        )
        memory = replace(
            memory, cycle=memory.cycle + 1, step=Step.WAITING, done=(), history=(*memory.history, record)
        )
        events.append(f"Cycle {record.cycle} is done")
    if interval(spec.schedule, memory.cycle) is None:
        return Decision(replace(memory, step=Step.FINISHED), events=tuple(events))
    if due(spec.schedule, memory.cycle) > observation.now:
        return Decision(memory, wait_until=due(spec.schedule, memory.cycle), events=tuple(events))
    plans = tuple(_plan(spec, memory, role) for role in (Role.CANDIDATE, Role.TRIAL))
    return Decision(replace(memory, step=Step.TRAINING, running=plans), start=plans, events=tuple(events))


def _take_in(memory, outcome, events):
    plan = next(
        (p for p in memory.running if (p.request.run, p.attempt) == (outcome.run, outcome.attempt)), None
    )
    if plan is None:
        return memory
    entry = Entry(memory.cycle, outcome.run, outcome.attempt, plan.request.role, outcome.device_seconds)
    ledger = Ledger(
        settled=memory.ledger.settled + outcome.device_seconds, entries=(*memory.ledger.entries, entry)
    )
    rest = tuple(p for p in memory.running if p is not plan)
    memory = replace(memory, ledger=ledger)
    if outcome.failure is None:
        return replace(memory, running=rest, done=(*memory.done, outcome))
    events.append(f"{outcome.run}: {outcome.failure.kind.value}: {outcome.failure.message}")
    if plan.attempt < MAX_ATTEMPTS:
        return replace(memory, running=(*rest, replace(plan, attempt=plan.attempt + 1)))
    stopped = Stopped(outcome.failure.kind.value, outcome.failure.message, memory.step)
    return replace(memory, running=rest, step=Step.STOPPED, stopped=stopped)


def _plan(spec, memory, role):
    period = interval(spec.schedule, memory.cycle)
    run = f"c{memory.cycle:03d}-{role.value.lower()}"
    data = spec.data
    request = RunRequest(
        resource=memory.resource,
        cycle=memory.cycle,
        run=run,
        role=role,
        data=Data(data.uri, data.time, data.label, data.key),
        train=Train(period.start, period.end, Policy.UNIFORM, 0.5, "s"),
        evaluation=Evaluation(
            period.start,
            period.end,
            0.1,
            "e",
            tuple(period.start + (period.end - period.start) * i / 8 for i in range(1, 9)),
        ),
        size=4,
        seed=1,
        output=f"checkpoints/{run}",
        config=spec.trainer.config,
    )
    return RunPlan(request, Point(Policy.UNIFORM, 0.5, 4), 1, None, RESERVED_SECONDS)


def begin():
    return Memory("default/fake")
