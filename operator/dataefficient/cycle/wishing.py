"""What a person asks for at once: to wait for no clock, or to go back to an earlier champion.

Both are heard once. A wish that cannot be met changes nothing and says why. Light to import: whoever asks on
a person's behalf may look beforehand whether there is anything to ask for.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from dataefficient.api.schedule import due, interval
from dataefficient.api.spec import Mode, Spec
from dataefficient.contract import format_time
from dataefficient.cycle.covering import headroom
from dataefficient.cycle.launch import SHORTEST, devices
from dataefficient.cycle.model import Champion, Memory, Step

RUN_NOW, NOT_RUN_NOW = "RunNow", "NotRunNow"
ROLLED_BACK, NOT_ROLLED_BACK = "RolledBack", "NotRolledBack"

Heard = tuple[Memory, str, str]
"""Memory with the wish met, the enumerated reason, and the sentence that tells of it."""


def run_now(spec: Spec, memory: Memory, now: datetime) -> Heard:
    """Whatever waits for a clock alone goes on: a retry, the rest of ``labelDelaySeconds``, data not ready.

    The end of an interval is waited for all the same, since its rows are not there before.
    """
    if (why := nothing_to_hurry(spec, memory, now)) is not None:
        return memory, NOT_RUN_NOW, f"Nothing to run now: {why}"
    if memory.running:
        later = [r.request.run for r in memory.running if r.not_before is not None and r.not_before > now]
        running = tuple(replace(r, not_before=None) for r in memory.running)
        told = f"As asked, tried again at once: {', '.join(later)}"
        return replace(memory, running=running), RUN_NOW, told
    told = f"As asked, cycle {memory.cycle} begins at once"
    if due(spec.schedule, memory.cycle) > now:
        told += ", before schedule.labelDelaySeconds is over"
    return replace(memory, hurried=memory.cycle, retry_at=None), RUN_NOW, told


def nothing_to_hurry(spec: Spec, memory: Memory, now: datetime) -> str | None:
    """Why nothing would go on sooner; None: something would."""
    if spec.suspend:
        return "spec.suspend is true; set it to false first"
    if memory.running:
        if any(r.not_before is not None and r.not_before > now for r in memory.running):
            return None
        return f"cycle {memory.cycle} is under way ({', '.join(r.request.run for r in memory.running)})"
    period = interval(spec.schedule, memory.cycle)
    if period is None:
        return "every interval up to schedule.endTime was run; move it to go on"
    asked = memory.proposal
    if spec.mode is Mode.RECOMMEND and asked is not None and asked.holds:
        return f"cycle {memory.cycle} waits for approval of {asked.digest}"
    if period.end > now:
        return (
            f"the interval of cycle {memory.cycle} ends at {format_time(period.end)}; its rows are not "
            "complete before"
        )
    left = headroom(spec, memory, now)
    if left.seconds is not None and left.seconds < SHORTEST * devices(spec):
        return f"{left.part} leaves nothing for a run; raise it, or wait where it is a window's"
    return None


def roll_back(memory: Memory, spec: Spec, cycle: int) -> Heard:
    """The champion that ``cycle`` published serves again, and its plan is the cheapest for some cycles.

    What runs descends from what is taken back: it ends, is paid, and is not published; the cycle is then
    planned anew from the restored champion, on all rows since.
    """
    if (why := objection(memory, cycle)) is not None:
        return memory, NOT_ROLLED_BACK, f"Not rolled back: {why}"
    now = memory.champion
    assert now is not None, "without a champion there is an objection"
    older = next(c for c in memory.previous_champions if c.cycle == cycle)
    until = memory.cycle + spec.control.every_cycles
    told = (
        f"As asked, the champion of cycle {cycle} ({older.point}) serves again, in place of that of cycle "
        f"{now.cycle}; before cycle {until} nothing cheaper is run or tried"
    )
    if memory.running:
        told += ". What runs now ends first and is not published"
    return _restored(memory, older, until), ROLLED_BACK, told


def objection(memory: Memory, cycle: int) -> str | None:
    """Why nothing can be rolled back to the champion of ``cycle``; None: it can."""
    if memory.champion is None:
        return "nothing was published yet"
    if memory.champion.cycle == cycle:
        return f"the champion of cycle {cycle} is the one that serves"
    kept = [c.cycle for c in memory.previous_champions]
    if not kept:
        return f"there is no champion but that of cycle {memory.champion.cycle}"
    if cycle not in kept:
        known = ", ".join(str(k) for k in sorted(kept))
        return f"no champion of cycle {cycle} is kept; kept are those of {known} (checkpoints.keep)"
    return None


def _restored(memory: Memory, older: Champion, until: int) -> Memory:
    training = memory.step is Step.TRAINING and bool(memory.running)
    return replace(
        memory,
        champion=older,
        previous_champions=tuple(c for c in memory.previous_champions if c.cycle < older.cycle),
        successor=None,
        adopted=None,
        approved=None if memory.approved is None else older.point,
        proposal=None,
        granted=None,
        trial=None,
        control=None,
        rejections=0,
        held_until=until,
        anew=memory.anew or training,
    )
