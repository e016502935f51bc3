"""The reference page of all metrics, ``docs/metrics.md``, made from the declarations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import CollectorRegistry

from dataefficient.telemetry.choice_series import MAX_ANCHORS, MAX_CODES, MAX_OPTIONS
from dataefficient.telemetry.collector import MAX_SERIES, ResourceCollector
from dataefficient.telemetry.process import ProcessMetrics, ProcessState
from dataefficient.telemetry.reconciling import Reconciling
from dataefficient.telemetry.resource_series import RESOURCE_SERIES
from dataefficient.telemetry.run_series import RUN_LABELS, RUN_SERIES
from dataefficient.telemetry.series import MAX_LABEL, PREFIX, RESOURCE_LABELS
from dataefficient.telemetry.view import MAX_RUNS

TRAINER = (
    ("rows", "", "Rows read of the run's intervals."),
    ("rows_per_second", "", "Rows read a second since the first row."),
    ("kept_rows", "", "Rows trained on."),
    ("evaluated_rows", "", "Rows scored."),
    ("bad_rows", "", "Rows refused."),
    ("train_loss", "", "Mean log loss of the run's training batches so far, on sampled rows, in nats."),
    (
        "gradient_norm",
        "",
        "Euclidean norm of the newest batch's mean gradient by bias and dense part, embeddings aside.",
    ),
    (
        "phase_seconds",
        "`phase`",
        "Seconds so far by phase: read (the device waits for data), train, evaluate.",
    ),
)
"""What the trainer of this project serves; another trainer may serve the same. The packages share no code."""


def _quoted(labels: tuple[str, ...]) -> str:
    return " ".join(f"`{label}`" for label in labels)


_PROCESS_LABELS = {
    "visits": "`result`",
    "api_errors": "`code`",
    "prometheus_answers": "`verdict`",
    "refused": _quoted(RESOURCE_LABELS),
}


def registry_of_nothing() -> CollectorRegistry:
    """Everything that is exported, of a process without resources."""
    registry = CollectorRegistry()
    ProcessMetrics(registry, ProcessState(lambda: False, lambda: 0, lambda: 0, lambda: 0))
    Reconciling(registry, resync_seconds=0, oldest=lambda: 0, accepted=tuple, leads=lambda: False)
    ResourceCollector(
        views=tuple, leads=lambda: False, now=lambda: datetime.fromtimestamp(0, UTC), registry=registry
    )
    return registry


def page() -> str:
    """The page as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    common, run = _quoted(RESOURCE_LABELS), _quoted((*RESOURCE_LABELS, *RUN_LABELS))
    yield from (
        "# Metrics",
        "",
        "Made from `operator/dataefficient/telemetry` by `python hack/reference_pages`; edit there.",
        "",
        "The operator serves them on its metrics port under `/metrics`. What is not known is absent.",
        "Only the leader exports resources and runs, and a deleted resource is gone at the next scrape;",
        "aggregate `pod` and `instance` away, or a change of leader shows as two series.",
        "",
        f"A resource has at most {MAX_SERIES} series: of its {MAX_RUNS} newest finished runs,",
        f"{MAX_ANCHORS} points of its learning curve, {MAX_OPTIONS} plans that were weighed and {MAX_CODES}",
        "reasons of decisions among them.",
        f"Values of labels are cut at {MAX_LABEL} characters.",
        "",
        "## Resources",
        "",
        f"All carry {common}.",
        "",
        *_table([(s.full_name, s.kind.value, _quoted(s.labels), s.help) for s in RESOURCE_SERIES]),
        "",
        "## Runs",
        "",
        f"All carry {run}; `digest` is that of the run's checkpoint, empty where there is none.",
        "",
        *_table([(s.full_name, s.kind.value, _quoted(s.labels), s.help) for s in RUN_SERIES]),
        "",
        "## The operator itself",
        "",
        *_table(
            [
                _process_row(metric)
                for metric in registry_of_nothing().collect()
                if "_operator_" in metric.name
            ]
        ),
        "",
        "## Trainers",
        "",
        "The trainer of this project serves them while a run lasts, where `DATAEFFICIENT_METRICS_PORT` is",
        "set ([dashboards](dashboards.md#trainers)). All carry `run`. Any trainer may serve the same.",
        "",
        *_table(
            [(f"{PREFIX}trainer_{name}", "gauge", labels, text) for name, labels, text in TRAINER],
        ),
    )


def _process_row(metric: Metric) -> tuple[str, str, str, str]:
    name = metric.name + ("_total" if metric.type == "counter" else "")
    short = metric.name.partition("_operator_")[2]
    return name, metric.type, _PROCESS_LABELS.get(short, ""), metric.documentation


def _table(rows: list[tuple[str, str, str, str]]) -> Iterator[str]:
    yield "| metric | type | labels | meaning |"
    yield "|---|---|---|---|"
    for name, kind, labels, meaning in rows:
        yield f"| `{name}` | {kind} | {labels} | {meaning} |"
