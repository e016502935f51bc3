"""The surface: every plan by sampling rate and model size, with what it loses and what it costs.

One panel for each sampling policy. The line joins plans that cost as much as the chosen one; along it,
more data is traded for a larger model. A plan that was never measured is hatched and bears no number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log

from dataefficient.contract import Policy
from dataefficient.planner.knobs import Point
from dataefficient.report.curve_plots import NAMES, Figure, drawn
from dataefficient.report.statement import Cell, Statement, Surface
from dataefficient.report.svg import XY, Canvas, Frame
from dataefficient.report.words import compute, difference_interval, fraction, plan, rows, signed, span

ROW = 46.0
LEFT, TOP, BOTTOM, GAP = 52.0, 42.0, 62.0, 34.0
_STEPS = 24


def surface(statement: Statement) -> Figure:
    """Expected gap by rate and size, the line of equal compute, and the plans that were used."""
    name, title = "surface", "Model size against data: where the same compute does most"
    found = statement.surface
    if found is None:
        return Figure(name, title, "Not measured: nothing has been costed yet.")
    known = sum(cell.gap is not None for cell in found.cells)
    tolerance = statement.aim.tolerance
    caption = (
        "Gap to the reference in percent, and device time by the cost model of an ordinary cycle of "
        f"{rows(found.rows)} rows. {known} of {len(found.cells)} plans have been measured; the others are "
        "hatched. Along the line a cycle costs as much as under the chosen plan."
    )
    legend = [("cell good", "certain to be inside the tolerance")] if tolerance is not None else []
    legend += [
        ("cell fair", "measured, not certain" if tolerance is not None else "measured"),
        *([("cell poor", "expected outside")] if tolerance is not None else []),
        ("cell hatched", "not measured"),
        ("stroke s3", "same compute as the chosen plan"),
        ("outline", "used, in the cycles named"),
    ]
    policies = _policies(found)
    size = len(_sizes(found)) * ROW
    wide = Frame(1110.0, size + TOP + BOTTOM)
    narrow = Frame(350.0, len(policies) * (size + TOP + BOTTOM), narrow=True)
    return drawn(
        name,
        title,
        caption,
        lambda canvas: _draw(canvas, statement, found),
        legend,
        frames=(wide, narrow),
        full_width=True,
    )


def _sizes(found: Surface) -> list[int]:
    return sorted({cell.point.size for cell in found.cells})


def _policies(found: Surface) -> list[Policy]:
    """Policies with sampled plans, or uniform alone; the full rate belongs to every panel."""
    full = max(cell.point.rate for cell in found.cells)
    sampled = [
        policy
        for policy in NAMES
        if any(c.point.policy is policy and c.point.rate < full for c in found.cells)
    ]
    return sampled or [Policy.UNIFORM]


@dataclass(frozen=True)
class _Panel:
    """One policy's grid of plans; columns by rising rate, rows by falling size."""

    policy: Policy
    cells: Mapping[tuple[float, int], Cell]
    rates: list[float]
    sizes: list[int]
    left: float
    top: float
    width: float

    @property
    def column(self) -> float:
        return self.width / len(self.rates)

    def corner(self, point: Point) -> XY:
        return (
            self.left + self.rates.index(point.rate) * self.column,
            self.top + (len(self.sizes) - 1 - self.sizes.index(point.size)) * ROW,
        )

    def centre(self, rate: float, size: float) -> XY:
        """Pixels of fractional grid indices."""
        return (
            self.left + (rate + 0.5) * self.column,
            self.top + (len(self.sizes) - 0.5 - size) * ROW,
        )


def _draw(canvas: Canvas, statement: Statement, found: Surface) -> None:
    policies, sizes = _policies(found), _sizes(found)
    narrow = canvas.frame.narrow
    count = 1 if narrow else len(policies)
    width = (canvas.frame.width - LEFT - 10.0 - GAP * (count - 1)) / count
    full = max(cell.point.rate for cell in found.cells)
    pattern = f"{canvas.name}-hatch"
    canvas.marks.append(
        f'<defs><pattern id="{pattern}" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><path class="hatch" d="M0 0V6"/></pattern></defs>'
    )
    for i, policy in enumerate(policies):
        cells = {
            (c.point.rate, c.point.size): c
            for c in found.cells
            if c.point.policy is policy or c.point.rate == full
        }
        top = TOP + (i * (len(sizes) * ROW + TOP + BOTTOM) if narrow else 0.0)
        left = LEFT + (0.0 if narrow else i * (width + GAP))
        rates = sorted({rate for rate, _ in cells})
        panel = _Panel(policy, cells, rates, sizes, left, top, width)
        _panel(canvas, panel, statement, found, pattern, first=narrow or i == 0)


