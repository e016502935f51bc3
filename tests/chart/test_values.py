"""What the chart's values do, and which are refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from chart.helm import CHART, Helm, HelmError
from cluster.control_plane import ControlPlane


@pytest.mark.parametrize(
    "values",
    [
        {"replica": 2},
        {"replicas": "2"},
        {"prices": {"a100": 2.21}},
        {"prometheus": {"allowed": ["ftp://prometheus"]}},
        {"prometheus": {"default": "http://user:secret@prometheus"}},
        {"limits": {"maxBudget": {"money": "much"}}},
        {"image": {"digest": "latest"}},
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_by_its_schema(helm: Helm, values: dict[str, Any]):
    with pytest.raises(HelmError, match="don't meet the specifications of the schema"):
        helm("template", "det", str(CHART), values=values)


def test_an_older_kubernetes_is_refused(helm: Helm):
    with pytest.raises(HelmError, match=r"incompatible with Kubernetes v1\.32"):
        helm("template", "det", str(CHART), "--kube-version=1.32.9")


def test_the_definition_can_be_left_to_others(helm: Helm):
    kinds = [one["kind"] for one in helm.rendered(values={"crds": {"install": False}})]
    assert "CustomResourceDefinition" not in kinds


def test_all_options_together_are_accepted_by_the_server(own: ControlPlane, helm: Helm):
    enabled = {"enabled": True}
    values = {
        "podDisruptionBudget": enabled,
        "networkPolicy": {
            **enabled,
            "metricsFrom": [{"namespaceSelector": {}}],
            "egress": [{"ports": [{"port": 9090, "protocol": "TCP"}]}],
        },
        "metrics": {"podMonitor": enabled, "serviceMonitor": enabled},
        "watch": {"namespaces": ["ads"]},
        "prometheus": {"default": "http://prometheus:9090", "allowed": [], "secretNamespaces": ["ads"]},
        "operator": {"extraEnv": [{"name": "TZ", "value": "UTC"}]},
        "podLabels": {"team": "ml"},
        "podAnnotations": {"note": "x"},
        "imagePullSecrets": [{"name": "pull"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "serviceAccount": {"annotations": {"note": "x"}},
    }
    objects = helm.rendered("--namespace=ops", values=values)
    monitors = [one for one in objects if one["kind"].endswith("Monitor")]
    rest = [one for one in objects if one not in monitors]
    created = own.kubectl("create", "--dry-run=server", "--filename=-", given=rest)
    assert "networkpolicy" in created
    assert "poddisruptionbudget" in created
    (deployment,) = [one for one in objects if one["kind"] == "Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert [one["kind"] for one in monitors] == ["PodMonitor", "ServiceMonitor"]
    for monitor in monitors:
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_what_the_installation_rules_reaches_the_operator_and_restarts_it(helm: Helm):
    def rendered(**values: Any) -> tuple[dict[str, Any], str]:
        objects = {one["kind"]: one for one in helm.rendered(values=values)}
        pod = objects["Deployment"]["spec"]["template"]
        return yaml.safe_load(objects["ConfigMap"]["data"]["policy.yaml"]), pod["metadata"]["annotations"][
            "checksum/policy"
        ]

    none, before = rendered(replicas=1)
    prices = {"a100": "2.21"}
    address = "http://prometheus:9090"
    some, after = rendered(
        prices=prices,
        prometheus={"default": address, "allowed": [address]},
        limits={"maxBudget": {"money": "200"}},
    )
    assert none == {
        "prometheus": {"default": "", "allowed": []},
        "prices": {},
        "maxBudget": {"money": "", "deviceHours": ""},
    }
    assert some == {
        "prometheus": {"default": address, "allowed": [address]},
        "prices": prices,
        "maxBudget": {"money": "200", "deviceHours": ""},
    }
    assert before != after
