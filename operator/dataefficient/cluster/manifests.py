"""The Job of one attempt and the ConfigMap with its request, as plain values.

From the resource's pod template: what the operator must rule (deadlines, retries, devices, the contract's
files and environment) is set, what the tenant left unset gets restricted defaults, the rest stays as it is.
Rendering reads nothing and sends nothing.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from dataefficient import contract
from dataefficient.api.compute import TRAINER_CONTAINER, Device
from dataefficient.api.spec import API_VERSION, KIND, Resource, Spec
from dataefficient.cluster import names
from dataefficient.contract import ExitCode
from dataefficient.cycle.launch import THREAD_VARIABLES
from dataefficient.cycle.model import RunPlan

Manifest = dict[str, Any]

REQUEST_FOLDER = "/etc/dataefficient"
REQUEST_FILE = "request.json"
REPORT_PATH = "/dev/termination-log"
_VOLUME = "dataefficient-request"
_EXPLAINED = sorted({int(code) for code in ExitCode} - {ExitCode.OK, ExitCode.INTERRUPTED})
_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
_MAX_EXEC_LABEL = "kueue.x-k8s.io/max-exec-time-seconds"


def owner(resource: Resource) -> Manifest:
    """Owner reference: children go with the resource and never hold it back."""
    assert resource.metadata.uid is not None, "the API server gives every object a UID"
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": resource.metadata.name,
        "uid": resource.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def is_owned(body: Mapping[str, Any], uid: str | None) -> bool:
    """Whether an object belongs to the resource of this UID; any other is neither changed nor removed."""
    owners = body["metadata"].get("ownerReferences") or []
    return any(o.get("uid") == uid for o in owners)


def metadata(
    resource: Resource, name: str, *, owned: bool = True, more: Mapping[str, str] | None = None
) -> Manifest:
    """Metadata of a child; ``more`` are further labels."""
    assert resource.metadata.uid is not None
    body: Manifest = {
        "name": name,
        "namespace": resource.metadata.namespace,
        "labels": {**names.labels(resource.metadata.name, resource.metadata.uid), **(more or {})},
    }
    if owned:
        body["ownerReferences"] = [owner(resource)]
    return body


def run_labels(plan: RunPlan) -> dict[str, str]:
    """Labels that tell what an attempt is."""
    return {
        names.RUN_LABEL: plan.request.run,
        names.ATTEMPT_LABEL: str(plan.attempt),
        names.CYCLE_LABEL: str(plan.request.cycle),
        names.ROLE_LABEL: plan.request.role.value,
    }


def job_name(resource: Resource, plan: RunPlan) -> str:
    """Name of the attempt's Job and of its request."""
    assert resource.metadata.uid is not None
    return names.child(resource.metadata.name, resource.metadata.uid, plan.request.run, plan.attempt)


