"""The series of a resource that say where it is heading: its pace, its budget's end, its calibration.

Alerts are made of them, so each is exported from the first visit on, unless its help says when it is absent.
Forecasts here are for people; nothing is decided from them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import sqrt

from dataefficient.api.compute import BudgetPart
from dataefficient.api.schedule import due, interval
from dataefficient.api.spec import Schedule, Spec
from dataefficient.contract import Evaluated
from dataefficient.cycle.model import Step
from dataefficient.planner.budget import HOUR, window_end, window_start
from dataefficient.telemetry.run_series import MODEL, identity
from dataefficient.telemetry.series import Series, Values, one
from dataefficient.telemetry.view import ResourceView

RECENT = 10
"""Cycles whose mean cost is taken for that of the next ones: with its default, a control is among them."""
COUNTED = 2048
"""Cycles that are counted one by one; more are counted by the length of the cycle in hand, since each tick
of a cron expression has to be computed."""

_PART = ("part",)


def cycles_due(schedule: Schedule, first: int, before: datetime) -> int:
    """How many cycles, from ``first`` on, may begin before an instant; none that lies after ``endTime``."""

    def begins(cycle: int) -> bool:
        return interval(schedule, cycle) is not None and due(schedule, cycle) < before

    if not begins(first):
        return 0
    step = 1
    while begins(first + step):
        if step >= COUNTED:
            period = interval(schedule, max(first, 1))
            assert period is not None, "a later one is there"
            last = before
            if schedule.end_time is not None:
                last = min(before, schedule.end_time + timedelta(seconds=schedule.label_delay_seconds))
            return int((last - due(schedule, first)) / (period.end - period.start)) + 1
        step *= 2
    known, beyond = step // 2, step
    while beyond - known > 1:
        middle = (known + beyond) // 2
        known, beyond = (middle, beyond) if begins(first + middle) else (known, middle)
    return known + 1


def limit_seconds(part: BudgetPart, spec: Spec) -> float | None:
    """A part of the budget in device-seconds, the tighter of its two units; None: money without a price."""
    price = spec.accelerators[0].price_per_device_hour
    caps = []
    if part.device_hours is not None:
        caps.append(float(part.device_hours) * HOUR)
    if part.money is not None and price is not None:
        caps.append(float(part.money) / float(price) * HOUR)
    return min(caps, default=None)


def _cycle_due(view: ResourceView, _: datetime) -> Values:
    cycle, schedule = view.memory.cycle, view.spec.schedule
    return one(due(schedule, cycle).timestamp() if interval(schedule, cycle) is not None else None)


def _cycle_interval(view: ResourceView, _: datetime) -> Values:
    # Cycle 0 has the whole history, and the last one may be followed by none.
    period = interval(view.spec.schedule, max(view.memory.cycle, 1)) or interval(view.spec.schedule, 1)
    return one(None if period is None else (period.end - period.start).total_seconds())


def _recent(view: ResourceView) -> float | None:
    """Mean device-seconds of the newest cycles after the first, which has the whole history."""
    found = [record.spent_seconds for record in view.memory.history if record.cycle > 0][-RECENT:]
    return sum(found) / len(found) if found else None


def _settled(view: ResourceView, now: datetime) -> dict[str, float]:
    ledger = view.memory.ledger
    in_window = ledger.window if ledger.window_start == window_start(view.spec.budget, now) else 0.0
    return {"total": ledger.settled, "window": in_window}


def _ends(view: ResourceView, now: datetime) -> dict[str, datetime | None]:
    schedule = view.spec.schedule
    last = None
    if schedule.end_time is not None:
        last = schedule.end_time + timedelta(seconds=schedule.label_delay_seconds + 1)
    return {"total": last, "window": window_end(view.spec.budget, now)}


def _settled_by_part(view: ResourceView, now: datetime) -> Values:
    settled = _settled(view, now)
    return [((name,), settled[name]) for name, _ in view.spec.budget.parts() if name in settled]


def _forecasts(view: ResourceView, now: datetime) -> Values:
    memory, ends, recent = view.memory, _ends(view, now), _recent(view)
    asleep = view.spec.suspend or memory.step is Step.FINISHED
    found: list[tuple[tuple[str, ...], float | None]] = []
    for (part,), settled in _settled_by_part(view, now):
        end = ends[part]
        if end is None or settled is None:
            continue
        count = 0 if asleep else cycles_due(view.spec.schedule, memory.cycle, end)
        if count == 0:
            found.append(((part,), settled))
        elif recent is not None and memory.cycle > 0:
            in_hand = max(recent - memory.ledger.by_cycle.get(str(memory.cycle), 0.0), 0.0)
            found.append(((part,), settled + in_hand + recent * (count - 1)))
    return found


def _limits(view: ResourceView, _: datetime) -> Values:
    return [((name,), limit_seconds(part, view.spec)) for name, part in view.spec.budget.parts()]


def _time(instant: datetime | None) -> Values:
    return one(None if instant is None else instant.timestamp())


def _champion_evaluated(view: ResourceView) -> tuple[str, Evaluated] | None:
    champion = view.memory.champion
    for run in reversed(view.finished):
        report = run.outcome.report
        if champion is not None and report is not None and report.evaluated is not None:
            digest = identity(run)[1]
            if digest == champion.checkpoint.digest and MODEL in report.evaluated.models:
                return digest, report.evaluated
    return None


def _calibration(view: ResourceView, _: datetime) -> Values:
    if (found := _champion_evaluated(view)) is None:
        return []
    digest, evaluated = found
    positives = sum(evaluated.positives)
    return [((digest,), sum(evaluated.models[MODEL].predicted) / positives if positives else None)]


def _calibration_error(view: ResourceView, _: datetime) -> Values:
    """Of the ratio of predicted to observed positives, whose number is taken as Poisson: 1 / sqrt(n)."""
    if (found := _champion_evaluated(view)) is None:
        return []
    digest, evaluated = found
    positives = sum(evaluated.positives)
    return [((digest,), 1.0 / sqrt(positives) if positives else None)]


OUTLOOK_SERIES: tuple[Series[ResourceView], ...] = (
    Series("suspended", "1 where spec.suspend is true, else 0.", lambda v, _: one(float(v.spec.suspend))),
    Series(
        "last_decision_timestamp_seconds",
        "When the last cycle was decided; before the first, when the resource was first visited.",
        lambda v, _: _time(v.decided_at),
    ),
    Series(
        "cycle_due_timestamp_seconds",
        "When the cycle in hand may begin: the end of its interval and the delay of labels. Absent after the "
        "last cycle.",
        _cycle_due,
    ),
    Series(
        "cycle_interval_seconds",
        "Length of the interval of the cycle in hand; for cycle 0, that of cycle 1.",
        _cycle_interval,
    ),
    Series(
        "budget_limit_device_seconds",
        "Each part of the budget in device-seconds, the tighter of hours and money at its price.",
        _limits,
        _PART,
    ),
    Series(
        "budget_settled_device_seconds",
        "Settled in the window, and in all, where there is such a part; reservations are not in it.",
        _settled_by_part,
        _PART,
    ),
    Series(
        "budget_window_start_timestamp_seconds",
        "When the window began; absent without one.",
        lambda v, now: _time(window_start(v.spec.budget, now)),
    ),
    Series(
        "budget_window_end_timestamp_seconds",
        "When spending in the window starts afresh; absent without a window.",
        lambda v, now: _time(window_end(v.spec.budget, now)),
    ),
    Series(
        "budget_forecast_device_seconds",
        "What will be settled at the end of the window, and of all cycles up to schedule.endTime, if each "
        f"cycle costs what the last {RECENT} did on average; absent before cycle 1 is over.",
        _forecasts,
        _PART,
    ),
    Series(
        "champion_calibration_ratio",
        "Sum of the published model's predicted probabilities over positives, when it was evaluated; absent "
        "where this process has not seen its run.",
        _calibration,
        ("digest",),
    ),
    Series(
        "champion_calibration_standard_error_ratio",
        "Standard error of that ratio, from the number of positives.",
        _calibration_error,
        ("digest",),
    ),
)
