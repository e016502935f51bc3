"""The status as users see it, projected from the memory; nothing is decided from it.

Bounded, as its types rule, and small: figures are rounded, a sentence is cut where it is long. What is not
known is absent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from dataefficient.api import status as shown
from dataefficient.api.conditions import Condition
from dataefficient.api.quantity import number
from dataefficient.api.spec import Mode
from dataefficient.cluster.conditions import conditions, refusal
from dataefficient.cluster.kpi import pooled
from dataefficient.cluster.view import Refused, View
from dataefficient.cycle import slicing
from dataefficient.cycle.figures import Forecast, Proposal
from dataefficient.cycle.model import Champion, CycleRecord, Gate, Plan, RunOutcome, RunPlan

HOUR = 3600.0
TELLING = 3
"""Cycles of the history that keep their whole sentence, forecast and intervals; older ones are one line."""


def status(view: View) -> dict[str, Any]:
    """The status of an accepted resource, in the API's names."""
    memory = view.memory
    body = shown.Status(
        observed_generation=view.resource.metadata.generation,
        conditions=conditions(view),
        cycle=memory.cycle,
        step=memory.step.value,
        runs=_runs(view),
        kpi=_kpi(view),
        plan=_plan(view, memory.plan) if memory.plan else None,
        champion=_checkpoint(memory.champion) if memory.champion else None,
        previous_champions=tuple(
            _checkpoint(c) for c in memory.previous_champions[: view.resource.spec.checkpoints.keep - 1]
        )[: shown.MAX_PREVIOUS],
        convergence=_convergence(view),
        surface=_surface(view),
        spent=_spent(view),
        savings=_savings(view),
        recommendation=_recommendation(view),
        handled_requests=view.handled[-shown.MAX_HANDLED :],
        history=_history(view),
    )
    return _plain(body)


def refused(why: Refused, found: Mapping[str, Any], generation: int, now: datetime) -> dict[str, Any]:
    """The status of a resource that is not acted on: what was known, and why not."""
    body = shown.Status(
        observed_generation=generation, conditions=refusal(why, previous(found), generation, now)
    )
    return {**found, **_plain(body)}


def previous(found: Mapping[str, Any]) -> tuple[Condition, ...]:
    """The conditions in a status; those that this version does not know are left out."""
    known = []
    for item in found.get("conditions") or []:
        try:
            known.append(Condition.model_validate_json(json.dumps(item)))
        except ValueError:
            continue
    return tuple(known)


def _plain(body: shown.Status) -> dict[str, Any]:
    plain: dict[str, Any] = body.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {name: value for name, value in plain.items() if value not in ("", [])}


def _cost(view: View, seconds: float) -> shown.Cost:
    price = view.resource.spec.accelerators[0].price_per_device_hour
    hours = seconds / HOUR
    return shown.Cost(
        device_hours=number(hours), money=None if price is None else number(hours * float(price), 4)
    )


def _share_of(part: Decimal, whole: Decimal) -> str:
    """``part`` with as many decimals as tell a hundredth of ``whole``, two at least."""
    return f"{part:.{max(2, 2 - whole.adjusted())}f}"


def _rate(value: float) -> Decimal:
    return Decimal(f"{value:.6f}".rstrip("0").rstrip("."))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _runs(view: View) -> tuple[shown.RunStatus, ...]:
    memory = view.memory
    ended = {o.run: o for o in memory.done}
    rows = [_run(view, plan, ended.get(plan.request.run)) for plan in (*memory.launched, *memory.running)]
    return tuple(rows[-shown.MAX_RUNS :])


def _run(view: View, plan: RunPlan, outcome: RunOutcome | None) -> shown.RunStatus:
    live = view.live.get(plan.request.run)
    state, reason = shown.RunState.INTENDED, ""
    if outcome is not None:
        failure = outcome.failure
        state = shown.RunState.FAILED if failure else shown.RunState.SUCCEEDED
        reason = f"{failure.kind.value}: {failure.message}" if failure else ""
    elif live is not None:
        state = shown.RunState.RUNNING
        reason = live.waiting.message if live.waiting else ""
    settled = outcome is not None
    return shown.RunStatus(
        name=plan.request.run,
        role=plan.request.role,
        state=state,
        attempt=plan.attempt,
        policy=plan.point.policy,
        rate=_rate(plan.point.rate),
        size=plan.point.size,
        deadline_seconds=None if settled else round(plan.reserved_seconds / plan.devices),
        reserved=None if settled else _cost(view, plan.reserved_seconds),
        started_at=live.started if live else None,
        reason=_cut(reason, 120),
    )


