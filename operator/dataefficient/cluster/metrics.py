"""What the operator measures of itself. What it knows of resources is exported elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The series of one process, in a registry that is given."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        leads: Callable[[], bool],
        requests: Callable[[], int],
        resources: Callable[[], int],
    ) -> None:
        self.visits = Counter(
            "dataefficient_operator_visits",
            "Visits to resources by result: done, conflict, unreachable, fault.",
            ["result"],
            registry=registry,
        )
        self.visit_seconds = Histogram(
            "dataefficient_operator_visit_seconds",
            "Seconds that a visit took.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.decision_delay = Histogram(
            "dataefficient_operator_decision_delay_seconds",
            "Seconds from the end of a run's Job to the decision that took it in.",
            buckets=_SECONDS,
            registry=registry,
        )
        leader = Gauge("dataefficient_operator_leader", "1 where this process leads.", registry=registry)
        leader.set_function(lambda: float(leads()))
        asked = Gauge(
            "dataefficient_operator_api_requests",
            "Requests to the API server so far, watches aside.",
            registry=registry,
        )
        asked.set_function(requests)
        there = Gauge("dataefficient_operator_resources", "Resources that are watched.", registry=registry)
        there.set_function(resources)
