"""The custom collector: resources and their runs, read at the moment of the scrape.

It keeps nothing, so a deleted resource leaves no series behind. Only the leader exports resources: a
standby's memory of them is old. How many series a resource can have is bounded by ``MAX_SERIES``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from dataefficient.telemetry.resource_series import RESOURCE_SERIES
from dataefficient.telemetry.run_series import RUN_LABELS, RUN_SERIES, identity
from dataefficient.telemetry.series import PREFIX, RESOURCE_LABELS, Kind, Series, label_text
from dataefficient.telemetry.view import MAX_RUNS, FinishedRun, ResourceView

MAX_SERIES = 1_000
"""Largest number of series of one resource: a test fills every label and counts."""


class ResourceCollector(Collector):
    """Exports what ``views`` gives at the time of the scrape, while ``leads`` holds."""

    def __init__(
        self,
        *,
        views: Callable[[], Iterable[ResourceView]],
        leads: Callable[[], bool],
        now: Callable[[], datetime],
        registry: CollectorRegistry,
    ) -> None:
        self._views = views
        self._leads = leads
        self._now = now
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """Names alone, so that registering needs no view."""
        for resource in RESOURCE_SERIES:
            yield _family(resource, RESOURCE_LABELS)
        for run in RUN_SERIES:
            yield _family(run, (*RESOURCE_LABELS, *RUN_LABELS))

    def collect(self) -> Iterator[Metric]:
        """All families, with samples only where this process leads."""
        views, now = tuple(self._views()) if self._leads() else (), self._now()
        for series in RESOURCE_SERIES:
            family = _family(series, RESOURCE_LABELS)
            for view in views:
                for labels, value in series.values(view, now):
                    family.add_metric((view.namespace, view.name, *labels), value)
            yield family
        for of_run in RUN_SERIES:
            family = _family(of_run, (*RESOURCE_LABELS, *RUN_LABELS))
            for view in views:
                for run in view.finished[-MAX_RUNS:]:
                    name, digest = map(label_text, identity(run))
                    for labels, value in of_run.values(run, now):
                        family.add_metric((view.namespace, view.name, name, digest, *labels), value)
            yield family


def _family(
    series: Series[ResourceView] | Series[FinishedRun], labels: tuple[str, ...]
) -> GaugeMetricFamily | CounterMetricFamily:
    kind = CounterMetricFamily if series.kind is Kind.COUNTER else GaugeMetricFamily
    return kind(PREFIX + series.name, series.help, labels=(*labels, *series.labels))
