"""The CustomResourceDefinition on the server that will hold it: what it accepts, refuses and shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import CustomObjectsApi
from kubernetes.client.exceptions import ApiException

from cluster.control_plane import ControlPlane, KubectlError
from dataefficient.api.crd import PLURAL, VERSION
from dataefficient.api.document import read
from dataefficient.api.errors import inner_model
from dataefficient.api.model import Model
from dataefficient.api.spec import GROUP, Resource

FIXTURES = Path(__file__).parents[1] / "api" / "fixtures"
ACCEPT = sorted((FIXTURES / "accept").glob("*.yaml"))
REJECT = sorted((FIXTURES / "reject").glob("*.yaml"))

Object = dict[str, Any]


def header(path: Path) -> dict[str, str]:
    lines = (line[2:] for line in path.read_text().splitlines() if line.startswith("# "))
    return dict(line.split(": ", 1) for line in lines)


def resource(path: Path) -> Object:
    """The file's object as a user would create it: without what only a server gives."""
    body = read(path.read_text(), "").value
    given = {"name", "labels", "annotations"}
    body["metadata"] = {key: value for key, value in body.get("metadata", {}).items() if key in given}
    return body


class Server:
    """The resources of one namespace."""

    def __init__(self, cluster: ControlPlane, namespace: str) -> None:
        self._api = CustomObjectsApi(cluster.api())
        self._place = (GROUP, VERSION, namespace, PLURAL)

    def refusal(self, body: Object) -> str:
        """What the server says against creating `body`; nothing where it would."""
        try:
            self._api.create_namespaced_custom_object(
                *self._place, body, dry_run="All", field_validation="Strict"
            )
        except ApiException as error:
            return str(json.loads(error.body)["message"])
        return ""

    def create(self, body: Object) -> None:
        self._api.create_namespaced_custom_object(*self._place, body, field_validation="Strict")

    def replace_spec(self, name: str, spec: Object) -> None:
        body = self._api.get_namespaced_custom_object(*self._place, name)
        self._api.replace_namespaced_custom_object(*self._place, name, {**body, "spec": spec})

    def set_status(self, name: str, status: Object) -> None:
        body = self._api.get_namespaced_custom_object(*self._place, name)
        self._api.replace_namespaced_custom_object_status(*self._place, name, {**body, "status": status})


@pytest.fixture
def server(cluster: ControlPlane, kind: str, namespace: str) -> Server:
    return Server(cluster, namespace)


def test_the_server_finds_nothing_wrong_with_the_definition(cluster: ControlPlane, kind: str):
    definition = cluster.get("customresourcedefinition", kind)
    conditions = {one["type"]: one["status"] for one in definition["status"]["conditions"]}
    assert conditions["Established"] == conditions["NamesAccepted"] == "True"
    assert conditions.get("NonStructuralSchema", "False") == "False"


def test_every_file_that_is_accepted_here_is_accepted_there(server: Server):
    assert {path.stem: said for path in ACCEPT if (said := server.refusal(resource(path)))} == {}


def test_the_server_refuses_by_its_schema_and_names_the_field(server: Server):
    for path in REJECT:
        if header(path)["refused by"] == "schema":
            assert header(path)["path"] in server.refusal(resource(path)), path.stem


def test_the_server_refuses_by_its_rules_with_their_message(server: Server):
    for path in REJECT:
        if header(path)["refused by"] == "rule":
            assert header(path)["message"] in server.refusal(resource(path)), path.stem


def test_what_the_server_cannot_see_is_left_to_the_condition(server: Server):
    left = {path.stem: server.refusal(resource(path)) for path in REJECT if is_left(path)}
    assert left
    assert set(left.values()) == {""}


def is_left(path: Path) -> bool:
    return header(path)["refused by"] == "condition"


PYTHON_ONLY = {
    # What CEL has no notion of: when a cron expression is due, and which time zones there are.
    ("Schedule", "cron"),
    ("Schedule", "time_zone"),
    ("BudgetWindow", "time_zone"),
    # Prices may come from the installation, which the API server does not know.
    ("Spec", "approval", "budget", "accelerators"),
    ("Spec", "budget", "accelerators"),
    # What the schema keeps unseen, for the trainer and for the pod's own validation.
    ("Trainer", "config"),
    ("Trainer", "template"),
    # Here in one rule and there in one for each pair of parts.
    ("Budget", "initial", "per_cycle", "total", "window"),
    # The server holds a list with keys without any rule.
    ("Spec", "serving_guardrails"),
}


def test_the_rules_without_an_expression_for_the_server_are_these():
    alone = {
        (model.__name__, *rule.needs)
        for model in models(Resource)
        for rule in model.rules
        if rule.check and not rule.cel
    }
    assert alone == PYTHON_ONLY


def models(model: type[Model]) -> set[type[Model]]:
    inner = (inner_model(field.annotation) for field in model.model_fields.values())
    return {model}.union(*(models(one) for one in inner if one))


EVERYTHING = FIXTURES / "accept" / "everything.yaml"


