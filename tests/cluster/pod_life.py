"""One pod's life on a test node, told to the API server as a kubelet tells it.

Played: containers that run once (restartPolicy Never), all at the same time. A native sidecar (an init
container with restartPolicy Always) is reported as running and not run; other init containers are refused.
Grace is SIGTERM, then SIGKILL. Container times are whole seconds, as in every cluster.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from cluster.processes import leashed
from cluster.sandbox import Sandbox, UnsupportedError

if TYPE_CHECKING:
    from cluster.node import TestNode

IMAGE = re.compile(r"[a-z0-9._/:-]+(@sha256:[0-9a-f]{64})?")
RETRY_SECONDS = 0.5  # how often a container that cannot be created is tried again

Object = dict[str, Any]


@dataclass(frozen=True)
class Ending:
    """Why a pod must end before its processes do.

    Attributes:
        reason: the pod's status.reason.
        message: the pod's status.message.
        grace: seconds from SIGTERM to SIGKILL; None: what the pod's spec says.
        disruption: reason of a DisruptionTarget condition; None: no such condition.
        delete: whether the object goes when the processes are gone.
        gone: whether the object is gone already, so that nothing is reported.
    """

    reason: str
    message: str
    grace: float | None = None
    disruption: str | None = None
    delete: bool = False
    gone: bool = False


DEADLINE = Ending("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


class _PullError(Exception):
    """The image of a container is not to be had."""


class _ImageNameError(Exception):
    """What a container names as its image cannot be one."""


@dataclass
class _Container:
    """A container, its process, and when it started and ended."""

    spec: Object
    sandbox: Sandbox
    process: subprocess.Popen[bytes]
    started: str
    finished: str | None = None

    @property
    def name(self) -> str:
        return str(self.spec["name"])


class PodLife:
    """A pod that lives in a thread. `end` may be called from any other."""

    def __init__(self, pod: Object, *, node: TestNode) -> None:
        self._pod = pod
        self._node = node
        self._events: queue.Queue[Ending | _Container] = queue.Queue()
        self._running: list[_Container] = []
        self._began = _now()
        self._thread = threading.Thread(target=self._live, name=f"pod-{pod['metadata']['name']}")
        self._deadline: float | None = None
        if seconds := pod["spec"].get("activeDeadlineSeconds"):
            self._deadline = time.monotonic() + seconds

    def start(self) -> None:
        """Begin to live, in a thread."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the life is over; `end` it first."""
        self._thread.join()

    def end(self, why: Ending) -> None:
        """Ask for the end; the first that asks gives the reason."""
        self._events.put(why)

    def _live(self) -> None:
        ending = self._create() or self._await_processes()
        if ending:
            self._end_processes(ending)
        if ending is None or not ending.gone:
            self._report_end(ending)
        if ending is None or not (ending.delete or ending.gone):
            ending = self._await_deletion()
        if ending.delete:
            self._delete()

    def _create(self) -> Ending | None:
        """Start the containers as soon as it is possible; an ending, if one comes first."""
        waiting = ("ContainerCreating", "")
        patience = 0.0
        while True:
            self._report("Pending", waiting=waiting)
            if isinstance(event := self._next(patience), Ending):
                return event
            try:
                self._start_all()
            except _PullError as error:
                backing_off = waiting[0] in ("ErrImagePull", "ImagePullBackOff")
                waiting = ("ImagePullBackOff" if backing_off else "ErrImagePull", str(error))
            except _ImageNameError as error:
                waiting = ("InvalidImageName", str(error))
            except (UnsupportedError, KeyError, OSError, ApiException, HTTPError) as error:
                waiting = ("CreateContainerConfigError", f"{type(error).__name__}: {error}")
            else:
                self._report("Running")
                return None
            patience = RETRY_SECONDS

    def _start_all(self) -> None:
        spec = self._pod["spec"]
        if refused := [c["name"] for c in spec.get("initContainers", ()) if not _sidecar(c)]:
            raise UnsupportedError(f"init container {refused[0]} is not a native sidecar and is not played")
        if wrong := [c["image"] for c in spec["containers"] if not IMAGE.fullmatch(c["image"])]:
            raise _ImageNameError(
                f'Failed to apply default image tag "{wrong[0]}": couldn\'t parse image name "{wrong[0]}": '
                "invalid reference format: repository name must be lowercase"
            )
        if absent := [c["image"] for c in spec["containers"] if c["image"] in self._node.unpullable]:
            raise _PullError(f'failed to pull image "{absent[0]}": not found')
        folder = self._node.folder / self._namespace / self._name
        folder.mkdir(parents=True, exist_ok=True)
        ready = [(c, Sandbox(self._pod, c, folder=folder, core=self._node.core)) for c in spec["containers"]]
        self._running = [self._spawn(container, sandbox) for container, sandbox in ready]

    def _spawn(self, spec: Object, sandbox: Sandbox) -> _Container:
        with sandbox.log.open("wb") as out:
            process = subprocess.Popen(
                leashed(sandbox.command()),
                cwd=self._node.workdir,
                env=sandbox.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        container = _Container(spec, sandbox, process, started=_now())
        threading.Thread(target=self._reap, args=(container,), daemon=True).start()
        return container

    def _reap(self, container: _Container) -> None:
        container.process.wait()
        container.finished = _now()
        self._events.put(container)

    def _await_processes(self) -> Ending | None:
        """Wait until all containers ended by themselves (None) or something else ends the pod."""
        left = len(self._running)
        while left:
            event = self._next()
            if isinstance(event, Ending):
                return event
            left -= 1
            if left:
                self._report("Running")
        return None

    def _await_deletion(self) -> Ending:
        """A pod that ended stays, until it is deleted or its node stops."""
        self._deadline = None
        while True:
            event = self._next()
            if isinstance(event, Ending) and (event.delete or event.gone):
                return event

    def _next(self, patience: float | None = None) -> Ending | _Container | None:
        """What happens next, the pod's deadline included; None when patience is over."""
        now = time.monotonic()
        left = None if self._deadline is None else max(0.0, self._deadline - now)
        over = left is not None and (patience is None or left <= patience)
        try:
            return self._events.get(timeout=left if over else patience)
        except queue.Empty:
            return DEADLINE if over else None

    def _end_processes(self, ending: Ending) -> None:
        grace = ending.grace
        if grace is None:
            grace = self._pod["spec"].get("terminationGracePeriodSeconds", 30)
        for container in self._running:
            _send(container.process, signal.SIGTERM)
        give_up = time.monotonic() + grace
        for container in self._running:
            try:
                container.process.wait(max(0.0, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                _send(container.process, signal.SIGKILL)
                container.process.wait()

    def _report_end(self, ending: Ending | None) -> None:
        codes = [_code(container.process) for container in self._running]
        succeeded = ending is None and not any(codes)
        if ending and ending.delete and self._running and not any(codes):
            succeeded = True
        self._report(
            "Succeeded" if succeeded else "Failed", ending=None if ending and ending.delete else ending
        )

    def _report(
        self, phase: str, *, waiting: tuple[str, str] | None = None, ending: Ending | None = None
    ) -> None:
        """Tell the API server how the pod is; nothing else writes these fields."""
        ready = phase == "Running" and all(c.process.poll() is None for c in self._running)
        why = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase, "ContainersNotReady")
        conditions = [
            _condition("PodReadyToStartContainers", holds=phase == "Running"),
            _condition("Initialized", holds=True),
            _condition("ContainersReady", holds=ready, reason=None if ready else why),
            _condition("Ready", holds=ready, reason=None if ready else why),
        ]
        if ending and ending.disruption:
            conditions.append(_condition("DisruptionTarget", holds=True, reason=ending.disruption))
        status: Object = {
            "phase": phase,
            "startTime": self._began,
            "hostIP": "127.0.0.1",
            "podIP": "127.0.0.1",
            "conditions": conditions,
            "containerStatuses": self._container_statuses(waiting),
            "initContainerStatuses": [
                {**_head(c), "ready": True, "started": True, "state": {"running": {"startedAt": self._began}}}
                for c in self._pod["spec"].get("initContainers", ())
                if _sidecar(c)
            ],
        }
        if ending:
            status |= {"reason": ending.reason, "message": ending.message}
        body = {"metadata": {"uid": self._uid}, "status": status}
        self._node.persist(
            lambda: self._node.core.patch_namespaced_pod_status(self._name, self._namespace, body)
        )

    def _container_statuses(self, waiting: tuple[str, str] | None) -> list[Object]:
        running = {container.name: container for container in self._running}
        return [
            _status(spec, running.get(spec["name"]), waiting or ("ContainerCreating", ""))
            for spec in self._pod["spec"]["containers"]
        ]

    def _delete(self) -> None:
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._uid}}
        self._node.persist(
            lambda: self._node.core.delete_namespaced_pod(self._name, self._namespace, body=body)
        )

    @property
    def _name(self) -> str:
        return str(self._pod["metadata"]["name"])

    @property
    def _namespace(self) -> str:
        return str(self._pod["metadata"]["namespace"])

    @property
    def _uid(self) -> str:
        return str(self._pod["metadata"]["uid"])


