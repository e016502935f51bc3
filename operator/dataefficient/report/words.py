"""How figures are written for people: one place, so that terminal and page agree.

Units stand beside each number, signs are explicit where a difference is meant, and what is absent is
a dash. Nothing is rounded before it is used: only here.
"""

from __future__ import annotations

from math import floor, log10

from dataefficient.planner.knobs import Point
from dataefficient.report.statement import Estimate

ABSENT = "–"
MINUS = "−"


def number(value: float, digits: int) -> str:
    """A number with a fixed count of decimals and a typographic minus; never a negative zero."""
    text = f"{abs(value):,.{digits}f}"
    zero = not any(c in "123456789" for c in text)
    return text if value >= 0 or zero else MINUS + text


def signed(value: float, digits: int) -> str:
    """As :func:`number`, with a plus sign."""
    text = number(value, digits)
    zero = not any(c in "123456789" for c in text)
    return text if zero or text.startswith(MINUS) else "+" + text


def share(value: float) -> str:
    """A fraction of compute as whole percent; one decimal below ten."""
    percent = 100.0 * value
    return number(percent, 1 if abs(percent) < 9.95 else 0) + " %"


def difference(value: float, digits: int = 2) -> str:
    """A relative difference in signed percent."""
    return signed(100.0 * value, digits) + " %"


def fraction(value: float) -> str:
    """A tolerance or rate in percent, as few digits as it needs."""
    return f"{100.0 * value:.4g} %"


def share_interval(estimate: Estimate | None) -> str:
    """``62 % (55 to 68)``, with a decimal where the interval is narrower than two points."""
    if estimate is None:
        return ABSENT
    if estimate.low is None or estimate.high is None:
        return share(estimate.value)
    narrow = estimate.high - estimate.low < 0.02 or abs(estimate.value) < 0.0995
    digits = 1 if narrow else 0
    low, high = (number(100.0 * bound, digits) for bound in (estimate.low, estimate.high))
    return f"{number(100.0 * estimate.value, digits)} % ({low} to {high})"


def difference_interval(estimate: Estimate | None, digits: int = 2) -> str:
    """``+0.03 % (-0.02 to +0.08)``."""
    if estimate is None:
        return ABSENT
    return difference(estimate.value, digits) + _bounds(estimate, lambda v: signed(100.0 * v, digits))


def change(saved: Estimate) -> tuple[str, str]:
    """How much less or more than a control, and the interval of it: ``24 % less``, ``22 to 25 % less``.

    Where the interval holds zero, timing cannot tell: it is ``about as much``.
    """
    value = f"{share(abs(saved.value))} {_direction(saved.value)}"
    if saved.low is None or saved.high is None:
        return value, ""
    low, high = saved.low, saved.high
    digits = 1 if high - low < 0.02 else 0

    def percent(bound: float) -> str:
        return number(100.0 * abs(bound), digits)

    if low <= 0.0 <= high:
        return "about as much", f"{percent(low)} % more to {percent(high)} % less"
    inner, outer = sorted((abs(low), abs(high)))
    return value, f"{percent(inner)} to {percent(outer)} % {_direction(saved.value)}"


def gain(saved: Estimate, currency: str) -> tuple[str, str]:
    """The same of money: ``12.40 USD saved``."""
    value = f"{money(abs(saved.value), currency)} {'saved' if saved.value >= 0.0 else 'more'}"
    if saved.low is None or saved.high is None:
        return value, ""

    def amount(bound: float) -> str:
        return money(abs(bound), currency).removesuffix(f" {currency}")

    if saved.low < 0.0 < saved.high:
        return value, f"{amount(saved.low)} more to {amount(saved.high)} saved"
    inner, outer = sorted((abs(saved.low), abs(saved.high)))
    return value, f"{amount(inner)} to {amount(outer)} {'saved' if saved.value >= 0.0 else 'more'}"


def worse(difference: Estimate) -> str:
    """A relative difference of a loss in words: ``0.07 % worse``, or ``the same``."""
    if abs(difference.value) < 0.00005:
        return "the same"
    text = number(abs(100.0 * difference.value), 2)
    return f"{text} % {'worse' if difference.value > 0.0 else 'better'}"


def _direction(saved: float) -> str:
    return "less" if saved >= 0.0 else "more"


def plain_interval(estimate: Estimate | None, digits: int) -> str:
    """Value and bounds in the figure's own unit."""
    if estimate is None:
        return ABSENT
    return signed(estimate.value, digits) + _bounds(estimate, lambda v: signed(v, digits))


def _bounds(estimate: Estimate, write: object) -> str:
    if estimate.low is None or estimate.high is None or not callable(write):
        return ""
    return f" ({write(estimate.low)} to {write(estimate.high)})"


def compute(seconds: float) -> str:
    """Device time in the unit that suits it."""
    size = abs(seconds)
    if size < 99.5:
        return number(seconds, 1 if size < 9.95 else 0) + " s"
    if size < 5970.0:
        return number(seconds / 60.0, 1) + " min"
    hours = seconds / 3600.0
    return number(hours, 1 if abs(hours) < 99.95 else 0) + " h"


def money(value: float, currency: str) -> str:
    """An amount with two significant digits below one unit, else cents."""
    size = abs(value)
    digits = 2 if size >= 1.0 or size == 0.0 else min(9, 1 - floor(log10(size)))
    return f"{number(value, digits)} {currency}"


def rows(count: float | None) -> str:
    """A number of rows, short."""
    if count is None:
        return ABSENT
    if count >= 999_500:
        return number(count / 1e6, 2 if count < 9.995e6 else 1) + " M"
    if count >= 9_950:
        return number(count / 1e3, 0) + " k"
    return number(count, 0)


def level(value: float | None) -> str:
    """The level of a metric."""
    return ABSENT if value is None else number(value, 5)


def plan(point: Point | None) -> str:
    """A plan in a few words."""
    if point is None:
        return ABSENT
    return f"{rate(point)}, size {point.size}"


def rate(point: Point) -> str:
    """Rate and policy."""
    if point.rate >= 1.0:
        return "all rows"
    names = {"Uniform": "uniform", "Negatives": "negatives", "ScoredNegatives": "scored negatives"}
    return f"{fraction(point.rate)} {names[point.policy.value]}"


def ending(count: int, noun: str) -> str:
    """``1 cycle``, ``2 cycles``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def span(cycles: tuple[int, ...]) -> str:
    """``cycle 3``, ``cycles 1-8`` or a list."""
    if not cycles:
        return "no cycle"
    if len(cycles) == 1:
        return f"cycle {cycles[0]}"
    if cycles == tuple(range(cycles[0], cycles[-1] + 1)):
        return f"cycles {cycles[0]}–{cycles[-1]}"
    return "cycles " + ", ".join(map(str, cycles))
