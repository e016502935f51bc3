"""Attempts that never get to train, and attempts that an edit ends, on a real API server."""

import pytest

from cluster.running import RESUMING_TRAINER, Watched, eventually, quick
from dataefficient.cycle.model import Step

CONTAINER = "spec.trainer.template.spec.containers[0]"


@pytest.fixture
def resource(cluster, kind, node, namespace, tmp_path):
    """Applies a quick resource, with more fields of its container; the rest as for ``quick``."""

    def apply(*, container=None, **changes):
        body = quick(namespace, tmp_path, **changes)
        body["spec"]["trainer"]["template"]["spec"]["containers"][0] |= container or {}
        cluster.apply(body)
        return Watched(cluster, namespace)

    return apply


def noted(folder, what="start"):
    path = folder / "launches"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split()[1] for line in lines if line.startswith(what)]


def with_image(watched, image):
    template = watched.body()["spec"]["trainer"]["template"]
    template["spec"]["containers"][0]["image"] = image
    watched.patch({"spec": {"trainer": {"template": template}}})


def test_an_image_that_cannot_be_pulled_ends_the_attempts_early_and_another_image_goes_on(
    resource, operator, node
):
    node.unpullable.add("fake:1")
    watched = resource(cycles=1, limits={"maxAttempts": 2, "maxWaitSeconds": 2})
    eventually(lambda: watched.condition("Ready")["reason"] == "ImageNotPulled", of=operator)
    told = f'{CONTAINER}.image: "fake:1" cannot be pulled: failed to pull image "fake:1": not found'
    assert told in watched.condition("Ready")["message"]
    memory = eventually(watched.finished, of=operator)
    assert memory.stopped.code == "ImageNotPulled"
    assert [(e.attempt, e.seconds < 10.0) for e in memory.ledger.entries] == [(1, True), (2, True)]
    ready = eventually(
        lambda: (c := watched.condition("Ready"))["message"].endswith("resume, goes on.") and c, of=operator
    )
    assert (ready["status"], ready["reason"]) == ("False", "ImageNotPulled")
    assert told in ready["message"]
    with_image(watched, "fake:2")
    assert eventually(lambda: watched.memory().step is Step.FINISHED, of=operator)
    assert eventually(lambda: watched.condition("Ready")["status"] == "True", of=operator)


def test_an_image_that_comes_in_time_starts_the_same_attempt(resource, operator, node):
    node.unpullable.add("fake:1")
    watched = resource(cycles=1)
    eventually(lambda: watched.condition("Ready")["reason"] == "ImageNotPulled", of=operator)
    node.unpullable.clear()
    memory = eventually(watched.finished, of=operator)
    assert {entry.attempt for entry in memory.ledger.entries} == {1}


def test_between_two_attempts_it_stays_told_what_the_last_one_failed_of(resource, operator, node):
    node.unpullable.add("fake:1")
    watched = resource(cycles=1, limits={"maxAttempts": 2, "maxWaitSeconds": 1})
    eventually(lambda: watched.memory() and watched.memory().running[0].attempt == 2, of=operator)
    eventually(lambda: "attempt 1" in watched.condition("Ready")["message"], of=operator)
    assert watched.condition("Ready")["reason"] == "ImageNotPulled"
    assert any(reason == "RunStopped" and CONTAINER in message for reason, message in watched.events())
    node.unpullable.clear()
    eventually(watched.finished, of=operator)
    eventually(lambda: watched.condition("Ready")["status"] == "True", of=operator)


def test_an_image_of_no_possible_name_stops_at_the_first_attempt(resource, operator):
    watched = resource(cycles=1, container={"image": "Fake Image"})
    memory = eventually(watched.finished, of=operator)
    assert memory.stopped.code == "UserError"
    assert f'{CONTAINER}.image: found "Fake Image", which is no name of an image' in memory.stopped.message
    assert len(memory.ledger.entries) == 1
    with_image(watched, "fake:1")
    assert eventually(lambda: watched.memory().step is Step.FINISHED, of=operator)


