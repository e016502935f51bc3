"""The resource's fields, from the schema that the API server is given."""

import json
import re
from collections.abc import Iterator
from typing import Any

from markdown import GENERATED, document, prose, table

from dataefficient.api.crd import crd

Schema = dict[str, Any]
SOURCE = GENERATED.format(source="operator/dataefficient/api")


def resource() -> str:
    """The page of `spec`."""
    return document(
        "# The resource",
        SOURCE,
        "What a user writes, in `apiVersion: dataefficient.training/v1alpha1`, `kind: DataEfficientTraining`."
        " `kubectl explain det.spec` shows the same. Numbers that are not whole are strings, such as "
        '`"0.001"`, so that no digit is lost on the way.',
        *_sections("spec"),
    )


def status() -> str:
    """The page of `status`."""
    return document(
        "# The status",
        SOURCE,
        "What the operator tells. Nothing is read from it: what is remembered lies in the ConfigMap "
        "`NAME-ledger`. What is not known is absent. "
        "[Conditions and their reasons](../troubleshooting.md) have a page of their own.",
        *_sections("status"),
    )


def _sections(part: str) -> Iterator[str]:
    root: Schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part]
    for path, schema in _objects(part, root):
        yield f"## `{path}`"
        yield prose(schema.get("description", ""))
        required = schema.get("required", ())
        yield table(
            ("field", "meaning"),
            (
                _row(path, name, inner, required=name in required)
                for name, inner in schema["properties"].items()
            ),
        )
        if rules := [rule["message"] for rule in schema.get("x-kubernetes-validations", ())]:
            yield "The API server refuses, with these words:"
            yield "\n".join(f"- {prose(message)}" for message in rules)


def _objects(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Objects with named fields, outermost first; the pod template is Kubernetes' own."""
    if schema.get("properties") and ".template" not in path:
        yield path, schema
        for name, inner in schema["properties"].items():
            yield from _objects(f"{path}.{name}", inner)
    if "items" in schema:
        yield from _objects(f"{path}[]", schema["items"])


def _row(path: str, name: str, schema: Schema, *, required: bool) -> tuple[str, str]:
    told = prose(schema.get("description", ""))
    facts = ", ".join(filter(None, (_type(f"{path}.{name}", schema), _default(schema))))
    mark = " **Required.**" if required else ""
    return f"`{name}`", f"*{facts}.*{mark} {told.removesuffix(' Required.')}"


def _default(schema: Schema) -> str:
    """The default, where it is short enough to be told here."""
    told = json.dumps(schema.get("default"), ensure_ascii=False)
    return f"default `{told}`" if "default" in schema and "{" not in told else ""


def _type(path: str, schema: Schema) -> str:
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    match schema["type"]:
        case "array":
            return f"list of {_type(f'{path}[]', schema['items'])}"
        case "object" if schema.get("properties") and ".template" not in path:
            return f"[object](#{re.sub('[^a-z]', '', path.lower())})"
        case "integer":
            low, high = schema.get("minimum"), schema.get("maximum")
            return "integer" + (f" from {low}" if high is None else f", {low} to {high}")
    return str(schema.get("format") or schema["type"])
