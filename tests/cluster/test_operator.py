"""The operator on a real API server: whole lives, with deletion, edits, disruption and bad input in them."""

import time

import pytest

from cluster.running import RESUMING_TRAINER, Watched, eventually, flights, quick
from dataefficient.cluster import decisions, names
from dataefficient.cycle.machine import advance
from dataefficient.cycle.model import Step


@pytest.fixture
def resource(cluster, kind, node, namespace, tmp_path):
    """Applies a quick resource; keyword arguments as for ``quick``."""

    def apply(**changes):
        cluster.apply(quick(namespace, tmp_path, **changes))
        return Watched(cluster, namespace, changes.get("name", "quick"))

    return apply


def noted(folder, what="start"):
    path = folder / "launches"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split()[1] for line in lines if line.startswith(what)]


def test_a_resource_runs_its_cycles_and_says_so(resource, operator, tmp_path):
    watched = resource(cycles=2)
    memory = eventually(watched.finished, of=operator)
    assert memory.step is Step.FINISHED
    assert [r.cycle for r in memory.history] == [0, 1, 2]
    eventually(lambda: watched.status().get("step") == "Finished")
    status = watched.status()
    assert status["champion"]["cycle"] == memory.champion.cycle
    assert {c["type"] for c in status["conditions"]} >= {"Accepted", "Ready", "PrometheusAgrees"}
    assert watched.condition("Ready")["status"] == "True"
    assert watched.config_map("quick-champion")["data"]["digest"] == memory.champion.checkpoint.digest
    runs = noted(tmp_path)
    assert len(runs) == len(set(runs))
    assert any(reason == "RunStarted" for reason, _ in watched.events())
    assert operator.metric("dataefficient_operator_leader") == 1.0
    assert not operator.maps("scipy"), "what fits is the worker's"


def test_real_flights_are_trained_in_pods_and_decided_the_same_when_replayed(
    cluster, kind, node, namespace, tmp_path, operator
):
    cluster.apply(flights(namespace, tmp_path))
    watched = Watched(cluster, namespace, "flights")
    memory = eventually(watched.finished, of=operator, seconds=240)
    assert memory.step is Step.FINISHED, memory.stopped
    assert all(r.kpi is not None for r in memory.history[1:])
    assert all(e.seconds > 0 for e in memory.ledger.entries)
    uid = watched.body()["metadata"]["uid"]
    held = decisions.files(watched.config_map(decisions.names.decisions("flights", uid)))
    for cycle in range(3):
        count, difference = decisions.replay(held, cycle, advance)
        assert count
        assert difference is None


def test_deleting_never_hangs_and_leaves_serving_its_model(resource, operator, cluster, namespace, tmp_path):
    watched = resource(cycles=2, program=RESUMING_TRAINER, env={"SLOW_RUN": "c002-candidate"})
    eventually(lambda: noted(tmp_path, "waiting"), of=operator)
    cluster.kubectl("delete", "det", "quick", "--namespace", namespace, "--timeout=20s")
    eventually(lambda: not watched.jobs(), of=operator)
    assert watched.config_map("quick-champion")["data"]["state"] == "Published"
    # Made again, it goes on: the cycles that were run are not run again, what was spent stays spent.
    before = watched.memory()
    resource(cycles=2)
    memory = eventually(watched.finished, of=operator)
    assert memory.history[:2] == before.history
    assert memory.ledger.settled > before.ledger.settled
    assert any(reason == "Restored" for reason, _ in watched.events())


def test_deleting_the_ledger_starts_anew_and_runs_everything_again(
    resource, operator, cluster, namespace, tmp_path
):
    watched = resource(cycles=1)
    eventually(watched.finished, of=operator)
    assert noted(tmp_path).count("c000-pilot") == 1
    cluster.kubectl("delete", "configmap", "quick-ledger", "--namespace", namespace)
    # Nothing is asked of an idle resource: an edit, a restart or the resync makes the operator look.
    watched.patch({"spec": {"horizonCycles": 7}})
    eventually(lambda: noted(tmp_path).count("c000-pilot") == 2, of=operator)
    assert eventually(watched.finished, of=operator).step is Step.FINISHED


