"""Which interval of the stream each cycle trains on, and when it may begin.

Pure arithmetic on the declared schedule: nothing here knows the present time. Intervals join without gap
or overlap, so every event belongs to exactly one cycle.
"""

from __future__ import annotations

import itertools
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cronsim import CronSim

from dataefficient.api.spec import Schedule

_TICKS = 256
"""Ticks of a cron expression that are computed and remembered together."""


@dataclass(frozen=True)
class Interval:
    """Event time in [start, end), in UTC."""

    start: datetime
    end: datetime


def interval(schedule: Schedule, cycle: int) -> Interval | None:
    """The interval of ``cycle``: 0 is the history before ``startTime``, k >= 1 the k-th period after it.

    With ``cron`` a period ends at each tick; the first one begins at ``startTime`` and so may be shorter.
    None when the period would end after ``endTime``: a part of a period is not run.

    Raises:
        ValueError: ``cycle`` is negative.
    """
    if cycle < 0:
        raise ValueError(f"cycle {cycle} is negative")
    if cycle == 0:
        return Interval(schedule.history_from, schedule.start_time)
    start, end = _boundary(schedule, cycle - 1), _boundary(schedule, cycle)
    if schedule.end_time is not None and end > schedule.end_time:
        return None
    return Interval(start, end)


def whole_period(schedule: Schedule) -> Interval:
    """The first period that is not cut short, run or not: it tells how long a cycle is."""
    # A cron's first period begins at ``startTime``, wherever its ticks lie.
    number = 1 if schedule.cron is None else 2
    return Interval(_boundary(schedule, number - 1), _boundary(schedule, number))


def due(schedule: Schedule, cycle: int) -> datetime:
    """When ``cycle`` may begin: the end of its interval plus ``labelDelaySeconds``.

    Raises:
        ValueError: the schedule has no such cycle.
    """
    period = interval(schedule, cycle)
    if period is None:
        raise ValueError(f"cycle {cycle} lies after endTime")
    return period.end + timedelta(seconds=schedule.label_delay_seconds)


def _boundary(schedule: Schedule, number: int) -> datetime:
    if number == 0:
        return schedule.start_time
    if schedule.cron is None:
        assert schedule.every_seconds is not None, "a valid schedule has everySeconds or cron"
        return schedule.start_time + timedelta(seconds=schedule.every_seconds * number)
    blocks, position = divmod(number - 1, _TICKS)
    zone = schedule.time_zone or "Etc/UTC"
    start = schedule.start_time
    for _ in range(blocks):
        start = _ticks(schedule.cron, zone, start)[-1]
    return _ticks(schedule.cron, zone, start)[position]


@lru_cache(maxsize=4096)
def _ticks(cron: str, zone: str, after: datetime) -> tuple[datetime, ...]:
    """The next ticks after an instant, in UTC, strictly ascending."""
    ticks = CronSim(cron, after.astimezone(zoneinfo.ZoneInfo(zone)))
    return tuple(tick.astimezone(UTC) for tick in itertools.islice(ticks, _TICKS))
