"""What an attempt that was launched waits for, as its pods tell it, before its trainer runs.

Pure reading. What a kubelet or a scheduler says is kept word for word, behind the field of the resource that
it is about. How long an attempt may wait is ``ending``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataefficient.api.compute import TRAINER_CONTAINER
from dataefficient.cycle.model import FailureKind

Body = Mapping[str, Any]

_TEMPLATE = "spec.trainer.template.spec"
_NO_IMAGE_NAME = "InvalidImageName"
_PULLING = {
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
}
_BROKEN = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_NOT_PLACED = ("Unschedulable", "SchedulingGated")


@dataclass(frozen=True)
class Waiting:
    """Why an attempt is not training yet."""

    kind: str
    """The condition's reason."""
    message: str
    failure: FailureKind | None = None
    """What the attempt failed of, if it waits for too long; None: it is not there, and is tried again."""


def waiting(job: Body, pods: Sequence[Body]) -> Waiting | None:
    """What the pods of ``job`` wait for, the first one that does; None: for nothing that needs anyone."""
    return next((found for pod in pods if (found := _of(job, pod)) is not None), None)


def without_pod(job: str) -> Waiting:
    """What is said of a Job that has made no pod after some time."""
    told = f"Pending: Job {job} has made no pod; kubectl describe job {job} tells why"
    return Waiting("Unschedulable", told, FailureKind.UNSCHEDULABLE)


def _of(job: Body, pod: Body) -> Waiting | None:
    status = pod.get("status", {})
    for condition in status.get("conditions") or []:
        if (condition.get("type"), condition.get("status")) == ("PodScheduled", "False"):
            reason = condition.get("reason")
            if reason in _NOT_PLACED:
                told = f"Pending: no machine for it yet: {condition.get('message') or reason}"
                return Waiting("Unschedulable", told, FailureKind.UNSCHEDULABLE)
    for kind, name in (("initContainerStatuses", "initContainers"), ("containerStatuses", "containers")):
        for container in status.get(kind) or []:
            state = container.get("state", {}).get("waiting") or {}
            found = _unstarted(_place(job, name, container.get("name")), container.get("image"), state)
            if found is not None:
                return found
    return None


def _unstarted(place: str, image: object, state: Body) -> Waiting | None:
    reason = state.get("reason")
    said = f": {state['message']}" if state.get("message") else ""
    if reason == _NO_IMAGE_NAME:
        told = f'{place}.image: found "{image}", which is no name of an image{said}'
        return Waiting("ImageNotPulled", told, FailureKind.USER_ERROR)
    if reason in _PULLING:
        told = f'{place}.image: "{image}" cannot be pulled{said}'
        return Waiting("ImageNotPulled", told, FailureKind.IMAGE_NOT_PULLED)
    if reason in _BROKEN:
        return Waiting("RunFailed", f"{place}: cannot be started{said}", FailureKind.NOT_STARTED)
    return None


def _place(job: Body, kind: str, name: object) -> str:
    """Where the container stands in the resource; its name, where the cluster has added it."""
    if kind == "containers" and name == TRAINER_CONTAINER:
        return f"{_TEMPLATE}.containers[0]"
    template = job["spec"].get("template", {}).get("spec", {})
    names = [container.get("name") for container in template.get(kind) or []]
    return f"{_TEMPLATE}.{kind}[{names.index(name)}]" if name in names else f"container {name}"
