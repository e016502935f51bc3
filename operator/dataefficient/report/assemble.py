"""A statement from what is remembered and what ran: the report's one way in.

``build_statement`` is pure; ``build`` reads a work folder, ``build_from_cluster`` what a cluster keeps. Runs
that are not there in full count with what the history says of them. It measures nothing anew and asks no
clock: the date of writing is given by who prints it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from dataefficient.api.spec import Resource
from dataefficient.cluster import decisions
from dataefficient.cluster.kept import Kept
from dataefficient.contract import Role
from dataefficient.cycle import slicing
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.launch import devices
from dataefficient.cycle.model import CycleRecord, Memory, Step
from dataefficient.cycle.recording import DamagedError
from dataefficient.local.control import controls as control_lineages
from dataefficient.local.store import Store
from dataefficient.planner.evidence import paired
from dataefficient.planner.knobs import Point
from dataefficient.report import curves, sentences
from dataefficient.report.expected import distance, expected
from dataefficient.report.measure import Run, frozen_starts
from dataefficient.report.past import Past, past_of
from dataefficient.report.savings import NOT_ON_A_CLUSTER, ControlRuns, Ours, compare, interval
from dataefficient.report.statement import (
    Aim,
    CycleRow,
    Estimate,
    Lineage,
    Statement,
    Stream,
)


def build(folder: Path, *, written: datetime | None = None) -> Statement:
    """The statement of the work folder ``folder``.

    Raises:
        WrongInputError: no work folder, or a damaged one.
    """
    store = Store.open(folder)
    resource = store.resource()
    found = control_lineages(resource.spec, store)
    controls = [
        ControlRuns(Lineage(c.kind.value), c.size, c.rule, c.runs, c.failure.message if c.failure else None)
        for c in (found.lineages if found else ())
    ]
    return build_statement(resource, store.memory(), store.runs(), controls, written=written)


def build_from_cluster(kept: Kept, *, written: datetime | None = None) -> Statement:
    """The statement of a resource on a cluster, from its ledger and its last recorded decisions."""
    resource, runs, unknown = kept.resource, decisions.runs({}, kept.memory), []
    try:
        # As it was decided under, it has the installation's price where it names none itself.
        resource = decisions.newest_resource(kept.decided) or resource
        runs = decisions.runs(kept.decided, kept.memory)
    except DamagedError as error:
        unknown.append(f"The recorded decisions cannot be read and are left out: {error}.")
    controls = [ControlRuns(name, absent=NOT_ON_A_CLUSTER) for name in Lineage]
    return build_statement(resource, kept.memory, runs, controls, unknown=unknown, written=written)


def build_statement(
    resource: Resource,
    memory: Memory,
    runs: Iterable[Run],
    controls: Sequence[ControlRuns],
    *,
    unknown: Sequence[str] = (),
    written: datetime | None = None,
) -> Statement:
    """The statement that follows from a resource, its memory and its runs.

    Args:
        runs: the operator's runs, as many as are there in full, each with its last attempt's outcome, None
            while it goes on.
        controls: what ran of the control lineages; one that is left out was not run.
        unknown: what else is missing, a sentence each.
        written: date of the statement, if it is to bear one.
    """
    runs = sorted(runs, key=lambda r: (r[0].cycle, r[0].run))
    given = {control.lineage: control for control in controls}
    aim = _aim(resource)
    past = past_of(memory, runs)
    points = _points(memory, runs)
    ours = Ours(runs, past.charged, points, aim.devices, aim.price)
    ended = [r.end for r in memory.history]
    k = Knowledge(resource.spec, memory, ended[-1] if ended else resource.spec.schedule.start_time)
    measured = (compare(given.get(name, ControlRuns(name)), ours) for name in Lineage)
    comparisons = tuple(
        c if c.measured else replace(c, expected=expected(k, memory, c.lineage, aim.price)) for c in measured
    )
    far = distance(memory, aim.confidence)
    cycles = tuple(_row(record, past, k) for record in memory.history)
    converged = curves.convergence(memory)
    by_role = past.by_role()
    spent = sum(part.seconds for part in by_role)
    drawn = curves.surface(k)
    return Statement(
        resource=memory.resource,
        state=_state(memory),
        headline=sentences.headline(aim, cycles, comparisons, spent, far),
        detail=sentences.detail(aim, comparisons),
        stream=_stream(resource, memory, past),
        aim=aim,
        convergence=converged,
        cycles=cycles,
        rates=curves.harms(k),
        surface=drawn,
        spent=spent,
        by_role=by_role,
        comparisons=comparisons,
        calibration=_calibration(runs, set(points)),
        distance=far,
        claims=sentences.claims(aim, comparisons, converged, drawn),
        notes=sentences.notes(aim, comparisons),
        slices=slicing.told(memory, resource.spec),
        unknown=(*unknown, *sentences.unknown(past)),
        written=written,
    )


def _points(memory: Memory, runs: Sequence[Run]) -> dict[int, Point | None]:
    """Plans of the finished cycles; those that the history has forgotten, from their candidates' requests."""
    points: dict[int, Point | None] = {}
    remembered = memory.history[0].cycle if memory.history else 0
    for request, _ in runs:
        if request.role is Role.CANDIDATE and request.cycle < remembered and request.train is not None:
            points[request.cycle] = Point(request.train.policy, request.train.rate, request.size)
    return points | {r.cycle: r.plan.point if r.plan else None for r in memory.history}


