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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from dataefficient.api.schedule import due, interval
from dataefficient.api.spec import Spec
from dataefficient.contract import Role
from dataefficient.cycle import approving, comparing, measuring, planning, undoing, wishing
from dataefficient.cycle.accounting import stop_for, take_in
from dataefficient.cycle.branches import Planned
from dataefficient.cycle.gate import Notes
from dataefficient.cycle.hearing import hear
from dataefficient.cycle.judging import judge
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.launch import Wanted, name, plan_run, reservations
from dataefficient.cycle.model import (
    EXHAUSTED,
    Decision,
    FailureKind,
    Memory,
    Observation,
    RunOutcome,
    RunPlan,
    Step,
    Stopped,
)
from dataefficient.cycle.riding import seated
from dataefficient.planner import budget

SUSPENDED = "Suspended: no new run"


def begin(resource: str) -> Memory:
    """Memory of a resource (``namespace/name``) that was never seen before."""
    return Memory(resource)


def resume(memory: Memory) -> Memory:
    """Memory after a person acted on what stopped it: what failed is planned anew."""
    if memory.step is not Step.STOPPED:
        return memory
    assert memory.stopped is not None
    return replace(memory, step=memory.stopped.step, stopped=None)


def continued(spec: Spec, memory: Memory) -> Memory:
    """Memory as one goes on from it under a spec that may have changed: past what stopped it, and past an
    ``endTime`` that has moved."""
    if memory.step is Step.FINISHED and interval(spec.schedule, memory.cycle) is not None:
        return replace(memory, step=Step.WAITING)
    return resume(memory)


def advance(spec: Spec, memory: Memory, observation: Observation) -> Decision:
    """The decision that follows. Pure: the same arguments give the same answer.

    Outcomes of runs that are not in ``memory.running``, or of an earlier attempt, are ignored, so that
    each may be delivered more than once.
    """
    turn = _Turn(spec, memory, observation.now)
    for outcome in observation.outcomes:
        turn.memory, events = take_in(turn.know(), outcome)
        turn.say("RunFailed", *events)
    turn.memory, events = hear(spec, turn.memory, observation)
    turn.say("CostRaised", *events)
    turn.memory, events = approving.take_up(spec, turn.memory, observation.approval)
    turn.say("Approved", *events)
    turn.grant(observation)
    while STEPS[turn.memory.step](turn):
        pass
    waiting = [r.not_before for r in turn.memory.running if r.not_before and r.not_before > turn.now]
    return Decision(
        turn.memory,
        tuple(r for r in turn.memory.running if r not in memory.running),
        turn.wait_until or min(waiting, default=None),
        tuple(sentence for _, sentence in turn.events),
        tuple(code for code, _ in turn.events),
    )


class _Turn:
    """One call of ``advance``: the memory as it moves, and what is said on the way."""

    def __init__(self, spec: Spec, memory: Memory, now: datetime) -> None:
        self.spec, self.memory, self.now = spec, memory, now
        self.events: list[tuple[str, str]] = []
        self.wait_until: datetime | None = None

    def say(self, code: str, *sentences: str) -> None:
        """Adds sentences for the log, all of one enumerated reason."""
        self.events.extend((code, sentence) for sentence in sentences)

    def grant(self, observation: Observation) -> None:
        """Does what a person asks for at once, as far as it can be done."""
        if observation.rollback is not None:
            self.memory, code, told = wishing.roll_back(self.memory, self.spec, observation.rollback)
            if code == wishing.ROLLED_BACK:
                distance, bound = self.know().distance
                self.memory = replace(self.memory, distance=distance, distance_bound=bound)
            self.say(code, told)
        if observation.run_now:
            self.memory, code, told = wishing.run_now(self.spec, self.memory, self.now)
            self.say(code, told)

    def know(self) -> Knowledge:
        return Knowledge(self.spec, self.memory, self.now)

    def renew(self) -> None:
        """Goes over to the trainer that the spec names now; no run is under way."""
        self.memory, told = comparing.renewed(self.know())
        self.say("TrainerChanged", *told)

    def launch(self, wanted: Sequence[Wanted]) -> bool:
        """Adds runs to the intent, as far as the budget carries them, the first ones first.

        Returns:
            Whether any run was added.
        """
        wanted = [self._carried(want) for want in wanted]
        reserved = reservations(self.spec, wanted, self.know().headroom.seconds)
        plans = [plan_run(self.spec, self.memory, w, r) for w, r in zip(wanted, reserved, strict=False)]
        self.memory = replace(self.memory, running=(*self.memory.running, *plans))
        for want in wanted[len(plans) :]:
            self._leave_out(want)
        return bool(plans)

    def _carried(self, want: Wanted) -> Wanted:
        """Without those riders, the last ones first, that the budget does not carry."""
        left = self.know().headroom.seconds
        while want.riders and left is not None and (want.least_seconds or 0.0) > left:
            self._leave_out(want.riders[-1])
            want = replace(want, riders=want.riders[:-1])
        return want

    def _leave_out(self, want: Wanted) -> None:
        for rider in want.riders:
            self._leave_out(rider)
        told = f"{want.name} is left out: {self.know().headroom.part} does not allow it"
        self.say("LeftOut", told)
        memory = undoing.without_new_branch(self.memory, want.role)
        if want.role is not Role.CONTROL:
            memory = replace(memory, account=memory.account + (want.forecast_seconds or 0.0))
        if memory.step is Step.TRAINING:
            memory = replace(memory, notes=(*memory.notes, told), codes=(*memory.codes, "LeftOut"))
        self.memory = memory

    def stop(self, code: str, message: str) -> None:
        self.memory = replace(
            self.memory, step=Step.STOPPED, stopped=Stopped(code, message, self.memory.step)
        )
        self.say(code, message)

    def exhausted(self, reason: str) -> bool:
        """Waits for the next budget window where that can help; else a person must act.

        Returns:
            What a step's function returns.
        """
        start, end = (f(self.spec.budget, self.now) for f in (budget.window_start, budget.window_end))
        ledger = self.memory.ledger
        spent = ledger.window if ledger.window_start == start else 0.0
        if end is not None and spent > 0.0 and self.know().headroom.part.startswith("budget.window"):
            self.wait_until = end
            self.say("WaitsForWindow", f"{reason}; waits for the next window")
            return False
        self.stop(EXHAUSTED, f"{reason}. Raise that part of the budget")
        return True


