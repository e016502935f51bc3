"""Plots over cycles: the KPI's level, its gap to the controls, and what was spent."""

from __future__ import annotations

from collections.abc import Sequence

from dataefficient.report.curve_plots import Figure, drawn, labelled
from dataefficient.report.past import UNITEMIZED
from dataefficient.report.sentences import metric
from dataefficient.report.statement import Basis, BreakEven, Comparison, CycleRow, Statement
from dataefficient.report.svg import Axes, Canvas, Scale, area, nice_ticks, padded
from dataefficient.report.words import compute, difference_interval, fraction, level

ROLE_CLASSES = {"Candidate": "s1", "Trial": "s2", "Probe": "s3", "Control": "s4", "Failed attempts": "s5"}
CONTROL_CLASSES = ("k1", "k2")
DENSE = 24
"""Cycles above which marks shrink and only one control is drawn, so that they stay apart."""


def kpi_level(statement: Statement) -> Figure:
    """The level of what served, its forecast and target, and the controls' levels."""
    name, title = "level", f"{metric(statement.aim).capitalize()} of what served"
    rows = [row for row in statement.cycles if row.kpi is not None]
    if not rows:
        return Figure(name, title, "Not measured: no model has served a whole cycle yet.")
    target = statement.aim.target
    legend = [("dot s1", "served, 95 % interval")]
    if any(row.forecast_kpi for row in rows):
        legend.append(("area s1", "forecast before the cycle, 80 % interval"))
    for comparison, classes in zip(statement.comparisons, CONTROL_CLASSES, strict=True):
        if any(c.level is not None for c in comparison.cycles):
            legend.append((f"stroke {classes}", f"control: {comparison.description}"))
    if target is not None:
        legend.append(("dash s4", f"target {target:g}"))
    caption = (
        "On unsampled rows of each cycle, scored before anything was trained on them. What all lines share "
        "is the stream's own doing; what the plan does is the gap between them."
    )
    return drawn(name, title, caption, lambda canvas: _kpi_level(canvas, statement, rows), legend)


def _kpi_level(canvas: Canvas, statement: Statement, rows: Sequence[CycleRow]) -> None:
    target = statement.aim.target
    values = [target] if target is not None else []
    for row in rows:
        assert row.kpi is not None
        values += [v for v in (row.kpi.value, row.kpi.low, row.kpi.high) if v is not None]
        values += [row.forecast_kpi.low, row.forecast_kpi.high] if row.forecast_kpi else []
    shown = {row.cycle for row in rows}
    lines = [
        [(c.cycle, c.level) for c in comparison.cycles if c.level is not None and c.cycle in shown]
        for comparison in statement.comparisons
    ]
    values += [v for line in lines for _, v in line]
    axes = _over_cycles(canvas, [row.cycle for row in rows], padded(values), metric(statement.aim))
    half = _slot(axes, rows) * 0.3
    for row in rows:
        if row.forecast_kpi is not None:
            top, bottom = axes.y(row.forecast_kpi.high), axes.y(row.forecast_kpi.low)
            tip = f"cycle {row.cycle}: forecast {level(row.forecast_kpi.mean)}"
            canvas.rect((axes.x(row.cycle) - half, top), (2 * half, bottom - top), "band s1", tip)
            y = axes.y(row.forecast_kpi.mean)
            canvas.line([(axes.x(row.cycle) - half, y), (axes.x(row.cycle) + half, y)], "s1 thin")
    if target is not None:
        axes.level(target, f"target {target:g}", "s4 dashed")
    for line, classes in zip(lines, CONTROL_CLASSES, strict=True):
        canvas.line([axes.at(cycle, value) for cycle, value in line], classes)
    canvas.line([axes.at(row.cycle, row.kpi.value) for row in rows if row.kpi], "s1")
    for row in rows:
        assert row.kpi is not None
        if row.kpi.low is not None and row.kpi.high is not None:
            canvas.whisker(axes.x(row.cycle), axes.y(row.kpi.low), axes.y(row.kpi.high), "s1")
        tip = f"cycle {row.cycle}: {level(row.kpi.value)}"
        canvas.point(axes.at(row.cycle, row.kpi.value), "s1", tip, size=_mark(len(rows)))


def _over_cycles(canvas: Canvas, cycles: Sequence[int], y: tuple[float, float], label: str) -> Axes:
    axes = area(canvas, (cycles[0] - 0.6, cycles[-1] + 0.6), y)
    axes.grid(
        cycle_ticks(cycles, 8 if canvas.frame.narrow else 14), labelled(nice_ticks(*y, 5)), "cycle", label
    )
    return axes


def cycle_ticks(cycles: Sequence[int], most: int) -> list[tuple[float, str]]:
    """Every cycle, or every so many that at most ``most`` are named."""
    every = next(s for s in (1, 2, 5, 10, 20, 50, 100, 1000) if len(cycles) <= s * most or s == 1000)
    return [(float(k), str(k)) for k in cycles if every == 1 or k % every == 0]


def _mark(cycles: int) -> float:
    return 2.5 if cycles > DENSE else 4.0