def _panel(
    canvas: Canvas, panel: _Panel, statement: Statement, found: Surface, pattern: str, *, first: bool
) -> None:
    canvas.text((panel.left, panel.top - 24), f"sampling: {NAMES[panel.policy]}", "strong")
    if first:
        canvas.text((panel.left - 46, panel.top - 6), "model size", "label")
    bottom = panel.top + len(panel.sizes) * ROW
    for cell in panel.cells.values():
        _cell(canvas, panel, cell, statement.aim.tolerance, pattern)
    if first:
        for size in panel.sizes:
            y = panel.centre(0, panel.sizes.index(size))[1] + 4
            canvas.text((panel.left - 8, y), str(size), "tick", "end")
    for i, rate in enumerate(panel.rates):
        x = panel.centre(i, 0)[0]
        canvas.text((x, bottom + 16), fraction(rate), "tick", "middle")
        canvas.text((x, bottom + 30), rows(rate * found.rows), "tick", "middle")
    canvas.text(
        (panel.left + panel.width / 2, bottom + 47), "share and number of rows trained on", "label", "middle"
    )
    _iso(canvas, panel, found)
    for cell in panel.cells.values():
        _figures(canvas, panel, cell)
    _used(canvas, panel, statement)


def _cell(canvas: Canvas, panel: _Panel, cell: Cell, tolerance: float | None, pattern: str) -> None:
    x, y = panel.corner(cell.point)
    width = panel.column - 2
    known = "not measured" if cell.gap is None else difference_interval(cell.gap)
    tip = f"{plan(cell.point)}: gap {known}; {compute(cell.seconds)} a cycle. {cell.verdict}".strip()
    canvas.rect((x, y), (width, ROW - 2), f"cell {standing(cell, tolerance)}", tip)
    if cell.gap is None:
        canvas.add("rect", "overlay", fill=f"url(#{pattern})", x=x, y=y, width=width, height=ROW - 2)


def _figures(canvas: Canvas, panel: _Panel, cell: Cell) -> None:
    x, y = panel.corner(cell.point)
    if cell.gap is not None:
        canvas.text((x + 7, y + 18), signed(100.0 * cell.gap.value, 2), "strong")
    canvas.text((x + 7, y + 34), compute(cell.seconds), "tick")


def standing(cell: Cell, tolerance: float | None) -> str:
    """Class of a cell: how sure it is that its gap lies inside the tolerance."""
    gap = cell.gap
    if gap is None:
        return "hatched"
    if tolerance is None:
        return "fair"
    if gap.value > tolerance:
        return "poor"
    return "good" if gap.high is not None and gap.high <= tolerance else "fair"


def _iso(canvas: Canvas, panel: _Panel, found: Surface) -> None:
    """Plans of equal cost: costs interpolated between neighbours, in logarithms."""
    costs = {c.point: c.seconds for c in found.cells}
    goal = costs.get(found.chosen) if found.chosen is not None else None
    if goal is None or goal <= 0.0 or len(panel.rates) < 2:
        return
    points: list[XY] = []
    last = len(panel.sizes) - 1
    for step in range(-_STEPS // 2, last * _STEPS + _STEPS // 2 + 1):
        size = step / _STEPS
        crossing = _crossing(panel, min(max(size, 0.0), float(last)), log(goal))
        if crossing is not None:
            points.append(panel.centre(crossing, size))
    canvas.line(points, "s3 iso", f"{compute(goal)} a cycle, as under {plan(found.chosen)}")


def _crossing(panel: _Panel, size: float, goal: float) -> float | None:
    """Fractional rate index at which the cost at a fractional size index reaches the goal."""
    below = min(int(size), max(len(panel.sizes) - 2, 0))
    part = size - below
    line = []
    for rate in panel.rates:
        low = panel.cells.get((rate, panel.sizes[below]))
        high = panel.cells.get((rate, panel.sizes[min(below + 1, len(panel.sizes) - 1)]))
        if low is None or high is None or min(low.seconds, high.seconds) <= 0.0:
            return None
        line.append((1.0 - part) * log(low.seconds) + part * log(high.seconds))
    for i in range(len(line) - 1):
        if line[i] <= goal <= line[i + 1] and line[i + 1] > line[i]:
            return i + (goal - line[i]) / (line[i + 1] - line[i])
    return None


def _used(canvas: Canvas, panel: _Panel, statement: Statement) -> None:
    """Outlines of the plans that cycles ran under, with the cycles."""
    used: dict[Point, list[int]] = {}
    for row in statement.cycles:
        if row.point is not None:
            used.setdefault(row.point, []).append(row.cycle)
    for point, cycles in used.items():
        if (point.rate, point.size) not in panel.cells:
            continue
        if point.policy is not panel.policy and point.rate != max(panel.rates):
            continue
        x, y = panel.corner(point)
        label = span(tuple(cycles)).removeprefix("cycles ").removeprefix("cycle ")
        if len(label) > 6:
            label = f"{len(cycles)}×"
        canvas.rect((x + 1, y + 1), (panel.column - 4, ROW - 4), "outline", f"used in {span(tuple(cycles))}")
        canvas.text((x + panel.column - 9, y + 34), f"c{label}", "strong", "end")
