import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from dataefficient.api import compute
from dataefficient.api.crd import crd
from dataefficient.api.document import read
from dataefficient.api.errors import inner_model
from dataefficient.api.load import InvalidResource, load_resource, parse_object
from dataefficient.api.model import Model
from dataefficient.api.spec import Resource

FIXTURES = Path(__file__).parent / "fixtures"
ACCEPT = sorted((FIXTURES / "accept").glob("*.yaml"))
REJECT = sorted((FIXTURES / "reject").glob("*.yaml"))
SCHEMA = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


def header(path: Path) -> dict[str, str]:
    lines = (line[2:] for line in path.read_text().splitlines() if line.startswith("# "))
    return dict(line.split(": ", 1) for line in lines)


def refusals(schema: dict[str, Any], value: Any, path: str) -> Iterator[str]:
    """Paths that the API server's schema validation refuses; a reading of the same keywords."""
    if not isinstance(value, TYPES[schema["type"]]) or (
        schema["type"] == "integer" and isinstance(value, bool)
    ):
        yield path
        return
    if "enum" in schema and value not in schema["enum"]:
        yield path
    if isinstance(value, dict):
        yield from of_mapping(schema, value, path)
    elif isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema["maxItems"]:
            yield path
        yield from repeats(schema, value, path)
        for i, item in enumerate(value):
            yield from refusals(schema["items"], item, f"{path}[{i}]")
    elif isinstance(value, str):
        fits = re.search(schema.get("pattern", ""), value) and len(value) <= schema.get("maxLength", 63)
        if not fits or (schema.get("format") == "date-time" and not is_time(value)):
            yield path
    elif not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield path


def repeats(schema: dict[str, Any], value: list[Any], path: str) -> Iterator[str]:
    kind = schema.get("x-kubernetes-list-type")
    if kind == "set" and len(set(map(str, value))) < len(value):
        yield path
    if kind == "map":
        (key,) = schema["x-kubernetes-list-map-keys"]
        found = [item.get(key) if isinstance(item, dict) else None for item in value]
        yield from (f"{path}[{i}]" for i, one in enumerate(found) if one in found[:i])


def of_mapping(schema: dict[str, Any], value: dict[str, Any], path: str) -> Iterator[str]:
    join = f"{path}." if path else ""
    known = schema.get("properties", {})
    yield from (f"{join}{name}" for name in schema.get("required", ()) if name not in value)
    for name, inner in value.items():
        if name in known:
            yield from refusals(known[name], inner, f"{join}{name}")
        elif path != "metadata" and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{join}{name}"


def is_time(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def models(model: type[BaseModel]) -> set[type[Model]]:
    inner = (inner_model(field.annotation) for field in model.model_fields.values())
    return {model}.union(*(models(one) for one in inner if one))


@pytest.mark.parametrize("path", ACCEPT, ids=lambda path: path.stem)
def test_an_accepted_file_is_accepted_by_both_sides(path):
    load_resource(path)
    assert list(refusals(SCHEMA, read(path.read_text(), "").value, "")) == []


@pytest.mark.parametrize("path", REJECT, ids=lambda path: path.stem)
def test_a_rejected_file_is_rejected_at_its_path_alone(path):
    with pytest.raises(InvalidResource) as caught:
        load_resource(path)
    assert {error.path for error in caught.value.errors} == {header(path)["path"]}
    lines = path.read_text().splitlines()
    assert all(error.line and not lines[error.line - 1].startswith("#") for error in caught.value.errors)


@pytest.mark.parametrize("path", REJECT, ids=lambda path: path.stem)
def test_the_schema_rejects_what_it_is_said_to_reject(path):
    found = list(refusals(SCHEMA, read(path.read_text(), "").value, ""))
    wanted = header(path)["path"]
    if header(path)["refused by"] == "schema":
        assert found
        assert all(one.startswith(wanted) for one in found)
    else:
        assert found == []


def test_every_rule_of_the_server_has_a_file_that_breaks_it():
    rules = [rule.cel for model in models(Resource) for rule in model.rules if rule.cel]
    on_creation = {cel.message for cel in rules if "oldSelf" not in cel.rule}
    assert on_creation == {header(path)["message"] for path in REJECT if "message" in header(path)}


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        pytest.param(model, rule, id=f"{model.__name__}-{'-'.join(rule.needs)}")
        for model in sorted(models(Resource), key=lambda model: model.__name__)
        for rule in model.rules
        if rule.check and rule.check not in (compute._config_size, compute._template_size)
    ],
)
def test_every_check_alone_holds_back_some_file(model, rule, monkeypatch):
    monkeypatch.setattr(model, "rules", tuple(other for other in model.rules if other is not rule))
    assert any(loads(path) for path in REJECT)


def loads(path: Path) -> bool:
    try:
        load_resource(path)
    except InvalidResource:
        return False
    return True


VALUES = st.one_of(
    st.sampled_from([None, True, 0, 1, -1, 60, 0.5, [], {}, [1], ["a", "a"], {"a": 1}]),
    st.sampled_from(
        ["", "0", "1", "0.5", "0.05", "1e-3", "Month", "Etc/UTC", "2001-02-30T00:00:00Z", "${x}", "a b"]
    ),
    st.text(max_size=50),
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for step, inner in entries:
        yield from places(inner, (*path, step))


@settings(deadline=None)
@given(data=st.data())
def test_a_file_with_any_value_anywhere_is_refused_wherever_the_schema_refuses_it(data):
    body = read((FIXTURES / "accept" / "everything.yaml").read_text(), "").value
    *to_holder, last = data.draw(st.sampled_from([path for path in places(body) if path]))
    holder = body
    for step in to_holder:
        holder = holder[step]
    holder[last] = data.draw(VALUES)
    try:
        parse_object(body, "file")
    except InvalidResource as error:
        assert error.errors  # noqa: PT017 - either outcome is right, another exception is not
    else:
        assert list(refusals(SCHEMA, body, "")) == []
