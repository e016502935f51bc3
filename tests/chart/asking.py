"""Questions to the API server that tests of rights ask: who may what, and what is said against a resource."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import AuthorizationV1Api

from cluster.control_plane import ControlPlane, KubectlError

RESOURCE = yaml.safe_load(
    (Path(__file__).parents[1] / "api" / "fixtures" / "accept" / "minimal.yaml").read_text()
)


def resource(**pod: Any) -> dict[str, Any]:
    """A resource in the namespace ads; `pod` goes into the trainer's pod."""
    body = copy.deepcopy(RESOURCE)
    body["metadata"] = {"name": "late-flights", "namespace": "ads"}
    body["spec"]["trainer"]["template"]["spec"].update(pod)
    return body


def may(own: ControlPlane, who: str, verb: str, what: str, namespace: str) -> bool:
    """Whether a user may do it; `what` is resource.group, with /subresource or /:name."""
    kind, _, rest = what.partition("/")
    kind, _, group = kind.partition(".")
    sub, _, name = rest.partition(":")
    asked = {"verb": verb, "group": group, "resource": kind, "subresource": sub, "name": name}
    spec = {"user": who, "groups": groups_of(who), "resourceAttributes": {**asked, "namespace": namespace}}
    answer = AuthorizationV1Api(own.api()).create_subject_access_review({"spec": spec})
    return bool(answer.status.allowed)


def groups_of(who: str) -> list[str]:
    return ["system:authenticated", *(["system:serviceaccounts"] if who.startswith("system:") else [])]


def bind(own: ControlPlane, user: str, role: str, rules: list[dict[str, Any]] | None = None) -> None:
    """Give a user a role in the namespace ads: the cluster's, or one of these rules."""
    about = {"namespace": "ads", "name": f"{user}-{role}" if rules else role}
    rbac = "rbac.authorization.k8s.io"
    reference = {"apiGroup": rbac, "kind": "Role" if rules else "ClusterRole", "name": about["name"]}
    subjects = [{"apiGroup": rbac, "kind": "User", "name": user}]
    binding = {"kind": "RoleBinding", "metadata": {**about, "name": f"{user}-{role}"}}
    objects = [{**binding, "roleRef": reference, "subjects": subjects}]
    if rules:
        objects.append({"kind": "Role", "metadata": about, "rules": rules})
    own.apply(*({"apiVersion": f"{rbac}/v1", **one} for one in objects))


def until(holds: Callable[[], bool], what: str) -> None:
    """Ask again until it holds: servers take some moments to act upon a new role or policy."""
    give_up = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < give_up, f"never: {what}"
        time.sleep(0.05)


def refusal(own: ControlPlane, body: dict[str, Any], user: str) -> str:
    """What the server says against the user's applying it; nothing where it would be done."""
    try:
        own.kubectl("apply", "--dry-run=server", "--filename=-", given=body, user=user)
    except KubectlError as error:
        return str(error)
    return ""
