"""The pure state machine: what is declared, remembered and seen -> what to remember and do next.

One function for each step, all of them in ``STEPS``; ``advance`` takes in the outcomes and then lets the
steps follow each other until something has to be waited for. It knows no clock, no process and no
cluster: two drivers call it, and a recorded observation gives the same decision again.

    WAITING --interval complete--> MEASURING (cycle 0) --nothing more is worth it--> TRAINING
    WAITING --interval complete--> TRAINING (later cycles)
    TRAINING --all runs ended--> WAITING (next cycle)
    WAITING --no interval left--> FINISHED          any --a person must act--> STOPPED
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from dataefficient.api.schedule import due, interval
from dataefficient.api.spec import Spec
from dataefficient.cycle import measuring, planning
from dataefficient.cycle.accounting import take_in
from dataefficient.cycle.judging import Notes, judge
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.launch import Wanted, name, plan_run
from dataefficient.cycle.model import CycleRecord, Decision, Memory, Observation, RunPlan, Step, Stopped
from dataefficient.planner import budget


def begin(resource: str) -> Memory:
    """Memory of a resource (``namespace/name``) that was never seen before."""
    return Memory(resource)


def resume(memory: Memory) -> Memory:
    """Memory after a person acted on what stopped it: what was running is launched afresh."""
    if memory.step is not Step.STOPPED:
        return memory
    assert memory.stopped is not None
    again = tuple(replace(r, attempt=r.attempt + 1, not_before=None) for r in memory.running)
    return replace(memory, step=memory.stopped.step, stopped=None, running=again)


def advance(spec: Spec, memory: Memory, observation: Observation) -> Decision:
    """The decision that follows. Pure: the same arguments give the same answer.

    Outcomes of runs that are not in ``memory.running``, or of an earlier attempt, are ignored, so that
    each may be delivered more than once.
    """
    turn = _Turn(spec, memory, observation.now)
    for outcome in observation.outcomes:
        turn.memory, events = take_in(turn.know(), outcome)
        turn.events.extend(events)
    while STEPS[turn.memory.step](turn):
        pass
    waiting = [r.not_before for r in turn.memory.running if r.not_before and r.not_before > turn.now]
    return Decision(
        turn.memory,
        tuple(r for r in turn.memory.running if r not in memory.running),
        turn.wait_until or min(waiting, default=None),
        tuple(turn.events),
    )


class _Turn:
    """One call of ``advance``: the memory as it moves, and what is said on the way."""

    def __init__(self, spec: Spec, memory: Memory, now: datetime) -> None:
        self.spec, self.memory, self.now = spec, memory, now
        self.events: list[str] = []
        self.wait_until: datetime | None = None

    def know(self) -> Knowledge:
        return Knowledge(self.spec, self.memory, self.now)

    def launch(self, wanted: list[Wanted]) -> None:
        """Adds runs to the intent, as far as the budget carries them."""
        for want in wanted:
            k = self.know()
            plan = plan_run(self.spec, self.memory, want, k.headroom.seconds)
            self.memory = replace(self.memory, running=(*self.memory.running, plan))

    def stop(self, code: str, message: str) -> None:
        self.memory = replace(
            self.memory, step=Step.STOPPED, stopped=Stopped(code, message, self.memory.step)
        )
        self.events.append(message)


def _wait(turn: _Turn) -> bool:
    """Waits for the interval's end and its labels, then plans."""
    if turn.spec.suspend:
        turn.events.append("Suspended: no new run")
        return False
    if interval(turn.spec.schedule, turn.memory.cycle) is None:
        turn.memory = replace(turn.memory, step=Step.FINISHED)
        return True
    ready = max(due(turn.spec.schedule, turn.memory.cycle), turn.memory.retry_at or turn.now)
    if ready > turn.now:
        turn.wait_until = ready
        return False
    turn.memory = replace(turn.memory, retry_at=None)
    if turn.memory.cycle == 0:
        turn.memory = replace(turn.memory, step=Step.MEASURING)
        return True
    return _start_later_cycle(turn)


