"""Plots of one stream: what each arm saved and lost, and the operator's distance cycle by cycle."""

from __future__ import annotations

from dataclasses import dataclass

from dataefficient.report.svg import Canvas, Frame, area, nice_ticks, padded
from dataefficient.report.words import signed
from streambench.figures import LOSS_LIMIT
from streambench.results import StreamResult
from streambench.study import Arm

FRAMES = (Frame(540.0, 300.0), Frame(350.0, 270.0, narrow=True))
STYLES = {
    Arm.OPERATOR: ("s1", 0),
    Arm.RIGHT_SIZED: ("s2", 1),
    Arm.NEGATIVES: ("s3", 2),
    Arm.UNIFORM: ("s4", 3),
    Arm.ORACLE: ("k2", 0),
}
"""Colour and shape of an arm's mark."""


@dataclass(frozen=True)
class Figure:
    """A plot for wide and for narrow screens, with its words."""

    title: str
    caption: str
    legend: tuple[tuple[str, str], ...]
    """Classes of the sign, and its meaning."""
    drawings: tuple[str, ...]


def figures(stream: StreamResult) -> tuple[Figure, ...]:
    """What there is to draw of a stream."""
    return tuple(figure for figure in (trade(stream), distance(stream)) if figure is not None)


def trade(stream: StreamResult) -> Figure | None:
    """Compute against quality in the steady state; None: no arm tells both."""
    known = [
        (arm.arm, 100.0 * c.steady_working, 100.0 * c.loss.gap, 100.0 * c.loss.standard_error)
        for arm in stream.arms
        if (c := stream.of(arm.arm)) is not None and c.steady_working is not None and c.loss is not None
    ]
    if not known:
        return None
    caption = (
        "From cycle 5 on, start-up left out, everything else included. To the right is cheaper, below is "
        "better; bars are one standard error. Full data at the largest size is the origin."
    )
    drawings = []
    for frame in FRAMES:
        canvas = Canvas(frame, f"trade-{stream.name}-{'narrow' if frame.narrow else 'wide'}")
        x = padded([0.0, *(saved for _, saved, _, _ in known)])
        edges = [gap + sign * error for _, _, gap, error in known for sign in (-1, 1)]
        y = padded([0.0, 100.0 * LOSS_LIMIT, *edges])
        axes = area(canvas, x, y)
        axes.grid(
            [(t, f"{signed(t, 0)} %") for t in nice_ticks(*x, 4)],
            [(t, signed(t, 2)) for t in nice_ticks(*y, 5)],
            "compute saved",
            "log loss over the control's, %",
        )
        axes.level(100.0 * LOSS_LIMIT, "limit", "k1")
        canvas.point(axes.at(0.0, 0.0), "reference", "full data at the largest size")
        for arm, saved, gap, error in known:
            colour, shape = STYLES[arm]
            canvas.whisker(axes.x(saved), axes.y(gap - error), axes.y(gap + error), colour)
            tip = f"{arm.value}: {signed(saved, 0)} % saved, log loss {signed(gap, 3)} % (s.e. {error:.3f})"
            canvas.point(axes.at(saved, gap), colour, tip, shape, size=5.0)
        drawings.append(canvas.render("Compute saved and quality lost", caption))
    legend = tuple((f"mark{STYLES[arm][1]} {STYLES[arm][0]}", arm.value) for arm, *_ in known)
    return Figure("Compute saved and quality lost", caption, legend, tuple(drawings))


def distance(stream: StreamResult) -> Figure | None:
    """The gap to the largest control by cycle; None: fewer than two cycles."""
    lines = {
        arm: sorted((int(cycle), 100.0 * gap) for cycle, gap in c.gaps.items())
        for arm in STYLES
        if (c := stream.of(arm)) is not None and len(c.gaps) > 1
    }
    if not lines:
        return None
    caption = (
        "Relative log loss of the model that served over the largest control's, cycle by cycle. "
        "Zero is the control."
    )
    if stream.changes is not None:
        caption += f" The stream changes at the beginning of cycle {stream.changes}."
    cycles = [cycle for line in lines.values() for cycle, _ in line]
    drawings = []
    for frame in FRAMES:
        canvas = Canvas(frame, f"distance-{stream.name}-{'narrow' if frame.narrow else 'wide'}")
        x = (min(cycles) - 0.2, max(cycles) + 0.2)
        y = padded([0.0, *(gap for line in lines.values() for _, gap in line)])
        axes = area(canvas, x, y)
        step = max(1, len(set(cycles)) // 8)
        axes.grid(
            [(float(c), str(c)) for c in sorted(set(cycles))[::step]],
            [(t, signed(t, 2)) for t in nice_ticks(*y, 5)],
            "cycle",
            "log loss over the control's, %",
        )
        for arm, line in lines.items():
            colour, shape = STYLES[arm]
            canvas.line([axes.at(cycle, gap) for cycle, gap in line], colour)
            for cycle, gap in line:
                canvas.point(
                    axes.at(cycle, gap),
                    colour,
                    f"{arm.value}, cycle {cycle}: {signed(gap, 3)} %",
                    shape,
                    size=3.0,
                )
        drawings.append(canvas.render("Distance to full data", caption))
    legend = tuple((f"mark{STYLES[arm][1]} {STYLES[arm][0]}", arm.value) for arm in lines)
    return Figure("Distance to full data", caption, legend, tuple(drawings))
