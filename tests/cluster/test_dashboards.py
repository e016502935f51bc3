"""Every query of every dashboard, put to a real Prometheus that scraped a real operator and a real trainer.

The operator counts costs in examples (`counting`), so that experiments are worth what they take although the
fake trainer takes no time. The other resource trains with the real trainer, which serves its own metrics.
"""

import shutil
import socket
import sys
import time
from dataclasses import dataclass

import pytest

from boards.files import boards
from cluster import counting
from cluster.node import TestNode
from cluster.running import FLIGHTS, Watched, eventually, operating, quick
from dashboards.asking import Grafana, panels, queries, variables
from dashboards.exceptions import NO_DEVICE
from dataefficient.cycle.model import Memory, Step
from dataefficient.telemetry.collector import MAX_SERIES
from prometheus.live import prometheus

OPERATOR = (sys.executable, "-P", counting.__file__)
NAMESPACE = "dashboards"
HERE = 'resource_namespace="${namespace}",resource="${name}"'


@dataclass
class Lived:
    """What is left to be asked after two resources have lived."""

    address: str
    began: float
    memory: Memory
    exported: str
    ended: float

    def grafana(self, resource):
        chosen = {"namespace": NAMESPACE, "resource": resource, "job": ".*", "run": ".*"}
        return Grafana(self.address, self.began, self.ended, chosen)

    def of(self, board):
        """Asks for the resource that a dashboard is looked at for."""
        return self.grafana("torch" if board == "trainer" else "rich")


