"""The chart gives Grafana the dashboards, and has trainers scraped as the dashboards ask."""

from __future__ import annotations

import json
from typing import Any

import pytest

from boards.files import boards
from chart.helm import CHART, Helm, HelmError
from cluster import objects
from cluster.control_plane import ControlPlane
from dataefficient.cluster.manifests import job

ON = {"enabled": True}


def config_maps(helm: Helm, **values: Any) -> list[dict[str, Any]]:
    shown = helm.rendered("--namespace=ops", values={"dashboards": {**ON, **values}})
    return [one for one in shown if "-dashboard-" in one["metadata"]["name"]]


def test_grafana_s_sidecar_finds_each_dashboard_by_its_label(own: ControlPlane, helm: Helm):
    found = config_maps(helm)
    loaded = [json.loads(text) for one in found for text in one["data"].values()]
    assert sorted(one["uid"] for one in loaded) == sorted(board["uid"] for board in boards().values())
    for one in found:
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert one["metadata"]["annotations"] == {"grafana_folder": "Data-efficient training"}
        assert one["metadata"]["namespace"] == "ops"
    files = [name for one in found for name in one["data"]]
    assert len(set(files)) == len(files), "the sidecar writes all of them into one folder"
    created = own.kubectl("create", "--dry-run=server", "--filename=-", given=found)
    assert created.count("configmap/") == len(boards())


def test_label_folder_and_namespace_are_values(helm: Helm):
    labels = {"grafana_dashboard": None, "dashboards": "yes"}
    for one in config_maps(helm, labels=labels, annotations={"grafana_folder": None}, namespace="grafana"):
        assert one["metadata"]["labels"]["dashboards"] == "yes"
        assert "grafana_dashboard" not in one["metadata"]["labels"]
        assert "annotations" not in one["metadata"]
        assert one["metadata"]["namespace"] == "grafana"


def test_an_existing_kube_prometheus_stack_shows_them_by_its_two_values(helm: Helm):
    shown = helm.rendered(values={"kubePrometheusStack": {**ON, "release": "kps"}})
    names = [one["metadata"]["name"] for one in shown if "-dashboard-" in one["metadata"]["name"]]
    assert len(names) == len(boards())


def test_without_a_word_there_are_no_dashboards_and_no_trainer_is_scraped(helm: Helm):
    names = [one["metadata"]["name"] for one in helm.rendered()]
    assert not [name for name in names if "dashboard" in name or "trainers" in name]


@pytest.mark.parametrize(
    "values", [{"dashboards": {"on": True}}, {"dashboards": {"labels": {"a": 1}}}], ids=str
)
def test_a_wrong_value_is_refused(helm: Helm, values: dict[str, Any]):
    with pytest.raises(HelmError, match="don't meet the specifications of the schema"):
        helm("template", "det", str(CHART), values=values)


def monitor(helm: Helm, **values: Any) -> dict[str, Any]:
    given = {"metrics": {"trainerPodMonitor": ON}, **values}
    (found,) = [one for one in helm.rendered(values=given) if one["kind"] == "PodMonitor"]
    spec: dict[str, Any] = found["spec"]
    return spec


def test_the_pods_of_runs_are_scraped_under_the_name_of_their_resource(helm: Helm):
    spec = monitor(helm)
    made = job(objects.resource(), objects.plan(objects.resource()))
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    assert all(one["key"] in labels for one in spec["selector"]["matchExpressions"])
    (endpoint,) = spec["podMetricsEndpoints"]
    sources = {one["targetLabel"]: one["sourceLabels"] for one in endpoint["relabelings"]}
    label = "__meta_kubernetes_pod_label_dataefficient_training_resource"
    assert sources == {"resource_namespace": ["__meta_kubernetes_namespace"], "resource": [label]}
    assert labels["dataefficient.training/resource"] == objects.resource().metadata.name


def test_trainers_are_scraped_where_resources_are_driven(helm: Helm):
    assert monitor(helm)["namespaceSelector"] == {"any": True}
    assert monitor(helm, watch={"namespaces": ["ads"]})["namespaceSelector"] == {"matchNames": ["ads"]}
