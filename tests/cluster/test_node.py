"""Real Jobs, scheduled by the real scheduler, on the played node."""

from __future__ import annotations

import json
import os
import select
from pathlib import Path
from typing import Any

import pytest

from cluster import node as node_module
from cluster.control_plane import ControlPlane, KubectlError
from cluster.node import TestNode

FOREVER = "import time; print('here', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + FOREVER
OBEDIENT = (
    """
import os, pathlib, signal, sys
def save(*_):
    pathlib.Path(os.environ["OUT"]).write_text("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
open(os.environ["READY"], "w").close()
"""
    + FOREVER
)


def job(name: str, script: str, *, container: dict[str, Any] | None = None, **pod: Any) -> dict[str, Any]:
    trainer = {
        "name": "trainer",
        "image": "trainer:1",
        "command": ["python", "-c", script],
        **(container or {}),
    }
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [trainer], **pod}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": spec}},
    }


class Played:
    """One Job in the test's namespace, and its pod."""

    def __init__(self, cluster: ControlPlane, namespace: str) -> None:
        self._cluster = cluster
        self._in = ("--namespace", namespace)

    def create(self, manifest: dict[str, Any]) -> None:
        self._cluster.kubectl("create", "--filename=-", *self._in, given=manifest)

    def wait(self, condition: str, kind: str = "job", timeout: int = 30) -> None:
        self._cluster.kubectl("wait", f"--for={condition}", kind, "--all", f"--timeout={timeout}s", *self._in)

    def wait_running(self) -> None:
        self._cluster.kubectl("wait", "--for=create", "pod", "--all", "--timeout=30s", *self._in)
        self.wait("condition=Ready", "pod")

    def kubectl(self, *arguments: str) -> str:
        return self._cluster.kubectl(*arguments, *self._in)

    def pod(self) -> dict[str, Any]:
        (only,) = self._cluster.get("pods", *self._in)["items"]
        return only

    def job(self) -> dict[str, Any]:
        (only,) = self._cluster.get("jobs", *self._in)["items"]
        return only

    def terminated(self) -> dict[str, Any]:
        return self.pod()["status"]["containerStatuses"][0]["state"]["terminated"]


@pytest.fixture
def played(cluster: ControlPlane, namespace: str) -> Played:
    return Played(cluster, namespace)


