"""How numbers are written on the page: percent, rows and spans of time."""

from __future__ import annotations

import math


def percent(share: float, *, sign: bool = False) -> str:
    """A share as percent with as many digits as it needs, e.g. ``+0.13 %``."""
    value = 100 * share
    digits = 2 if abs(value) < 10 else 0
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return f"{text} %"


def rounded_down(share: float) -> str:
    """A saving, rounded down so that it is never promised too high."""
    return f"{math.floor(100 * share + 1e-9)} %"


def rounded_up(rows: float) -> str:
    """A number of rows to two digits, never promised too low."""
    digits = max(0, len(str(int(rows))) - 2)
    return f"{math.ceil(rows / 10**digits) * 10**digits:,}"


def counted(rows: int, *, exact: bool) -> str:
    """A number of rows, to two digits where it is estimated."""
    return f"{rows:,}" if exact else f"about {rounded_up(rows)}"


def span(days: float) -> str:
    """Days, hours or minutes."""
    if days >= 2:
        return f"{days:.0f} days"
    return f"{days * 24:.0f} hours" if days * 24 >= 2 else f"{days * 1440:.0f} minutes"
