"""How the figures of a status are written for people. What is not known is a dash or nothing.

Works on the status as the API server gives it, so that one written by another version is shown too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Body = Mapping[str, Any]
ABSENT = "-"


def percent(value: object) -> str:
    """A fraction, signed where it is negative, with as many digits as say something."""
    if value is None:
        return ABSENT
    number = 100.0 * float(str(value))
    digits = 0 if abs(number) >= 9.95 else 2
    return f"{number:.{digits}f} %"


def figure(value: object) -> str:
    """A number with at most five significant digits."""
    return ABSENT if value is None else f"{float(str(value)):.5g}"


def interval(found: Body | None, write: Any = figure) -> str:
    """``0.458 (0.452 to 0.463)``; bounds only where both are known."""
    if not found or found.get("value") is None:
        return ABSENT
    text = str(write(found["value"]))
    if found.get("low") is not None and found.get("high") is not None:
        text += f" ({write(found['low'])} to {write(found['high'])})"
    return text


def with_error(found: Body | None) -> str:
    """``0.458 ± 0.0007``; the interval is that of one standard error."""
    if not found or found.get("value") is None:
        return ABSENT
    if found.get("high") is None:
        return figure(found["value"])
    error = float(str(found["high"])) - float(str(found["value"]))
    return f"{figure(found['value'])} ± {error:.2g}"


def bounds(found: Body | None) -> str:
    """``0.452 to 0.463``; nothing where they are not known."""
    if not found or found.get("low") is None or found.get("high") is None:
        return ""
    return f"{figure(found['low'])} to {figure(found['high'])}"


def plan(found: Body | None) -> str:
    """``50 % Negatives, size 16``."""
    if not found or found.get("rate") is None:
        return ABSENT
    rate = float(str(found["rate"]))
    rows = "all rows" if rate >= 1.0 else f"{100.0 * rate:.4g} % {found.get('policy', '')}".rstrip()
    return f"{rows}, size {found['size']}" if found.get("size") is not None else rows


def cost(found: Body | None, currency: str) -> str:
    """Device hours, and money where a price is known."""
    if not found:
        return ABSENT
    hours = f"{float(str(found['deviceHours'])):.4g} h"
    if found.get("money") is None:
        return hours
    return f"{hours} = {float(str(found['money'])):.4g} {currency}"


def price(found: Body | None, currency: str) -> str:
    """Money where a price is known, else device hours."""
    if found and found.get("money") is not None:
        return f"{float(str(found['money'])):.4g} {currency}"
    return cost(found, currency)


def moment(value: object) -> str:
    """An instant in UTC, to the minute."""
    return f"{read_time(value):%Y-%m-%d %H:%M}" if value else ABSENT


def since(value: object, now: datetime) -> str:
    """How long ago, in one unit, as kubectl writes it."""
    seconds = max((now - read_time(value)).total_seconds(), 0.0)
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "m")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


def read_time(value: object) -> datetime:
    """An instant as the API server writes it."""
    return datetime.fromisoformat(str(value).replace("Z", "+00:00")).astimezone(UTC)


def condition(body: Body, kind: str) -> Body:
    """A condition of a resource; empty where it is not set."""
    found = (body.get("status") or {}).get("conditions") or []
    return next((c for c in found if c.get("type") == kind), {})


def with_word(again: str, word: str) -> str:
    """The name of a resource in another command, with one more argument behind the name."""
    name, _, options = again.partition(" ")
    return f"{name} {word} {options}".rstrip()
