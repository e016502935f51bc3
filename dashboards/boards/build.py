"""Panels and dashboards from the SDK's builders, with what is the same for all of them.

A panel cannot be made without a title, a description and a unit. The data source is a variable, so that a
file is loaded as it is, by hand or from a ConfigMap.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import bargauge, stat, statetimeline, table, timeseries, xychart
from grafana_foundation_sdk.builders import common as parts
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus as queries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import xychart as xy_models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
GRAFANA = "11.6.0"
"""Version that the options of panels are of; without it Grafana takes those of XY charts for old ones."""
TAG = "data-efficient-training"
HOURS = "suffix: device-h"
SECONDS = "suffix: device-s"
SHARE = "percentunit"
PLAIN = "short"
NOT_KNOWN = "not known"
WIDTH = 24

AnyPanel = timeseries.Panel | stat.Panel | bargauge.Panel | table.Panel | xychart.Panel | statetimeline.Panel
P = TypeVar(
    "P", timeseries.Panel, stat.Panel, bargauge.Panel, table.Panel, xychart.Panel, statetimeline.Panel
)
Target = tuple[str, str]
"""Expression and legend."""


PROMETHEUS_FIELDS = ("titleFormat", "textFormat", "tagKeys")
"""What Grafana's data source for Prometheus reads of an annotation, and the SDK's type lacks."""


class _Annotation(dashboard.AnnotationQuery):
    """An annotation with those fields."""

    def __init__(self, *, shown: tuple[str, str, str], name: str, expr: str, color: str) -> None:
        super().__init__(name=name, datasource=SOURCE, enable=True, icon_color=color, expr=expr)
        self._shown = dict(zip(PROMETHEUS_FIELDS, shown, strict=True))

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), **self._shown}


class Annotation(Builder[dashboard.AnnotationQuery]):
    """Marks on the time axis where ``expr`` has a value; ``title``, ``text`` and ``tags`` name its labels."""

    def __init__(self, *, name: str, expr: str, color: str, title: str, text: str, tags: str) -> None:
        self._built = _Annotation(shown=(title, text, tags), name=name, expr=expr, color=color)

    def build(self) -> dashboard.AnnotationQuery:
        """The annotation."""
        return self._built


def ranged(expression: str, legend: str, ref: str) -> queries.Dataquery:
    """A query for a line over time."""
    return queries.Dataquery().expr(expression).legend_format(legend).range().ref_id(ref)


def instant(expression: str, ref: str, legend: str = "") -> queries.Dataquery:
    """A query for the newest values, as a table."""
    return (
        queries.Dataquery()
        .expr(expression)
        .legend_format(legend)
        .instant()
        .format(PromQueryFormat.TABLE)
        .ref_id(ref)
    )


def _headed(panel: P, title: str, description: str, unit: str, *, width: int, height: int) -> P:
    panel.title(title).description(description).datasource(SOURCE).unit(unit).span(width).height(height)
    panel.no_value(NOT_KNOWN)
    return panel


def _steps(*bounds: tuple[float | None, str]) -> builders.ThresholdsConfig:
    steps = [dashboard.Threshold(value=value, color=color) for value, color in bounds]
    return builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def _thresholds(bounds: Sequence[tuple[float, str]], base: str = "green") -> builders.ThresholdsConfig:
    return _steps((None, base), *bounds)


def _legend() -> parts.VizLegendOptions:
    return (
        parts.VizLegendOptions()
        .show_legend(True)
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
    )


def lines(
    title: str,
    description: str,
    unit: str,
    *targets: Target,
    width: int = 12,
    limit: float | None = None,
    stacked: bool = False,
    least: float | None = None,
) -> timeseries.Panel:
    """Values over time; ``limit`` draws a dashed line that they should stay below."""
    panel = _headed(timeseries.Panel(), title, description, unit, width=width, height=8)
    for ref, (expression, legend) in zip("ABCDEFGH", targets, strict=False):
        panel.with_target(ranged(expression, legend, ref))
    panel.legend(_legend().calcs(["lastNotNull"]))
    panel.tooltip(parts.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
    panel.show_points(common.VisibilityMode.AUTO).fill_opacity(60 if stacked else 5)
    if stacked:
        panel.stacking(parts.StackingConfig().mode(common.StackingMode.NORMAL))
    if least is not None:
        panel.min(least)
    if limit is not None:
        panel.thresholds(_steps((None, "transparent"), (limit, "red")))
        panel.thresholds_style(
            parts.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        )
    return panel


def number(
    title: str,
    description: str,
    unit: str,
    expression: str,
    *,
    legend: str = "",
    width: int = 4,
    warn: Sequence[tuple[float, str]] = (),
    base: str = "green",
    decimals: int | None = None,
) -> stat.Panel:
    """The newest value, large; ``warn`` gives values from which it is coloured otherwise."""
    panel = _headed(stat.Panel(), title, description, unit, width=width, height=4)
    panel.with_target(ranged(expression, legend, "A"))
    panel.reduce_options(parts.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.graph_mode(common.BigValueGraphMode.AREA).thresholds(_thresholds(warn, base))
    if decimals is not None:
        panel.decimals(decimals)
    return panel


def bars(
    title: str, description: str, unit: str, expression: str, *, legend: str, width: int = 8
) -> bargauge.Panel:
    """The newest value of each series, as bars."""
    panel = _headed(bargauge.Panel(), title, description, unit, width=width, height=8)
    panel.with_target(queries.Dataquery().expr(expression).legend_format(legend).instant().ref_id("A"))
    panel.reduce_options(parts.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.orientation(common.VizOrientation.HORIZONTAL).display_mode(common.BarGaugeDisplayMode.BASIC)
    panel.min(0)
    return panel


def states(
    title: str,
    description: str,
    expression: str,
    *,
    legend: str,
    words: Mapping[str, tuple[str, str]],
    width: int = 12,
) -> statetimeline.Panel:
    """A state over time; ``words`` gives text and colour of each value."""
    panel = _headed(statetimeline.Panel(), title, description, "none", width=width, height=8)
    panel.line_width(0).fill_opacity(70)
    panel.with_target(ranged(expression, legend, "A"))
    shown = {
        value: dashboard.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(words.items())
    }
    panel.mappings([dashboard.ValueMap(options=shown)])
    return panel


def columns(
    title: str,
    description: str,
    unit: str,
    cells: Mapping[str, str],
    *,
    units: Mapping[str, str],
    named: Mapping[str, str],
    width: int = 24,
    height: int = 8,
    link: tuple[str, str] | None = None,
    sort: str | None = None,
) -> table.Panel:
    """A table.

    Args:
        unit: of the columns that ``units`` does not name.
        cells: expression of each column of numbers, by its name.
        named: columns of labels, and their names.
        link: a column of labels and the address that its cells lead to.
        sort: column to sort by, largest first.
    """
    panel = _headed(table.Panel(), title, description, unit, width=width, height=height)
    panel.align(common.FieldTextAlignment.AUTO)
    names: dict[str, str] = {}
    for ref, (name, expression) in zip("ABCDEFGHIJKLMN", cells.items(), strict=False):
        panel.with_target(instant(expression, ref))
        names[f"Value #{ref}" if len(cells) > 1 else "Value"] = name
    _merged(panel, {**named, **names})
    for name, its in units.items():
        panel.override_by_name(name, [dashboard.DynamicConfigValue(id_val="unit", value=its)])
    if link is not None:
        panel.override_by_name(
            link[0],
            [dashboard.DynamicConfigValue(id_val="links", value=[{"title": "Open", "url": link[1]}])],
        )
    if sort is not None:
        panel.sort_by([parts.TableSortByFieldState().display_name(sort).desc(True)])
    return panel


def points(
    title: str,
    description: str,
    unit: str,
    cells: Mapping[str, str],
    *,
    pairs: Sequence[tuple[str, str]],
    x_unit: str,
    mode: xy_models.XYShowMode = xy_models.XYShowMode.POINTS,
    width: int = 12,
) -> xychart.Panel:
    """An XY chart: curves have no time axis.

    Args:
        unit: of the vertical axis.
        cells: expression of each column, by its name.
        pairs: columns for the horizontal and the vertical axis, a series for each.
    """
    panel = _headed(xychart.Panel(), title, description, unit, width=width, height=10)
    names: dict[str, str] = {}
    for ref, (name, expression) in zip("ABCDEFGH", cells.items(), strict=False):
        panel.with_target(instant(expression, ref))
        names[f"Value #{ref}"] = name
    _merged(panel, names)
    # A line goes from row to row, and Prometheus gives them in no order.
    in_order = {"fields": {}, "sort": [{"field": pairs[0][0]}]}
    panel.with_transformation(dashboard.DataTransformerConfig(id_val="sortBy", options=in_order))
    panel.mapping(xy_models.SeriesMapping.MANUAL).show(mode).legend(_legend())
    panel.series([_pair(x, y) for x, y in pairs])
    for x in dict.fromkeys(x for x, _ in pairs):
        panel.override_by_name(x, [dashboard.DynamicConfigValue(id_val="unit", value=x_unit)])
    return panel


def _pair(x: str, y: str) -> xychart.XYSeriesConfig:
    def matching(name: str, value: object) -> xychart.MatcherConfig:
        return xychart.MatcherConfig().id(name).options(value)

    return (
        xychart.XYSeriesConfig()
        .name(xychart.XychartXYSeriesConfigName().fixed(y))
        .frame(xychart.XychartXYSeriesConfigFrame().matcher(matching("byIndex", 0)))
        .x(xychart.XychartXYSeriesConfigX().matcher(matching("byName", x)))
        .y(xychart.XychartXYSeriesConfigY().matcher(matching("byName", y)))
    )


def _merged(panel: table.Panel | xychart.Panel, names: Mapping[str, str]) -> None:
    """One row for each set of labels, under these names."""
    panel.with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
    order = {name: index for index, name in enumerate(names)}
    options = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": dict(names)}
    panel.with_transformation(dashboard.DataTransformerConfig(id_val="organize", options=options))


def _variable(name: str, label: str, query: str, *, many: bool) -> builders.QueryVariable:
    made = (
        builders.QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(SOURCE)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    )
    return made.multi(True).include_all(True).all_value(".*") if many else made


def board(
    uid: str,
    title: str,
    description: str,
    *,
    variables: Sequence[tuple[str, str, str]],
    rows: Mapping[str, Sequence[AnyPanel]],
    many: bool,
    since: str,
    all_of: Sequence[str] = (),
    annotations: Sequence[Annotation] = (),
) -> dict[str, Any]:
    """A dashboard as Grafana reads it.

    Args:
        variables: name, label and query of each.
        many: whether each variable may hold several values, or all.
        all_of: variables that may where others may not.
        since: begin of the time range that it opens with.
    """
    made = (
        builders.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .time(since, "now")
        .refresh("1m")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .link(
            builders.DashboardLink("Data-efficient training")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(True)
        )
        .with_variable(builders.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for name, label, query in variables:
        made.with_variable(_variable(name, label, query, many=many or name in all_of))
    for annotation in annotations:
        made.annotation(annotation)
    for heading, panels in rows.items():
        made.with_row(builders.Row(heading))
        for panel in panels:
            made.with_panel(panel)
    return _numbered(made.build())


def _numbered(built: dashboard.Dashboard) -> dict[str, Any]:
    for identity, panel in enumerate(built.panels or [], start=1):
        panel.id_val = identity
        if isinstance(panel, dashboard.Panel):
            panel.plugin_version = GRAFANA
    plain: dict[str, Any] = json.loads(JSONEncoder().encode(built))
    return plain