def _measure(turn: _Turn) -> bool:
    """Cycle 0, before its candidate: one stage of small runs after the other."""
    memory = turn.memory
    if memory.running:
        return False
    k = turn.know()
    ended = {o.run: o for o in memory.done}
    pilot, small = ended.get(name(0, "pilot")), name(0, "pilot-small")
    if pilot is None:
        turn.launch([measuring.pilot(k)])
        return False
    if pilot.report is None:
        turn.stop("PilotFailed", f"The first run failed: {pilot.failure.message if pilot.failure else ''}")
        return True
    if small not in ended and (second := measuring.small_pilot(k)) is not None:
        turn.launch([second])
        return False
    if memory.row_rate is None:
        turn.memory = measuring.after_pilot(k, pilot.report)
        rungs = measuring.rungs(turn.know())
        spent = sum(w.forecast_seconds or 0.0 for w in rungs)
        turn.memory = replace(turn.memory, account=turn.memory.account - spent)
        turn.launch(rungs)
        if rungs:
            return False
    if turn.memory.convergence is None:
        turn.memory = measuring.learn_curve(turn.know())
    k = turn.know()
    probe = measuring.next_probe(k) if k.resolvable else None
    if probe is not None:
        turn.memory = replace(turn.memory, account=turn.memory.account - (probe.forecast_seconds or 0.0))
        turn.launch([probe])
        return False
    return _launch_planned(turn, planning.first_cycle(k))


def _start_later_cycle(turn: _Turn) -> bool:
    champion = turn.memory.champion
    assert champion is not None, "cycle 0 publishes or stops"
    return _launch_planned(turn, planning.later_cycle(turn.know(), champion))


def _launch_planned(turn: _Turn, planned: planning.Planned) -> bool:
    if planned.plan is None:
        end = budget.window_end(turn.spec.budget, turn.now)
        if end is not None and "window" in planned.reason:
            turn.wait_until = end
            turn.events.append(f"{planned.reason}; waits for the next window")
            return False
        turn.stop("BudgetExhausted", planned.reason)
        return True
    turn.memory = replace(planned.memory, step=Step.TRAINING, notes=planned.notes, codes=planned.codes)
    turn.launch(list(planned.wanted))
    turn.events.append(f"Cycle {planned.plan.cycle}: {planned.plan.point}. {planned.plan.reason}")
    turn.events.extend(planned.notes)
    return False


def _train(turn: _Turn) -> bool:
    """Judges the cycle once all of its runs have ended."""
    memory = turn.memory
    if memory.running:
        return False
    ended = {o.run for o in memory.done}
    if name(memory.cycle, "candidate") not in ended:
        # An empty interval was taken in: nothing ran, nothing is judged.
        turn.memory = _skip(turn)
        return True
    notes = Notes(list(memory.notes), list(memory.codes))
    planned = len(notes.sentences)
    turn.memory = replace(
        judge(turn.know(), memory.launched, notes), step=Step.WAITING, notes=(), codes=(), launched=()
    )
    turn.events.extend(notes.sentences[planned:])
    if turn.memory.champion is None:
        turn.stop("NoChampion", "The first candidate gave no checkpoint: see its log")
    elif turn.memory.rejections >= turn.spec.limits.max_attempts:
        turn.stop("RejectedTooOften", f"{turn.memory.rejections} candidates in a row were not published")
    return True


def _skip(turn: _Turn) -> Memory:
    memory, current = turn.memory, interval(turn.spec.schedule, turn.memory.cycle)
    assert current is not None
    sentence = "No row lies in the interval: skipped"
    turn.events.append(f"Cycle {memory.cycle}: {sentence}")
    record = CycleRecord(
        cycle=memory.cycle,
        start=current.start,
        end=current.end,
        plan=None,
        kpi=None,
        kpi_standard_error=None,
        distance=memory.distance,
        distance_bound=memory.distance_bound,
        gate=None,
        spent_seconds=memory.ledger.by_cycle.get(str(memory.cycle), 0.0),
        runs=(),
        notes=(sentence,),
        codes=("EmptyInterval",),
        champion=memory.champion.checkpoint.digest if memory.champion else None,
    )
    return replace(
        memory,
        cycle=memory.cycle + 1,
        step=Step.WAITING,
        done=(),
        launched=(),
        notes=(),
        codes=(),
        control=None if memory.control and memory.control.checkpoint is None else memory.control,
        history=(*memory.history, record),
    )


def _stay(_turn: _Turn) -> bool:
    return False


STEPS: Mapping[Step, Callable[[_Turn], bool]] = MappingProxyType(
    {
        Step.WAITING: _wait,
        Step.MEASURING: _measure,
        Step.TRAINING: _train,
        Step.FINISHED: _stay,
        Step.STOPPED: _stay,
    }
)
"""Each step's function; it returns whether the next step may be looked at at once."""

__all__ = ["RunPlan", "advance", "begin", "resume"]
