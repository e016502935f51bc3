"""A node that plays pods: the command of a pod's container runs as a local process.

Scheduler, Job controller and garbage collector are real and see an ordinary node; only the kubelet is played,
which makes a pod cost milliseconds and needs neither root nor images. What a container's process sees is made
by `sandbox.py`, which says what is supported. One pod's life is `pod_life.py`.

    with TestNode.started(cluster, folder=tmp_path, capacity={"nvidia.com/gpu": "4"}) as node:
        node.unpullable.add("registry.example/absent:1")   # ErrImagePull for pods of this image
        node.evict(namespace, "pod-name")                  # node pressure: DisruptionTarget, Failed
        node.cordon()                                      # pods stay Pending, Unschedulable
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from cluster.control_plane import ControlPlane
from cluster.pod_life import Ending, PodLife

CAPACITY = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "100Gi", "pods": "500"}
LEASE_SECONDS = 10
READY_SECONDS = 30
RETRY_SECONDS = 0.2
WATCH_SECONDS = 1  # how often the watch starts afresh, and so how soon it notices that the node stops


class TestNode:
    """One node and the pods bound to it.

    Attributes:
        name: the Node's name; pods carry it in `spec.nodeName`.
        unpullable: images that cannot be pulled, while they are in here.
    """

    __test__ = False

    def __init__(
        self, cluster: ControlPlane, *, name: str, folder: Path, capacity: Mapping[str, str], workdir: Path
    ) -> None:
        self.name = name
        self.unpullable: set[str] = set()
        self.workdir = workdir
        self.folder = folder
        self._capacity = {**CAPACITY, **capacity}
        api = cluster.api()
        self._core = client.CoreV1Api(api)
        self._leases = client.CoordinationV1Api(api)
        self._lives: dict[str, PodLife] = {}
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, name=f"{name}-watch"),
            threading.Thread(target=self._heartbeat, name=f"{name}-heartbeat"),
        ]

    @classmethod
    @contextmanager
    def started(
        cls,
        cluster: ControlPlane,
        *,
        folder: Path,
        name: str = "node-1",
        capacity: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        taints: list[dict[str, str]] | None = None,
        workdir: Path | None = None,
    ) -> Iterator[TestNode]:
        """A Ready node, taken away at the end together with its pods and their processes.

        Args:
            cluster: where to register.
            folder: for the files and logs of pods.
            name: of the Node.
            capacity: beside `CAPACITY`, such as `{"nvidia.com/gpu": "4"}`.
            labels: for node selectors.
            taints: as in a Node's spec.
            workdir: stands for the work folder of every image; default: `folder`.
        """
        node = cls(cluster, name=name, folder=folder, capacity=capacity or {}, workdir=workdir or folder)
        node._register(dict(labels or {}), taints or [])
        try:
            node._untaint()
            for thread in node._threads:
                thread.start()
            yield node
        finally:
            node._stop()

    def cordon(self, *, unschedulable: bool = True) -> None:
        """Let no further pod in, or let them in again."""
        self._core.patch_node(self.name, {"spec": {"unschedulable": unschedulable}})

    def evict(self, namespace: str, pod: str) -> None:
        """End a pod as a kubelet under memory pressure does: it is disrupted, and fails."""
        uid = self._core.read_namespaced_pod(pod, namespace).metadata.uid
        self._lives[uid].end(
            Ending("Evicted", "The node was low on resource: memory.", disruption="TerminationByKubelet")
        )

    def log(self, namespace: str, pod: str) -> str:
        """What the pod's containers have printed so far."""
        found = sorted((self.folder / namespace / pod).glob("*.log"))
        return "".join(one.read_text(errors="replace") for one in found)

    def persist(self, call: Callable[[], object]) -> None:
        """Do a write, again while the API server cannot be reached; nothing if its object is gone."""
        while True:
            try:
                call()
            except ApiException as error:
                if error.status in (404, 409):
                    return
                if error.status < 500 and error.status != 429:
                    raise
            except HTTPError:
                pass
            else:
                return
            if self._stopping.wait(RETRY_SECONDS):
                return

    @property
    def core(self) -> client.CoreV1Api:
        """The node's way to the API server, as admin."""
        return self._core

    def _register(self, labels: dict[str, str], taints: list[dict[str, str]]) -> None:
        now = _now()
        body = {
            "metadata": {"name": self.name, "labels": {"kubernetes.io/hostname": self.name, **labels}},
            "spec": {"taints": taints},
            "status": {
                "capacity": self._capacity,
                "allocatable": self._capacity,
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True",
                        "reason": "KubeletReady",
                        "message": "a test node",
                        "lastHeartbeatTime": now,
                        "lastTransitionTime": now,
                    }
                ],
            },
        }
        self._core.create_node(body)
        self._core.patch_node_status(self.name, {"status": body["status"]})

    def _untaint(self) -> None:
        """Without the taint that every new node has until the controllers have seen that it is Ready."""
        for event in watch.Watch().stream(
            self._core.list_node, field_selector=f"metadata.name={self.name}", timeout_seconds=READY_SECONDS
        ):
            taints = event["raw_object"]["spec"].get("taints") or []
            if not any(taint["key"] == "node.kubernetes.io/not-ready" for taint in taints):
                return
        raise TimeoutError(f"node {self.name} did not become Ready")

    def _heartbeat(self) -> None:
        where = {"name": self.name, "namespace": "kube-node-lease"}
        body = {"metadata": where, "spec": {"holderIdentity": self.name, "leaseDurationSeconds": 40}}
        self.persist(lambda: self._leases.create_namespaced_lease("kube-node-lease", body))
        while not self._stopping.wait(LEASE_SECONDS):
            renewal = {"spec": {"renewTime": datetime.now(UTC).isoformat().replace("+00:00", "Z")}}
            self.persist(
                lambda renewal=renewal: self._leases.patch_namespaced_lease(
                    self.name, "kube-node-lease", renewal
                )
            )

    def _watch(self) -> None:
        """See every pod of this node again and again; a life takes from it what is new."""
        while not self._stopping.is_set():
            with contextlib.suppress(ApiException, HTTPError, json.JSONDecodeError):
                stream = watch.Watch().stream(
                    self._core.list_pod_for_all_namespaces,
                    field_selector=f"spec.nodeName={self.name}",
                    timeout_seconds=WATCH_SECONDS,
                )
                for event in stream:
                    self._see(event["type"], event["raw_object"])
                    if self._stopping.is_set():
                        return
                continue
            self._stopping.wait(RETRY_SECONDS)

    def _see(self, change: str, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        life = self._lives.get(uid)
        if change == "DELETED":
            if life:
                life.end(Ending("Deleted", "", grace=0, gone=True))
            return
        if life is None:
            if pod.get("status", {}).get("phase", "Pending") != "Pending":
                return
            life = self._lives[uid] = PodLife(pod, node=self)
            life.start()
        if "deletionTimestamp" in pod["metadata"]:
            life.end(Ending("Deleted", "", grace=pod["metadata"]["deletionGracePeriodSeconds"], delete=True))

    def _stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join()
        # Only now is it certain that no further life begins.
        for life in self._lives.values():
            life.end(Ending("Deleted", "", grace=0, delete=True))
        for life in self._lives.values():
            life.join()
        with contextlib.suppress(ApiException, HTTPError):
            self._core.delete_node(self.name)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
