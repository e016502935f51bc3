"""Whether the operator still reconciles: when it last did, and which resources it does not act on.

Read at the moment of the scrape, like the resources themselves. A standby exports the process' part alone: it
visits nothing, and what it knows of resources is old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from dataefficient.telemetry.series import PREFIX, RESOURCE_LABELS

_NAME = f"{PREFIX}operator_"


class Reconciling(Collector):
    """The series, in a registry that is given."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        resync_seconds: float,
        oldest: Callable[[], float],
        accepted: Callable[[], Iterable[tuple[str, str, bool]]],
        leads: Callable[[], bool],
    ) -> None:
        """Set up.

        Args:
            resync_seconds: every resource is visited at least so often.
            oldest: seconds for which the resource that waits longest has waited for its visit.
            accepted: namespace and name of each visited resource, and whether it is acted on.
        """
        self._resync_seconds = resync_seconds
        self._oldest = oldest
        self._accepted = accepted
        self._leads = leads
        self._visited: datetime | None = None
        registry.register(self)

    def visited(self, now: datetime) -> None:
        """A visit has ended as it should."""
        self._visited = now

    def collect(self) -> Iterator[Metric]:
        """All families."""
        yield GaugeMetricFamily(
            f"{_NAME}resync_seconds",
            "Every resource is visited at least so often while this process leads.",
            value=self._resync_seconds,
        )
        yield GaugeMetricFamily(
            f"{_NAME}queue_oldest_seconds",
            "Seconds for which the resource that waits longest has waited for its visit.",
            value=self._oldest(),
        )
        last = GaugeMetricFamily(
            f"{_NAME}last_visit_timestamp_seconds",
            "When a visit last ended as it should; absent before the first.",
        )
        if self._visited is not None:
            last.add_metric((), self._visited.timestamp())
        yield last
        refused = GaugeMetricFamily(
            f"{_NAME}refused",
            "1 where a resource is refused, so that nothing is done for it, 0 where it is acted on; see its "
            "condition Accepted.",
            labels=RESOURCE_LABELS,
        )
        for namespace, name, accepted in self._accepted() if self._leads() else ():
            refused.add_metric((namespace, name), float(not accepted))
        yield refused