def test_a_container_that_cannot_be_made_ends_the_attempt_with_the_kubelets_words(resource, operator):
    key = {"secretKeyRef": {"name": "absent", "key": "token"}}
    env = [{"name": "TOKEN", "valueFrom": key}]
    watched = resource(cycles=1, container={"env": env}, limits={"maxAttempts": 1, "maxWaitSeconds": 2})
    memory = eventually(watched.finished, of=operator)
    assert memory.stopped.code == "NotStarted"
    assert f"{CONTAINER}: cannot be started" in memory.stopped.message


GPUS = [{"name": "gpu", "resource": "nvidia.com/gpu", "perPod": 99}]


def test_waiting_for_a_machine_is_told_and_is_not_a_failure(resource, operator):
    watched = resource(cycles=1, accelerators=GPUS)
    eventually(lambda: watched.condition("Ready")["reason"] == "Unschedulable", of=operator)
    message = watched.condition("Progressing")["message"]
    assert message.startswith("c000-pilot: Pending: no machine for it yet: 0/1 nodes are available")
    assert "nvidia.com/gpu" in message
    found = eventually(lambda: [e for e in watched.events() if e[0] == "Unschedulable"], of=operator)
    assert len(found) == 1
    assert watched.memory().running[0].attempt == 1


def test_a_run_that_waits_too_long_for_a_machine_ends_and_costs_nothing(resource, operator):
    watched = resource(cycles=1, accelerators=GPUS, limits={"maxAttempts": 1, "maxWaitSeconds": 2})
    memory = eventually(watched.finished, of=operator)
    assert memory.stopped.code == "Unschedulable"
    assert "spec.limits.maxWaitSeconds: 2 s are over" in memory.stopped.message
    assert "nvidia.com/gpu" in memory.stopped.message
    assert memory.ledger.settled == 0.0
    eventually(lambda: watched.condition("Ready")["reason"] == "Unschedulable", of=operator)
    eventually(lambda: not watched.pods(), of=operator)


def test_a_job_that_may_make_no_pod_ends_and_costs_nothing(resource, operator, cluster, namespace):
    cluster.kubectl("create", "quota", "none", "--hard=pods=0", "--namespace", namespace)
    watched = resource(cycles=1, limits={"maxAttempts": 1, "maxWaitSeconds": 2})
    memory = eventually(watched.finished, of=operator)
    assert memory.stopped.code == "Unschedulable"
    assert "has made no pod; kubectl describe job" in memory.stopped.message
    assert memory.ledger.settled == 0.0


def slow(resource, **changes):
    return resource(cycles=1, program=RESUMING_TRAINER, env={"SLOW_RUN": "c001-candidate"}, **changes)


def test_a_lowered_budget_ends_the_run_which_resumes_with_what_is_left(resource, operator, tmp_path):
    watched = slow(resource, budget={"total": {"deviceHours": "50"}})
    eventually(lambda: noted(tmp_path, "waiting"), of=operator)
    (before,) = watched.memory().running
    cap = watched.memory().ledger.settled + before.reserved_seconds / 2
    watched.patch({"spec": {"budget": {"total": {"deviceHours": f"{cap / 3600:.6f}"}}}})
    memory = eventually(watched.finished, of=operator)
    assert memory.step is Step.FINISHED, memory.stopped
    assert noted(tmp_path, "resumed") == ["c001-candidate"]
    assert memory.ledger.settled <= cap
    told = "c001-candidate: spec.budget.total.deviceHours does not cover any more what is reserved for it"
    assert ("RunStopped", told) in watched.events()
    deadlines = [
        job["spec"]["template"]["spec"]["activeDeadlineSeconds"]
        for name, job in sorted(watched.jobs().items())
        if "c001-candidate" in name
    ]
    # Deadlines of pods are whole seconds.
    assert deadlines[1] < cap + 1 < deadlines[0]