def _kpi(view: View) -> shown.KpiStatus:
    spec, memory = view.resource.spec.kpi, view.memory
    found = None if spec.query else pooled(memory, view.resource.spec)
    known = bool(memory.history)
    summary = ""
    if found is not None:
        error = "" if found.standard_error is None else f" ± {found.standard_error:.4f}"
        summary = f"{found.level:.4f}{error}"
    return shown.KpiStatus(
        value=number(found.level) if found else None,
        standard_error=number(found.standard_error) if found and found.standard_error is not None else None,
        target=None if spec.target is None else number(float(spec.target)),
        gap=number(memory.distance) if known else None,
        gap_bound=number(memory.distance_bound) if known else None,
        tolerance=None if spec.tolerance is None else number(float(spec.tolerance)),
        cycle=found.last if found else None,
        slices=_slices(view),
        summary=summary,
    )


def _slices(view: View) -> tuple[shown.SliceStatus, ...]:
    told = slicing.told(view.memory, view.resource.spec)
    return tuple(
        shown.SliceStatus(
            column=_cut(part.column, 63),
            value=_cut(part.value, 63),
            rows=part.rows,
            log_loss=number(part.loss),
            difference=None if part.gap is None else number(part.gap),
            standard_error=None if part.error is None else number(part.error),
        )
        for part in (told.values[: shown.MAX_TOLD] if told is not None else ())
    )


def _plan(view: View, plan: Plan) -> shown.Plan:
    running = next((r for r in view.memory.running if r.request.run.endswith("-candidate")), None)
    return shown.Plan(
        digest=plan.digest,
        cycle=plan.cycle,
        policy=plan.point.policy,
        rate=_rate(plan.point.rate),
        size=plan.point.size,
        from_=plan.train_from,  # type: ignore[call-arg]  # mypy knows the alias only
        to=plan.train_to,
        accelerator=view.resource.spec.accelerators[0].name,
        deadline_seconds=round(running.reserved_seconds / running.devices) if running else None,
        forecast=_forecast(view, plan),
        reason=_cut(plan.reason, 400),
    )


def _forecast(view: View, plan: Plan | Proposal) -> shown.Forecast | None:
    if plan.kpi is None and plan.cost is None:
        return None
    return shown.Forecast(
        kpi=_measured(plan.kpi) if plan.kpi else None,
        cost=_cost(view, plan.cost.mean) if plan.cost else None,
    )


def _measured(forecast: Forecast) -> shown.Measured:
    return shown.Measured(value=number(forecast.mean), low=number(forecast.low), high=number(forecast.high))


def _checkpoint(champion: Champion) -> shown.Checkpoint:
    return shown.Checkpoint(
        uri=_cut(champion.checkpoint.uri, 320),
        digest=_cut(champion.checkpoint.digest, 80),
        cycle=champion.cycle,
        size=champion.point.size,
        position=champion.position,
    )


def _convergence(view: View) -> shown.Convergence | None:
    found = view.memory.convergence
    if found is None:
        return None
    if found.examples is None:
        state, summary = shown.ConvergenceState.NOT_WITHIN_DATA, "not within the data"
        if not found.measured:
            state, summary = shown.ConvergenceState.NOT_RESOLVABLE, "not measured"
        return shown.Convergence(state=state, cycle=found.cycle, summary=summary)
    rows = shown.Measured(
        value=number(found.examples, 0),
        low=None if found.low is None else number(found.low, 0),
        high=None if found.high is None else number(found.high, 0),
    )
    return shown.Convergence(
        state=shown.ConvergenceState.FOUND,
        rows=rows,
        cycle=found.cycle,
        summary=f"{found.examples:,.0f} rows",
    )


def _spent(view: View) -> shown.Spent:
    ledger, budget = view.memory.ledger, view.resource.spec.budget
    reserved = sum(r.reserved_seconds for r in view.memory.running)
    settled = _cost(view, ledger.settled)
    window = None
    if budget.window is not None and ledger.window_start is not None:
        window = shown.WindowSpent(since=ledger.window_start, settled=_cost(view, ledger.window))
    total = budget.total
    if total is not None and total.money is not None and settled.money is not None:
        summary = f"{_share_of(settled.money, total.money)}/{total.money} {budget.currency}"
    elif total is not None and total.device_hours is not None:
        summary = f"{_share_of(settled.device_hours, total.device_hours)}/{total.device_hours} h"
    else:
        summary = f"{settled.device_hours:.3f} h"
    return shown.Spent(
        settled=settled,
        reserved=_cost(view, reserved) if reserved else None,
        window=window,
        currency=budget.currency,
        summary=summary,
    )


