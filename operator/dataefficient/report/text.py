"""The statement in a terminal, at the end of a run: what converged, each cycle, what was saved.

Legible without colour, from 60 columns on; a narrow terminal gets fewer columns, never cut figures.
"""

from __future__ import annotations

import re
from io import StringIO

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from dataefficient.report.sentences import convergence, metric
from dataefficient.report.statement import (
    Comparison,
    CycleRow,
    Estimate,
    Expected,
    Lineage,
    Saving,
    Statement,
)
from dataefficient.report.words import (
    ABSENT,
    compute,
    difference_interval,
    fraction,
    level,
    money,
    number,
    plain_interval,
    plan,
    share,
    share_interval,
    signed,
)

WIDE = 134
MIDDLE = 76
NARROWEST = 60
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""What a terminal would act on; names in a resource may hold it."""


def render(statement: Statement, width: int) -> str:
    """The statement as plain text, no line longer than ``width`` (at least 60 columns are used)."""
    width = max(width, NARROWEST)
    buffer = StringIO()
    console = Console(file=buffer, width=width, color_system=None, highlight=False, emoji=False, markup=False)
    console.print(Text(statement.headline))
    if statement.detail:
        console.print(Text(statement.detail))
    console.print()
    console.print(Text(convergence(statement.convergence)))
    console.print()
    if statement.cycles:
        console.print(_fitting(statement, console))
        console.print()
        console.print(_decisions(statement))
        console.print()
    for part in _savings(statement, width):
        console.print(part)
    console.print(Text(_spend(statement)))
    for sentence in statement.unknown:
        console.print(Text(sentence))
    console.print(Text(statement.state))
    shown = _CONTROL.sub("", buffer.getvalue())
    return "\n".join(line.rstrip() for line in shown.split("\n")).rstrip("\n") + "\n"


def _fitting(statement: Statement, console: Console) -> Table:
    """The fullest table of the cycles that the terminal holds whole: no figure is ever cut."""
    for columns in (WIDE, MIDDLE):
        table = _cycles(statement, columns)
        unbound = console.options.update(width=10 * WIDE)
        if Measurement.get(console, unbound, table).maximum <= console.width:
            return table
    return _cycles(statement, NARROWEST)


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))


def _cycles(statement: Statement, width: int) -> Table:
    table = _table()
    table.add_column("#", justify="right", no_wrap=True)
    if width >= WIDE:
        table.add_column("from", no_wrap=True)
    if width >= MIDDLE:
        table.add_column("policy", no_wrap=True)
        table.add_column("rate", justify="right", no_wrap=True)
        table.add_column("size", justify="right", no_wrap=True)
    else:
        table.add_column("plan")
    if width >= WIDE:
        table.add_column("forecast", justify="right", no_wrap=True)
    table.add_column(metric(statement.aim), justify="right", no_wrap=True)
    if width >= WIDE:
        table.add_column("±", justify="right", no_wrap=True)
        table.add_column("forecast", justify="right", no_wrap=True)
    elif width >= MIDDLE:
        table.add_column("cost (forecast)", justify="right", no_wrap=True)
    if width >= WIDE or width < MIDDLE:
        table.add_column("cost", justify="right", no_wrap=True)
    if width >= MIDDLE:
        table.add_column("all runs", justify="right", no_wrap=True)
    table.add_column("published" if width >= MIDDLE else "pub.", no_wrap=True)
    if width >= WIDE:
        table.add_column("gap, bound %", justify="right", no_wrap=True)
    for row in statement.cycles:
        table.add_row(*(Text(cell) for cell in _cells(row, width)))
    return table


def _cells(row: CycleRow, width: int) -> list[str]:
    point = row.point
    cells = [str(row.cycle)]
    if width >= WIDE:
        cells.append(f"{row.start:%Y-%m-%d}")
    if width >= MIDDLE:
        cells += [
            ABSENT if point is None else (point.policy.value if point.rate < 1.0 else "all rows"),
            ABSENT if point is None else fraction(point.rate),
            ABSENT if point is None else str(point.size),
        ]
    else:
        cells.append(plan(point))
    expected = row.forecast_kpi
    if width >= WIDE:
        cells.append(level(expected.mean if expected else None))
    cells.append(level(row.kpi.value if row.kpi else None))
    cost = ABSENT if row.cost is None else compute(row.cost)
    forecast = ABSENT if row.forecast_cost is None else compute(row.forecast_cost.mean)
    if width >= WIDE:
        known = row.kpi is not None and row.kpi.high is not None
        cells.append(
            number(row.kpi.high - row.kpi.value, 5) if row.kpi and row.kpi.high and known else ABSENT
        )
        cells += [forecast, cost]
    elif width >= MIDDLE:
        cells.append(f"{cost} ({forecast})")
    else:
        cells.append(cost)
    if width >= MIDDLE:
        cells.append(compute(row.spent))
    cells.append("yes" if row.published else "no")
    if width >= WIDE:
        cells.append(gap(row))
    return cells


def gap(row: CycleRow) -> str:
    """Expected distance and its upper bound, in percent."""
    if row.gap is None or row.bound is None:
        return ABSENT
    return f"{signed(100.0 * row.gap, 2)} ({signed(100.0 * row.bound, 2)})"


def _decisions(statement: Statement) -> Table:
    """Each cycle's decision in sentences; cycles that decided the same are told together."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(ratio=1)
    for cycles, told in decisions(statement):
        label = f"{cycles[0]}" if len(cycles) == 1 else f"{cycles[0]}–{cycles[-1]}"
        table.add_row(label, Text(told))
    return table