def _wait(turn: _Turn) -> bool:
    """Waits for the interval's end and its labels, then plans."""
    if turn.spec.suspend:
        turn.say("Suspended", SUSPENDED)
        return False
    if interval(turn.spec.schedule, turn.memory.cycle) is None:
        turn.memory = replace(turn.memory, step=Step.FINISHED)
        return True
    ready = max(_due(turn), turn.memory.retry_at or turn.now)
    if ready > turn.now:
        turn.wait_until = ready
        return False
    turn.memory = replace(turn.memory, retry_at=None)
    turn.renew()
    if turn.memory.cycle == 0 or measuring.is_due(turn.know()):
        turn.memory = replace(turn.memory, step=Step.MEASURING)
        return True
    return _start_later_cycle(turn)


def _due(turn: _Turn) -> datetime:
    """When the cycle may begin: once its labels are complete, or a person says that they are."""
    cycle = turn.memory.cycle
    if cycle == turn.memory.hurried and (period := interval(turn.spec.schedule, cycle)) is not None:
        return period.end
    return due(turn.spec.schedule, cycle)


def _measure(turn: _Turn) -> bool:
    """Cycle 0, or where it was approved, before the candidate: one stage of small runs after the other."""
    if turn.memory.running:
        return False
    turn.renew()
    if turn.memory.cycle == 0 and (over := _pilots(turn)) is not None:
        return over
    if turn.spec.suspend:
        turn.say("Suspended", SUSPENDED)
        return False
    if turn.know().may_measure and _small_runs(turn):
        return False
    if turn.memory.cycle > 0:
        return _start_later_cycle(turn)
    return _launch_planned(turn, planning.first_cycle(turn.know()))


def _pilots(turn: _Turn) -> bool | None:
    """The first runs of all, which nothing is known without; None: they are over and taken in."""
    ended = {o.run: o for o in turn.memory.done}
    first = measuring.pilot(turn.know())
    pilot = ended.get(first.name)
    if pilot is not None and (longer := measuring.widened(turn.know(), pilot)) is not None:
        turn.memory, told = longer
        turn.say("EmptyInterval", told)
        return True
    if pilot is not None and pilot.report is None:
        turn.memory = measuring.unmeasured(turn.memory)
        return _stop_for(turn, pilot)
    if turn.spec.suspend:
        turn.say("Suspended", SUSPENDED)
        return False
    if pilot is None:
        if turn.launch([first]):
            return False
        return turn.exhausted(f"{turn.know().headroom.part} leaves nothing for a first run")
    second = measuring.owes_small_pilot(turn.know())
    if second is not None and not turn.memory.takes_riders and turn.launch([second]):
        return False
    if turn.memory.row_rate is None:
        assert pilot.report is not None
        if (idle := _idle(turn.memory)) is not None:
            turn.memory = replace(measuring.unmeasured(turn.memory), done=(), launched=(), measured=())
            turn.stop(FailureKind.DATA_ERROR.value, idle)
            return True
        turn.memory = measuring.after_pilot(turn.know(), pilot.report)
    own = None if second is None else measuring.in_own_process(turn.know(), second)
    return False if own is not None and _experiment(turn, [own]) else None


def _small_runs(turn: _Turn) -> bool:
    """Rungs, then probes; whether any was launched."""
    found = turn.memory.convergence
    if found is None or found.earlier:
        if not measuring.is_begun(turn.memory) and _experiment(turn, measuring.survey(turn.know())):
            return True
        turn.memory = measuring.learn_curve(turn.know())
    k = turn.know()
    probe = measuring.next_probe(k) if k.resolvable else None
    if probe is not None and _experiment(turn, [probe]):
        return True
    turn.memory = measuring.learn_surface(turn.know())
    return False


