"""What the Prometheus Operator is given: monitors and rules that an existing Prometheus selects and takes.

Its definitions are not at hand here, so that the fields used are held against the part of its API reference
(monitoring.coreos.com/v1) that the chart uses; the rules themselves are checked by promtool.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import CHART, Helm, HelmError

RULES = CHART / "files" / "rules.yaml"
STACK = {"kubePrometheusStack": {"enabled": True, "release": "kps"}}

RULE = {"alert": str, "expr": str, "for": str, "labels": dict, "annotations": dict}
GROUP = {"name": str, "rules": [RULE]}
SELECTOR = {"matchLabels": dict}
ENDPOINT = {"port": str, "path": str, "interval": str}
SPECS: dict[str, dict[str, Any]] = {
    "PrometheusRule": {"groups": [GROUP]},
    "ServiceMonitor": {"selector": SELECTOR, "endpoints": [ENDPOINT]},
    "PodMonitor": {"selector": SELECTOR, "podMetricsEndpoints": [ENDPOINT]},
}
"""The fields of each kind that are used, with their types."""


def faults(value: Any, allowed: Any, path: str) -> list[str]:
    """Where a value has a field or a type that is not allowed."""
    if isinstance(allowed, list):
        if not isinstance(value, list):
            return [f"{path}: not a list"]
        return [f for i, one in enumerate(value) for f in faults(one, allowed[0], f"{path}[{i}]")]
    if isinstance(allowed, dict):
        if not isinstance(value, dict):
            return [f"{path}: not an object"]
        unknown = [f"{path}.{name}: unknown" for name in value.keys() - allowed.keys()]
        known = value.keys() & allowed.keys()
        return unknown + [f for name in known for f in faults(value[name], allowed[name], f"{path}.{name}")]
    if allowed is dict:
        wrong = not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values())
        return [f"{path}: not a map of texts"] if wrong else []
    return [] if isinstance(value, allowed) else [f"{path}: not a {allowed.__name__}"]


def of_the_prometheus_operator(helm: Helm, values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The objects of the Prometheus Operator's kinds, by kind."""
    objects = helm.rendered("--namespace=ops", values=values)
    return {one["kind"]: one for one in objects if one["apiVersion"] == "monitoring.coreos.com/v1"}


def plain() -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
    return groups


def test_by_default_nothing_is_asked_of_the_prometheus_operator(helm: Helm):
    assert of_the_prometheus_operator(helm, {}) == {}


def test_two_values_are_enough_for_an_existing_kube_prometheus_stack(helm: Helm):
    found = of_the_prometheus_operator(helm, STACK)
    assert found.keys() == {"ServiceMonitor", "PrometheusRule"}
    for one in found.values():
        assert one["metadata"]["labels"]["release"] == "kps"
        assert one["metadata"]["namespace"] == "ops"
    (service,) = [one for one in helm.rendered(values=STACK) if one["kind"] == "Service"]
    monitor = found["ServiceMonitor"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_only_fields_that_the_prometheus_operator_knows_are_used(helm: Helm):
    enabled = {"enabled": True}
    values = {"metrics": {"podMonitor": enabled, "serviceMonitor": enabled}, "rules": enabled}
    found = of_the_prometheus_operator(helm, values)
    assert found.keys() == SPECS.keys()
    for kind, one in found.items():
        assert one.keys() == {"apiVersion", "kind", "metadata", "spec"}
        assert faults(one["spec"], SPECS[kind], kind) == []
    assert faults({"groups": [{"name": 1, "rule": []}]}, SPECS["PrometheusRule"], "x") == [
        "x.groups[0].rule: unknown",
        "x.groups[0].name: not a str",
    ]


def test_the_prometheus_rule_holds_what_the_plain_file_holds(helm: Helm):
    found = of_the_prometheus_operator(helm, {"rules": {"enabled": True}})
    assert found["PrometheusRule"]["spec"]["groups"] == plain()


def test_promtool_takes_the_rules_as_they_are_rendered(helm: Helm, tmp_path: Path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("NOT TESTED: no promtool on PATH (Debian: apt-get install prometheus)")
    spec = of_the_prometheus_operator(helm, STACK)["PrometheusRule"]["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(spec))
    done = subprocess.run(
        [promtool, "check", "rules", str(tmp_path / "rules.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_runbooks_are_found_where_the_value_says_and_alerts_can_be_left_out(helm: Helm):
    rules = {
        "enabled": True,
        "labels": {"role": "alerts"},
        "runbookUrl": "https://runbooks.example/det/{alert}/",
        "disabled": ["DataEfficientCalibrationOff"],
    }
    found = of_the_prometheus_operator(helm, {"rules": rules})["PrometheusRule"]
    assert found["metadata"]["labels"]["role"] == "alerts"
    kept = [rule for group in found["spec"]["groups"] for rule in group["rules"]]
    names = [rule["alert"] for rule in kept]
    assert names == [
        rule["alert"]
        for group in plain()
        for rule in group["rules"]
        if rule["alert"] != "DataEfficientCalibrationOff"
    ]
    for rule in kept:
        assert rule["annotations"]["runbook_url"] == f"https://runbooks.example/det/{rule['alert']}/"


def test_an_alert_that_does_not_exist_cannot_be_left_out(helm: Helm):
    values = {"rules": {"enabled": True, "disabled": ["Target"]}}
    with pytest.raises(
        HelmError, match=r'rules\.disabled: found "Target"; allowed: DataEfficientOperatorAbsent,'
    ):
        helm("template", "det", str(CHART), values=values)


def test_a_runbook_address_without_a_place_for_the_alert_is_refused(helm: Helm):
    with pytest.raises(HelmError, match="don't meet the specifications of the schema"):
        helm("template", "det", str(CHART), values={"rules": {"runbookUrl": "https://runbooks.example"}})
