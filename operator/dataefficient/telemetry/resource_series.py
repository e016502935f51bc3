"""The series of a resource: what it is to achieve, where it stands, what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from math import sqrt

from dataefficient.api.compute import BudgetPart
from dataefficient.api.conditions import ConditionStatus
from dataefficient.api.spec import Spec
from dataefficient.contract import Role
from dataefficient.cycle.answers import Verdict
from dataefficient.cycle.figures import Forecast
from dataefficient.cycle.model import CycleRecord, Step
from dataefficient.planner.budget import HOUR, window_start
from dataefficient.planner.knobs import Point
from dataefficient.telemetry.choice_series import CHOICE_SERIES
from dataefficient.telemetry.cost_series import COST_SERIES
from dataefficient.telemetry.outlook_series import OUTLOOK_SERIES
from dataefficient.telemetry.series import Kind, Series, Values, one
from dataefficient.telemetry.view import ResourceView

_BOUND = ("bound",)


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


def _point(view: ResourceView) -> Point | None:
    memory = view.memory
    if memory.plan is not None:
        return memory.plan.point
    return memory.champion.point if memory.champion else None


def _levels(view: ResourceView) -> list[CycleRecord]:
    known = [record for record in view.memory.history if record.kpi is not None]
    return known[-view.spec.kpi.over_cycles :]


def _level(view: ResourceView, _: datetime) -> Values:
    found = [record.kpi for record in _levels(view) if record.kpi is not None]
    return one(sum(found) / len(found) if found else None)


def _level_error(view: ResourceView, _: datetime) -> Values:
    found = _levels(view)
    errors = [record.kpi_standard_error for record in found if record.kpi_standard_error is not None]
    known = bool(errors) and len(errors) == len(found)
    return one(sqrt(sum(e * e for e in errors)) / len(errors) if known else None)


def _last(view: ResourceView) -> CycleRecord | None:
    return view.memory.history[-1] if view.memory.history else None


def _bounds(forecast: Forecast | None) -> Values:
    if forecast is None:
        return []
    return [(("mean",), forecast.mean), (("low",), forecast.low), (("high",), forecast.high)]


def _last_forecast_cost(view: ResourceView, _: datetime) -> Values:
    last = _last(view)
    return _bounds(last.plan.cost if last and last.plan else None)


def _last_forecast_kpi(view: ResourceView, _: datetime) -> Values:
    last = _last(view)
    return _bounds(last.plan.kpi if last and last.plan else None)


def _last_candidate(view: ResourceView, _: datetime) -> Values:
    last = _last(view)
    found = [run.device_seconds for run in last.runs if run.role is Role.CANDIDATE] if last else []
    return one(found[-1] if found else None)


def _convergence(view: ResourceView, _: datetime) -> Values:
    found = view.memory.convergence
    if found is None:
        return []
    return [(("estimate",), found.examples), (("low",), found.low), (("high",), found.high)]


def _spent(view: ResourceView, _: datetime) -> Values:
    return [((role,), seconds) for role, seconds in sorted(view.memory.ledger.by_role.items())]


def _reserved(view: ResourceView, _: datetime) -> Values:
    by_role = dict.fromkeys((role.value for role in Role), 0.0)
    for run in view.memory.running:
        by_role[run.request.role.value] += run.reserved_seconds
    return [((role,), seconds) for role, seconds in by_role.items()]


def _money(values: Values, spec: Spec) -> Values:
    price = _number(spec.accelerators[0].price_per_device_hour)
    if price is None:
        return []
    return [
        ((*labels, spec.budget.currency), None if seconds is None else seconds / HOUR * price)
        for labels, seconds in values
    ]


def _used(view: ResourceView, now: datetime) -> Values:
    ledger, cycle = view.memory.ledger, view.memory.cycle
    reserved = sum(run.reserved_seconds for run in view.memory.running)
    in_window = ledger.window if ledger.window_start == window_start(view.spec.budget, now) else 0.0
    in_cycle = ledger.by_cycle.get(str(cycle), 0.0) + reserved
    used = {
        "initial": in_cycle if cycle == 0 else None,
        "perCycle": in_cycle if cycle > 0 else None,
        "total": ledger.settled + reserved,
        "window": in_window + reserved,
    }
    return [((name,), used[name]) for name, _ in view.spec.budget.parts()]


def _parts(view: ResourceView) -> Iterator[tuple[str, BudgetPart]]:
    return view.spec.budget.parts()


def _hours(part: BudgetPart) -> float | None:
    return None if part.device_hours is None else float(part.device_hours) * HOUR


def _conditions(view: ResourceView, _: datetime) -> Values:
    return [
        ((condition.type.value, status.value), float(condition.status is status))
        for condition in view.conditions
        for status in ConditionStatus
    ]


def _verdicts(view: ResourceView, _: datetime) -> Values:
    return [
        ((answer.name, verdict.value), float(answer.verdict is verdict))
        for answer in view.answers
        for verdict in Verdict
    ]


def _branches(view: ResourceView, _: datetime) -> Values:
    branches = {"trial": view.memory.trial, "control": view.memory.control}
    return [((name,), branch.age) for name, branch in branches.items() if branch is not None]


def _info(view: ResourceView, _: datetime) -> Values:
    spec = view.spec
    accelerator = spec.accelerators[0]
    names = (spec.mode.value, spec.kpi.metric.value, spec.kpi.direction.value, accelerator.name)
    return [((*names, accelerator.resource.value), 1.0)]


def _plan_info(view: ResourceView, _: datetime) -> Values:
    plan = view.memory.plan
    return [((plan.point.policy.value, plan.code, plan.digest), 1.0)] if plan else []


def _champion_info(view: ResourceView, _: datetime) -> Values:
    champion = view.memory.champion
    return [((champion.checkpoint.digest,), 1.0)] if champion else []


STATE_SERIES: tuple[Series[ResourceView], ...] = (
    Series(
        "info",
        "Always 1; what was declared, in the labels.",
        _info,
        ("mode", "metric", "direction", "accelerator", "device"),
    ),
    Series("cycle", "Cycle in hand.", lambda v, _: one(v.memory.cycle)),
    Series("cycles", "Cycles that are over.", lambda v, _: one(v.memory.cycle), kind=Kind.COUNTER),
    Series(
        "step",
        "1 for the step within the cycle, 0 for the others.",
        lambda v, _: [((step.value,), float(v.memory.step is step)) for step in Step],
        ("step",),
    ),
    Series(
        "condition",
        "1 for the condition's status, 0 for the other two.",
        _conditions,
        ("type", "status"),
    ),
    Series("kpi_level", "Level of what serves (log loss, nats), mean over kpi.overCycles.", _level),
    Series("kpi_level_standard_error", "Its standard error.", _level_error),
    Series(
        "kpi_latest_level",
        "Level in the newest cycle.",
        lambda v, _: one(v.memory.levels[-1] if v.memory.levels else None),
    ),
    Series(
        "kpi_target",
        "kpi.target: a level of kpi.query if given.",
        lambda v, _: one(_number(v.spec.kpi.target)),
    ),
    Series(
        "gap_ratio",
        "Expected relative distance to full data at the largest size; 0.001 is 0.1 %.",
        lambda v, _: one(v.memory.distance if v.memory.champion else None),
    ),
    Series(
        "gap_bound_ratio",
        "Its upper bound, which is held against the tolerance.",
        lambda v, _: one(v.memory.distance_bound if v.memory.champion else None),
    ),
    Series("tolerance_ratio", "kpi.tolerance.", lambda v, _: one(_number(v.spec.kpi.tolerance))),
    Series(
        "query_value",
        "Newest answer of each query, where it is Ok.",
        lambda v, _: [((answer.name,), answer.value) for answer in v.answers],
        ("query",),
    ),
    Series(
        "query_verdict",
        "1 for the verdict on the query's newest answer, 0 for the others.",
        _verdicts,
        ("query", "verdict"),
    ),
    Series(
        "sampling_rate_ratio",
        "Share of the rows that the plan in force trains on.",
        lambda v, _: one(point.rate if (point := _point(v)) else None),
    ),
    Series(
        "model_size",
        "Model size of the plan in force, on the trainer's scale.",
        lambda v, _: one(point.size if (point := _point(v)) else None),
    ),
    Series(
        "plan_info", "Always 1; the plan in force, in the labels.", _plan_info, ("policy", "code", "digest")
    ),
    Series(
        "plan_forecast_cost_device_seconds",
        "What the candidate of the plan in force is expected to cost; low and high hold 80 %.",
        lambda v, _: _bounds(v.memory.plan.cost if v.memory.plan else None),
        _BOUND,
    ),
    Series(
        "plan_forecast_kpi",
        "Level that is expected in the cycle in hand; low and high hold 80 %.",
        lambda v, _: _bounds(v.memory.plan.kpi if v.memory.plan else None),
        _BOUND,
    ),
    Series(
        "last_cycle_forecast_cost_device_seconds",
        "What the last finished cycle's candidate was expected to cost.",
        _last_forecast_cost,
        _BOUND,
    ),
    Series("last_cycle_cost_device_seconds", "What that candidate cost.", _last_candidate),
    Series(
        "last_cycle_forecast_kpi",
        "Level that was expected in the last finished cycle.",
        _last_forecast_kpi,
        _BOUND,
    ),
    Series(
        "last_cycle_kpi", "Level in that cycle.", lambda v, _: one(last.kpi if (last := _last(v)) else None)
    ),
    Series(
        "last_cycle_spent_device_seconds",
        "What that cycle cost with all its runs.",
        lambda v, _: one(last.spent_seconds if (last := _last(v)) else None),
    ),
    Series(
        "last_cycle_published",
        "1 if its candidate passed the gate, 0 if not; absent without a gate.",
        lambda v, _: one(float(last.gate.published) if (last := _last(v)) and last.gate else None),
    ),
    Series(
        "spent_device_seconds",
        "Settled spend of the resource's life, by the role of the run.",
        _spent,
        ("role",),
        Kind.COUNTER,
    ),
    Series(
        "reserved_device_seconds",
        "Set aside for runs that are not settled.",
        _reserved,
        ("role",),
    ),
    Series(
        "spent_money",
        "Settled spend in money; absent without a price.",
        lambda v, now: _money(_spent(v, now), v.spec),
        ("role", "currency"),
        Kind.COUNTER,
    ),
    Series(
        "reserved_money",
        "Reservations in money; absent without a price.",
        lambda v, now: _money(_reserved(v, now), v.spec),
        ("role", "currency"),
    ),
    Series(
        "budget_device_seconds",
        "Each part of the budget that is given in device hours.",
        lambda v, _: [((name,), _hours(part)) for name, part in _parts(v)],
        ("part",),
    ),
    Series(
        "budget_money",
        "Each part of the budget that is given in money.",
        lambda v, _: [((name, v.spec.budget.currency), _number(part.money)) for name, part in _parts(v)],
        ("part", "currency"),
    ),
    Series(
        "budget_used_device_seconds",
        "Settled and reserved against each part of the budget that binds the cycle in hand.",
        _used,
        ("part",),
    ),
    Series(
        "exploration_account_device_seconds",
        "What experiments may spend.",
        lambda v, _: one(v.memory.account),
    ),
    Series(
        "convergence_rows",
        "Rows of history past which more barely helps; absent: not within this data.",
        _convergence,
        _BOUND,
    ),
    Series(
        "convergence_longest_rows",
        "Rows of the longest history that was looked at.",
        lambda v, _: one(v.memory.convergence.longest if v.memory.convergence else None),
    ),
    Series("champion_info", "Always 1; digest of the published checkpoint.", _champion_info, ("digest",)),
    Series(
        "champion_cycle",
        "Cycle that made the published checkpoint.",
        lambda v, _: one(v.memory.champion.cycle if v.memory.champion else None),
    ),
    Series(
        "champion_position_timestamp_seconds",
        "Event time up to which the published checkpoint has seen the stream.",
        lambda v, _: one(v.memory.champion.position.timestamp() if v.memory.champion else None),
    ),
    Series("rejections", "Candidates rejected in a row.", lambda v, _: one(v.memory.rejections)),
    Series(
        "branch_age_cycles",
        "Cycles that a trial or control has trained beside the lineage; absent without one.",
        _branches,
        ("branch",),
    ),
    Series("runs_running", "Runs that are intended or under way.", lambda v, _: one(len(v.memory.running))),
    *OUTLOOK_SERIES,
)

RESOURCE_SERIES = (*STATE_SERIES, *COST_SERIES, *CHOICE_SERIES)
