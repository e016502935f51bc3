"""What is stated where no control was run: savings by the measured cost of runs, and the lifetime distance.

The memory adds up, cycle by cycle, what was charged and what the cost model says of full data at the largest
size. It is extrapolated, and called so wherever it is shown; a control that was measured takes its place.
"""

from __future__ import annotations

from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.model import Memory
from dataefficient.planner.knobs import Point
from dataefficient.report.statement import Distance, Estimate, Expected, Lineage


def expected(k: Knowledge, memory: Memory, lineage: Lineage, price: float | None) -> Expected | None:
    """The saving against a control that was not run; None: no cost was measured.

    A right-sized control is taken at the size now in force: which smaller size a team would have settled on,
    no run of the operator's tells.
    """
    found = memory.saved
    if found is None or found.full.low <= 0.0 or k.costs is None:
        return None
    size = k.reference.size
    if lineage is Lineage.RIGHT_SIZED and memory.champion is not None:
        size = memory.champion.point.size
    reference = k.reference
    ratio = 1.0
    if size != reference.size:
        ratio = k.cycle_cost(Point(reference.policy, reference.rate, size)) / k.cycle_cost(reference)
    mean, low, high = (ratio * x for x in (found.full.mean, found.full.low, found.full.high))
    saved = [1.0 - found.spent / theirs for theirs in (mean, low, high)]
    money = None
    if price is not None:
        rate = price / 3600.0
        money = Estimate(*((theirs - found.spent) * rate for theirs in (mean, low, high)))
    cycles = (found.from_cycle, found.to_cycle)
    return Expected(size, cycles, found.spent, mean, Estimate(*saved), money)


def distance(memory: Memory, confidence: float) -> Distance | None:
    """How far the lineage is from full data at the largest size over its whole life; None: nothing served."""
    if memory.champion is None or not memory.history:
        return None
    return Distance(memory.distance, memory.distance_bound, confidence, memory.history[-1].cycle)
