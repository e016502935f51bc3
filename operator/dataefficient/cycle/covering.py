"""What the budget leaves, and which of the runs in hand it does not cover any more.

A run is planned only as far as the budget carries it. Where the budget is lowered afterwards, or others cost
more than was set aside for them, what is reserved may be more than is left.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from dataefficient.api.spec import Spec
from dataefficient.cycle.launch import SHORTEST
from dataefficient.cycle.model import Memory, RunPlan
from dataefficient.planner import budget
from dataefficient.planner.budget import Headroom


def headroom(spec: Spec, memory: Memory, now: datetime) -> Headroom:
    """What the budget leaves, reservations taken off."""
    ledger, reserved = memory.ledger, sum(r.reserved_seconds for r in memory.running)
    window = ledger.window if ledger.window_start == budget.window_start(spec.budget, now) else 0.0
    price = spec.accelerators[0].price_per_device_hour
    spending = budget.Spending(
        ledger.settled + reserved,
        ledger.by_cycle.get(str(memory.cycle), 0.0) + reserved,
        window + reserved,
    )
    return budget.headroom(spec.budget, None if price is None else float(price), spending, memory.cycle)


def uncovered(spec: Spec, memory: Memory, now: datetime) -> dict[str, str]:
    """The runs whose reservations the budget does not hold, by name, and the part of it that says so.

    Those that were planned first are held first. The shortest run that would be launched is no matter.
    """
    free = headroom(spec, replace(memory, running=()), now)
    left, over = free.seconds, []
    if left is None:
        return {}
    for plan in memory.running:
        if plan.reserved_seconds <= left + _slack(plan):
            left -= plan.reserved_seconds
        else:
            over.append(plan)
    return {plan.request.run: free.part for plan in over}


def _slack(plan: RunPlan) -> float:
    return SHORTEST * plan.devices