def _experiment(turn: _Turn, wanted: Sequence[Wanted]) -> bool:
    """Launches runs that the exploration account pays for; whether there was any."""
    spent = sum(w.least_seconds or 0.0 for w in wanted)
    turn.memory = replace(turn.memory, account=turn.memory.account - spent)
    return turn.launch(wanted)


def _idle(memory: Memory) -> str | None:
    """What no first run did, so that its cost cannot be known; None where all was done."""
    for count, verb in (("trained", "trained on"), ("evaluated", "scored")):
        if not any(getattr(m, count) > 0 for m in memory.measured):
            return f"No row was {verb} by the first runs. See data.uri, schedule.historyFrom and startTime"
    return None


def _start_later_cycle(turn: _Turn) -> bool:
    champion = turn.memory.champion
    assert champion is not None, "cycle 0 publishes or stops"
    return _launch_planned(turn, planning.later_cycle(turn.know(), champion))


def _launch_planned(turn: _Turn, planned: Planned) -> bool:
    if planned.plan is None:
        return _hold(turn, planned) if planned.waits else turn.exhausted(planned.reason)
    before, need = turn.memory, planned.wanted[0].forecast_seconds or 0.0
    left = turn.know().headroom
    turn.memory = replace(planned.memory, step=Step.TRAINING, notes=planned.notes, codes=planned.codes)
    if not turn.launch(seated(planned.wanted)):
        turn.memory = before
        return turn.exhausted(
            f"{left.part} leaves {left.seconds or 0.0:.0f} device-seconds, "
            f"and {planned.plan.point} needs {need:.0f}"
        )
    plan, (own, *others) = planned.plan, planned.codes
    turn.say(own, f"Cycle {plan.cycle}: {plan.point}. {plan.reason}")
    for code, note in zip(others, planned.notes, strict=True):
        turn.say(code, note)
    return False


def _hold(turn: _Turn, planned: Planned) -> bool:
    """The cycle waits for approval."""
    asked, before = planned.memory.proposal, turn.memory.proposal
    assert asked is not None
    if before is None or before.digest != asked.digest:
        turn.say("AwaitingApproval", asked.told)
    turn.memory = planned.memory
    return False


def _train(turn: _Turn) -> bool:
    """Judges the cycle once all of its runs have ended."""
    memory = turn.memory
    if undoing.is_over(turn.spec, memory, turn.now):
        turn.memory = undoing.withdrawn(memory)
        return True
    if memory.running:
        return False
    if memory.anew:
        turn.memory = undoing.planned_anew(memory)
        return True
    candidate = next(o for o in memory.done if o.run == name(memory.cycle, "candidate"))
    kind = candidate.failure.kind if candidate.failure else None
    if memory.cycle > 0 and kind is FailureKind.EMPTY_INTERVAL:
        turn.memory, skipped = undoing.skipped(turn.spec, memory)
        turn.say("EmptyInterval", skipped)
        return True
    if memory.cycle > 0 and kind is FailureKind.CHECKPOINT_MISSING and undoing.has_older(memory):
        turn.memory, fell_back = undoing.fallen_back(memory)
        turn.say("FellBack", fell_back)
        return True
    if kind is not None and not (memory.cycle > 0 and kind is FailureKind.NOT_FINITE):
        return _stop_for(turn, candidate)
    notes = Notes(list(memory.notes), list(memory.codes))
    known, planned = len(notes.codes), len(notes.sentences)
    turn.memory = replace(
        judge(turn.know(), memory.launched, notes), step=Step.WAITING, notes=(), codes=(), launched=()
    )
    for code, sentence in zip(notes.codes[known:], notes.sentences[planned:], strict=True):
        turn.say(code, sentence)
    record = turn.memory.history[-1]
    if record.gate is not None and record.gate.published:
        turn.say("Published", f"Cycle {record.cycle} is published. {record.gate.reason}")
    if turn.memory.rejections >= turn.spec.limits.max_attempts:
        told = f"{turn.memory.rejections} candidates in a row were not published"
        turn.stop(
            "RejectedTooOften", f"{told}. See why in the history: mend the data, or allow more regression"
        )
    return True


def _stop_for(turn: _Turn, outcome: RunOutcome) -> bool:
    """Stops for an essential run's failure; its cycle is planned anew afterwards.

    Where the budget's window is what failed it, that is all: planning then waits for the next window.
    """
    code, message = stop_for(turn.know(), outcome)
    kept = [o for o in turn.memory.done if o.report and turn.memory.cycle == 0]
    runs = {o.run for o in kept}
    step = turn.memory.step if turn.memory.step is Step.MEASURING else Step.WAITING
    turn.memory = replace(
        undoing.without_new_branches(turn.memory),
        step=step,
        done=tuple(kept),
        launched=tuple(p for p in turn.memory.launched if p.request.run in runs),
    )
    if code == EXHAUSTED:
        return turn.exhausted(message)
    turn.stop(code, message)
    return True


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

__all__ = ["RunPlan", "advance", "begin", "continued", "resume"]