def _aim(resource: Resource) -> Aim:
    spec = resource.spec
    accelerator = spec.accelerators[0]
    price = accelerator.price_per_device_hour
    return Aim(
        metric=spec.kpi.metric.value,
        target=None if spec.kpi.target is None or spec.kpi.query else float(spec.kpi.target),
        tolerance=None if spec.kpi.tolerance is None else float(spec.kpi.tolerance),
        max_regression=float(spec.kpi.max_regression),
        confidence=float(spec.kpi.confidence),
        currency=spec.budget.currency,
        price=None if price is None else float(price),
        device=accelerator.name,
        devices=devices(spec),
        sizes=tuple(sorted(spec.knobs.model_size.values)),
    )


def _stream(resource: Resource, memory: Memory, past: Past) -> Stream:
    data = resource.spec.data
    return Stream(
        uri=data.uri,
        time=data.time,
        label=data.label,
        key=data.key,
        start=resource.spec.schedule.history_from,
        end=memory.history[-1].end if memory.history else None,
        history_rows=past.history_rows,
        rows=past.rows,
        positive_share=past.positive_share,
    )


def _state(memory: Memory) -> str:
    if memory.stopped is not None:
        return f"Stopped in cycle {memory.cycle}: {memory.stopped.message}"
    if memory.step is Step.FINISHED:
        return f"Finished: every interval of the schedule was run, {_cycles(memory)} in all"
    return f"Under way: cycle {memory.cycle} is next or running"


def _cycles(memory: Memory) -> int:
    """Finished cycles, those before the history included."""
    return memory.history[-1].cycle + 1 if memory.history else 0


def _row(record: CycleRecord, past: Past, k: Knowledge) -> CycleRow:
    plan = record.plan
    candidate = next((r for r in record.runs if r.role is Role.CANDIDATE), None)
    kpi = None
    if record.kpi is not None:
        half = None if record.kpi_standard_error is None else 1.96 * record.kpi_standard_error
        kpi = Estimate(
            record.kpi, *((None, None) if half is None else (record.kpi - half, record.kpi + half))
        )
    reference = next((o.cost_seconds for o in plan.options if o.point == k.reference), None) if plan else None
    return CycleRow(
        cycle=record.cycle,
        start=record.start,
        end=record.end,
        point=plan.point if plan else None,
        code=plan.code if plan else "Skipped",
        reason=plan.reason if plan else " ".join(record.notes),
        forecast_kpi=plan.kpi if plan else None,
        kpi=kpi,
        forecast_cost=plan.cost if plan else None,
        cost=candidate.device_seconds if candidate else None,
        spent=past.charged[record.cycle],
        by_role=past.by_role(record.cycle),
        reference_forecast=reference,
        gate=record.gate,
        published=record.champion is not None and record.champion in {r.checkpoint for r in record.runs},
        gap=record.distance,
        bound=record.distance_bound,
        notes=record.notes if plan else (),
        rows_read=candidate.rows_read if candidate else None,
        rows_kept=candidate.rows_kept if candidate else None,
    )


def _calibration(runs: Sequence[Run], finished: set[int]) -> Estimate | None:
    """Predictions over labels of the served models, pooled over the finished cycles."""
    served = [f for c, f in frozen_starts(runs, Role.CANDIDATE).items() if c in finished]
    pair = paired(
        [v for f in served for v in f.scored.predicted],
        [v for f in served for v in f.rows.positives],
        [v for f in served for v in f.rows.n],
    )
    if pair is None:
        return None
    relative = interval(pair)
    assert relative.low is not None
    assert relative.high is not None
    return Estimate(1.0 + relative.value, 1.0 + relative.low, 1.0 + relative.high)
