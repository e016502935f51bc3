"""What the report draws of the learning curve, the rates and the surface, from what is remembered.

The same fit and the same beliefs that the decisions rest on, evaluated for people. Nothing here measures.
"""

from __future__ import annotations

from math import exp, log

import numpy as np

from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.model import Memory
from dataefficient.planner.curves import fit_curve
from dataefficient.report.statement import Basis, Cell, Converged, CurvePoint, Estimate, Harm, Rung, Surface

_STEPS = 40
_Z = 1.96


def convergence(memory: Memory) -> Converged | None:
    """The convergence point with the fitted curve through its rungs; None: nothing was measured."""
    found = memory.convergence
    if found is None:
        return None
    rungs = tuple(Rung(float(r.rows), r.loss, r.standard_error) for r in found.measured)
    largest = max((r.examples for r in rungs), default=0.0)
    basis = Basis.MEASURED if found.examples is not None else Basis.NOT_MEASURED
    if max(found.examples or 0.0, found.longest) > largest:
        basis = Basis.EXTRAPOLATED
    return Converged(
        found.examples,
        found.low,
        found.high,
        found.longest,
        basis,
        found.reason,
        rungs,
        _curve(rungs, memory),
    )


def _curve(rungs: tuple[Rung, ...], memory: Memory) -> tuple[CurvePoint, ...]:
    """Mean and 80 % interval along the fitted families; empty with fewer than 3 rungs."""
    if len({r.examples for r in rungs}) < 3:
        return ()
    # Rungs share their evaluation rows, so their differences carry little more than the noise of seeds.
    errors = [max(r.loss * memory.seed_noise, 1e-9) for r in rungs]
    fit = fit_curve([r.examples for r in rungs], [r.loss for r in rungs], errors, seed=0)
    low, high = (
        log(rungs[0].examples),
        log(max(rungs[-1].examples, memory.convergence.longest if memory.convergence else 0.0)),
    )
    points = []
    for step in range(_STEPS + 1):
        examples = exp(low + (high - low) * step / _STEPS)
        values = fit.curves(examples)
        bottom, top = (float(v) for v in np.quantile(values, [0.1, 0.9]))
        mean = float(np.mean(values))
        points.append(CurvePoint(examples, mean, min(bottom, mean), max(top, mean)))
    return tuple(points)


def harms(k: Knowledge) -> tuple[Harm, ...]:
    """Every measured plan with its believed gap to the reference, the reference left out."""
    found = []
    for point, belief in k.ultimate.items():
        if point == k.reference or point not in k.measured_points:
            continue
        count = sum(point in c.points for c in k.memory.contrasts)
        found.append(Harm(point, _estimate(belief.mean, belief.sd), count))
    return tuple(sorted(found, key=lambda h: (h.point.size, h.point.policy, h.point.rate)))


def surface(k: Knowledge) -> Surface | None:
    """Gap and cost of every plan; None before anything was costed."""
    if k.costs is None or not k.memory.row_rate:
        return None
    verdicts = {o.point: o.verdict for o in k.memory.plan.options} if k.memory.plan else {}
    cells = []
    for point in k.points:
        belief = k.ultimate[point]
        known = point == k.reference or point in k.measured_points
        gap = _estimate(belief.mean, belief.sd) if known else None
        cells.append(Cell(point, k.cycle_cost(point), gap, verdicts.get(point, "")))
    chosen = k.memory.plan.point if k.memory.plan else None
    return Surface(chosen, k.cycle_rows, tuple(cells))


def _estimate(mean: float, sd: float) -> Estimate:
    return Estimate(mean, mean - _Z * sd, mean + _Z * sd)
