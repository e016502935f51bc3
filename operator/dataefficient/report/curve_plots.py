"""Plots about how much data it takes: the learning curve and the rates.

Each gives a :class:`Figure` with a drawing for wide and one for narrow screens, or says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dataefficient.contract import Policy
from dataefficient.planner.knobs import Point
from dataefficient.report.sentences import convergence as convergence_sentence
from dataefficient.report.sentences import metric
from dataefficient.report.statement import Converged, Harm, Statement
from dataefficient.report.svg import Axes, Canvas, Frame, area, log_ticks, nice_ticks, padded
from dataefficient.report.words import difference_interval, fraction, number, plan, rows

WIDE = Frame(540.0, 300.0)
NARROW = Frame(350.0, 270.0, narrow=True)
POLICIES = {Policy.UNIFORM: "s1", Policy.NEGATIVES: "s2", Policy.SCORED_NEGATIVES: "s3"}
NAMES = {
    Policy.UNIFORM: "uniform",
    Policy.NEGATIVES: "negatives",
    Policy.SCORED_NEGATIVES: "scored negatives",
}


@dataclass(frozen=True)
class Figure:
    """A plot with its words; without ``drawings`` there is nothing to show and ``caption`` says why."""

    name: str
    title: str
    caption: str
    legend: tuple[tuple[str, str], ...] = ()
    """CSS class of the swatch, and its meaning."""
    drawings: tuple[str, ...] = ()
    full_width: bool = False


def drawn(
    name: str,
    title: str,
    caption: str,
    draw: Callable[[Canvas], None],
    legend: Sequence[tuple[str, str]] = (),
    *,
    frames: tuple[Frame, Frame] = (WIDE, NARROW),
    full_width: bool = False,
) -> Figure:
    """The figure with both of its drawings."""
    drawings = []
    for frame in frames:
        canvas = Canvas(frame, f"{name}-{'narrow' if frame.narrow else 'wide'}")
        draw(canvas)
        drawings.append(canvas.render(title, caption))
    return Figure(name, title, caption, tuple(legend), tuple(drawings), full_width)


def learning_curve(statement: Statement) -> Figure:
    """How much history is enough: measured cold starts, the fitted curve, the convergence point."""
    name, title = "curve", "How much history is enough"
    found = statement.convergence
    if found is None or not found.rungs:
        reason = found.reason if found is not None else "no part of the history was trained on by itself"
        return Figure(name, title, f"There is no curve to show: {reason}.")
    caption = (
        f"{convergence_sentence(found)} Each point is a model trained from nothing on the end of the history "
        "and scored on the same later rows, so their differences are known better than their level."
    )
    legend = [("dot s1", "measured")]
    if found.curve:
        legend += [("stroke s1", "fitted"), ("area s1", "80 % interval")]
    if found.point is not None:
        legend.append(("stroke s2", "converged, 80 % interval"))
    return drawn(
        name, title, caption, lambda canvas: _learning_curve(canvas, found, metric(statement.aim)), legend
    )


def _learning_curve(canvas: Canvas, found: Converged, label: str) -> None:
    examples = [r.examples for r in found.rungs] + [p.examples for p in found.curve]
    losses = [r.loss for r in found.rungs] + [v for p in found.curve for v in (p.low, p.high)]
    low, high = min(examples) / 1.15, max(examples) * 1.15
    y = padded(losses)
    axes = area(canvas, (low, high), y, log_x=True)
    x_ticks = log_ticks(low, high, 5 if canvas.frame.narrow else 8)
    axes.grid([(t, rows(t)) for t in x_ticks], labelled(nice_ticks(*y, 5)), "rows of history", label)
    end = canvas.clipped(axes.x.start, axes.y.end, axes.x.end - axes.x.start, axes.y.start - axes.y.end)
    if found.point is not None:
        if found.low is not None and found.high is not None:
            left, right = axes.x(max(found.low, low)), axes.x(min(found.high, high))
            canvas.rect((left, axes.y.end), (right - left, axes.y.start - axes.y.end), "band s2")
        x = axes.x(found.point)
        canvas.line([(x, axes.y.start), (x, axes.y.end)], "s2", f"converged at {rows(found.point)} rows")
    canvas.band(
        [axes.at(p.examples, p.high) for p in found.curve],
        [axes.at(p.examples, p.low) for p in found.curve],
        "s1",
    )
    canvas.line([axes.at(p.examples, p.mean) for p in found.curve], "s1")
    for rung in found.rungs:
        error = number(rung.standard_error, 5)
        tip = f"{rows(rung.examples)} rows: {number(rung.loss, 5)}, standard error {error}"
        canvas.point(axes.at(rung.examples, rung.loss), "s1", tip)
    end()
    if found.point is not None:
        x = axes.x(found.point)
        right = x > (axes.x.start + axes.x.end) / 2
        at = (x - 6 if right else x + 6, axes.y.end + 12)
        canvas.text(at, f"{rows(found.point)} rows", "name s2", "end" if right else "start")


def labelled(ticks: Sequence[float]) -> list[tuple[float, str]]:
    """Ticks with as many decimals as tell them apart."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    digits = next((d for d in range(7) if abs(round(step, d) - step) < step * 1e-6), 7)
    return [(t, number(t, digits)) for t in ticks]