def _status(spec: Object, container: _Container | None, waiting: tuple[str, str]) -> Object:
    if container is None:
        reason, message = waiting
        return {**_head(spec), "ready": False, "state": {"waiting": {"reason": reason, "message": message}}}
    head = {**_head(spec), "imageID": "none", "containerID": f"process://{container.process.pid}"}
    code = container.process.poll()
    if code is None:
        return {
            **head,
            "ready": True,
            "started": True,
            "state": {"running": {"startedAt": container.started}},
        }
    code = _code(container.process)
    terminated = {
        "exitCode": code,
        "reason": "Error" if code else "Completed",
        "startedAt": container.started,
        "finishedAt": container.finished or _now(),
        "message": container.sandbox.message(code),
    }
    return {**head, "ready": False, "started": False, "state": {"terminated": terminated}}


def _head(spec: Object) -> Object:
    return {"name": spec["name"], "image": spec["image"], "imageID": "", "restartCount": 0}


def _sidecar(container: Object) -> bool:
    return bool(container.get("restartPolicy") == "Always")


def _code(process: subprocess.Popen[bytes]) -> int:
    """The exit code as a container runtime gives it: 128 + signal for one that a signal ended."""
    code = process.wait()
    return 128 - code if code < 0 else code


def _send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """A signal to the container's processes, as a runtime sends it to all when it kills."""
    if process.poll() is None:
        # Another thread may take in its end between the two.
        with contextlib.suppress(ProcessLookupError):
            if number is signal.SIGKILL:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)


def _condition(kind: str, *, holds: bool, reason: str | None = None) -> Object:
    body = {"type": kind, "status": str(holds), "lastTransitionTime": _now()}
    return {**body, "reason": reason} if reason else body


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
