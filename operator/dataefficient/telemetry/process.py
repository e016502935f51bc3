"""What the operator measures of itself: visits, queue, requests to the API server, queries, leadership."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from dataefficient.cycle.answers import Answer
from dataefficient.telemetry.series import PREFIX

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_NAME = f"{PREFIX}operator_"


@dataclass(frozen=True)
class ProcessState:
    """What is read from the process at the moment of the scrape."""

    leads: Callable[[], bool]
    resources: Callable[[], int]
    queued: Callable[[], int]
    requests: Callable[[], int]


class ProcessMetrics(Collector):
    """The series of one process, in a registry that is given."""

    def __init__(self, registry: CollectorRegistry, state: ProcessState) -> None:
        self._state = state
        self.visits = Counter(
            f"{_NAME}visits",
            "Visits to resources by result: done, conflict, unreachable, fault.",
            ["result"],
            registry=registry,
        )
        self.visit_seconds = Histogram(
            f"{_NAME}visit_seconds", "Seconds that a visit took.", buckets=_SECONDS, registry=registry
        )
        self.decision_delay = Histogram(
            f"{_NAME}decision_delay_seconds",
            "Seconds from the end of a run's Job to the decision that took it in.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.api_errors = Counter(
            f"{_NAME}api_errors",
            "Requests that the API server refused or did not answer, by HTTP status (0: no answer).",
            ["code"],
            registry=registry,
        )
        self.answers = Counter(
            f"{_NAME}prometheus_answers",
            "Answers of Prometheus by verdict.",
            ["verdict"],
            registry=registry,
        )
        self.query_seconds = Histogram(
            f"{_NAME}prometheus_query_seconds",
            "Seconds until Prometheus had answered a question, its age included.",
            buckets=_SECONDS,
            registry=registry,
        )
        registry.register(self)

    def note_failure(self, status: int) -> None:
        """A request to the API server failed; 0: without an answer."""
        self.api_errors.labels(str(status)).inc()

    def note_answer(self, answer: Answer, seconds: float) -> None:
        """Prometheus has answered, after so many seconds."""
        self.answers.labels(answer.verdict.value).inc()
        self.query_seconds.observe(max(seconds, 0.0))

    def collect(self) -> Iterator[Metric]:
        """What is read at the moment of the scrape."""
        gauges = {
            "leader": ("1 where this process leads, else 0.", float(self._state.leads())),
            "resources": ("Resources that are watched.", self._state.resources()),
            "queue_depth": ("Resources that wait for a visit.", self._state.queued()),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(_NAME + name, text, value=value)
        text = "Requests to the API server, watches aside."
        yield CounterMetricFamily(f"{_NAME}api_requests", text, value=self._state.requests())
