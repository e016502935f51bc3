"""Mode Recommend on a real API server, with what people see of it in kubectl."""

import json
import re

import pytest

from cluster.running import RESUMING_TRAINER, Watched, eventually, operating, quick
from dataefficient.cluster import decisions, names
from dataefficient.cycle.machine import advance
from dataefficient.cycle.model import Step


@pytest.fixture(scope="module")
def operator(cluster, kind, tmp_path_factory):
    with operating(cluster, tmp_path_factory.mktemp("operator"), None) as one:
        yield one.ready()


@pytest.fixture
def recommending(cluster, kind, node, namespace, tmp_path):
    def apply(**changes):
        given = {
            "cycles": 3,
            "mode": "Recommend",
            "kpi": {"tolerance": "0.2", "maxRegression": "0.5"},
            "knobs": {"samplingRate": {"min": "0.25", "max": "1"}, "modelSize": {"values": [8]}},
            "exploration": {"share": "1"},
            "accelerators": [{"name": "cpu", "resource": "cpu", "pricePerDeviceHour": "2"}],
            **changes,
        }
        cluster.apply(quick(namespace, tmp_path, **given))
        return Watched(cluster, namespace)

    return apply


def kubectl(cluster, namespace, *arguments):
    return cluster.kubectl(*arguments, "--namespace", namespace)


def test_a_cycle_waits_for_its_approval_goes_on_with_it_and_everything_is_seen_in_kubectl(
    recommending, operator, cluster, namespace
):
    watched = recommending(approval={"aboveMoney": "0.0000001"})
    asked = eventually(lambda: watched.status().get("recommendation"), of=operator)
    assert (asked["asked"], asked["holds"]) == ("Run", True)
    told = eventually(lambda: watched.condition("Progressing"), of=operator)
    assert (told["status"], told["reason"]) == ("False", "AwaitingApproval")
    kubectl(cluster, namespace, "wait", "--for=condition=Ready", "det/quick", "--timeout=5s")
    assert asked["digest"] in told["message"]
    approve(cluster, namespace, "nonsense")
    eventually(lambda: [m for r, m in watched.events() if r == "NotApproved" and asked["digest"] in m])
    assert not any("candidate" in name for name in watched.jobs())
    approve(cluster, namespace, asked["digest"])
    eventually(lambda: watched.memory().cycle == 1, of=operator)
    assert asked["digest"] in watched.status()["handledRequests"]
    watched.patch({"spec": {"approval": {"aboveMoney": "9"}}})
    memory = eventually(watched.finished, of=operator)
    assert memory.step is Step.FINISHED
    assert {r.plan.point.rate for r in memory.history} == {1.0}
    eventually(lambda: watched.status().get("step") == "Finished")
    describe = kubectl(cluster, namespace, "describe", "det", "quick")
    for words in (
        "Recommendation:",
        "Digest:",
        "Handled Requests:",
        "History:",
        "AwaitingApproval",
        "Approved",
    ):
        assert words in describe


def approve(cluster, namespace, word):
    kubectl(
        cluster, namespace, "annotate", "det", "quick", "--overwrite", f"{names.APPROVE_ANNOTATION}={word}"
    )


def test_an_approved_experiment_begins_with_the_next_cycle_and_the_decisions_are_replayed_the_same(
    recommending, cluster, namespace, node, operator
):
    # Too little for several small runs, which would be asked for first, and enough for a trial that rides.
    slow = {"program": RESUMING_TRAINER, "env": {"SLOW_RUN": "c001-candidate", "FAKE_RIDERS": "1"}}
    watched = recommending(exploration={"share": "0.25"}, **slow)
    asked = eventually(lambda: watched.status().get("recommendation"), of=operator)
    approve(cluster, namespace, asked["digest"])
    eventually(lambda: asked["digest"] in watched.status().get("handledRequests", []), of=operator)
    assert "recommendation" not in watched.status()
    (pod,) = eventually(lambda: [p for p in watched.pods() if p["status"]["phase"] == "Running"])
    node.evict(namespace, pod["metadata"]["name"])
    memory = eventually(watched.finished, of=operator)
    assert asked["asked"] == "Trial"
    assert "c002-trial" in {run.run for run in memory.history[2].runs}
    assert memory.approvals == (asked["digest"],)
    assert {r.plan.point.rate for r in memory.history} == {1.0}
    uid = watched.body()["metadata"]["uid"]
    held = decisions.files(watched.config_map(names.decisions("quick", uid)))
    for cycle in range(4):
        count, difference = decisions.replay(held, cycle, advance)
        assert count
        assert difference is None


def test_the_columns_of_kubectl_get_show_what_the_status_knows(recommending, operator, cluster, namespace):
    watched = recommending(mode="Enforce")
    eventually(watched.finished, of=operator)
    status = eventually(lambda: watched.status() if watched.status().get("step") == "Finished" else None)
    plain = kubectl(cluster, namespace, "get", "det")
    wide = kubectl(cluster, namespace, "get", "det", "--output=wide")
    header = ["NAME", "KPI", "TARGET", "GAP", "TOLERANCE", "RATE", "SIZE", "SPENT", "CYCLE", "READY", "AGE"]
    assert plain.splitlines()[0].split() == header
    assert wide.splitlines()[0].split() == [*header, "CONVERGENCE", "SAVINGS", "CHAMPION"]
    cells = dict(
        zip(wide.splitlines()[0].split(), re.split(r"\s{2,}", wide.splitlines()[1].strip()), strict=False)
    )
    row = wide.splitlines()[1]
    for cell in (
        status["kpi"]["summary"],
        status["spent"]["summary"],
        status["convergence"]["summary"],
        status["savings"]["summary"],
        status["champion"]["uri"],
    ):
        assert cell in row, (cell, json.dumps(cells))


@pytest.mark.parametrize("on_delete", ["Keep", "Delete"])
def test_what_serving_reads_goes_with_the_resource_only_where_it_was_asked_for(
    recommending, operator, cluster, namespace, on_delete
):
    watched = recommending(mode="Enforce", cycles=1, promotion={"onDelete": on_delete})
    eventually(lambda: watched.config_map("quick-candidate"), of=operator)
    assert watched.config_map("quick-candidate")["data"] == {"state": "None"}
    eventually(watched.finished, of=operator)
    kubectl(cluster, namespace, "delete", "det", "quick", "--timeout=20s")
    gone = [f"quick-{what}" for what in ("champion", "candidate")]
    eventually(lambda: not watched.jobs(), of=operator)
    if on_delete == "Delete":
        eventually(lambda: not any(watched.config_map(name) for name in gone))
        assert watched.config_map("quick-ledger")
    else:
        assert watched.config_map("quick-champion")["data"]["state"] == "Published"
        assert watched.config_map("quick-candidate")["data"] == {"state": "None"}