def decisions(statement: Statement) -> list[tuple[tuple[int, ...], str]]:
    """Runs of cycles with the same sentences."""
    found: list[tuple[tuple[int, ...], str]] = []
    for row in statement.cycles:
        told = ". ".join(sentence.rstrip(".") for sentence in (row.reason, *row.notes) if sentence) + "."
        if found and found[-1][1] == told:
            found[-1] = ((*found[-1][0], row.cycle), told)
        else:
            found.append(((row.cycle,), told))
    return found


def _savings(statement: Statement, width: int) -> list[Table | Text]:
    table = _table()
    table.add_column("Saved against", ratio=2, min_width=18)
    for comparison in statement.comparisons:
        title = comparison.description + (f" ({comparison.size})" if comparison.size is not None else "")
        table.add_column(title, ratio=3, min_width=17 if width < MIDDLE else 24)
    columns = [figures(statement, c) for c in statement.comparisons]
    labels = list(dict.fromkeys(label for column in columns for label in column))
    if not labels:
        table.add_row("all figures", *(Text(c.reason) for c in statement.comparisons))
    for label in labels:
        cells = [
            Text("; ".join(part for part in column[label] if part) if label in column else absent(c))
            for c, column in zip(statement.comparisons, columns, strict=True)
        ]
        table.add_row(Text(label.rstrip()), *cells)
    why = dict.fromkeys(c.reason for c in statement.comparisons if c.expected is not None)
    return [table, *(Text(f"Extrapolated: {reason}.") for reason in why), Text("")]


def absent(comparison: Comparison) -> str:
    """What stands where a figure is missing."""
    return ABSENT if comparison.measured else comparison.reason


def figures(statement: Statement, c: Comparison) -> dict[str, tuple[str, str]]:
    """What is stated against one control: label to figure and what stands behind it; empty: not measured."""
    if c.whole is None and c.expected is not None:
        return _extrapolated(statement, c, c.expected)
    if c.whole is None:
        return {}
    found = {
        "Compute, whole life": (share_interval(c.whole.compute), _spent(c.whole)),
        "  without start-up": (share_interval(c.whole.working), ""),
    }
    if c.steady is not None:
        found["Compute, steady state"] = (share_interval(c.steady.compute), _spent(c.steady))
        found["  without start-up "] = (share_interval(c.steady.working), "")
    if c.candidates is not None:
        found["  candidates alone"] = (share_interval(c.candidates.compute), "")
    if c.whole.money is not None:
        amount = c.whole.money
        bounds = None if amount.low is None or amount.high is None else (amount.low, amount.high)
        written = [money(v, statement.aim.currency) for v in (amount.value, *(bounds or ()))]
        behind = f"{written[1]} to {written[2]}" if bounds else ""
        found["Money, whole life"] = (written[0], behind)
    title = f"{metric(statement.aim).capitalize()} difference"
    if c.kpi is None:
        found[title] = ("not measured", c.kpi_reason.removeprefix("not measured: "))
    else:
        error = c.kpi.standard_error
        behind = "" if error is None else f"standard error {number(100.0 * error, 3)} %"
        found[title] = (difference_interval(c.kpi.value, 3), behind)
    if c.auc is not None:
        found["AUC difference"] = (plain_interval(c.auc.value, 4), "")
    if c.calibration is not None:
        found["Calibration difference"] = (difference_interval(c.calibration.value), "")
    if c.break_even is not None:
        named = c.break_even.cycle is not None
        cycle = f"cycle {c.break_even.cycle}" if named else "none foreseeable"
        found["Break-even"] = (cycle, c.break_even.basis.value if named else "")
    return found


def _extrapolated(statement: Statement, c: Comparison, found: Expected) -> dict[str, tuple[str, str]]:
    behind = f"{compute(found.ours)} instead of {compute(found.theirs)}, extrapolated"
    rows = {"Compute, whole life": (share_interval(found.compute), behind)}
    if found.money is not None:
        rows["Money, whole life"] = (money(found.money.value, statement.aim.currency), "extrapolated")
    far = statement.distance
    if c.lineage is Lineage.LARGEST and far is not None:
        value, bound = (difference_interval(Estimate(x), 3) for x in (far.value, far.bound))
        behind = f"at most {bound}; by trials and control branches"
        rows[f"{metric(statement.aim).capitalize()} difference"] = (value, behind)
    return rows


def _spent(saving: Saving) -> str:
    return f"{compute(saving.ours.seconds)} instead of {compute(saving.theirs.seconds)}"


def _spend(statement: Statement) -> str:
    parts = [
        f"{part.role} {compute(part.seconds)} ({share(part.seconds / statement.spent)})"
        for part in statement.by_role
        if statement.spent > 0
    ]
    price = statement.aim.price
    cost = (
        f" = {money(statement.spent / 3600.0 * price, statement.aim.currency)}" if price is not None else ""
    )
    return f"Spent {compute(statement.spent)} of {statement.aim.device}{cost}. {'; '.join(parts)}."
