"""What becomes of a cycle that is not judged: skipped, or planned anew from here or from an older champion.

What its runs took is in the ledger already; what they showed is dropped.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from dataefficient.api.schedule import interval
from dataefficient.api.spec import Spec
from dataefficient.contract import Role
from dataefficient.cycle.judging import HISTORY
from dataefficient.cycle.model import CycleRecord, FailureKind, Memory, Step


def planned_anew(memory: Memory) -> Memory:
    """Memory before the cycle in hand was planned; its runs are over."""
    return replace(memory, anew=False, done=(), launched=(), notes=(), codes=(), step=Step.WAITING)


def is_over(spec: Spec, memory: Memory, now: datetime) -> bool:
    """Whether the cycle in hand only waits for rows, and ``endTime`` was moved to before it."""
    waits = all(
        plan.cause is not None
        and plan.cause.kind is FailureKind.DATA_NOT_READY
        and plan.not_before is not None
        and plan.not_before > now
        for plan in memory.running
    )
    return bool(memory.running) and waits and interval(spec.schedule, memory.cycle) is None


def withdrawn(memory: Memory) -> Memory:
    """Memory without the cycle in hand, no run of which has begun again."""
    return planned_anew(replace(without_new_branches(memory), running=()))


def has_older(memory: Memory) -> bool:
    """Whether there is a champion to fall back to."""
    return memory.successor is not None or bool(memory.previous_champions)


def fallen_back(memory: Memory) -> tuple[Memory, str]:
    """The checkpoint to start from is gone: the one before takes its place and the cycle is planned anew."""
    older, rest = memory.champion, memory.previous_champions
    if memory.successor is None:
        older, *rest_of = memory.previous_champions
        rest = tuple(rest_of)
    assert older is not None
    told = f"The checkpoint to start from is gone: goes on from the champion of cycle {older.cycle}"
    memory = replace(
        memory,
        champion=older,
        previous_champions=rest,
        successor=None,
        distance_bound=max(memory.distance_bound, older.distance),
        done=(),
        launched=(),
        trial=None,
        control=None,
        step=Step.WAITING,
    )
    return memory, told


def skipped(spec: Spec, memory: Memory) -> tuple[Memory, str]:
    """Memory after a cycle whose interval holds no row, and what is told of it."""
    current = interval(spec.schedule, memory.cycle)
    assert current is not None
    sentence = "No row lies in the interval: skipped"
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
    after = replace(
        without_new_branches(memory),
        cycle=memory.cycle + 1,
        step=Step.WAITING,
        done=(),
        launched=(),
        notes=(),
        codes=(),
        history=(*memory.history, record)[-HISTORY:],
    )
    return after, f"Cycle {memory.cycle}: {sentence}"


def without_new_branches(memory: Memory) -> Memory:
    """Branches that began in this cycle have no checkpoint yet: with the cycle they are undone."""
    return without_new_branch(without_new_branch(memory, Role.TRIAL), Role.CONTROL)


def without_new_branch(memory: Memory, role: Role) -> Memory:
    """The same for the branch of one role."""
    if role is Role.TRIAL and memory.trial is not None and memory.trial.checkpoint is None:
        return replace(memory, trial=None)
    if role is Role.CONTROL and memory.control is not None and memory.control.checkpoint is None:
        return replace(memory, control=None)
    return memory
