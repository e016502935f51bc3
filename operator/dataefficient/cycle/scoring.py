"""How many rows are scored: few in ordinary cycles, many where branches are compared.

What the publish gate asks is answered by few rows. What a branch is to tell takes many, and it is asked only
now and then. A look costs its branch's training too, which is lost if the rows are too few to tell anything.
Where positives are rare all of them are scored and a part of the negatives, if the trainer does that.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.model import Memory
from dataefficient.planner import stratified
from dataefficient.planner.scatter import COMMON, DIFFERENT, SIMILAR, of_rows

EVALUATION_COST = 0.05
"""Largest share of what the plan in force costs that an ordinary cycle's scoring may take."""
LEAST_PART = 0.5
"""Part of the reference's cost that counts for that at least: the publish gate asks the same of any plan."""
POSITIVES = 40_000.0
"""Positives that are scored even if the gate needs fewer: the level of the KPI, which hangs on them, and the
calibration are then known to half a per cent."""
LOOK_COST = 0.2
"""Largest share of it that scoring may take where branches are compared."""
LOOK_PART = 0.15
"""Part of what experiments may spend that one look may take, if it is more than ordinary scoring."""


def with_shares(k: Knowledge) -> Memory:
    """Memory with the shares of rows that are scored, by what scoring is known to cost now.

    In ordinary cycles it is what the publish gate needs, on the last third of the interval, for a standard
    error of a third of what it allows, and what tells the level; where branches are compared, what a
    standard error of a sixth of the tolerance takes in one cycle, as far as that can be paid again and again.
    """
    rows, allowed = max(k.cycle_rows, 1.0), float(k.spec.kpi.max_regression)
    positives = k.memory.positives
    part = 1.0 if k.memory.scores_all else stratified.negatives(positives, rows)
    whole = replace(k, memory=replace(k.memory, evaluation_share=1.0, evaluation_negatives=part))
    without = whole.run_cost(k.reference, k.cycle_rows)
    model = max((whole.cycle_cost(k.reference) - without) / 2.0, 1e-9)

    def share(needed: float, models: int, most: float) -> float:
        found = min(needed, most * without / (models * model), 1.0)
        return float(f"{max(found, 1e-4):.3g}")

    inflated = sqrt(stratified.variance(positives, part))
    similar, different = (inflated * of_rows(positives, shift) for shift in (SIMILAR, DIFFERENT))
    gate = 3.0 * (similar * 3.0 / max(allowed, 1e-9)) ** 2
    level = POSITIVES / max(positives or COMMON, 1e-9)
    in_force = whole.run_cost(k.in_force or k.reference, k.cycle_rows) / max(without, 1e-9)
    least = EVALUATION_COST * max(min(in_force, 1.0), LEAST_PART)
    ordinary = share(max(gate, level) / rows, 2, least)
    saved_up = LOOK_PART * k.memory.account / max(without, 1e-9)
    most = min(max(saved_up, least), LOOK_COST)
    looks = share((different * 6.0 / k.tolerance) ** 2 / rows, 3, most)
    return replace(
        k.memory,
        evaluation_share=ordinary,
        look_share=max(ordinary, looks),
        evaluation_negatives=part,
    )
