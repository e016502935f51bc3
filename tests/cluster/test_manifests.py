"""What a run's Job and request look like."""

import json
import re

import pytest

from cluster import objects
from dataefficient import contract
from dataefficient.cluster import names
from dataefficient.cluster.manifests import job, request_map


def rendered(*, plan=None, **changes):
    parsed = objects.resource(**changes)
    return job(parsed, plan or objects.plan(parsed))


def trainer(body):
    (container,) = body["spec"]["template"]["spec"]["containers"]
    return container


def environment(body):
    return {e["name"]: e.get("value") for e in trainer(body)["env"]}


def test_acting_twice_names_the_same_objects_and_another_attempt_others():
    parsed = objects.resource()
    first, again = (job(parsed, objects.plan(parsed)) for _ in range(2))
    second = job(parsed, objects.plan(parsed, attempt=2))
    assert (
        first["metadata"]["name"]
        == again["metadata"]["name"]
        == f"made-up-{names.uid_hash(objects.UID)}-c000-pilot-1"
    )
    assert second["metadata"]["name"] != first["metadata"]["name"]


def test_a_resource_made_again_under_its_name_has_other_children():
    one, other = (rendered(uid=uid)["metadata"]["name"] for uid in ("a", "b"))
    assert one != other


@pytest.mark.parametrize("run", ["c000-probe-10-part-32", "c123456-candidate", "c000-pilot-small"])
@pytest.mark.parametrize("attempt", [1, 12345])
def test_the_longest_names_are_valid_and_different(run, attempt):
    long = "a" + "-b" * 19 + "c"
    assert len(long) == 40
    name = names.child(long, objects.UID, run, attempt)
    assert len(name) <= names.MAX_CHILD
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert name != names.child(long, objects.UID, run, attempt + 1)
    assert name != names.child(long, "another", run, attempt)


def test_retries_are_the_operators_and_finished_jobs_stay():
    spec = rendered()["spec"]
    assert spec["backoffLimit"] == 0
    assert "ttlSecondsAfterFinished" not in spec
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_the_kubelet_bounds_what_is_paid_and_the_job_what_is_waited():
    spec = rendered(limits={"maxAttempts": 3, "maxWaitSeconds": 100})["spec"]
    assert spec["template"]["spec"]["activeDeadlineSeconds"] == 600
    assert spec["activeDeadlineSeconds"] == 700


def test_the_failure_policy_only_names_the_cause():
    rules = rendered()["spec"]["podFailurePolicy"]["rules"]
    assert {r["action"] for r in rules} == {"FailJob"}
    assert rules[0]["onPodConditions"][0]["type"] == "DisruptionTarget"
    assert rules[1]["onExitCodes"]["values"] == [64, 65, 75, 76, 77, 78]
    assert rules[1]["onExitCodes"]["containerName"] == "trainer"


def test_children_go_with_the_resource_and_never_hold_it_back():
    (owner,) = rendered()["metadata"]["ownerReferences"]
    assert owner["uid"] == objects.UID
    assert owner["blockOwnerDeletion"] is False


def test_the_trainer_gets_its_request_as_a_file_and_reports_by_its_termination_message():
    parsed = objects.resource()
    plan = objects.plan(parsed)
    body, request = job(parsed, plan), request_map(parsed, plan)
    variables = environment(body)
    (volume,) = body["spec"]["template"]["spec"]["volumes"]
    (mount,) = trainer(body)["volumeMounts"]
    assert volume["configMap"]["name"] == request["metadata"]["name"] == body["metadata"]["name"]
    assert variables[contract.REQUEST_VARIABLE] == f"{mount['mountPath']}/request.json"
    assert variables[contract.REPORT_VARIABLE] == trainer(body)["terminationMessagePath"]
    assert contract.parse_request(request["data"]["request.json"]) == plan.request


def test_unset_security_is_restricted_and_set_security_stays():
    pod = rendered()["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert trainer(rendered())["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    own = objects.pod_template(securityContext={"runAsNonRoot": False, "runAsUser": 7})
    kept = rendered(template=own)["spec"]["template"]["spec"]["securityContext"]
    assert kept["runAsNonRoot"] is False
    assert kept["runAsUser"] == 7


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("cpu", {"requests": {"cpu": "2"}}),
        ("nvidia.com/gpu", {"limits": {"nvidia.com/gpu": "2"}}),
        ("google.com/tpu", {"limits": {"google.com/tpu": "2"}}),
    ],
)
def test_devices_are_requested_as_they_are_paid_for(device, expected):
    body = rendered(accelerators=[{"name": "x", "resource": device, "perPod": 2}])
    assert trainer(body)["resources"] == expected


def test_placement_and_volumes_of_the_template_stay():
    template = objects.pod_template(
        nodeSelector={"pool": "gpu"},
        tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}],
        volumes=[{"name": "data", "emptyDir": {}}],
    )
    pod = rendered(template=template)["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"pool": "gpu"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    assert [v["name"] for v in pod["volumes"]] == ["data", "dataefficient-request"]


def test_the_templates_environment_stays_but_for_what_the_contract_rules():
    template = objects.pod_template()
    template["spec"]["containers"][0]["env"] = [
        {"name": "OMP_NUM_THREADS", "value": "7"},
        {"name": contract.REPORT_VARIABLE, "value": "/elsewhere"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    body = rendered(template=template)
    variables = environment(body)
    assert variables["OMP_NUM_THREADS"] == "7"
    assert variables[contract.REPORT_VARIABLE] != "/elsewhere"
    assert "TOKEN" in variables
    assert len(trainer(body)["env"]) == len(variables)


def test_several_pods_are_one_indexed_job():
    spec = rendered(accelerators=[{"name": "x", "resource": "nvidia.com/gpu", "pods": 4}])["spec"]
    assert (spec["completionMode"], spec["parallelism"], spec["completions"]) == ("Indexed", 4, 4)


def test_a_queue_gets_the_time_that_it_may_give():
    template = objects.pod_template()
    template["metadata"] = {"labels": {"kueue.x-k8s.io/queue-name": "team"}}
    labels = rendered(template=template)["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "team"
    assert labels["kueue.x-k8s.io/max-exec-time-seconds"] == "600"


def test_rendering_leaves_the_resource_as_it_is():
    parsed = objects.resource()
    before = json.dumps(parsed.spec.trainer.template)
    job(parsed, objects.plan(parsed))
    assert json.dumps(parsed.spec.trainer.template) == before