@pytest.mark.parametrize(
    ("part", "field", "other", "message"),
    [
        ("kpi", "direction", "Maximize", "direction cannot be changed"),
        ("budget", "currency", "EUR", "currency cannot be changed"),
        ("schedule", "startTime", "2001-03-02T00:00:00Z", "startTime cannot be changed"),
        ("checkpoints", "uri", "s3://elsewhere/x", "uri cannot be changed"),
    ],
)
def test_what_history_rests_on_cannot_be_changed(
    server: Server, part: str, field: str, other: str, message: str
):
    body = resource(EVERYTHING)
    server.create(body)
    spec = body["spec"]
    server.replace_spec("late-flights", {**spec, "suspend": True})
    with pytest.raises(ApiException, match=message):
        server.replace_spec("late-flights", {**spec, part: {**spec[part], field: other}})


@pytest.mark.parametrize("part", ["budget", "checkpoints"])
def test_nor_can_it_be_changed_by_taking_the_whole_part_away(server: Server, part: str):
    body = resource(EVERYTHING)
    body["spec"]["budget"]["currency"] = "EUR"
    server.create(body)
    without = {name: value for name, value in body["spec"].items() if name != part}
    with pytest.raises(ApiException, match="cannot be changed"):
        server.replace_spec("late-flights", without)


def test_an_unknown_field_is_an_error_for_kubectl_users(
    cluster: ControlPlane, server: Server, namespace: str
):
    text = (FIXTURES / "reject" / "unknown-field.yaml").read_text()
    with pytest.raises(KubectlError, match=r'unknown field "spec\.kpi\.tolerence"'):
        cluster.kubectl("apply", "--filename=-", "--namespace", namespace, given=text)


def test_a_file_applied_again_changes_nothing(cluster: ControlPlane, server: Server, namespace: str):
    text = EVERYTHING.read_text().replace("namespace: ads", f"namespace: {namespace}")
    assert "created" in cluster.kubectl("apply", "--filename=-", given=text)
    cluster.kubectl("apply", "--filename=-", given=text)
    assert cluster.get("det", "late-flights", "--namespace", namespace)["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("det", "least compute"),
        ("det.spec", "Required"),
        ("det.spec.kpi.tolerance", "Default"),
        ("det.spec.budget.window", "wall clock"),
        ("det.spec.trainer.template", "container"),
        ("det.status.conditions", "lastTransitionTime"),
    ],
)
def test_explain_reads_as_documentation(cluster: ControlPlane, kind: str, path: str, words: str):
    said = cluster.kubectl("explain", path)
    assert words in said
    assert "<empty>" not in said


def test_the_table_shows_what_the_status_says(cluster: ControlPlane, server: Server, namespace: str):
    server.create(resource(EVERYTHING))
    now = "2026-01-01T00:00:00Z"
    plan = {
        "digest": "d",
        "cycle": 3,
        "policy": "Negatives",
        "rate": "0.25",
        "size": 16,
        "accelerator": "cpu",
    }
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Operating",
        "message": "",
        "lastTransitionTime": now,
    }
    status = {
        "cycle": 3,
        "kpi": {"summary": "0.4512 ± 0.0004", "gap": "0.0004"},
        "plan": {**plan, "from": now, "to": now},
        "spent": {"summary": "1.2 h of 4 h", "settled": {"deviceHours": "1.2"}},
        "conditions": [ready],
    }
    server.set_status("late-flights", status)
    table = cluster.kubectl("get", "det", "--namespace", namespace)
    wide = cluster.kubectl("get", "det", "--namespace", namespace, "--output=wide")
    assert table.split("\n")[0].split() == [
        *("NAME", "KPI", "TARGET", "GAP", "TOLERANCE", "RATE", "SIZE", "SPENT", "CYCLE", "READY", "AGE")
    ]
    for cell in ("0.4512 ± 0.0004", "0.46", "0.0004", "0.001", "0.25", "16", "1.2 h of 4 h", "3", "True"):
        assert cell in table
    assert wide.split("\n")[0].split()[-3:] == ["CONVERGENCE", "SAVINGS", "CHAMPION"]


def test_the_status_is_written_apart_from_the_spec(cluster: ControlPlane, server: Server, namespace: str):
    server.create(resource(EVERYTHING))
    server.set_status("late-flights", {"cycle": 3})
    before = cluster.get("det", "late-flights", "--namespace", namespace)
    server.replace_spec("late-flights", {**before["spec"], "suspend": True})
    after = cluster.get("det", "late-flights", "--namespace", namespace)
    assert after["status"]["cycle"] == 3
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1


def test_nothing_is_lost_on_the_way_through_the_server(cluster: ControlPlane, server: Server, namespace: str):
    body = resource(EVERYTHING)
    server.create(body)
    kept = cluster.get("det", "late-flights", "--namespace", namespace)["spec"]
    assert kept["trainer"]["config"]["features"] == body["spec"]["trainer"]["config"]["features"]
    assert kept["trainer"]["template"] == body["spec"]["trainer"]["template"]
