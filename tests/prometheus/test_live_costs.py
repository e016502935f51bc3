"""The shipped queries, against a real server that scraped series named and labelled as the exporters' are.

The series are made up, for there are no GPUs, TPUs or clouds here; names and labels are those of the
exporters' documentation.
"""

import re
import time
from pathlib import Path

import pytest

from cycle.playing import resource
from dataefficient.api.compute import Device
from dataefficient.api.serving import CostSource, Prometheus
from dataefficient.cycle.answers import Verdict
from dataefficient.prometheus.costs import cost_question, cost_template, read_back
from dataefficient.prometheus.placeholders import Subject
from dataefficient.prometheus.questions import guardrail_questions, kpi_question
from prometheus.live import eventually

SUBJECT = Subject("ads", "flights", 3, "c003-candidate", "abc", 300)
POD = "flights-a1b2c-c003-candidate-1-x7k2p"
OTHERS = ["flights-two-a1b2c-c003-candidate-1-aaaaa", "flights-a1b2c-c003-control-1-bbbbb"]
PAIRS = [
    (CostSource.KUBE_STATE_METRICS, Device.NVIDIA),
    (CostSource.KUBE_STATE_METRICS, Device.TPU),
    (CostSource.KUBE_STATE_METRICS, Device.CPU),
    (CostSource.OPENCOST, Device.NVIDIA),
    (CostSource.OPENCOST, Device.CPU),
    (CostSource.DCGM, Device.NVIDIA),
    (CostSource.GKE, Device.NVIDIA),
    (CostSource.GKE, Device.TPU),
]
DOCUMENT = Path(__file__).parents[2] / "docs" / "prometheus.md"


def question(source, device, subject=SUBJECT, **cost):
    return cost_question(Prometheus(cost={"source": source, **cost}), device, subject)


def put(asked, question):
    return asked(
        question.query,
        freshness_query=question.freshness_query,
        assume_fresh=question.assume_fresh,
        of_the_past=question.of_the_past,
        max_age_seconds=question.max_age_seconds,
    )


def labels(**given):
    return "{" + ",".join(f'{name}="{value}"' for name, value in given.items()) + "}"


@pytest.mark.parametrize(("source", "device"), PAIRS)
def test_a_source_that_has_seen_nothing_is_empty(asked, source, device):
    unseen = Subject("ads", "unseen", 3, "c003-candidate", "abc", 300)
    assert put(asked, question(source, device, unseen)).verdict is Verdict.EMPTY


@pytest.mark.parametrize(
    ("device", "resource", "amount"),
    [(Device.NVIDIA, "nvidia_com_gpu", 4), (Device.TPU, "google_com_tpu", 8), (Device.CPU, "cpu", 2)],
)
def test_kube_state_metrics_give_pod_time_times_devices_of_this_run_alone(
    exporter, asked, device, resource, amount
):
    begun = 1_700_000_000
    for pod, seconds in [(POD, 100), (f"{POD[:-5]}yyyyy", 20), *((other, 7000) for other in OTHERS)]:
        here = {"namespace": "ads", "pod": pod}
        exporter.set("kube_pod_status_scheduled_time" + labels(**here, uid="u"), begun)
        exporter.set("kube_pod_completion_time" + labels(**here, uid="u"), begun + seconds)
        for container, wanted in (("trainer", amount), ("sidecar", 50)):
            exporter.set(
                "kube_pod_container_resource_requests"
                + labels(**here, uid="u", container=container, node="n", resource=resource, unit="integer"),
                wanted,
            )
    answer = eventually(
        lambda: put(asked, question(CostSource.KUBE_STATE_METRICS, device)),
        lambda a: a.value == 120.0 * amount,
    )
    assert answer.verdict is Verdict.OK


def test_opencost_gives_money(exporter, asked):
    here = {"namespace": "ads", "pod": POD, "container": "trainer", "node": "gpu-node", "instance": "i"}
    now = time.time()
    exporter.set("node_gpu_hourly_cost" + labels(node="gpu-node", instance="i", provider_id="p"), 3.6)
    exporter.set("node_gpu_hourly_cost" + labels(node="other-node", instance="j", provider_id="q"), 100)
    for i, pod in enumerate([POD, *OTHERS]):
        exporter.set("container_gpu_allocation" + labels(**{**here, "pod": pod}), 2 + 50 * i, at=now - 90)
    # Stamped 90 s ago: steps of 60 s find it once or twice within the look-back; money is 0.12 a step.
    answer = eventually(
        lambda: put(asked, question(CostSource.OPENCOST, Device.NVIDIA)), lambda a: a.verdict is Verdict.OK
    )
    assert answer.value / 0.12 == pytest.approx(round(answer.value / 0.12))
    assert 1 <= round(answer.value / 0.12) <= 5