def rate_curve(statement: Statement) -> Figure:
    """What sampling costs in quality: gap to the reference by rate, one line for each policy and size."""
    name, title = "rates", "What training on fewer rows costs in quality"
    if not statement.rates:
        return Figure(name, title, "Not measured: no plan but the reference has been compared yet.")
    tolerance = statement.aim.tolerance
    largest = statement.aim.sizes[-1]
    caption = (
        f"Gap in {metric(statement.aim)} to all rows at size {largest}, by share of rows trained on. Bars "
        "are 95 % intervals from all comparisons of that plan. A plan is used only once its upper bound lies "
        "inside the tolerance."
    )
    sizes = sorted({h.point.size for h in statement.rates})
    legend = [
        (f"mark{sizes.index(size) % 4} {POLICIES[policy]}", f"{NAMES[policy]}, size {size}")
        for policy, size in sorted(
            {(h.point.policy, h.point.size) for h in statement.rates if h.point.rate < 1.0}
        )
    ]
    legend += [
        (f"mark{sizes.index(h.point.size) % 4} s5", f"all rows, size {h.point.size}")
        for h in statement.rates
        if h.point.rate >= 1.0
    ]
    if tolerance is not None:
        legend.append(("dash s4", f"tolerance {fraction(tolerance)}"))
    return drawn(name, title, caption, lambda canvas: _rate_curve(canvas, statement, sizes), legend)


def _rate_curve(canvas: Canvas, statement: Statement, sizes: list[int]) -> None:
    harms, tolerance = statement.rates, statement.aim.tolerance
    limit = max([2.0 * (tolerance or 0.0), *(1.2 * abs(h.gap.value) for h in harms)])
    bounds = [
        100.0 * b for h in harms for b in (h.gap.low, h.gap.high) if b is not None and abs(b) <= 2 * limit
    ]
    y = padded([0.0, 100.0 * (tolerance or 0.0), *(100.0 * h.gap.value for h in harms), *bounds])
    rates = sorted({h.point.rate for h in harms} | {1.0})
    axes = area(canvas, (rates[0] / 1.25, rates[-1] * 1.2), y, log_x=True)
    axes.grid(
        [(r, fraction(r)) for r in rates],
        labelled(nice_ticks(*y, 5)),
        "share of rows trained on",
        "gap to the reference, %",
    )
    canvas.add("path", "axis", d=f"M{axes.x.start:.1f} {axes.y(0.0):.1f}H{axes.x.end:.1f}")
    if tolerance is not None:
        axes.level(100.0 * tolerance, f"tolerance {fraction(tolerance)}", "s4 dashed")
    keys = sorted({(h.point.policy, h.point.size) for h in harms})
    end = canvas.clipped(axes.x.start, axes.y.end, axes.x.end - axes.x.start, axes.y.start - axes.y.end)
    for i, key in enumerate(keys):
        series = [h for h in harms if (h.point.policy, h.point.size) == key and h.point.rate < 1.0]
        anchor = [h.gap.value for h in harms if h.point.size == key[1] and h.point.rate >= 1.0]
        if key[1] == statement.aim.sizes[-1]:
            anchor = [0.0]
        dodge = (i - (len(keys) - 1) / 2) * 3.0
        _series(axes, series, anchor, classes=POLICIES[key[0]], shape=sizes.index(key[1]), dodge=dodge)
    for harm in (h for h in harms if h.point.rate >= 1.0):
        _harm(axes, harm, "s5", sizes.index(harm.point.size), -9.0)
    end()
    canvas.point(axes.at(1.0, 0.0), "reference", f"the reference: {plan(_reference(statement))}", size=4.5)


def _reference(statement: Statement) -> Point:
    return Point(Policy.UNIFORM, 1.0, statement.aim.sizes[-1])


def _series(
    axes: Axes, series: list[Harm], anchor: list[float], *, classes: str, shape: int, dodge: float
) -> None:
    line = [(axes.x(h.point.rate) + dodge, axes.y(100.0 * h.gap.value)) for h in series]
    line += [axes.at(1.0, 100.0 * value) for value in anchor]
    axes.canvas.line(line, f"{classes} thin")
    for harm in series:
        _harm(axes, harm, classes, shape, dodge)


def _harm(axes: Axes, harm: Harm, classes: str, shape: int, dodge: float) -> None:
    x, y = axes.at(harm.point.rate, 100.0 * harm.gap.value)
    if harm.gap.low is not None and harm.gap.high is not None:
        axes.canvas.whisker(x + dodge, axes.y(100.0 * harm.gap.low), axes.y(100.0 * harm.gap.high), classes)
    times = "once" if harm.measurements == 1 else f"{harm.measurements} times"
    tip = f"{plan(harm.point)}: {difference_interval(harm.gap)}, measured {times}"
    axes.canvas.point((x + dodge, y), classes, tip, shape)
