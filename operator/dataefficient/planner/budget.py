"""How much of the budget is left, in device-seconds.

Every part of the budget that is given holds, and the tightest decides. Money is turned into
device-seconds by the price, so that the rest of the planner knows one unit. Spending itself is the
ledger's; a reservation counts as spent here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dataefficient.api.compute import Budget, BudgetPart, Period

HOUR = 3600.0


@dataclass(frozen=True)
class Spending:
    """Device-seconds that count against each part: settled and reserved together."""

    total: float
    cycle: float
    window: float


@dataclass(frozen=True)
class Headroom:
    """Device-seconds that may still be spent, and the part of the budget that says so."""

    seconds: float | None
    """None: no bound."""
    part: str


def window_start(budget: Budget, now: datetime) -> datetime | None:
    """Begin of the tumbling window that ``now`` lies in, by wall clock, in UTC; None without a window."""
    start = _local_start(budget, now)
    # In UTC, because a local time that occurs twice equals none of another zone, not even itself.
    return None if start is None else start.astimezone(UTC)


def window_end(budget: Budget, now: datetime) -> datetime | None:
    """End of that window, in UTC: when spending starts afresh."""
    start = _local_start(budget, now)
    if budget.window is None or start is None:
        return None
    if budget.window.period is Period.MONTH:
        end = (start.replace(day=28) + timedelta(days=4)).replace(day=1)
    else:
        end = start + timedelta(days=7 if budget.window.period is Period.WEEK else 1)
    return end.astimezone(UTC)


def _local_start(budget: Budget, now: datetime) -> datetime | None:
    if budget.window is None:
        return None
    local = now.astimezone(ZoneInfo(budget.window.time_zone or "Etc/UTC"))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if budget.window.period is Period.WEEK:
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if budget.window.period is Period.MONTH else midnight


def headroom(budget: Budget, price_per_hour: float | None, spending: Spending, cycle: int) -> Headroom:
    """The least that any part of the budget leaves.

    Args:
        price_per_hour: price of one device for one hour; None is allowed only without money budgets.
    """
    parts: list[tuple[str, BudgetPart | None, float]] = [
        ("budget.initial", budget.initial if cycle == 0 else None, spending.cycle),
        ("budget.perCycle", budget.per_cycle if cycle > 0 else None, spending.cycle),
        ("budget.total", budget.total, spending.total),
        ("budget.window", budget.window, spending.window),
    ]
    best = Headroom(None, "")
    for name, part, spent in parts:
        for cap, unit in _caps(part, price_per_hour):
            left = max(cap - spent, 0.0)
            if best.seconds is None or left < best.seconds:
                best = Headroom(left, f"{name}.{unit}")
    return best


def _caps(part: BudgetPart | None, price_per_hour: float | None) -> list[tuple[float, str]]:
    caps = []
    if part is not None and part.device_hours is not None:
        caps.append((float(part.device_hours) * HOUR, "deviceHours"))
    if part is not None and part.money is not None and price_per_hour:
        caps.append((float(part.money) / price_per_hour * HOUR, "money"))
    return caps