def _surface(view: View) -> shown.Surface | None:
    found = view.memory.surface
    if found is None:
        return None
    terms = {name: _measured(forecast) for name, forecast in found.terms.items()}
    if terms:
        summary = ", ".join(f"{name} {float(term.value):.3g}" for name, term in terms.items())
    else:
        summary = f"Not identified: {next(iter(found.missing.values()))}"
    return shown.Surface(
        e=terms.get("E"),
        a=terms.get("A"),
        b=terms.get("B"),
        alpha=terms.get("alpha"),
        beta=terms.get("beta"),
        runs=found.runs,
        comparability_key=found.key,
        summary=_cut(summary, 120),
    )


def _savings(view: View) -> shown.Savings | None:
    """Against full data at the largest size, as far as the ledger and the cost model know."""
    memory, found = view.memory, view.memory.saved
    if found is None or found.full.low <= 0.0:
        return None
    share, low, high = (1.0 - found.spent / x for x in (found.full.mean, found.full.low, found.full.high))
    against = shown.Saving(
        against=shown.ControlKind.FULL,
        from_cycle=found.from_cycle,
        to_cycle=found.to_cycle,
        spent=_cost(view, found.spent),
        control=_cost(view, found.full.mean),
        share=shown.Measured(value=number(share, 4), low=number(low, 4), high=number(high, 4)),
        kpi_difference=shown.Measured(value=number(memory.distance), high=number(memory.distance_bound)),
    )
    return shown.Savings(as_of=found.as_of, against=(against,), summary=f"{share:.0%} vs full data")


def _recommendation(view: View) -> shown.Recommendation | None:
    asked = view.memory.proposal
    if view.resource.spec.mode is not Mode.RECOMMEND or asked is None:
        return None
    return shown.Recommendation(
        digest=asked.digest,
        asked=shown.Asked(asked.ask.value),
        holds=asked.holds,
        since_cycle=asked.since,
        policy=asked.point.policy,
        rate=_rate(asked.point.rate),
        size=asked.point.size,
        forecast=_forecast(view, asked),
        saving=None if asked.saving is None else shown.Measured(value=number(asked.saving, 4)),
        reason=_cut(asked.told, 400),
    )


def _history(view: View) -> tuple[shown.Cycle, ...]:
    recent = view.memory.history[-shown.MAX_HISTORY :]
    last = recent[-1].cycle if recent else 0
    return tuple(_cycle(view, r, telling=r.cycle > last - TELLING) for r in recent)


def _cycle(view: View, record: CycleRecord, *, telling: bool) -> shown.Cycle:
    point = record.plan.point if record.plan else None
    kpi = None
    if record.kpi is not None:
        error = record.kpi_standard_error if telling else None
        kpi = shown.Measured(
            value=number(record.kpi),
            low=None if error is None else number(record.kpi - error),
            high=None if error is None else number(record.kpi + error),
        )
    gap = None
    if record.distance is not None:
        bound = record.distance_bound
        gap = shown.Measured(value=number(record.distance), high=None if bound is None else number(bound))
    gate = record.gate
    # Of an older cycle that was published as usual its figures say all.
    told = " ".join(record.notes) or (gate.reason if gate and (telling or not gate.published) else "")
    return shown.Cycle(
        cycle=record.cycle,
        from_=record.start,  # type: ignore[call-arg]  # mypy knows the alias only
        to=record.end,
        outcome=_outcome(record, gate),
        policy=point.policy if point else None,
        rate=_rate(point.rate) if point else None,
        size=point.size if point else None,
        kpi=kpi,
        gap=gap,
        cost=_cost(view, record.spent_seconds),
        forecast=_forecast(view, record.plan) if telling and record.plan else None,
        reason=_cut(told, 400 if telling else 60),
    )


def _outcome(record: CycleRecord, gate: Gate | None) -> shown.Outcome:
    if record.plan is None:
        return shown.Outcome.SKIPPED
    if gate is None:
        # The first champion has none to be held against.
        return shown.Outcome.PUBLISHED if "Published" in record.codes else shown.Outcome.FAILED
    return shown.Outcome.PUBLISHED if gate.published else shown.Outcome.REJECTED
