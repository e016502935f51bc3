"""The statement as one self-contained page: no script, no font, no image, nothing from any network.

The page is for whoever pays and for whoever doubts: the sentence and the key figures first, then plots,
each cycle's decision, and what was measured and what was extrapolated.
"""

from __future__ import annotations

import jinja2
from markupsafe import Markup

from dataefficient.report import words
from dataefficient.report.curve_plots import learning_curve, rate_curve
from dataefficient.report.cycle_plots import cumulative, kpi_gap, kpi_level, spending
from dataefficient.report.sentences import metric
from dataefficient.report.statement import Comparison, CycleRow, Statement
from dataefficient.report.surface_plot import surface
from dataefficient.report.svg import escape
from dataefficient.report.text import decisions, figures, gap
from dataefficient.report.tiles import NOT_MEASURED, against, tiles

PLOTS = (spending, cumulative, kpi_gap, kpi_level, learning_curve, rate_curve, surface)
"""In the order of the page: two abreast, the last over the whole width."""


def render(statement: Statement) -> str:
    """The page as HTML. Pure: the same statement gives the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dataefficient.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_clean,
    )
    plots = [plot(statement) for plot in PLOTS]
    page: str = environment.get_template("report.html.j2").render(
        s=statement,
        name=statement.resource.rpartition("/")[2],
        tiles=tiles(statement),
        against=against(statement),
        comparison=_comparison(statement),
        figures=plots,
        cycles=[_row(row) for row in statement.cycles],
        decisions=decisions(statement),
        span=words.span,
        metric=metric(statement.aim),
        rows=words.rows,
        difference=words.difference,
        level=words.level,
        percent=words.fraction,
        swatch=swatch,
        interval=words.plain_interval,
        markup=Markup,
    )
    return page


def swatch(classes: str) -> str:
    """A legend's sign, drawn with the classes of the marks that it stands for."""
    kind, _, series = classes.partition(" ")
    shapes = {
        "stroke": f'<path class="line {series}" d="M1 6H17"/>',
        "dash": f'<path class="line {series} dashed" d="M1 6H17"/>',
        "area": f'<rect class="band {series}" width="18" height="12"/>',
        "block": f'<rect class="block {series}" x="3" width="12" height="12"/>',
        "dot": f'<circle class="point {series}" cx="9" cy="6" r="4.5"/>',
        "mark0": f'<circle class="point {series}" cx="9" cy="6" r="4.5"/>',
        "mark1": f'<path class="point {series}" d="M5 2H13V10H5Z"/>',
        "mark2": f'<path class="point {series}" d="M9 0.5L14.5 6L9 11.5L3.5 6Z"/>',
        "mark3": f'<path class="point {series}" d="M9 1L13.5 10.5L4.5 10.5Z"/>',
        "cell": f'<rect class="cell {series}" width="18" height="12"/>',
        "outline": '<rect class="outline" x="1" y="1" width="16" height="10"/>',
    }
    extra = '<path class="hatch" d="M2 12L14 0M8 14L20 2M-4 12L8 0"/>' if series == "hatched" else ""
    return f'<svg viewBox="0 0 18 12" aria-hidden="true">{shapes[kind]}{extra}</svg>'


def _clean(value: object) -> object:
    """Characters that no document may hold are replaced; markup is left alone."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return Markup(escape(value))  # noqa: S704 - escaped in the same breath
    return value


def _comparison(statement: Statement) -> list[tuple[str, list[tuple[str, str]]]]:
    """Rows of the table of both controls: label, and for each control a figure and what is behind it."""
    columns = [figures(statement, c) for c in statement.comparisons]
    labels = list(dict.fromkeys(label for column in columns for label in column))
    if not labels:
        return [("All figures", [_missing(c) for c in statement.comparisons])]
    return [
        (
            label,
            [
                column.get(label, _missing(c))
                for c, column in zip(statement.comparisons, columns, strict=True)
            ],
        )
        for label in labels
    ]


def _missing(comparison: Comparison) -> tuple[str, str]:
    if comparison.measured:
        return words.ABSENT, ""
    return NOT_MEASURED, comparison.reason.removeprefix(f"{NOT_MEASURED}: ")


def _row(row: CycleRow) -> dict[str, str]:
    point, forecast, cost = row.point, row.forecast_kpi, row.forecast_cost
    return {
        "cycle": str(row.cycle),
        "start": f"{row.start:%Y-%m-%d}",
        "end": f"{row.end:%Y-%m-%d}",
        "plan": words.rate(point) if point is not None else "skipped",
        "size": words.ABSENT if point is None else str(point.size),
        "forecast": words.level(forecast.mean if forecast else None),
        "forecast_range": _range(forecast.low, forecast.high, _short) if forecast else "",
        "kpi": words.level(row.kpi.value if row.kpi else None),
        "kpi_range": _range(row.kpi.low, row.kpi.high, _short) if row.kpi else "",
        "cost_forecast": words.compute(cost.mean) if cost else words.ABSENT,
        "cost_range": _range(cost.low, cost.high, words.compute) if cost else "",
        "cost": words.ABSENT if row.cost is None else words.compute(row.cost),
        "spent": words.compute(row.spent),
        "gap": gap(row),
        "published": "yes" if row.published else "no",
        "gate": row.gate.reason if row.gate is not None else "",
    }


def _short(value: float) -> str:
    return words.number(value, 4)


def _range(low: float | None, high: float | None, write: object) -> str:
    assert callable(write)
    return "" if low is None or high is None else f"{write(low)} to {write(high)}"
