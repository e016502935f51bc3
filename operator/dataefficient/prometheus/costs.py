"""The queries for what a run cost, by source, and the series of a run read back.

Templates with the variables that users have, too, so that an own query can begin as a copy of one
(``docs/prometheus.md`` shows them). All aggregate ``pod`` and ``instance`` of whoever was scraped away:
a change of leader, or of exporter, must not read as two series.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from dataefficient.api.compute import TRAINER_CONTAINER, Device
from dataefficient.api.serving import CostSource, Prometheus
from dataefficient.prometheus.placeholders import Subject, resolved
from dataefficient.prometheus.question import Question

PODS = "${name}-[a-z0-9]{5}-${run}-.+"
"""Regular expression for the names of a run's pods."""
READ_BACK_AGE = 300.0


class Unit(enum.StrEnum):
    """What a source answers in."""

    DEVICE_SECONDS = "DeviceSeconds"
    MONEY = "Money"


@dataclass(frozen=True)
class Source:
    """What the answers of one source mean."""

    unit: Unit
    granularity_seconds: float
    """By so much per device a right answer may be off: the source samples no more often."""


SOURCES = {
    CostSource.KUBE_STATE_METRICS: Source(Unit.DEVICE_SECONDS, 2.0),
    CostSource.OPENCOST: Source(Unit.MONEY, 120.0),
    CostSource.DCGM: Source(Unit.DEVICE_SECONDS, 60.0),
    CostSource.GKE: Source(Unit.DEVICE_SECONDS, 120.0),
}

_WINDOW = "${windowSeconds}s"
_POD = f'namespace="${{namespace}}",pod=~"{PODS}"'
_TRAINER = f'{_POD},container="{TRAINER_CONTAINER}"'
_KUBE_STATE_METRICS = (
    "sum((max by (namespace, pod) (max_over_time(kube_pod_completion_time{%(pod)s}[%(window)s]))"
    " - max by (namespace, pod) (max_over_time(kube_pod_status_scheduled_time{%(pod)s}[%(window)s])))"
    " * on (namespace, pod) max by (namespace, pod) (max_over_time("
    'kube_pod_container_resource_requests{%(trainer)s,resource="%(resource)s"}[%(window)s])))'
)
_OPENCOST = (
    "sum(max by (namespace, pod, node) ("
    "sum_over_time(container_%(kind)s_allocation{%(trainer)s}[%(window)s:60s])) * 60"
    " * on (node) group_left () max by (node) (max_over_time(node_%(kind)s_hourly_cost[%(window)s]))) / 3600"
)
_DCGM = (
    "sum(max by (pod, UUID, GPU_I_ID)"
    " (max_over_time(timestamp(DCGM_FI_DEV_FB_USED{%(pod)s})[%(window)s:15s]))"
    " - min by (pod, UUID, GPU_I_ID)"
    " (min_over_time(timestamp(DCGM_FI_DEV_FB_USED{%(pod)s})[%(window)s:15s])))"
)
_GKE = (
    "sum(max by (namespace_name, pod_name) (sum_over_time("
    'kubernetes_io:container_accelerator_request{monitored_resource="k8s_container",'
    'namespace_name="${namespace}",pod_name=~"%(pods)s",container_name="%(container)s"}[%(window)s]))) * 60'
)
_TEMPLATES = {
    CostSource.KUBE_STATE_METRICS: _KUBE_STATE_METRICS,
    CostSource.OPENCOST: _OPENCOST,
    CostSource.DCGM: _DCGM,
    CostSource.GKE: _GKE,
}
_RESOURCES = {Device.NVIDIA: "nvidia_com_gpu", Device.TPU: "google_com_tpu", Device.CPU: "cpu"}


def cost_template(source: CostSource, device: Device) -> str:
    """The source's own query, variables not filled in.

    Raises:
        KeyError: the source None has no query.
    """
    return _TEMPLATES[source] % {
        "pod": _POD,
        "pods": PODS,
        "trainer": _TRAINER,
        "container": TRAINER_CONTAINER,
        "window": _WINDOW,
        "resource": _RESOURCES[device],
        "kind": "cpu" if device is Device.CPU else "gpu",
    }


def cost_question(prometheus: Prometheus, device: Device, subject: Subject) -> Question | None:
    """What to ask for the cost of the run ``subject``, which is over; None without a source."""
    cost = prometheus.cost
    if cost.source is CostSource.NONE:
        return None
    template = cost.query or cost_template(cost.source, device)
    return Question(
        name="spec.prometheus.cost",
        query=resolved(template, subject),
        max_age_seconds=READ_BACK_AGE,
        of_the_past=True,
    )


def read_back(series: str, subject: Subject, **labels: str) -> Question:
    """What to ask for the value of a run's exported ``series``.

    It is bound to the run by the labels ``run`` and ``digest``, and to the operator's last scrape by the
    time of its newest sample.
    """
    bound = {
        "resource_namespace": "${namespace}",
        "resource": "${name}",
        "run": "${run}",
        "digest": "${digest}",
        **labels,
    }
    matchers = ",".join(f'{name}="{value}"' for name, value in bound.items())
    selector = f"{series}{{{matchers}}}"
    return Question(
        name=series,
        query=resolved(f"max({selector})", subject),
        max_age_seconds=READ_BACK_AGE,
        freshness_query=resolved(f"max(timestamp({selector}))", subject),
    )
