"""The goals of the benchmark, each judged from a result: reached, missed, or not measured.

The goals are about settings that no stream was given for itself. A goal about all streams is reached only if
every stream that was measured reaches it; the sentence says which ones do not, and by how much.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from streambench import figures
from streambench.figures import CONFIDENCE, LOSS_LIMIT, UPPER_LIMIT
from streambench.results import Result, StreamResult
from streambench.study import Arm

IN_ALL = "in all"
NOTCH = 2.0
"""Ratio of neighbouring rates of the operator's ladder."""


class Verdict(enum.StrEnum):
    """How a goal stands."""

    REACHED = "reached"
    MISSED = "missed"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Goal:
    """One goal and how it stands."""

    what: str
    asked: str
    verdict: Verdict
    told: str
    """Stream by stream."""


def goals(result: Result) -> tuple[Goal, ...]:
    """All goals that this benchmark measures."""
    streams = result.streams
    nothing = [s for s in streams if s.oracle is not None and s.oracle.is_control]
    return (
        _saving(streams, "from data alone", Arm.LARGEST, 0.70),
        _saving(streams, "with size", Arm.LARGEST, 0.85),
        _saving(streams, "with size", Arm.RIGHT_SIZED, 0.50),
        _saving(streams, IN_ALL, Arm.LARGEST, 0.50),
        _against_oracle(streams),
        _search(streams),
        _no_harm(nothing),
        _sudden(streams),
        _controls(streams),
    )


Part = tuple[str, bool | None, str]
"""A stream, whether it reaches the goal (None: it does not count), and what was measured."""


def _each(what: str, asked: str, parts: Iterable[Part | None]) -> Goal:
    known = [part for part in parts if part is not None]
    counted = [reached for _, reached, _ in known if reached is not None]
    told = "; ".join(f"{name} {words}" for name, _, words in known) or "no stream tells"
    if not counted:
        return Goal(what, asked, Verdict.NOT_MEASURED, told)
    return Goal(what, asked, Verdict.REACHED if all(counted) else Verdict.MISSED, told)


def _saving(streams: Sequence[StreamResult], scope: str, control: Arm, least: float) -> Goal:
    def part(s: StreamResult) -> Part | None:
        found = s.of(Arm.OPERATOR, control)
        if found is None:
            return None
        if s.oracle is not None and s.oracle.is_control:
            return s.name, None, "has nothing to save by the oracle"
        value, working = found.steady, found.steady_working
        even = ""
        if scope == IN_ALL:
            value, working = found.whole, found.whole_working
            even = ", never even" if found.break_even is None else f", even in cycle {found.break_even}"
        if value is None:
            return None
        told = f"{value:+.0%}" + (f" ({working:+.0%} without start-up)" if working is not None else "") + even
        harmless = figures.within(found) and found.loss is not None and found.loss.upper <= UPPER_LIMIT
        return s.name, value >= least and harmless, told + ("" if harmless else ", outside limits")

    what = scope if scope == IN_ALL else f"steady state, {scope}"
    return _each(
        f"{what}, against the {control.value}", f">= {least:.0%} saved, within limits", map(part, streams)
    )


def _against_oracle(streams: Sequence[StreamResult]) -> Goal:
    what = "plan in force against the oracle, without search"
    asked = "median <= 10 % more compute, worst one notch (a factor of two)"
    ratios = {s.name: s.oracle.plan_ratio for s in streams if s.oracle is not None}
    known = {name: ratio for name, ratio in ratios.items() if ratio is not None}
    if not known:
        return Goal(what, asked, Verdict.NOT_MEASURED, "no stream tells")
    middle = median(known.values())
    told = f"median {middle - 1:+.0%}: " + "; ".join(f"{name} {r - 1:+.0%}" for name, r in known.items())
    reached = middle <= 1.10 and max(known.values()) <= NOTCH
    return Goal(what, asked, Verdict.REACHED if reached else Verdict.MISSED, told)


def _search(streams: Sequence[StreamResult]) -> Goal:
    def part(s: StreamResult) -> Part | None:
        if s.operator is None:
            return None
        control, grid = s.operator.search_of_control, s.operator.search_of_grid
        told = f"{control:.0%} of the control" + (f", {grid:.0%} of the grid" if grid is not None else "")
        return s.name, control <= 0.1 and (grid is None or grid <= 0.1), told

    return _each("search spend", "<= 10 % of the control and of the grid", map(part, streams))


def _no_harm(streams: Sequence[StreamResult]) -> Goal:
    def part(s: StreamResult) -> Part | None:
        found = s.of(Arm.OPERATOR)
        if found is None or found.loss is None:
            return None
        reached = found.loss.gap <= 0.0005 and found.loss.upper <= 0.0015 and -found.whole <= _overhead(s)
        return s.name, reached, f"log loss {found.loss.gap:+.2%}, {-found.whole:+.0%} spent in all"

    asked = "loss <= 0.05 %, bound <= 0.15 %, overhead <= 10 % over 5 cycles, <= 5 % over 20"
    return _each("streams where nothing can be saved", asked, map(part, streams))


def _overhead(stream: StreamResult) -> float:
    return 0.05 if stream.cycles >= 20 else 0.10


def _sudden(streams: Sequence[StreamResult]) -> Goal:
    def part(s: StreamResult) -> Part | None:
        found = s.of(Arm.OPERATOR)
        if s.changes is None or found is None:
            return None
        # The model that serves in the cycle of the change has seen none of it; the next one has.
        gaps = [found.gaps.get(str(s.changes + i)) for i in (1, 2, 3)]
        first, *later = gaps
        known = [gap for gap in later if gap is not None]
        if first is None or not known:
            return None
        told = "gap by cycle after it " + ", ".join("-" if g is None else f"{g:+.2%}" for g in gaps)
        return s.name, min(known) <= max(LOSS_LIMIT, first), told

    return _each("after a sudden change", "the gap shrinks again within two cycles", map(part, streams))


def _controls(streams: Sequence[StreamResult]) -> Goal:
    def part(s: StreamResult) -> Part | None:
        if s.tuning is None or s.tuning.linear is None:
            return None
        linear = s.tuning.linear
        told = f"{linear.gap:+.2%} (s.e. {linear.standard_error:.2%})"
        return s.name, linear.upper(CONFIDENCE) < 0.0, told

    return _each(
        "the tuned control against a linear model", "better on the history's end, at 95 %", map(part, streams)
    )
