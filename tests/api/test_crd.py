from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dataefficient.api.crd import crd, render_crd, structural

FILE = Path(__file__).parents[2] / "crds" / "dataefficienttraining.yaml"
VERSION = crd()["spec"]["versions"][0]
ROOT = VERSION["schema"]["openAPIV3Schema"]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def at(path: str) -> dict[str, Any]:
    return dict(nodes(ROOT))[path]


def test_the_file_is_what_the_generator_writes():
    assert FILE.read_text() == render_crd(), "run: detctl crd > crds/dataefficienttraining.yaml"


def test_the_text_is_the_same_values():
    assert yaml.safe_load(render_crd()) == crd()


@pytest.mark.parametrize(("path", "schema"), list(nodes(ROOT)))
def test_every_part_of_the_schema_is_structural(path, schema):
    assert schema["type"] in {"object", "array", "string", "integer", "boolean"}
    forbidden = {
        "$ref",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "additionalProperties",
        "nullable",
        "title",
        "const",
    }
    assert not forbidden & set(schema)


@pytest.mark.parametrize(
    ("path", "schema"), [node for node in nodes(ROOT) if node[0].startswith((".spec", ".status"))]
)
def test_every_part_is_described_and_bounded(path, schema):
    assert path.endswith("[]") or schema["description"].endswith(".")
    match schema["type"]:
        case "string":
            assert "enum" in schema or 0 < schema["maxLength"] <= 2048
        case "array":
            assert schema["maxItems"] <= 32
        case "integer":
            assert "minimum" in schema
        case "object":
            assert "properties" in schema or schema["x-kubernetes-preserve-unknown-fields"]


@pytest.mark.parametrize(("path", "schema"), [node for node in nodes(ROOT) if node[0].startswith(".spec.")])
def test_every_field_says_its_default_or_that_it_is_required(path, schema):
    if path.endswith("[]") or ".template." in path:
        return
    parent, _, name = path.rpartition(".")
    if name in at(parent).get("required", ()):
        assert "Required" in schema["description"]
    elif schema["type"] != "object":
        assert "Default" in schema["description"] or "default" in schema["description"]


def test_the_trainers_parts_keep_unknown_fields():
    keep = "x-kubernetes-preserve-unknown-fields"
    assert at(".spec.trainer.config")[keep]
    assert at(".spec.trainer.template")[keep]
    assert at(".spec.trainer.template.spec")[keep]
    assert at(".spec.trainer.template.spec.containers[]")[keep]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (".spec.kpi", "direction"),
        (".spec.budget", "currency"),
        (".spec.schedule", "startTime"),
        (".spec.checkpoints", "uri"),
    ],
)
def test_a_field_that_history_rests_on_cannot_be_changed(path, field):
    rules = [rule for rule in at(path)["x-kubernetes-validations"] if "oldSelf" in rule["rule"]]
    assert [rule["message"] for rule in rules] == [f"{field} cannot be changed"]


def test_a_default_object_is_complete_since_the_server_holds_it_against_the_rules():
    for _, schema in nodes(at(".spec")):
        if schema["type"] == "object" and "default" in schema:
            inner = schema.get("properties", {})
            assert schema["default"] == {n: p["default"] for n, p in inner.items() if "default" in p}


def test_a_status_has_no_defaults():
    assert not [path for path, schema in nodes(at(".status")) if "default" in schema]


def test_the_table_shows_quality_cost_and_readiness():
    columns = [c["name"] for c in VERSION["additionalPrinterColumns"] if not c.get("priority")]
    wide = [c["name"] for c in VERSION["additionalPrinterColumns"] if c.get("priority")]
    assert columns == ["KPI", "Target", "Gap", "Tolerance", "Rate", "Size", "Spent", "Cycle", "Ready", "Age"]
    assert wide == ["Convergence", "Savings", "Champion"]


def test_every_column_shows_a_field_that_exists():
    known = dict(nodes(ROOT))
    for column in VERSION["additionalPrinterColumns"]:
        path = column["jsonPath"].replace('[?(@.type=="Ready")]', "[]")
        assert path in known or path == ".metadata.creationTimestamp"


def test_the_status_is_a_subresource_and_the_short_name_is_det():
    assert VERSION["subresources"] == {"status": {}}
    assert crd()["spec"]["names"]["shortNames"] == ["det"]


def test_a_keyword_without_structural_form_is_refused():
    with pytest.raises(ValueError, match="patternProperties has no structural form"):
        structural({"type": "object", "patternProperties": {}}, {})
