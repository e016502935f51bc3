"""The admission policy: a tenant gets no more through a resource than without it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chart.asking import bind, refusal, resource, until
from chart.helm import Helm
from chart.release import released
from cluster.control_plane import ControlPlane, KubectlError
from cluster.plugin import Plugin


@pytest.fixture(scope="module")
def tenants(own: ControlPlane, helm: Helm) -> Iterator[ControlPlane]:
    """alice may write the kind alone, bob is an editor, carol an admin; the policy is in force."""
    with released(own, helm) as release:
        release.install(values={"limits": {"maxBudget": {"deviceHours": "100"}}})
        _bind_all(own)
        until(lambda: "may not create jobs" in refusal(own, resource(), "alice"), "the policy is enforced")
        yield own


@pytest.fixture(autouse=True)
def clean(tenants: ControlPlane) -> Iterator[None]:
    """No resource of one test in the next."""
    yield
    tenants.kubectl("delete", "det", "--all", "-n", "ads")


def _bind_all(own: ControlPlane) -> None:
    verbs = ["get", "create", "update", "patch", "delete"]
    kind = {"apiGroups": ["dataefficient.training"], "resources": ["dataefficienttrainings"]}
    bind(own, "alice", "det", [{**kind, "verbs": verbs}])
    bind(own, "bob", "edit")
    bind(own, "carol", "admin")


def with_total(body: dict[str, Any], hours: str) -> dict[str, Any]:
    body["spec"].setdefault("budget", {})["total"] = {"deviceHours": hours}
    return body


def test_the_policy_is_well_typed(tenants: ControlPlane):
    policy = tenants.get("validatingadmissionpolicy", "det-data-efficient-training.ops")
    assert policy["status"].get("typeChecking", {}).get("expressionWarnings", []) == []


def test_a_tenant_gets_no_more_than_is_theirs(tenants: ControlPlane):
    body = with_total(resource(), "10")
    assert "user alice may not create jobs in the namespace ads" in refusal(tenants, body, "alice")
    assert refusal(tenants, body, "bob") == ""
    for field in ("serviceAccountName", "serviceAccount"):
        named = with_total(resource(**{field: "rich"}), "10")
        assert "user bob may not use the service account rich" in refusal(tenants, named, "bob")
        assert refusal(tenants, with_total(resource(**{field: "default"}), "10"), "bob") == ""
    rules = [
        {"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["rich"], "verbs": ["use"]}
    ]
    bind(tenants, "bob", "rich", rules)
    assert refusal(tenants, with_total(resource(serviceAccountName="rich"), "10"), "bob") == ""


def test_only_who_may_approve_approves(tenants: ControlPlane):
    approved = with_total(resource(), "10")
    approved["metadata"]["annotations"] = {"dataefficient.training/approve": "sha256:1"}
    assert "user bob may not approve plans in the namespace ads" in refusal(tenants, approved, "bob")
    assert refusal(tenants, approved, "carol") == ""
    tenants.kubectl("apply", "--filename=-", given=approved, user="carol")
    edited = copy.deepcopy(approved)
    edited["spec"]["suspend"] = True
    assert refusal(tenants, edited, "bob") == ""
    edited["metadata"]["annotations"] = {"dataefficient.training/approve": "sha256:2"}
    assert "may not approve" in refusal(tenants, edited, "bob")


def test_no_tenant_spends_more_than_the_installation_allows(tenants: ControlPlane):
    assert "at most 100" in refusal(tenants, resource(), "bob")
    assert "at most 100" in refusal(tenants, with_total(resource(), "100.5"), "bob")
    assert refusal(tenants, with_total(resource(), "100"), "bob") == ""


def test_who_changes_nothing_of_the_spec_is_not_asked(tenants: ControlPlane):
    tenants.kubectl("apply", "--filename=-", given=with_total(resource(), "10"), user="bob")
    tenants.kubectl("label", "det", "late-flights", "-n", "ads", "note=x", user="alice")
    with pytest.raises(KubectlError, match="may not create jobs"):
        tenants.kubectl(
            "patch",
            "det",
            "late-flights",
            "-n",
            "ads",
            "--type=merge",
            '--patch={"spec":{"suspend":true}}',
            user="alice",
        )
    tenants.kubectl("delete", "det", "late-flights", "-n", "ads", user="alice")


def test_the_plugin_tells_who_may_not_approve_and_approves_for_who_may(tenants: ControlPlane, tmp_path: Path):
    asked = {"digest": "7a7277f25116", "asked": "Plan", "holds": False, "sinceCycle": 3}
    asked |= {"policy": "Negatives", "rate": "0.5", "size": 8, "reason": "Recommended: half of the rows"}
    tenants.kubectl("apply", "--filename=-", given=with_total(resource(), "10"), user="bob")
    tenants.kubectl(
        *("patch", "det", "late-flights", "-n", "ads", "--subresource=status", "--type=merge"),
        f"--patch={json.dumps({'status': {'recommendation': asked}})}",
    )
    det = Plugin(tenants, tmp_path, "ads")
    code, _, err = det("approve", "late-flights", "7a7277f25116", user="bob")
    assert code == 77
    assert "user bob may not approve plans in the namespace ads" in err
    assert "It takes the verbs get, patch and approve on dataefficienttrainings there; the role admin" in err
    out = det.good("approve", "late-flights", "7a7277f25116", user="carol")
    assert "Approved 7a7277f25116: 50 % Negatives, size 8 is in force from the next cycle on." in out
    code, _, err = det("suspend", "late-flights", user="alice")
    assert (code, "user alice may not create jobs in the namespace ads" in err) == (77, True)
    assert "No run is started any more." in det.good("suspend", "late-flights", user="bob")