def _slot(axes: Axes, rows: Sequence[CycleRow]) -> float:
    return (axes.x.end - axes.x.start) / (rows[-1].cycle - rows[0].cycle + 1.2)


def kpi_gap(statement: Statement) -> Figure:
    """Ours against the controls on the same rows, and what the planner believes, against the tolerance."""
    name, title = "gap", "Distance to training on everything, against the tolerance"
    believed = [row for row in statement.cycles if row.gap is not None and row.bound is not None]
    measured = [c for c in statement.comparisons if any(x.gap is not None for x in c.cycles)]
    if len(believed) > DENSE:
        measured = measured[:1]
    if not believed and not measured:
        return Figure(name, title, "Not measured yet.")
    legend = []
    for comparison in measured:
        index = statement.comparisons.index(comparison)
        classes = CONTROL_CLASSES[index]
        legend.append((f"mark{index} {classes}", f"measured against {comparison.description}"))
    legend += [("stroke s1", "the planner's estimate"), ("area s1", "up to its upper bound")]
    if statement.aim.tolerance is not None:
        legend.append(("dash s4", f"tolerance {fraction(statement.aim.tolerance)}"))
    caption = "No control was run: the distance is the planner's estimate alone."
    if measured:
        caption = (
            "Above zero, ours is worse; bars are 95 % intervals. One cycle decides nothing: what counts is "
            "the pooled difference in the table above."
        )
    return drawn(name, title, caption, lambda canvas: _kpi_gap(canvas, statement, believed, measured), legend)


def _kpi_gap(
    canvas: Canvas, statement: Statement, believed: Sequence[CycleRow], measured: Sequence[Comparison]
) -> None:
    tolerance = statement.aim.tolerance
    values = [0.0] + ([100.0 * tolerance] if tolerance is not None else [])
    values += [100.0 * v for row in believed for v in (row.gap, row.bound) if v is not None]
    gaps = [(c, x) for c in measured for x in c.cycles if x.gap is not None]
    for _, x in gaps:
        assert x.gap is not None
        values += [100.0 * v for v in (x.gap.value, x.gap.low, x.gap.high) if v is not None]
    cycles = sorted({row.cycle for row in believed} | {x.cycle for _, x in gaps})
    size = _mark(len(cycles))
    axes = _over_cycles(canvas, cycles, padded(values), "relative gap, %")
    canvas.add("path", "axis", d=f"M{axes.x.start:.1f} {axes.y(0.0):.1f}H{axes.x.end:.1f}")
    canvas.band(
        [axes.at(row.cycle, 100.0 * row.bound) for row in believed if row.bound is not None],
        [axes.at(row.cycle, 100.0 * row.gap) for row in believed if row.gap is not None],
        "s1",
    )
    canvas.line([axes.at(row.cycle, 100.0 * row.gap) for row in believed if row.gap is not None], "s1")
    if tolerance is not None:
        axes.level(100.0 * tolerance, f"tolerance {fraction(tolerance)}", "s4 dashed")
    for comparison, x in gaps:
        assert x.gap is not None
        index = statement.comparisons.index(comparison)
        at = axes.x(x.cycle) + (index - 0.5) * (5.0 if len(measured) > 1 else 0.0)
        if x.gap.low is not None and x.gap.high is not None:
            canvas.whisker(at, axes.y(100.0 * x.gap.low), axes.y(100.0 * x.gap.high), CONTROL_CLASSES[index])
        tip = f"cycle {x.cycle}, against {comparison.description}: {difference_interval(x.gap)}"
        canvas.point((at, axes.y(100.0 * x.gap.value)), CONTROL_CLASSES[index], tip, index, size=size)


def spending(statement: Statement) -> Figure:
    """Device time of each cycle by purpose, against what the controls took."""
    name, title = "spend", "What each cycle cost, against full data"
    if not statement.cycles:
        return Figure(name, title, "Nothing was spent yet.")
    roles = [part.role for part in statement.by_role if part.role in ROLE_CLASSES]
    legend = [(f"block {ROLE_CLASSES[role]}", role.lower()) for role in roles]
    run = [c for c in statement.comparisons if c.measured]
    legend += [
        (f"stroke {CONTROL_CLASSES[statement.comparisons.index(c)]} mark", f"control: {c.description}")
        for c in run
    ]
    names = [c.description for c in statement.comparisons if not c.measured]
    missing = f" Not measured: control with {' and with '.join(names)}." if names else ""
    caption = (
        "Measured device time of all runs, start-up and failed attempts included. Cycle 0 trains on the "
        f"whole history and has a scale of its own.{missing}"
    )
    return drawn(name, title, caption, lambda canvas: _spending(canvas, statement), legend)


def _spending(canvas: Canvas, statement: Statement) -> None:
    first = [row for row in statement.cycles if row.cycle == 0]
    later = [row for row in statement.cycles if row.cycle > 0]
    frame = canvas.frame
    split = 52.0 + (62.0 if frame.narrow else 96.0)
    bottom, top = frame.height - 42.0, 28.0
    if first and later:
        _bars(canvas, statement, first, (52.0, split), (bottom, top))
        _bars(canvas, statement, later, (split + 54.0, frame.width - 12.0), (bottom, top))
    else:
        _bars(canvas, statement, first or later, (52.0, frame.width - 12.0), (bottom, top))