def request_map(resource: Resource, plan: RunPlan) -> Manifest:
    """The ConfigMap that the trainer reads its request from."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(resource, job_name(resource, plan), more=run_labels(plan)),
        "immutable": True,
        "data": {REQUEST_FILE: contract.to_json(plan.request)},
    }


def job(resource: Resource, plan: RunPlan) -> Manifest:
    """The Job of one attempt.

    Its pod may run for what is reserved, which the kubelet enforces without a control plane; the Job's own
    deadline also counts the time in which the pod waits for machines.
    """
    spec, accelerator = resource.spec, resource.spec.accelerators[0]
    seconds = max(1, math.ceil(plan.reserved_seconds / plan.devices))
    name = job_name(resource, plan)
    template = _template(resource, plan, name, seconds)
    body: Manifest = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": seconds + spec.limits.max_wait_seconds,
        "podFailurePolicy": _failure_policy(),
        "template": template,
    }
    if accelerator.pods > 1:
        body |= {
            "completionMode": "Indexed",
            "completions": accelerator.pods,
            "parallelism": accelerator.pods,
        }
    more = run_labels(plan)
    if queue := template["metadata"]["labels"].get(_QUEUE_LABEL):
        more |= {_QUEUE_LABEL: queue, _MAX_EXEC_LABEL: str(seconds)}
    about = metadata(resource, name, more=more)
    about["annotations"] = {names.GENERATION_ANNOTATION: str(resource.metadata.generation)}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": body}


def _failure_policy() -> Manifest:
    """Retries are the operator's; the rules only make the Job name the cause."""
    return {
        "rules": [
            {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {
                "action": "FailJob",
                "onExitCodes": {
                    "containerName": TRAINER_CONTAINER,
                    "operator": "In",
                    "values": _EXPLAINED,
                },
            },
        ]
    }


def _template(resource: Resource, plan: RunPlan, name: str, seconds: int) -> Manifest:
    body: Manifest = copy.deepcopy(dict(resource.spec.trainer.template))
    about: Manifest = body.setdefault("metadata", {})
    assert resource.metadata.uid is not None
    about["labels"] = {
        **about.get("labels", {}),
        **names.labels(resource.metadata.name, resource.metadata.uid),
        **run_labels(plan),
    }
    pod: Manifest = body["spec"]
    pod["restartPolicy"] = "Never"
    pod["activeDeadlineSeconds"] = seconds
    pod["automountServiceAccountToken"] = False
    pod.setdefault("enableServiceLinks", False)
    context = pod.setdefault("securityContext", {})
    context.setdefault("runAsNonRoot", True)
    context.setdefault("seccompProfile", {"type": "RuntimeDefault"})
    pod["volumes"] = [*pod.get("volumes", []), {"name": _VOLUME, "configMap": {"name": name}}]
    for container in (*pod.get("initContainers", []), *pod["containers"]):
        _restrict(container)
    (trainer,) = pod["containers"]
    _outfit(trainer, resource.spec, plan)
    return body


def _restrict(container: Manifest) -> None:
    context = container.setdefault("securityContext", {})
    context.setdefault("allowPrivilegeEscalation", False)
    context.setdefault("capabilities", {"drop": ["ALL"]})


def _outfit(container: Manifest, spec: Spec, plan: RunPlan) -> None:
    """What the trainer contract promises, and the devices that are paid for."""
    mount = {"name": _VOLUME, "mountPath": REQUEST_FOLDER, "readOnly": True}
    container["volumeMounts"] = [*container.get("volumeMounts", []), mount]
    container["terminationMessagePath"] = REPORT_PATH
    # Where nothing was reported, the log's last lines say why.
    container["terminationMessagePolicy"] = "FallbackToLogsOnError"
    ruled = {
        contract.REQUEST_VARIABLE: f"{REQUEST_FOLDER}/{REQUEST_FILE}",
        contract.REPORT_VARIABLE: REPORT_PATH,
    }
    default = {**dict.fromkeys(THREAD_VARIABLES, str(plan.request.threads)), "PYTHONUNBUFFERED": "1"}
    own = [entry for entry in container.get("env", []) if entry.get("name") not in ruled]
    given = {entry.get("name") for entry in own}
    container["env"] = [
        *({"name": name, "value": value} for name, value in default.items() if name not in given),
        *own,
        *({"name": name, "value": value} for name, value in ruled.items()),
    ]
    _devices(container, spec)


def _devices(container: Manifest, spec: Spec) -> None:
    accelerator = spec.accelerators[0]
    resources = container.setdefault("resources", {})
    # Extended resources cannot be overcommitted, so the API server wants the limit; cores may burst.
    kind = "requests" if accelerator.resource is Device.CPU else "limits"
    resources[kind] = {**resources.get(kind, {}), accelerator.resource.value: str(accelerator.per_pod)}
    if accelerator.resource is not Device.CPU:
        resources.get("requests", {}).pop(accelerator.resource.value, None)
