"""The alerts against a real run: a real Prometheus scrapes the operator and evaluates every rule as it is.

Resources with known troubles run on the real control plane; each rule finds the one that it is for, and no
other. How long an alert waits is promtool's to show.
"""

import json
import re
import shutil
import socket
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from cluster.running import Watched, eventually, operating, quick
from dataefficient.contract import format_time
from dataefficient.cycle.model import Step
from prometheus.live import prometheus
from rules.test_rules import ALERTS, PREFIX, RULES, RUNBOOKS

WEEK = timedelta(days=7)
OF_THE_RUN = 'max(dataefficient_run_device_seconds{resource="${name}",run="${run}"})'
TOO_MUCH = f"{OF_THE_RUN} * 0 + 99999"
NOBODY = 'dataefficient_run_device_seconds{resource="nobody"}'

SKEWED = {"FAKE_BIAS": "1.3", "FAKE_SKEW": "0.1"}

WITHOUT_DATA = {
    'up{job=~".*data-efficient-training.*"}': "a Service gives the job its name, and here there is none",
    "sum by (pod, code) (rate(dataefficient_operator_api_errors_total[10m]))": "no request was refused twice",
}
"""Queries of runbooks that this run does not fill, and why; every selector of a rule it does."""


def live(cycles):
    """A schedule in the present: so many cycles are due, and the next one in days."""
    start = (datetime.now(UTC) - cycles * WEEK - timedelta(days=3)).replace(microsecond=0)
    return {
        "historyFrom": format_time(start - 4 * WEEK),
        "startTime": format_time(start),
        "everySeconds": int(WEEK.total_seconds()),
    }


KPI = {"tolerance": "0.02", "maxRegression": "0.5"}
CHAMPION = 'dataefficient_champion_cycle{resource="${name}"}'
ASKED = {
    **KPI,
    "direction": "Maximize",
    "query": f"max({CHAMPION})",
    "freshnessQuery": f"max(timestamp({CHAMPION}))",
    "overCycles": 1,
}


def resources(namespace, folder):
    """Resources by name: one that is well, and one for each trouble that a run can have within a minute."""

    def made(name, *, env=None, cost=OF_THE_RUN, address=None, **spec):
        where = {"address": address} if address else {}
        fields = {
            "schedule": live(2),
            "kpi": KPI,
            "accelerators": [{"name": "cpu", "resource": "cpu", "pricePerDeviceHour": "2"}],
            "budget": {"window": {"period": "Month", "deviceHours": "100"}, "total": {"money": "1000"}},
            "prometheus": {
                "settleSeconds": 1,
                "cost": {"source": "KubeStateMetrics", "query": cost},
                **where,
            },
            **spec,
        }
        place = folder / name
        place.mkdir()
        return quick(namespace, place, name=name, env=env, **fields)

    return [
        made("well", kpi={**ASKED, "target": "0"}),
        made("troubled", kpi={**ASKED, "target": "1000"}, cost=TOO_MUCH, env=SKEWED),
        made("blind", kpi={**ASKED, "query": 'clicks{none="such"}', "freshnessQuery": ""}, cost=NOBODY),
        made("noisy", kpi={"tolerance": "0.00001", "maxRegression": "0.5"}),
        made("broken", env={"FAKE_FAULTS": "*=crash"}, limits={"maxAttempts": 1}),
        made("refused", address="http://elsewhere:9090"),
    ]


FOUND = {
    "CalibrationOff": {"troubled"},
    "KpiInconclusive": {"blind", "noisy"},
    "LedgerDisagrees": {"troubled"},
    "QueryUnanswered": {"blind"},
    "Refused": {"refused"},
    "ServingSkew": {"troubled"},
    "Stopped": {"broken"},
    "TargetMissed": {"troubled"},
}
"""Which resources each rule must find, its wait apart; every other rule must find nothing."""


class Server:
    """A Prometheus that is asked over HTTP."""

    def __init__(self, address):
        self._address = address

    def get(self, path, **arguments):
        query = urllib.parse.urlencode(arguments)
        with urllib.request.urlopen(f"{self._address}/api/v1/{path}?{query}", timeout=20) as answer:
            return json.load(answer)["data"]

    def samples(self, query):
        return self.get("query", query=query)["result"]

    def names(self, query):
        """The resources that a query finds; job where it finds an operator."""
        return {s["metric"].get("resource", s["metric"].get("job", "")) for s in self.samples(query)}


@pytest.fixture(scope="module")
def binary():
    found = shutil.which("prometheus")
    if found is None:
        pytest.skip("NOT TESTED: no prometheus on PATH; the rules are NOT shown on a real run")
    return found


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def selectors():
    """Every selector of every rule, its range apart."""
    text = " ".join(rule["expr"] for rule in ALERTS.values())
    return sorted(set(re.findall(r"dataefficient_\w+(?:\{[^}]*\})?", text)))


def runbook_queries(namespace, name):
    """Every query of every runbook page, about one resource."""
    text = "".join(page.read_text() for page in sorted(RUNBOOKS.glob("*.md")))
    text = text.replace('"NAMESPACE"', f'"{namespace}"').replace('"NAME"', f'"{name}"')
    return [query.strip() for query in re.findall(r"```promql\n(.*?)```", text, re.S)]


def settled(watched):
    """Whether a resource is where its trouble leaves it."""
    memory = watched.memory()
    if memory is None:
        return watched.condition("Accepted")["status"] == "False"
    return memory.step is Step.STOPPED or (memory.cycle == 3 and not memory.running)


def test_every_rule_finds_in_a_real_run_what_it_is_for_and_nothing_else(
    cluster, kind, node, namespace, tmp_path, binary, port
):
    policy = tmp_path / "policy.yaml"
    targets = {"operator": f"127.0.0.1:{port}"}
    with prometheus(binary, tmp_path / "prometheus", targets, rules=[RULES]) as address:
        server = Server(address)
        policy.write_text(f"prometheus: {{default: '{address}'}}\n")
        bodies = resources(namespace, tmp_path)
        cluster.apply(*bodies)
        options = ("--policy", str(policy), "--port", str(port))
        with operating(cluster, tmp_path, namespace, *options) as operator:
            for body in bodies:
                watched = Watched(cluster, namespace, body["metadata"]["name"])
                eventually(lambda watched=watched: settled(watched), of=operator)
            expressions = {alert: rule["expr"] for alert, rule in ALERTS.items()}

            def found():
                answers = {a.removeprefix(PREFIX): server.names(e) for a, e in expressions.items()}
                return {alert: names for alert, names in answers.items() if names}

            eventually(lambda: found() == FOUND, of=operator)
            assert [one for one in selectors() if not server.samples(one)] == []
            asked = runbook_queries(namespace, "troubled")
            assert {one for one in asked if not server.samples(one)} <= set(WITHOUT_DATA)

            def rules():
                return [rule for group in server.get("rules")["groups"] for rule in group["rules"]]

            def pending():
                return {r["name"].removeprefix(PREFIX) for r in rules() if r["state"] != "inactive"}

            # Prometheus evaluates its rules now and then, and not as soon as there is something to find.
            eventually(lambda: pending() >= set(FOUND), of=operator)
            assert {rule["name"]: rule["health"] for rule in rules()} == dict.fromkeys(ALERTS, "ok")
            operator.terminate()
        # What has no process any more is found by one rule, and the resources by none.
        eventually(lambda: found() == {"OperatorAbsent": {"operator"}})