def _bars(
    canvas: Canvas,
    statement: Statement,
    rows: Sequence[CycleRow],
    x: tuple[float, float],
    y: tuple[float, float],
) -> None:
    shown = {row.cycle for row in rows}
    controls = [
        (index, {c.cycle: c.seconds for c in comparison.cycles if c.cycle in shown})
        for index, comparison in enumerate(statement.comparisons)
    ]
    highest = max([row.spent for row in rows] + [v for _, spent in controls for v in spent.values()] + [1e-9])
    unit, divisor = _unit(highest)
    top = highest * 1.1 / divisor
    axes = Axes(canvas, Scale(rows[0].cycle - 0.6, rows[-1].cycle + 0.6, *x), Scale(0.0, top, *y))
    most = 8 if canvas.frame.narrow else 14
    axes.grid(
        cycle_ticks([r.cycle for r in rows], most),
        labelled(nice_ticks(0.0, top, 5)),
        "history" if rows[0].cycle == 0 and len(rows) == 1 else "cycle",
        f"device time, {unit}",
    )
    half = min(_slot(axes, rows) * 0.32, 26.0)
    for row in rows:
        base, centre = 0.0, axes.x(row.cycle)
        for part in row.by_role:
            height = part.seconds / divisor
            y_top, y_base = axes.y(base + height), axes.y(base)
            tip = f"cycle {row.cycle}, {part.role.lower()}: {compute(part.seconds)}"
            canvas.rect(
                (centre - half, y_top), (2 * half, y_base - y_top), f"block {ROLE_CLASSES[part.role]}", tip
            )
            base += height
    for index, spent in controls:
        for cycle, seconds in spent.items():
            at = axes.y(seconds / divisor)
            centre, wing = axes.x(cycle), half * 1.25
            tip = (
                f"cycle {cycle}, control with {statement.comparisons[index].description}: {compute(seconds)}"
            )
            canvas.line([(centre - wing, at), (centre + wing, at)], f"{CONTROL_CLASSES[index]} mark", tip)


def cumulative(statement: Statement) -> Figure:
    """What was spent in all by the end of each cycle, and when less than by a control."""
    name, title = "total", "Spent in all, and from when on it paid"
    if not statement.cycles:
        return Figure(name, title, "Nothing was spent yet.")
    ours, total = [], 0.0
    if statement.cycles[0].cycle > 0:
        total = sum(part.seconds for part in statement.by_role if part.role == UNITEMIZED)
    for row in statement.cycles:
        total += row.spent
        ours.append((row.cycle, total))
    lines = [("s1", "ours", ours)]
    said = []
    for comparison, classes in zip(statement.comparisons, CONTROL_CLASSES, strict=True):
        if not comparison.measured or [c.cycle for c in comparison.cycles] != [k for k, _ in ours]:
            said.append(f"Control with {comparison.description}: {comparison.reason}.")
            continue
        spent, theirs = 0.0, []
        for c in comparison.cycles:
            spent += c.seconds
            theirs.append((c.cycle, spent))
        lines.append((classes, f"control: {comparison.description}", theirs))
        if comparison.break_even is not None:
            said.append(f"Against {comparison.description}: {_break_even(comparison.break_even)}")
    legend = [(f"stroke {classes}", label) for classes, label, _ in lines]
    if len(lines) > 1:
        said.insert(0, "Experiments are paid for early; from where the lines cross, they have paid.")
    caption = " ".join(said)
    return drawn(name, title, caption, lambda canvas: _cumulative(canvas, lines), legend)


def _break_even(found: BreakEven) -> str:
    if found.cycle is None:
        return f"{found.reason}."
    if found.basis is Basis.MEASURED:
        return f"{found.reason}."
    return f"break-even expected in cycle {found.cycle}; {found.reason}."


def _cumulative(canvas: Canvas, lines: Sequence[tuple[str, str, list[tuple[int, float]]]]) -> None:
    highest = max(total for _, _, line in lines for _, total in line) or 1.0
    unit, divisor = _unit(highest)
    top = highest * 1.08 / divisor
    cycles = [k for k, _ in lines[0][2]]
    axes = area(canvas, (cycles[0] - 0.3, cycles[-1] + 0.3), (0.0, top))
    most = 8 if canvas.frame.narrow else 14
    y_ticks = labelled(nice_ticks(0.0, top, 5))
    axes.grid(cycle_ticks(cycles, most), y_ticks, "by the end of cycle", f"device time, {unit}")
    for classes, label, line in reversed(lines):
        canvas.line([axes.at(k, total / divisor) for k, total in line], classes)
        for k, total in line if classes == "s1" else ():
            tip = f"{label}, by the end of cycle {k}: {compute(total)}"
            canvas.point(axes.at(k, total / divisor), classes, tip, size=3.0)


def _unit(highest: float) -> tuple[str, float]:
    return ("h", 3600.0) if highest >= 7200 else ("min", 60.0) if highest >= 300 else ("s", 1.0)