def test_suspending_ends_the_run_which_resumes_from_its_state(resource, operator, tmp_path):
    watched = resource(cycles=1, program=RESUMING_TRAINER, env={"SLOW_RUN": "c000-candidate"})
    eventually(lambda: noted(tmp_path, "waiting"), of=operator)
    watched.patch({"spec": {"suspend": True}})
    eventually(lambda: not [p for p in watched.pods() if p["status"]["phase"] == "Running"], of=operator)
    eventually(lambda: watched.memory().running[0].attempt == 2, of=operator)
    assert watched.condition("Progressing")["reason"] == "Suspended"
    launched = len(watched.jobs())
    spent = watched.memory().ledger.settled
    assert 0 < spent < watched.memory().running[0].reserved_seconds
    time.sleep(1.0)
    assert len(watched.jobs()) == launched
    watched.patch({"spec": {"suspend": False}})
    memory = eventually(watched.finished, of=operator)
    assert memory.step is Step.FINISHED
    assert noted(tmp_path, "resumed") == ["c000-candidate"]


def test_a_preempted_run_resumes_from_its_checkpoint(resource, operator, node, namespace, tmp_path):
    watched = resource(
        cycles=1,
        program=RESUMING_TRAINER,
        env={"SLOW_RUN": "c001-candidate"},
        limits={"maxAttempts": 1},
    )
    eventually(lambda: noted(tmp_path, "waiting"), of=operator)
    (pod,) = [p for p in watched.pods() if p["status"]["phase"] == "Running"]
    node.evict(namespace, pod["metadata"]["name"])
    memory = eventually(watched.finished, of=operator)
    assert memory.step is Step.FINISHED, memory.stopped
    assert noted(tmp_path, "resumed") == ["c001-candidate"]
    entries = [e for e in memory.ledger.entries if e.run == "c001-candidate"]
    assert [e.attempt for e in entries] == [1, 2]
    assert any("Preempted" in message for _, message in watched.events())


def test_an_exhausted_budget_stops_it_and_a_raised_one_goes_on(resource, operator):
    watched = resource(cycles=2, budget={"total": {"deviceHours": "0.0001"}})
    memory = eventually(watched.finished, of=operator)
    assert memory.stopped.code == "BudgetExhausted"
    eventually(lambda: watched.condition("WithinBudget")["status"] == "False")
    watched.patch({"spec": {"budget": {"total": {"deviceHours": "50"}}}})
    eventually(lambda: watched.memory().step is Step.FINISHED, of=operator)


def test_gpus_are_requested_and_selectors_and_tolerations_are_kept(resource, operator):
    watched = resource(
        cycles=1,
        accelerators=[{"name": "gpu", "resource": "nvidia.com/gpu", "perPod": 2}],
        pod={
            "nodeSelector": {"kubernetes.io/hostname": "node-1"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        },
    )
    memory = eventually(watched.finished, of=operator)
    assert memory.step is Step.FINISHED
    spec = next(iter(watched.jobs().values()))["spec"]["template"]["spec"]
    assert spec["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert spec["nodeSelector"] == {"kubernetes.io/hostname": "node-1"}


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        ({"nosuchfield": 1}, "nosuchfield"),
        ({"priorityClassName": 7}, "priorityClassName"),
        ({"volumes": [{"name": "A_b", "emptyDir": {}}]}, "A_b"),
    ],
)
def test_a_template_that_the_server_refuses_is_a_condition_and_no_crash_loop(resource, operator, pod, words):
    watched = resource(cycles=1, pod=pod)
    eventually(lambda: watched.condition("Accepted")["reason"] == "TemplateRejected", of=operator)
    assert words in watched.condition("Accepted")["message"]
    assert watched.memory() is None
    told, visits = operator.told(watched.namespace), operator.metric("dataefficient_operator_visits_total")
    time.sleep(1.5)
    assert operator.told(watched.namespace) == told
    # Other tests' resources, on their way out, are visited by the same operator.
    assert operator.metric("dataefficient_operator_visits_total") <= visits + 20
    assert not watched.jobs()