def free_port():
    """A port that was free a moment ago, since each of the two must know the other's before it starts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def rich(folder):
    """A resource that declares all that a panel shows: a price, each part of a budget, a target, a query."""
    champion = f"dataefficient_champion_cycle{{{HERE}}}"
    every = {"deviceHours": "5000", "money": "10000"}
    return quick(
        NAMESPACE,
        folder,
        name="rich",
        schedule={
            "historyFrom": "2001-01-01T00:00:00Z",
            "startTime": "2001-02-01T00:00:00Z",
            "everySeconds": 4 * 86400,
            "endTime": "2001-03-05T01:00:00Z",
        },
        kpi={
            "tolerance": "0.02",
            "maxRegression": "0.5",
            "direction": "Maximize",
            "target": "2",
            "overCycles": 1,
            "query": f"max({champion})",
            "freshnessQuery": f"max(timestamp({champion}))",
        },
        prometheus={"settleSeconds": 1},
        exploration={"share": "1"},
        knobs={"samplingRate": {"min": "0.2", "max": "1"}, "modelSize": {"values": [8]}},
        accelerators=[{"name": "cpu", "pricePerDeviceHour": "2"}],
        budget={"perCycle": every, "total": every, "window": {"period": "Month", **every}},
    )


def torch(folder, port):
    """A resource with the real trainer, which serves its metrics on a port, one run after another."""
    features = {"categorical": ["origin", "destination"]}
    container = {
        "name": "trainer",
        "image": "trainer:1",
        "command": ["python", "-m", "dataefficient_trainer"],
        "env": [{"name": "DATAEFFICIENT_METRICS_PORT", "value": str(port)}],
        "ports": [{"name": "metrics", "containerPort": port}],
    }
    return quick(
        NAMESPACE,
        folder,
        name="torch",
        schedule={
            "historyFrom": "2001-01-15T00:00:00Z",
            "startTime": "2001-03-01T00:00:00Z",
            "everySeconds": 86400,
            "endTime": "2001-03-02T00:00:00Z",
        },
        data={
            "uri": str(FLIGHTS),
            "time": "departure",
            "label": "late",
            "key": ["departure", "origin", "destination"],
        },
        # Large enough to train for seconds, so that it is scraped meanwhile.
        knobs={"modelSize": {"values": [64]}},
        trainer={
            "config": {"learningRate": 0.15, "features": features},
            "template": {"spec": {"containers": [container]}},
        },
    )


@pytest.fixture(scope="module")
def namespace(cluster):
    """Always of this name: samples and seeds follow from it, and with them what is decided."""
    cluster.kubectl("create", "namespace", NAMESPACE)
    account = ("serviceaccount/default", f"--namespace={NAMESPACE}")
    cluster.kubectl("wait", "--for=create", *account, "--timeout=30s")
    yield NAMESPACE
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="module")
def lived(cluster, kind, namespace, tmp_path_factory):
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("NO PROMETHEUS ON PATH: the dashboards are NOT shown to have data")
    folder, here, training = tmp_path_factory.mktemp("dashboards"), free_port(), free_port()
    # Scraped twice, the operator shows what a change of leader shows for five minutes: every series twice.
    operators = dict.fromkeys(("operator", "successor"), f"127.0.0.1:{here}")
    targets = {**operators, "trainer": f"127.0.0.1:{training}"}
    labels = {"trainer": {"resource_namespace": NAMESPACE, "resource": "torch"}}
    policy, began = folder / "policy.yaml", time.time()
    with (
        prometheus(program, folder / "prometheus", targets, labels=labels) as address,
        TestNode.started(cluster, folder=folder / "node"),
    ):
        policy.write_text(f"prometheus: {{default: '{address}'}}\n")
        options = ("--policy", str(policy), "--port", str(here))
        with operating(cluster, folder, NAMESPACE, *options, program=OPERATOR) as operator:
            operator.ready()
            cluster.apply(rich(folder), torch(folder, training))
            for name in ("rich", "torch"):
                memory = eventually(Watched(cluster, NAMESPACE, name).finished, of=operator, seconds=240)
                assert memory.step is Step.FINISHED, memory.stopped
            # What was decided last must have been scraped, too.
            memory = Watched(cluster, NAMESPACE, "rich").memory()
            last = f'min(dataefficient_cycle{{resource="rich"}}) == {memory.cycle}'
            asking = Grafana(address, began, began, {})
            eventually(lambda: asking.get("query", query=last)["result"], of=operator)
            yield Lived(address, began, memory, operator.probe("/metrics")[1], time.time())


def test_every_panel_has_data_or_a_reason_why_it_has_none(lived, capsys):
    empty, total, whole = set(), 0, 0
    for name, board in boards().items():
        grafana = lived.of(name)
        without = {asked.where: asked.panel for asked in queries(name, board) if not grafana.numbers(asked)}
        empty |= set(without)
        total += len(panels(board))
        whole += sum(panel["title"] not in without.values() for panel in panels(board))
    with capsys.disabled():
        sys.stdout.write(f"\n{total} panels, {whole} with data, {len(NO_DEVICE)} queries excepted\n")
    assert empty == set(NO_DEVICE)
    assert total - whole == len(NO_DEVICE)


def test_panels_show_what_the_operator_remembers(lived):
    """Each through a change of leader, which shows every series twice."""
    memory, shown = lived.memory, {}
    for asked in queries("fleet", boards()["fleet"]):
        if asked.panel == "Resources":
            shown[asked.ref] = lived.grafana("rich").newest(asked)
    assert shown["A"] == memory.cycle
    assert shown["D"] == pytest.approx(memory.distance_bound)
    assert shown["E"] == memory.champion.point.rate < 1.0
    assert shown["G"] == pytest.approx(memory.ledger.settled / 3600)
    assert shown["I"] == pytest.approx(1 - memory.saved.spent / memory.saved.full.mean)
    marks = next(m for m in queries("resource", boards()["resource"]) if m.panel == "Decisions")
    codes = {code for record in memory.history for code in record.codes}
    # Cycles of a second pass between two scrapes.
    assert {"CheapestInsideTolerance"} <= lived.grafana("rich").marked(marks, "code") <= codes


def test_every_variable_has_values(lived):
    for name, board in boards().items():
        grafana = lived.of(name)
        for variable, series, label in variables(board):
            assert grafana.values_of(series, label), f"{name}: {variable}"


def test_a_resource_has_as_many_series_as_is_stated_at_most(lived, capsys):
    mine = [line for line in lived.exported.splitlines() if 'resource="rich"' in line]
    of_runs = [line for line in mine if 'run="' in line]
    with capsys.disabled():
        sys.stdout.write(f"\n{len(mine)} series of one resource, {len(of_runs)} of them of finished runs\n")
    assert 0 < len(mine) <= MAX_SERIES
