"""The result as text for a terminal."""

from __future__ import annotations

import textwrap

from streambench.figures import Comparison
from streambench.goals import goals
from streambench.results import Result, StreamResult
from streambench.study import Arm

COLUMNS = (
    "stream",
    "arm",
    "seconds",
    "steady",
    "w/o start-up",
    "in all",
    "w/o start-up",
    "vs right-sized",
    "log loss",
    "s.e.",
    "95 % bound",
    "AUC",
    "calibration",
    "even",
)
LEGEND = (
    "seconds = device time of the whole life. Shares of compute saved against full data at the largest size: "
    "steady = cycle 5 and later, in all = history, search and evaluation included; vs right-sized = steady, "
    "without start-up, against the right-sized control. Log loss, AUC, calibration: difference to the "
    "largest control from cycle 5 on, all rows. even = first cycle from whose end on less was spent in all; "
    "arms that search nothing have none."
)
WIDTH = 110


def render(result: Result) -> str:
    """The table, the goals, and what is missing."""
    lines = [COLUMNS, *(row for s in result.streams for row in rows(s))]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    body = [
        "  ".join(
            cell.ljust(w) if i < 2 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    machine = result.machine
    head = (
        f"{result.settings.name} benchmark, {result.date:%Y-%m-%d %H:%M} UTC, commit {result.commit}, "
        f"{machine.cpu}, {machine.cores} cores, {result.workers} at once, load {result.load:.1f}"
    )
    told = [f"{g.verdict.value:12}  {g.what}: {g.asked}\n{'':14}{g.told}" for g in goals(result)]
    missing = [f"{s.name}: {m}" for s in result.streams for m in s.missing]
    parts = [
        head,
        result.note,
        body[0],
        "  ".join("-" * w for w in widths),
        *body[1:],
        "",
        textwrap.fill(LEGEND, WIDTH),
        "",
        *told,
    ]
    if missing:
        parts += ["", "Not measured:", *missing]
    return "\n".join(part.rstrip() for part in parts) + "\n"


def rows(stream: StreamResult) -> list[tuple[str, ...]]:
    """One line an arm."""
    found = []
    for arm in stream.arms:
        largest = arm.against.get(Arm.LARGEST.value)
        sized = arm.against.get(Arm.RIGHT_SIZED.value)
        figures = cells(largest, sized, searches=arm.arm is Arm.OPERATOR)
        found.append((stream.name, arm.arm.value, f"{arm.seconds:.0f}", *figures))
    return found


def cells(c: Comparison | None, sized: Comparison | None, *, searches: bool) -> tuple[str, ...]:
    """The figures of one arm, as text."""
    if c is None:
        return ("-",) * (len(COLUMNS) - 3)
    loss = c.loss
    even = "-" if not searches else "never" if c.break_even is None else str(c.break_even)
    return (
        share(c.steady),
        share(c.steady_working),
        share(c.whole),
        share(c.whole_working),
        share(sized.steady_working if sized else None),
        "-" if loss is None else f"{100 * loss.gap:+.3f} %",
        "-" if loss is None else f"{100 * loss.standard_error:.3f}",
        "-" if loss is None else f"{100 * loss.upper:+.3f}",
        "-" if c.auc is None else f"{c.auc:+.4f}",
        "-" if c.calibration is None else f"{100 * c.calibration:+.2f} %",
        even,
    )


def share(value: float | None) -> str:
    """A share of compute, in signed percent."""
    return "-" if value is None else f"{100 * value:+.0f} %"