def test_a_template_that_pod_security_forbids_is_a_condition(cluster, resource, operator, namespace):
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    watched = resource(cycles=1, pod={"hostNetwork": True})
    eventually(lambda: watched.condition("Accepted")["reason"] == "TemplateRejected", of=operator)
    assert "hostNetwork" in watched.condition("Accepted")["message"]


def test_defaults_pass_the_restricted_pod_security(cluster, resource, operator, namespace):
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    watched = resource(cycles=1)
    assert eventually(watched.finished, of=operator).step is Step.FINISHED


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("silent", "NoReport"),
        ("garbage", "GarbageReport"),
        ("long", "GarbageReport"),
        ("data", "DataError"),
        ("crash", "Crashed"),
    ],
)
def test_a_trainer_that_fails_for_good_stops_the_resource_with_its_own_words(resource, operator, fault, code):
    watched = resource(cycles=1, env={"FAKE_FAULTS": f"*={fault}"}, limits={"maxAttempts": 1})
    memory = eventually(watched.finished, of=operator)
    assert memory.stopped.code == code
    ready = eventually(
        lambda: watched.condition("Ready") if watched.condition("Ready")["status"] == "False" else None
    )
    if fault == "data":
        assert "no column late; there are a, b" in ready["message"]


def test_a_missing_price_is_a_condition_with_the_field(resource, operator):
    watched = resource(cycles=1, budget={"total": {"money": "5"}})
    eventually(lambda: watched.condition("Accepted")["status"] == "False", of=operator)
    assert "spec.accelerators[0].pricePerDeviceHour" in watched.condition("Accepted")["message"]


def test_a_wiped_status_is_written_again_and_a_backup_without_one_goes_on(
    cluster, kind, node, namespace, tmp_path, operator
):
    cluster.apply(quick(namespace, tmp_path, cycles=2))
    watched = Watched(cluster, namespace)
    before = eventually(watched.finished, of=operator)
    eventually(lambda: watched.status().get("step") == "Finished", of=operator)
    backup, status = watched.body(), watched.status()
    wipe = '--patch=[{"op": "remove", "path": "/status"}]'
    cluster.kubectl("patch", "det", "quick", "-n", namespace, "--subresource=status", "--type=json", wipe)
    eventually(lambda: watched.status().get("spent") == status["spent"], of=operator)
    eventually(lambda: any(reason == "Restored" for reason, _ in watched.events()), of=operator)
    # Restored, it has another UID.
    cluster.kubectl("delete", "det", "quick", "--namespace", namespace, "--timeout=20s")
    about = {"name": "quick", "namespace": namespace}
    cluster.apply({**{key: backup[key] for key in ("apiVersion", "kind", "spec")}, "metadata": about})
    eventually(lambda: watched.status().get("step") == "Finished", of=operator)
    assert watched.status()["spent"] == status["spent"]
    after = watched.memory()
    assert (after.history, after.ledger) == (before.history, before.ledger)


def test_a_job_of_another_in_the_place_of_its_own_is_told_and_neither_adopted_nor_removed(
    resource, operator, cluster, namespace
):
    watched = resource(cycles=1, suspend=True)
    uid = eventually(lambda: watched.condition("Accepted")["reason"] == "Valid" and watched.body())[
        "metadata"
    ]["uid"]
    name = names.child("quick", uid, "c000-pilot", 1)
    pod = {"restartPolicy": "Never", "containers": [{"name": "theirs", "image": "theirs:1"}]}
    theirs = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"suspend": True, "template": {"spec": pod}},
    }
    cluster.apply(theirs)
    watched.patch({"spec": {"suspend": False}})
    told = eventually(
        lambda: (c := watched.condition("Ready"))["reason"] == "RunFailed" and c["message"], of=operator
    )
    assert f"a Job named {name} is there and belongs to another; remove it" in told
    assert watched.jobs()[name]["spec"]["suspend"] is True
    cluster.kubectl("delete", "det", "quick", "--namespace", namespace, "--timeout=20s")
    eventually(lambda: watched.body() is None)
    assert list(watched.jobs()) == [name]
    resource(cycles=1)
    assert eventually(watched.finished, of=operator).step is Step.FINISHED
    assert name in watched.jobs()
