"""The four key figures at the head of the page: compute for the whole life and lately, money, quality.

All are against full data at the largest size. Where no control measured them they are extrapolated, which the
line above them says; a figure that is neither is missing, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dataefficient.report import words
from dataefficient.report.sentences import metric
from dataefficient.report.statement import Comparison, Difference, Estimate, Expected, Saving, Statement

NOT_MEASURED = "not measured"
COMPUTE, STEADY, MONEY = "Compute, whole life", "Compute, steady state", "Money, whole life"


@dataclass(frozen=True)
class Tile:
    """One key figure: what, how much, how sure, and the two numbers behind it."""

    label: str
    value: str
    interval: str
    detail: str
    measured: bool = True


def against(statement: Statement) -> str:
    """What the tiles are held against, and whether that was measured."""
    largest = statement.comparisons[0]
    if largest.measured:
        return f"Against {largest.description}, measured {largest.reason}:"
    if largest.expected is not None:
        first, last = largest.expected.cycles
        reach = words.span(tuple(range(first, last + 1)))
        return f"Against {largest.description}, extrapolated over {reach}, since no control was run:"
    return ""


def tiles(statement: Statement) -> tuple[Tile, ...]:
    """The key figures."""
    largest, aim = statement.comparisons[0], statement.aim
    whole, steady = largest.whole, largest.steady
    return (
        _whole(largest),
        _absent(STEADY, largest.reason) if steady is None else _steady(steady),
        _money(statement, whole or largest.expected),
        _quality(statement, f"{metric(aim).capitalize()}, whole life"),
    )


def _whole(largest: Comparison) -> Tile:
    if largest.whole is not None:
        ours, theirs = largest.whole.ours.seconds, largest.whole.theirs.seconds
        return _tile(COMPUTE, largest.whole.compute, words.change, _instead(ours, theirs, words.compute))
    found = largest.expected
    if found is None:
        return _absent(COMPUTE, largest.reason)
    detail = _instead(found.ours, found.theirs, words.compute)
    return _tile(COMPUTE, found.compute, words.change, detail, coverage=80)


def _steady(steady: Saving) -> Tile:
    each = len(steady.cycles)
    detail = _instead(steady.ours.seconds / each, steady.theirs.seconds / each, words.compute, "a cycle ")
    return _tile(STEADY, steady.compute, words.change, detail)


def _money(statement: Statement, found: Saving | Expected | None) -> Tile:
    aim = statement.aim
    if found is None or aim.price is None:
        why = "the resource gives no price" if aim.price is None else statement.comparisons[0].reason
        return _absent(MONEY, why)
    assert found.money is not None, "there is a price"
    ours, theirs, coverage = (
        (found.ours, found.theirs, 80)
        if isinstance(found, Expected)
        else (found.ours.seconds, found.theirs.seconds, 95)
    )
    rate = aim.price / 3600.0

    def write(amount: float) -> str:
        return words.money(amount, aim.currency)

    detail = _instead(ours * rate, theirs * rate, write)
    return _tile(MONEY, found.money, lambda e: words.gain(e, aim.currency), detail, coverage=coverage)


def _quality(statement: Statement, label: str) -> Tile:
    largest, aim, far = statement.comparisons[0], statement.aim, statement.distance
    allowed = "" if aim.tolerance is None else f"{words.fraction(aim.tolerance)} allowed"
    if largest.kpi is not None:
        return _measured_quality(largest.kpi, label, allowed)
    if largest.measured or far is None:
        return _absent(label, largest.kpi_reason or largest.reason)
    bound = f"at most {words.number(100.0 * far.bound, 2)} % worse ({100.0 * far.confidence:.3g} % bound)"
    source = "by trials and control branches"
    value = words.worse(Estimate(far.value))
    return Tile(label, value, bound, f"{allowed}; {source}" if allowed else source)


def _measured_quality(kpi: Difference, label: str, allowed: str) -> Tile:
    low, high = kpi.value.low, kpi.value.high
    spread = "spread not known: too few blocks"
    if low is not None and high is not None:
        low_text, high_text = (words.signed(100.0 * bound, 2) for bound in (low, high))
        spread = f"95 % interval {low_text} to {high_text}"
    return Tile(label, words.worse(kpi.value), spread, f"{allowed}; above zero is worse".removeprefix("; "))


def _instead(ours: float, theirs: float, write: Callable[[float], str], each: str = "") -> str:
    return f"{write(ours)} {each}instead of {write(theirs)}"


def _tile(
    label: str,
    estimate: Estimate,
    write: Callable[[Estimate], tuple[str, str]],
    detail: str,
    coverage: int = 95,
) -> Tile:
    value, spread = write(estimate)
    sure = f"{coverage} % interval {spread}" if spread else "spread not known: too few runs"
    return Tile(label, value, sure, detail)


def _absent(label: str, reason: str) -> Tile:
    return Tile(label, NOT_MEASURED, reason.removeprefix(f"{NOT_MEASURED}: "), "", measured=False)