def test_a_budget_below_what_was_spent_ends_the_run_at_once_and_a_raised_one_goes_on(
    resource, operator, tmp_path
):
    watched = slow(resource, budget={"total": {"deviceHours": "50"}})
    eventually(lambda: noted(tmp_path, "waiting"), of=operator)
    watched.patch({"spec": {"budget": {"total": {"deviceHours": "0.0001"}}}})
    memory = eventually(watched.finished, of=operator, seconds=30)
    assert memory.stopped.code == "BudgetExhausted"
    assert memory.stopped.message.startswith("budget.total.deviceHours leaves nothing for another attempt")
    assert not [p for p in watched.pods() if p["status"]["phase"] == "Running"]
    eventually(lambda: watched.condition("WithinBudget")["status"] == "False", of=operator)
    watched.patch({"spec": {"budget": {"total": {"deviceHours": "50"}}}})
    assert eventually(lambda: watched.memory().step is Step.FINISHED, of=operator)
    assert noted(tmp_path, "resumed") == ["c001-candidate"]


def test_an_edit_that_the_budget_still_covers_leaves_the_run_alone(resource, operator, tmp_path):
    watched = slow(resource, budget={"total": {"deviceHours": "50"}})
    eventually(lambda: noted(tmp_path, "waiting"), of=operator)
    watched.patch({"spec": {"budget": {"total": {"deviceHours": "49"}}}})
    generation = watched.body()["metadata"]["generation"]
    eventually(lambda: watched.status()["observedGeneration"] == generation, of=operator)
    assert [p["status"]["phase"] for p in watched.pods()].count("Running") == 1
    assert watched.memory().running[0].attempt == 1


def test_a_trainer_that_does_not_heed_its_end_overruns_the_budget_by_no_more_than_its_grace(
    resource, operator
):
    budget, grace = 0.0014 * 3600, 2
    watched = resource(
        cycles=1,
        env={"FAKE_FAULTS": "*=stubborn"},
        pod={"terminationGracePeriodSeconds": grace},
        budget={"total": {"deviceHours": "0.0014"}},
    )
    memory = eventually(watched.finished, of=operator)
    assert memory.stopped.code == "BudgetExhausted"
    assert budget <= memory.ledger.settled <= budget + grace + 30


@pytest.fixture
def mesh(cluster, namespace):
    """A cluster that adds a container without an end to each pod of the namespace, as a mesh does."""
    proxy = 'Object.spec.containers{name: "proxy", image: "mesh:1", command: ["sleep", "600"]}'
    patch = f'[JSONPatch{{op: "add", path: "/spec/containers/-", value: {proxy}}}]'
    group, name = "admissionregistration.k8s.io/v1", f"mesh-{namespace}"
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    policy = {
        "matchConstraints": {"resourceRules": [pods]},
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
    }
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    for kind, spec in (
        ("MutatingAdmissionPolicy", policy),
        ("MutatingAdmissionPolicyBinding", {"policyName": name, "matchResources": here}),
    ):
        cluster.apply({"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec})
    dry = ("run", "probe", "--image=any:1", "--dry-run=server", "--namespace", namespace)
    eventually(lambda: "proxy" in cluster.kubectl(*dry, "-o", "jsonpath={.spec.containers[*].name}"))
    yield
    cluster.kubectl("delete", "mutatingadmissionpolicy,mutatingadmissionpolicybinding", name)


@pytest.mark.usefixtures("mesh")
def test_a_pod_that_a_mesh_keeps_up_is_ended_after_its_trainer_and_its_report_counts(resource, operator):
    watched = resource(cycles=1)
    memory = eventually(lambda: (m := watched.memory()) and m.ledger.entries and m, of=operator)
    (pilot,), (after,) = memory.ledger.entries, memory.running
    assert (pilot.run, pilot.attempt) == ("c000-pilot", 1)
    assert (after.request.run, after.attempt) == ("c000-candidate", 1)
    told = next(message for reason, message in watched.events() if reason == "RunStopped")
    assert "the trainer has ended, and proxy would keep its pod running" in told
