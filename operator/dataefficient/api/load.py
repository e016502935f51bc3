"""Reading a resource, with every error at once.

A user who made three mistakes reads three lines, each with the field's path, what was found, what is
allowed and what to do. What is well-formed but impossible (data that is not there, a column that it
lacks) shows later, where it is used.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from dataefficient.api import document
from dataefficient.api.errors import ABSENT, FieldError, InvalidResource, Path, dotted, explain, inner_model
from dataefficient.api.model import Model, Problem
from dataefficient.api.spec import Resource

__all__ = ["FieldError", "InvalidResource", "load_resource", "parse_object", "parse_resource"]

_SERVERS_METADATA = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "managedFields",
        "ownerReferences",
        "selfLink",
    }
)
_FREE = (("spec", "trainer", "config"), ("spec", "trainer", "template"), ("metadata",))
"""Where empty values are left to others to judge."""


def load_resource(path: pathlib.Path) -> Resource:
    """Read the resource in the YAML or JSON file ``path``.

    Raises:
        InvalidResource: with every error that was found; also when the file cannot be read.
    """
    source = str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(
            source, "bytes that are not UTF-8 text", "save the resource as UTF-8 YAML"
        ) from error
    except IsADirectoryError as error:
        raise _unreadable(source, "a folder", "name the file in it") from error
    except FileNotFoundError as error:
        raise _unreadable(source, "no such file", "correct the path") from error
    except OSError as error:
        raise _unreadable(source, error.strerror or str(error), "make the file readable") from error
    return parse_resource(text, source)


def _unreadable(source: str, found: str, hint: str) -> InvalidResource:
    return InvalidResource(source, [FieldError("", found, "a YAML or JSON file with one resource", hint)])


def parse_resource(text: str, source: str) -> Resource:
    """Read the resource in ``text``; ``source`` names it in messages.

    Raises:
        InvalidResource: with every error that was found.
    """
    body, lines = document.read(text, source)
    return _validate(body, source, lines)


def parse_object(body: Mapping[str, Any], source: str) -> Resource:
    """Read a resource as the API server gives it; its status is left alone.

    Raises:
        InvalidResource: with every error that was found.
    """
    return _validate(dict(body), source, {})


def _validate(body: object, source: str, lines: document.Lines) -> Resource:
    if not isinstance(body, dict):
        error = FieldError("", body, "a mapping with apiVersion, kind, metadata and spec", "write a resource")
        raise InvalidResource(source, [error])
    body = _without_servers_part(body)
    found = list(_empty_values(body, ()))
    empty = {path for path, _ in found}
    try:
        text = json.dumps(body, allow_nan=False)
        resource = Resource.model_validate_json(text, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        details = [item for one in error.errors() for item in explain(one, Resource)]
        found += [(path, problem) for path, problem in details if path not in empty]
        bad = {path for path, _ in found} | {tuple(one["loc"]) for one in error.errors()}
        found += _rules_that_can_be_judged(Resource, body, (), bad)
    else:
        if not found:
            return resource
    raise InvalidResource(source, [_located(path, problem, lines) for path, problem in found])


def _without_servers_part(body: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in body.items() if name != "status"}
    metadata = kept.get("metadata")
    if isinstance(metadata, dict):
        kept["metadata"] = {k: v for k, v in metadata.items() if k not in _SERVERS_METADATA}
    return kept


def _empty_values(value: object, path: Path) -> Iterable[tuple[Path, Problem]]:
    if path in _FREE:
        return
    if value is None:
        yield path, Problem(path, ABSENT, "a value", "write one, or remove the line for the default")
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _empty_values(inner, (*path, name))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _empty_values(inner, (*path, i))


def _rules_that_can_be_judged(
    model: type[BaseModel], raw: object, path: Path, bad: set[Path]
) -> Iterable[tuple[Path, Problem]]:
    """Problems between fields that are right in themselves, where another field of the model is wrong."""
    if not isinstance(raw, dict) or path in bad or not any(p[: len(path)] == path for p in bad):
        return
    good: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        alias = field.alias or name
        here = (*path, alias)
        inner = inner_model(field.annotation)
        if any(p[: len(here)] == here for p in bad):
            if inner is not None and isinstance(raw.get(alias), dict):
                yield from _rules_that_can_be_judged(inner, raw[alias], here, bad)
            elif inner is not None and isinstance(raw.get(alias), list):
                for i, item in enumerate(raw[alias]):
                    yield from _rules_that_can_be_judged(inner, item, (*here, i), bad)
        elif alias in raw:
            adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
            good[name] = adapter.validate_json(
                json.dumps(raw[alias]), strict=True, by_alias=True, by_name=False
            )
        elif not field.is_required():
            good[name] = field.get_default(call_default_factory=True)
    if issubclass(model, Model):
        for rule in model.rules:
            if rule.check and all(need in good for need in rule.needs):
                for problem in rule.check(SimpleNamespace(**good)):
                    yield (*path, *problem.path), problem


def _located(path: Path, problem: Problem, lines: document.Lines) -> FieldError:
    line = next((lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines), None)
    return FieldError(dotted(path), problem.value, problem.allowed, problem.hint, line)
