"""The operator beside a real API server and a real Prometheus: it exports, is scraped, and reads back."""

import shutil
import socket

import pytest

from cluster.running import Watched, eventually, operating, quick
from dataefficient.cycle.model import Step
from prometheus.live import prometheus

HERE = 'resource_namespace="${namespace}",resource="${name}"'


@pytest.fixture(scope="module")
def binary():
    found = shutil.which("prometheus")
    if found is None:
        pytest.skip("NO PROMETHEUS ON PATH: the operator is NOT shown reading back from a real server")
    return found


@pytest.fixture
def port():
    """A port that was free a moment ago, since each of the two must know the other's before it starts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def address(binary, port, tmp_path):
    with prometheus(binary, tmp_path / "prometheus", {"operator": f"127.0.0.1:{port}"}) as found:
        yield found


@pytest.fixture
def operator(cluster, kind, namespace, tmp_path, address, port):
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"prometheus: {{default: '{address}'}}\n")
    with operating(cluster, tmp_path, namespace, "--policy", str(policy), "--port", str(port)) as one:
        yield one.ready()


def asking(**prometheus_fields):
    """A resource that asks for its champion's cycle, and for its cost as the operator itself exports it."""
    cost = f'max(dataefficient_run_device_seconds{{{HERE},run="${{run}}"}})'
    champion = f"dataefficient_champion_cycle{{{HERE}}}"
    return {
        "kpi": {
            "tolerance": "0.02",
            "maxRegression": "0.5",
            "direction": "Maximize",
            "target": "2",
            "overCycles": 1,
            "query": f"max({champion})",
            "freshnessQuery": f"max(timestamp({champion}))",
        },
        "prometheus": {
            "settleSeconds": 1,
            "cost": {"source": "KubeStateMetrics", "query": cost},
            **prometheus_fields,
        },
    }


def condition(watched, kind):
    found = next((c for c in watched.status().get("conditions", []) if c["type"] == kind), {})
    return found.get("status"), found.get("reason"), found.get("message", "")


def test_quality_cost_and_kpi_are_read_back_from_what_was_scraped(
    cluster, node, namespace, tmp_path, operator
):
    cluster.apply(quick(namespace, tmp_path, cycles=2, **asking()))
    watched = Watched(cluster, namespace)
    eventually(watched.finished, of=operator)
    agrees = eventually(
        lambda: (found := condition(watched, "PrometheusAgrees"))[1] == "Agrees" and found, of=operator
    )
    assert agrees[0] == "True"
    assert "candidate" in agrees[2]
    assert eventually(lambda: condition(watched, "CostAgrees")[:2] == ("True", "Agrees"), of=operator)
    assert eventually(lambda: condition(watched, "TargetMet")[:2] == ("True", "Met"), of=operator)
    assert condition(watched, "KPIAvailable")[:2] == ("True", "Reported")
    heard = watched.memory().heard
    assert heard[-1].value == 2.0
    assert operator.metric("dataefficient_operator_prometheus_answers_total") >= 3


UNUSABLE = {
    "malformed": ("sum(", "Failed", "spec.kpi.query"),
    "empty": ('clicks{none="such"}', "Empty", "no series matches"),
    "nan": ("vector(0) / 0", "NotFinite", "division by zero"),
    "stale": ("sum(up)", "Stale", "give freshnessQuery"),
    "multiple": ('{__name__=~"scrape_.*"}', "Multiple", "aggregate them to one"),
}


def test_a_query_without_one_fresh_number_is_told_with_its_verdict_and_stops_nothing(
    cluster, node, namespace, tmp_path, operator
):
    for name, (query, _, _) in UNUSABLE.items():
        fields = asking()
        fields["kpi"] |= {"query": query}
        del fields["kpi"]["freshnessQuery"]
        cluster.apply(quick(namespace, tmp_path, cycles=1, name=name, **fields))
    for name, (_, reason, words) in UNUSABLE.items():
        watched = Watched(cluster, namespace, name)
        assert eventually(watched.finished, of=operator).step is Step.FINISHED
        found = eventually(
            lambda watched=watched, reason=reason: (
                (c := condition(watched, "KPIAvailable"))[1] == reason and c
            ),
            of=operator,
        )
        assert found[0] == "False"
        assert words in found[2], name
        assert condition(watched, "TargetMet")[0] == "Unknown"
        assert all(one.value is None for one in watched.memory().heard)


def test_a_server_that_is_away_stops_nothing_and_is_told(cluster, kind, node, namespace, tmp_path, port):
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"prometheus: {{default: 'http://127.0.0.1:{port}'}}\n")
    cluster.apply(quick(namespace, tmp_path, cycles=1, **asking()))
    with operating(cluster, tmp_path, namespace, "--policy", str(policy)) as operator:
        watched = Watched(cluster, namespace)
        eventually(watched.finished, of=operator)
        found = eventually(
            lambda: (found := condition(watched, "KPIAvailable"))[1] == "Failed" and found, of=operator
        )
        assert found[0] == "False"
        assert "spec.kpi.query" in found[2]
        assert condition(watched, "PrometheusAgrees")[:2] == ("Unknown", "Failed")


def test_a_deleted_resource_is_exported_no_more(cluster, node, namespace, tmp_path, operator):
    cluster.apply(quick(namespace, tmp_path, cycles=1))
    watched = Watched(cluster, namespace)
    eventually(watched.finished, of=operator)
    eventually(lambda: operator.metric("dataefficient_cycle") == 2, of=operator)
    cluster.kubectl("delete", "det", "quick", "--namespace", namespace, "--timeout=20s")
    eventually(lambda: "dataefficient_cycle{" not in operator.probe("/metrics")[1], of=operator)


@pytest.mark.parametrize(
    ("fields", "reason", "told"),
    [
        ({"address": "http://elsewhere:9090"}, "AddressNotAllowed", "spec.prometheus.address"),
        ({"secretName": "absent"}, "SecretNotUsable", "spec.prometheus.secretName"),
    ],
)
def test_an_address_or_secret_that_cannot_be_used_is_a_condition(
    cluster, node, namespace, tmp_path, operator, fields, reason, told
):
    cluster.apply(quick(namespace, tmp_path, cycles=1, **asking(**fields)))
    watched = Watched(cluster, namespace)
    found = eventually(lambda: (c := condition(watched, "Accepted"))[1] == reason and c, of=operator)
    assert found[0] == "False"
    assert told in found[2]