class Pipe:
    """A named pipe that tells what another process does: it speaks, or it is gone."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        self._handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def wait_for(self, event: int) -> None:
        poll = select.poll()
        poll.register(self._handle, event)
        assert poll.poll(30_000), "the process did not do it"


@pytest.fixture
def pipe(tmp_path: Path) -> Pipe:
    return Pipe(tmp_path / "pipe")


def conditions(thing: dict[str, Any]) -> dict[str, str]:
    return {one["type"]: one["status"] for one in thing["status"]["conditions"]}


def reasons(thing: dict[str, Any]) -> dict[str, str]:
    return {one["type"]: one.get("reason", "") for one in thing["status"]["conditions"]}


def test_a_job_completes_with_times_code_and_message(node: TestNode, played: Played):
    script = "import os, pathlib; pathlib.Path(os.environ['REPORT']).write_text('{\"n\": 1}')"
    environment = [{"name": "REPORT", "value": "/dev/termination-log"}]
    played.create(job("one", script, container={"env": environment}))
    played.wait("condition=Complete")
    pod, end = played.pod(), played.terminated()
    assert pod["status"]["phase"] == "Succeeded"
    assert conditions(pod) | {"Ready": "False", "PodScheduled": "True", "Initialized": "True"} == conditions(
        pod
    )
    assert (end["exitCode"], end["reason"], end["message"]) == (0, "Completed", '{"n": 1}')
    assert pod["status"]["startTime"] <= end["startedAt"] <= end["finishedAt"]
    assert played.job()["status"]["succeeded"] == 1


def test_a_failing_container_fails_its_job_by_its_code(node: TestNode, played: Played, namespace: str):
    manifest = job("one", "import sys; print('why'); sys.exit(64)")
    on_code = {"containerName": "trainer", "operator": "In", "values": [64]}
    manifest["spec"]["podFailurePolicy"] = {"rules": [{"action": "FailJob", "onExitCodes": on_code}]}
    played.create(manifest)
    played.wait("condition=Failed")
    assert played.terminated()["exitCode"] == 64
    assert reasons(played.job())["Failed"] == "PodFailurePolicy"
    assert node.log(namespace, played.pod()["metadata"]["name"]) == "why\n"


def test_the_last_of_the_log_stands_in_for_a_missing_message(node: TestNode, played: Played):
    fallback = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    played.create(job("one", "raise SystemExit('no such column: late')", container=fallback))
    played.wait("condition=Failed")
    assert played.terminated()["message"] == "no such column: late\n"


def test_a_container_sees_its_files_and_its_environment(
    cluster: ControlPlane, node: TestNode, played: Played, namespace: str
):
    cluster.kubectl("create", "configmap", "request", "--from-literal=request.json=[1]", "-n", namespace)
    cluster.kubectl("create", "secret", "generic", "store", "--from-literal=key=hush", "-n", namespace)
    script = (
        "import json, os, sys; a = sys.argv; print(json.dumps([open(a[1]).read(), *map(os.getenv, a[2:])]))"
    )
    container = {
        "command": ["python", "-c", script],
        "args": ["$(FOLDER)/request.json", "KEY", "NAME", "TEAM", "FOLDER"],
        "env": [
            {"name": "FOLDER", "value": "/etc/request"},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "store", "key": "key"}}},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "TEAM", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['team']"}}},
        ],
        "volumeMounts": [{"name": "request", "mountPath": "/etc/request"}],
    }
    source = {"configMap": {"name": "request"}}
    manifest = job(
        "one", "", container=container, volumes=[{"name": "request", "projected": {"sources": [source]}}]
    )
    manifest["spec"]["template"]["metadata"] = {"labels": {"team": "ads"}}
    played.create(manifest)
    played.wait("condition=Complete")
    content, key, where, team, folder = json.loads(node.log(namespace, played.pod()["metadata"]["name"]))
    assert (content, key, where, team) == ("[1]", "hush", namespace, "ads")
    assert Path(folder).is_relative_to(node.folder)


def test_a_pod_past_its_deadline_is_ended_and_fails(node: TestNode, played: Played):
    played.create(job("one", STUBBORN, activeDeadlineSeconds=1))
    played.wait("condition=Failed")
    assert played.pod()["status"]["reason"] == "DeadlineExceeded"
    assert played.terminated()["exitCode"] == 137


def test_deleting_a_pod_lets_it_save_within_its_grace(
    node: TestNode, played: Played, tmp_path: Path, pipe: Pipe
):
    saved = tmp_path / "saved"
    environment = [{"name": "OUT", "value": str(saved)}, {"name": "READY", "value": pipe.path}]
    played.create(job("one", OBEDIENT, container={"env": environment}, terminationGracePeriodSeconds=300))
    pipe.wait_for(select.POLLHUP)
    played.kubectl("delete", "job", "one", "--cascade=foreground", "--timeout=30s")
    assert saved.read_text() == "saved"


def test_a_process_that_ignores_the_signal_is_killed_when_the_grace_is_over(node: TestNode, played: Played):
    played.create(job("one", STUBBORN))
    played.wait_running()
    played.kubectl("delete", "job", "one", "--cascade=foreground", "--timeout=30s")
    assert "No resources found" in played.kubectl("get", "pods") or played.kubectl("get", "pods") == ""


def test_an_evicted_pod_is_a_disruption_to_its_job(node: TestNode, played: Played, namespace: str):
    manifest = job("one", FOREVER)
    disrupted = {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    manifest["spec"]["podFailurePolicy"] = {"rules": [disrupted]}
    played.create(manifest)
    played.wait_running()
    node.evict(namespace, played.pod()["metadata"]["name"])
    played.wait("condition=Failed")
    assert reasons(played.pod())["DisruptionTarget"] == "TerminationByKubelet"
    assert played.pod()["status"]["reason"] == "Evicted"
    assert "DisruptionTarget" in played.job()["status"]["conditions"][0]["message"]


def test_a_pod_waits_while_no_node_takes_it(node: TestNode, played: Played):
    gpus = {"resources": {"limits": {"nvidia.com/gpu": "8"}}}
    played.create(job("one", "", container=gpus))
    played.kubectl("wait", "--for=create", "pod", "--all", "--timeout=30s")
    played.wait("condition=PodScheduled=false", "pod")
    assert reasons(played.pod())["PodScheduled"] == "Unschedulable"
    assert played.pod()["status"]["phase"] == "Pending"


def test_a_cordoned_node_takes_pods_again_when_it_is_opened(node: TestNode, played: Played):
    node.cordon()
    played.create(job("one", ""))
    played.kubectl("wait", "--for=create", "pod", "--all", "--timeout=30s")
    played.wait("condition=PodScheduled=false", "pod")
    node.cordon(unschedulable=False)
    played.wait("condition=Complete")


def test_an_image_that_cannot_be_pulled_is_pulled_later(node: TestNode, played: Played):
    node.unpullable.add("trainer:1")
    played.create(job("one", ""))
    waiting = "{.status.containerStatuses[0].state.waiting.reason}"
    played.kubectl("wait", "--for=create", "pod", "--all", "--timeout=30s")
    played.wait(f"jsonpath={waiting}=ImagePullBackOff", "pod")
    node.unpullable.clear()
    played.wait("condition=Complete")


def test_pods_report_across_a_restart_of_the_api_server(
    cluster: ControlPlane, node: TestNode, played: Played
):
    played.create(job("one", "import sys; sys.stdin.read()"))
    cluster.stop_api_server()
    cluster.start_api_server()
    played.wait("condition=Complete", timeout=60)


def test_a_node_is_ready_at_once_after_restarts_of_the_api_server(cluster: ControlPlane, tmp_path: Path):
    for restart in range(3):
        cluster.stop_api_server()
        cluster.start_api_server()
        with TestNode.started(cluster, folder=tmp_path / f"node-{restart}", name=f"back-{restart}"):
            pass


def test_a_node_that_does_not_get_ready_is_taken_away(
    cluster: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(node_module, "READY_SECONDS", 1)
    taints = [{"key": "node.kubernetes.io/not-ready", "effect": "PreferNoSchedule"}]
    node = TestNode.started(cluster, folder=tmp_path, name="late", taints=taints)
    with pytest.raises(TimeoutError, match="late"), node:
        pass
    with pytest.raises(KubectlError, match="not found"):
        cluster.get("node", "late")


def test_a_node_that_goes_takes_its_processes_along(
    cluster: ControlPlane, namespace: str, played: Played, tmp_path: Path, pipe: Pipe
):
    script = (
        f"import time; out = open({pipe.path!r}, 'w'); print('here', file=out, flush=True); time.sleep(600)"
    )
    with TestNode.started(cluster, folder=tmp_path / "node"):
        played.create(job("one", script))
        pipe.wait_for(select.POLLIN)
    pipe.wait_for(select.POLLHUP)
    played.wait("condition=Failed")


def test_a_native_sidecar_counts_as_running_and_holds_nothing_up(node: TestNode, played: Played):
    proxy = {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}
    played.create(job("one", "", initContainers=[proxy]))
    played.wait("condition=Complete")
    (sidecar,) = played.pod()["status"]["initContainerStatuses"]
    assert sidecar["started"]


def test_what_is_not_played_is_said_in_the_pods_status(node: TestNode, played: Played):
    volume = {"name": "disk", "hostPath": {"path": "/"}}
    mount = {"volumeMounts": [{"name": "disk", "mountPath": "/disk"}]}
    played.create(job("one", "", container=mount, volumes=[volume]))
    waiting = "{.status.containerStatuses[0].state.waiting.reason}"
    played.kubectl("wait", "--for=create", "pod", "--all", "--timeout=30s")
    played.wait(f"jsonpath={waiting}=CreateContainerConfigError", "pod")
    state = played.pod()["status"]["containerStatuses"][0]["state"]
    assert "volumes of kind hostPath are not played" in state["waiting"]["message"]


def test_a_pod_of_higher_priority_preempts(
    cluster: ControlPlane, node: TestNode, played: Played, pipe: Pipe, request: pytest.FixtureRequest
):
    urgent = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "urgent"}}
    cluster.apply({**urgent, "value": 1000})
    request.addfinalizer(lambda: cluster.kubectl("delete", "priorityclass", "urgent"))
    all_gpus = {"resources": {"limits": {"nvidia.com/gpu": "4"}}}
    script = (
        f"import time; out = open({pipe.path!r}, 'w'); print('here', file=out, flush=True); time.sleep(600)"
    )
    played.create(job("cheap", script, container=all_gpus))
    pipe.wait_for(select.POLLIN)
    played.create(job("dear", "", container=all_gpus, priorityClassName="urgent"))
    played.kubectl("wait", "--for=condition=Complete", "job/dear", "--timeout=60s")
    played.kubectl("wait", "--for=condition=Failed", "job/cheap", "--timeout=60s")


def test_a_process_finds_the_token_of_its_service_account(
    cluster: ControlPlane, node: TestNode, played: Played, namespace: str
):
    script = "import os; print(open(os.environ['TOKEN']).read(), end='')"
    path = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    played.create(job("one", script, container={"env": [{"name": "TOKEN", "value": path}]}))
    played.wait("condition=Complete")
    token = node.log(namespace, played.pod()["metadata"]["name"])
    config = cluster.kubeconfig_of("the-pod", token=token)
    assert f"system:serviceaccount:{namespace}:default" in cluster.kubectl(
        "auth", "whoami", "--output=json", f"--kubeconfig={config}"
    )
