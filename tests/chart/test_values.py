"""What the chart's values do, and which are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import CHART, Helm, HelmError
from cluster.control_plane import ControlPlane
from dataefficient.cli_operator import operator_command


@pytest.mark.parametrize(
    "values",
    [
        {"replica": 2},
        {"replicas": "2"},
        {"prices": {"a100": 2.21}},
        {"prometheus": {"allowed": ["ftp://prometheus"]}},
        {"prometheus": {"default": "http://user:secret@prometheus"}},
        {"prometheus": {"headers": {"X-Scope-OrgID": 7}}},
        {"prices": {"a100": "0"}},
        {"limits": {"maxBudget": {"money": "much"}}},
        {"limits": {"maxBudget": {"money": "0.0"}}},
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


def test_the_policy_holds_where_resources_are_driven(helm: Helm):
    def watched(namespaces: list[str]) -> Any:
        objects = {one["kind"]: one for one in helm.rendered(values={"watch": {"namespaces": namespaces}})}
        return objects["ValidatingAdmissionPolicyBinding"]["spec"].get("matchResources")

    selected = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["ads", "shop"]}
    assert watched([]) is None
    assert watched(["ads", "shop"]) == {"namespaceSelector": {"matchExpressions": [selected]}}


def test_a_release_without_the_policy_warns(helm: Helm):
    def notes(**values: Any) -> str:
        return helm("install", "det", str(CHART), "--dry-run=client", "--namespace=ops", values=values)

    assert "WARNING: admissionPolicy.enabled is false" in notes(admissionPolicy={"enabled": False})
    assert "WARNING" not in notes(prices={"a100": "2.21"})
    assert "WARNING: replicas is 0" in notes(replicas=0)


def test_the_notes_say_whether_anyone_is_told(helm: Helm):
    def notes(**values: Any) -> str:
        return helm("install", "det", str(CHART), "--dry-run=client", "--namespace=ops", values=values)

    bare = notes(prices={"a100": "2.21"})
    assert "Nothing has this operator scraped" in bare
    assert "http://det-data-efficient-training.ops.svc:8080/metrics" in bare
    assert "No alerts are installed" in bare
    stack = notes(kubePrometheusStack={"enabled": True, "release": "kps"})
    assert "Scraped and with alerts by kube-prometheus-stack, if its release is called kps." in stack
    both = notes(metrics={"podMonitor": {"enabled": True}}, rules={"enabled": True})
    for told in (stack, both):
        assert "Nothing has" not in told
        assert "No alerts" not in told


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
        "prometheus": {
            "default": "http://prometheus:9090",
            "allowed": [],
            "headers": {"X-Scope-OrgID": "ads"},
            "secretNamespaces": ["ads"],
        },
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
        prometheus={"default": address, "allowed": [address], "headers": {"X-Scope-OrgID": "ads|shop"}},
        limits={"maxBudget": {"money": "200"}},
    )
    assert none == {
        "prometheus": {"default": "", "allowed": [], "headers": {}},
        "prices": {},
        "maxBudget": {"money": "", "deviceHours": ""},
    }
    assert some == {
        "prometheus": {"default": address, "allowed": [address], "headers": {"X-Scope-OrgID": "ads|shop"}},
        "prices": prices,
        "maxBudget": {"money": "200", "deviceHours": ""},
    }
    assert before != after


def test_what_the_chart_tells_the_operator_is_what_the_operator_takes(
    helm: Helm, monkeypatch: pytest.MonkeyPatch
):
    values = {"watch": {"namespaces": ["ads", "feed"]}, "operator": {"logLevel": "debug"}}
    deployment = next(one for one in helm.rendered(values=values) if one["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    given = {one["name"]: one.get("value", "from-the-pod") for one in container["env"]}
    assert container["command"] == ["detctl", "operator"]
    prefix = "DETCTL_OPERATOR_"
    assert set(given) <= {
        option.envvar or f"{prefix}{option.name.upper()}" for option in operator_command.params
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    taken = operator_command.make_context("operator", [], auto_envvar_prefix=prefix.rstrip("_")).params
    assert taken["namespaces"] == ("ads", "feed")
    assert taken["log_level"] == "debug"
    assert taken["policy"] == Path(given[f"{prefix}POLICY"])
    assert taken["lease_name"] == given[f"{prefix}LEASE_NAME"]
