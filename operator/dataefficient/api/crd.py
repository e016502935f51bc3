"""The CustomResourceDefinition, generated from the typed API.

Kubernetes takes a subset of OpenAPI: no references, no alternatives, no ``null``. This module rewrites
the models' JSON schema into that subset and wraps it; it adds no rule of its own and applies nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from dataefficient.api.model import Model
from dataefficient.api.spec import GROUP, KIND, Metadata, Spec
from dataefficient.api.status import Status

PLURAL = "dataefficienttrainings"
VERSION = "v1alpha1"

_HEADER = "# Generated from operator/dataefficient/api by `detctl crd`; edit there.\n"
_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_ORDER = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    _PRESERVE,
    "x-kubernetes-validations",
    "required",
    "properties",
    "items",
)
_DROPPED = {"title", "$defs"}

Schema = dict[str, Any]


def structural(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """``schema`` in Kubernetes' structural form, references resolved in ``definitions``.

    Raises:
        ValueError: a keyword that has no structural form.
    """
    body = _resolved(schema, definitions)
    if "const" in body:
        body["enum"] = [body.pop("const")]
    if body.pop("additionalProperties", False) is not False:
        body[_PRESERVE] = True
    if "properties" in body:
        body["properties"] = {name: structural(p, definitions) for name, p in body["properties"].items()}
    if "items" in body:
        body["items"] = structural(body["items"], definitions)
    if (default := body.pop("default", None)) is not None:
        body["default"] = _without_nulls(default)
    if unknown := sorted(set(body) - set(_ORDER) - _DROPPED):
        raise ValueError(f"{unknown[0]} has no structural form")
    return {keyword: body[keyword] for keyword in _ORDER if keyword in body}


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """``schema`` with what it refers to in place; its own keywords win over the referred ones."""
    own = {keyword: value for keyword, value in schema.items() if keyword not in ("$ref", "anyOf")}
    if "$ref" in schema:
        return {**_resolved(definitions[schema["$ref"].rpartition("/")[2]], definitions), **own}
    if "anyOf" in schema:
        (only,) = (option for option in schema["anyOf"] if option != {"type": "null"})
        return {**_resolved(only, definitions), **own}
    return own


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value


def _without_defaults(schema: Schema) -> Schema:
    """A status is written whole: a default there would pretend knowledge."""
    body = {keyword: value for keyword, value in schema.items() if keyword != "default"}
    if "properties" in body:
        body["properties"] = {name: _without_defaults(inner) for name, inner in body["properties"].items()}
    if "items" in body:
        body["items"] = _without_defaults(body["items"])
    return body


def schema_of(model: type[Model]) -> Schema:
    """The structural schema of a model, in the file's names."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return structural(schema, schema.get("$defs", {}))


def _column(name: str, path: str, description: str, *, kind: str = "string", wide: bool = False) -> Schema:
    priority = {"priority": 1} if wide else {}
    return {"name": name, "type": kind, "jsonPath": path, "description": description, **priority}


def _columns() -> list[Schema]:
    return [
        _column("KPI", ".status.kpi.summary", "Level of the KPI, pooled over kpi.overCycles."),
        _column("Target", ".spec.kpi.target", "Level to reach."),
        _column("Gap", ".status.kpi.gap", "Relative distance to full data at the largest size."),
        _column("Tolerance", ".spec.kpi.tolerance", "Largest gap that is allowed."),
        _column("Rate", ".status.plan.rate", "Share of rows trained on."),
        _column("Size", ".status.plan.size", "Model size.", kind="integer"),
        _column("Spent", ".status.spent.summary", "Spent against the budget."),
        _column("Cycle", ".status.cycle", "Cycle in hand.", kind="integer"),
        _column("Ready", '.status.conditions[?(@.type=="Ready")].status', "Whether everything works."),
        _column("Age", ".metadata.creationTimestamp", "Time since creation.", kind="date"),
        _column("Convergence", ".status.convergence.summary", "Data-convergence point.", wide=True),
        _column("Savings", ".status.savings.summary", "Savings and their control.", wide=True),
        _column("Champion", ".status.champion.uri", "Published checkpoint.", wide=True),
    ]


def crd() -> Schema:
    """The CustomResourceDefinition as plain values."""
    name = schema_of(Metadata)["properties"]["name"]
    bounds = {keyword: name[keyword] for keyword in ("type", "pattern", "maxLength")}
    root = {
        "description": "Continual training of a click-through model that meets a KPI target with the least "
        "compute.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": f"{GROUP}/{VERSION}.", "type": "string"},
            "kind": {"description": f"{KIND}.", "type": "string"},
            "metadata": {"type": "object", "properties": {"name": bounds}},
            "spec": schema_of(Spec),
            "status": _without_defaults(schema_of(Status)),
        },
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": _columns(),
        "schema": {"openAPIV3Schema": root},
    }
    names = {
        "kind": KIND,
        "listKind": f"{KIND}List",
        "plural": PLURAL,
        "singular": KIND.lower(),
        "shortNames": ["det"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


class _Dumper(yaml.SafeDumper):
    """SafeDumper without anchors: equal parts are written out each time."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the base class gives it
        return True


def render_crd() -> str:
    """The CustomResourceDefinition as YAML text, the content of ``crds/dataefficienttraining.yaml``."""
    return _HEADER + yaml.dump(crd(), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
