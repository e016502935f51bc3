"""What was saved so far, against full data at the largest size.

Ours is what the ledger charged, experiments included. The other side was not run: it is what the cost model
says of the same intervals, or what was measured in cycles that ran full data themselves. The totals are kept,
since the history is bounded.
"""

from __future__ import annotations

from dataclasses import replace

from dataefficient.contract import Role
from dataefficient.cycle.figures import Forecast, Saved
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.measuring import window
from dataefficient.cycle.model import CycleRecord, Memory
from dataefficient.planner.forecast import next_cost


def add_cycle(k: Knowledge, memory: Memory, record: CycleRecord) -> Memory:
    """Memory with the finished cycle in the totals.

    Args:
        k: with the memory that the cycle was judged from.
        record: of the cycle, which is not in the history yet.
    """
    full = _full(k, record)
    if full is None:
        return memory
    before = memory.saved
    if before is None:
        settled = memory.ledger.settled - record.spent_seconds
        before = Saved(record.cycle, record.cycle, k.now, settled, 0.0, Forecast(0.0, 0.0, 0.0))
    total = Forecast(before.full.mean + full.mean, before.full.low + full.low, before.full.high + full.high)
    spent = memory.ledger.settled - before.settled_before
    return replace(memory, saved=replace(before, to_cycle=record.cycle, as_of=k.now, spent=spent, full=total))


def _full(k: Knowledge, record: CycleRecord) -> Forecast | None:
    """Device-seconds that the cycle takes on full data at the largest size; None: nothing was measured."""
    if k.costs is None or record.plan is None:
        return None
    candidate = next((r for r in record.runs if r.role is Role.CANDIDATE), None)
    ran = (record.plan.point, record.plan.train_from, record.plan.train_to)
    is_full = ran == (k.reference, record.start, record.end)
    alone = candidate is not None and not _is_compared(k, candidate.run)
    if candidate is not None and candidate.outcome == "Succeeded" and is_full and alone:
        return Forecast(*[candidate.device_seconds] * 3)
    rows = k.rows(record.start, record.end)
    scored, models = rows, 2
    if record.cycle == 0:
        _, middle, end = window(k)
        scored, models = k.rows(middle, end), 1
    expected = k.run_cost(k.reference, rows, scored, models=models)
    return Forecast(*next_cost(expected, k.past_costs))


def _is_compared(k: Knowledge, run: str) -> bool:
    """Whether a run was scored on more rows than an ordinary cycle needs, since branches were compared."""
    scored = [p.request.evaluation for p in k.memory.launched if p.request.run == run]
    return any(part is not None and part.share > k.memory.evaluation_share for part in scored)
