"""Time zones and cron expressions as the machine knows them.

What a pattern cannot see: whether the IANA database has a zone and whether a cron expression ever
comes due.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from dataefficient.api.model import Problem


def zone_problem(name: str | None) -> Iterator[Problem]:
    """The problem of a field ``timeZone`` whose zone does not exist; nothing for None."""
    if name is None:
        return
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        yield Problem(
            ("timeZone",), name, "a time zone of the IANA database", "write it like Europe/Berlin or Etc/UTC"
        )


def cron_problem(expression: str | None) -> Iterator[Problem]:
    """The problem of a field ``cron`` that is malformed or never due; nothing for None."""
    if expression is None:
        return
    try:
        next(CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        yield Problem(("cron",), expression, "a cron expression of five fields", f"correct it: {error}")
    except StopIteration:
        yield Problem(("cron",), expression, "a cron expression that comes due", "correct day and month")
