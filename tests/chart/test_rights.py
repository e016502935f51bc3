"""What the operator may do, and what the cluster's own roles let people do."""

from __future__ import annotations

from chart.asking import bind, may, until
from chart.release import KIND, Release
from cluster.control_plane import ControlPlane

OPERATOR = "system:serviceaccount:ops:det-data-efficient-training"


NEEDED = [
    ("get list watch", f"{KIND}"),
    ("get update patch", f"{KIND}/status"),
    ("get list watch create update patch delete", "jobs.batch"),
    ("get list watch", "pods"),
    ("get create update patch delete", "configmaps"),
    ("create patch", "events"),
    ("create patch", "events.events.k8s.io"),
]
NEVER = [
    ("create update patch delete deletecollection approve", KIND),
    ("get list watch create", "secrets"),
    ("list watch deletecollection", "configmaps"),
    ("create update patch delete", "pods"),
    ("create get", "pods/exec"),
    ("get", "pods/log"),
    ("create", "serviceaccounts/token"),
    ("get list watch create", "namespaces"),
    ("get create update", "customresourcedefinitions.apiextensions.k8s.io"),
    ("create bind escalate", "clusterroles.rbac.authorization.k8s.io"),
    ("impersonate", "users"),
    ("create", "deployments.apps"),
    ("deletecollection", "jobs.batch"),
]


def allowed(own: ControlPlane, table: list[tuple[str, str]], namespace: str) -> set[tuple[str, str]]:
    return {
        (verb, what)
        for verbs, what in table
        for verb in verbs.split()
        if may(own, OPERATOR, verb, what, namespace)
    }


def each(table: list[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(verb, what) for verbs, what in table for verb in verbs.split()}


def test_the_operator_may_do_what_it_needs_everywhere_and_nothing_else(own: ControlPlane, release: Release):
    release.install(values={"prometheus": {"secretNamespaces": ["ads"]}})
    assert allowed(own, NEEDED, "shop") == each(NEEDED)
    assert allowed(own, NEVER, "shop") == set()
    assert allowed(own, [("get list", "secrets")], "ads") == {("get", "secrets")}
    lease = "leases.coordination.k8s.io"
    assert may(own, OPERATOR, "update", f"{lease}/:det-data-efficient-training", "ops")
    assert not may(own, OPERATOR, "update", f"{lease}/:another", "ops")
    assert not may(own, OPERATOR, "create", lease, "ads")


def test_in_namespaced_mode_it_may_nothing_elsewhere(own: ControlPlane, release: Release):
    release.install(values={"watch": {"namespaces": ["ads"]}})
    assert allowed(own, NEEDED, "ads") == each(NEEDED)
    assert allowed(own, NEEDED, "shop") == set()
    assert allowed(own, NEEDED, "") == set()
    assert own.get("clusterrolebindings", "--selector=app.kubernetes.io/instance=det")["items"] == []


def test_the_clusters_own_roles_know_the_kind_and_none_writes_the_status(own: ControlPlane, release: Release):
    release.install()
    for role in ("view", "edit", "admin"):
        bind(own, role, role)
    wanted = {"view": ["get"], "edit": ["get", "create"], "admin": ["get", "create", "approve"]}

    def found() -> dict[str, list[str]]:
        verbs = ("get", "create", "approve")
        return {who: [verb for verb in verbs if may(own, who, verb, KIND, "ads")] for who in wanted}

    until(lambda: found() == wanted, "the roles are aggregated")
    for who in ("view", "edit", "admin"):
        assert not any(may(own, who, verb, f"{KIND}/status", "ads") for verb in ("update", "patch"))