def test_dcgm_gives_the_time_that_the_runs_gpus_were_seen(exporter, asked):
    begun = time.time() - 200
    gpus = [
        labels(gpu=str(i), UUID=f"GPU-{i}", namespace="ads", pod=POD, container="trainer") for i in range(2)
    ]
    for age in (0, 60, 120):
        for gpu in gpus:
            exporter.set(f"DCGM_FI_DEV_FB_USED{gpu}", 1000 + age, at=begun + age)
        eventually(
            lambda age=age: asked("min(timestamp(DCGM_FI_DEV_FB_USED))", assume_fresh=True),
            lambda a, age=age: a.value is not None and abs(a.value - begun - age) < 1.0,
        )
    answer = put(asked, question(CostSource.DCGM, Device.NVIDIA))
    # Two GPUs over 120 s; the steps of the subquery lose up to one at the beginning.
    assert answer.verdict is Verdict.OK
    assert 2 * 60.0 <= answer.value <= 2 * 120.0 + 1.0


def test_gke_gives_a_minute_per_sample_and_device(exporter, asked):
    here = {
        "monitored_resource": "k8s_container",
        "namespace_name": "ads",
        "container_name": "trainer",
        "resource_name": "google.com/tpu",
    }
    begun = time.time() - 200
    for sample in range(2):
        for pod in (POD, *OTHERS):
            series = "kubernetes_io:container_accelerator_request" + labels(**here, pod_name=pod)
            exporter.set(series, 4, at=begun + 60 * sample)
        answer = eventually(
            lambda: put(asked, question(CostSource.GKE, Device.TPU)),
            lambda a, sample=sample: a.value == 240.0 * (sample + 1),
        )
    assert answer.verdict is Verdict.OK


def test_an_own_query_replaces_the_sources(asked):
    own = question(CostSource.DCGM, Device.NVIDIA, query="vector(${windowSeconds})")
    assert put(asked, own).value == 300.0


def test_without_a_source_nothing_is_asked():
    assert question(CostSource.NONE, Device.CPU) is None


def test_a_runs_series_is_read_back_whoever_exports_it(exporter, asked):
    series = {"resource_namespace": "ads", "resource": "flights", "run": "c003-candidate", "digest": "abc"}
    for pod in ("old-leader", "new-leader"):
        exporter.set(
            "dataefficient_run_log_loss" + labels(**series, model="self", pod=pod), 0.4571234567890123
        )
    exporter.set("dataefficient_run_log_loss" + labels(**{**series, "digest": "x"}, model="self", pod="p"), 9)
    exporter.set("dataefficient_run_log_loss" + labels(**series, model="start", pod="p"), 9)
    back = read_back("dataefficient_run_log_loss", SUBJECT, model="self")
    answer = eventually(lambda: put(asked, back), lambda a: a.verdict is Verdict.OK)
    assert answer.value == 0.4571234567890123
    assert answer.sampled_at is not None


def test_a_resources_queries_are_about_champion_and_candidate():
    spec = resource(
        kpi={
            "tolerance": "0.02",
            "query": 'ctr{d="${digest}"}',
            "freshnessQuery": "t${cycle}",
            "maxAgeSeconds": 7,
        },
        servingGuardrails=[{"name": "p99", "query": 'p{r="${run}"}', "max": "1", "assumeFresh": True}],
    )
    kpi = kpi_question(spec, SUBJECT)
    assert (kpi.name, kpi.query, kpi.freshness_query) == ("spec.kpi.query", 'ctr{d="abc"}', "t3")
    assert (kpi.max_age_seconds, kpi.assume_fresh) == (7, False)
    (guardrail,) = guardrail_questions(spec, SUBJECT).values()
    assert (guardrail.name, guardrail.query) == ("spec.servingGuardrails[0].query", 'p{r="c003-candidate"}')
    assert guardrail.assume_fresh
    assert kpi_question(resource(), SUBJECT) is None


@pytest.mark.parametrize("source", [source for source in CostSource if source is not CostSource.NONE])
def test_the_document_shows_every_query_as_it_is_asked(source):
    shown = {
        " ".join(text.split()) for text in re.findall(r"```promql\n(.*?)```", DOCUMENT.read_text(), re.S)
    }
    assert " ".join(cost_template(source, Device.NVIDIA).split()) in shown
