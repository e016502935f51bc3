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
    "against",
    "seconds",
    "steady",
    "w/o start-up",
    "in all",
    "w/o start-up",
    "log loss",
    "s.e.",
    "95 % bound",
    "AUC",
    "calibration",
    "even",
)
LEGEND = (
    "seconds = device time of the whole life. Shares of compute saved against full data, at the largest "
    "size or at the right one: steady = cycle 5 and later, in all = history, search and evaluation included. "
    "Log loss, AUC, calibration: difference to the same control from cycle 5 on, all rows. even = first "
    "cycle from whose end on less was spent in all; arms that search nothing have none."
)
SHOWN = {Arm.LARGEST: tuple(Arm), Arm.RIGHT_SIZED: (Arm.OPERATOR, Arm.ORACLE)}
"""Arms that are shown against each control; the saved result has all."""
WIDTH = 110


def render(result: Result) -> str:
    """The table, the goals, and what is missing."""
    lines = [COLUMNS, *(row for s in result.streams for row in rows(s))]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    body = [
        "  ".join(
            cell.ljust(w) if i < 3 else cell.rjust(w)
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
    """The lines of a stream: the largest control's cost, then arms against both controls."""
    found = []
    for control, shown in SHOWN.items():
        for arm in stream.arms:
            if arm.arm is Arm.LARGEST and control is Arm.LARGEST:
                found.append(
                    (stream.name, arm.arm.value, "", f"{arm.seconds:.0f}", *("",) * (len(COLUMNS) - 4))
                )
            elif arm.arm in shown and (c := arm.against.get(control.value)) is not None:
                figures = cells(c, searches=arm.arm is Arm.OPERATOR)
                against = control.value.removesuffix(" control")
                found.append((stream.name, arm.arm.value, against, f"{arm.seconds:.0f}", *figures))
    return found


def cells(c: Comparison, *, searches: bool) -> tuple[str, ...]:
    """The figures of one comparison, as text."""
    loss = c.loss
    even = "-" if not searches else "never" if c.break_even is None else str(c.break_even)
    return (
        share(c.steady),
        share(c.steady_working),
        share(c.whole),
        share(c.whole_working),
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
