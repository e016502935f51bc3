"""Reading a resource, with every error at once.

A user who made three mistakes reads three lines, each with the field's path, what was found, what is
allowed and what to do. What is well-formed but impossible (data that is not there, a column that it
lacks) shows later, where it is used.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from dataefficient.api.document import MAX_BYTES, Document, read
from dataefficient.api.errors import ABSENT, FieldError, InvalidResource, Path, dotted, explain, inner_model
from dataefficient.api.model import Model, Problem
from dataefficient.api.spec import API_VERSION, GROUP, KIND, Resource

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
_FREE: frozenset[Path] = frozenset({("spec", "trainer", "config"), ("spec", "trainer", "template")})
"""Where a value may be empty."""

Found = tuple[Path, Problem]


def load_resource(path: pathlib.Path) -> Resource:
    """Read the resource in the YAML or JSON file ``path``.

    Raises:
        InvalidResource: with every error that was found; also when the file cannot be read.
    """
    source = str(path)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode("utf-8")
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
    return _validate(read(text, source), source)


def parse_object(body: Mapping[str, Any], source: str) -> Resource:
    """Read a resource as the API server gives it; its status is left alone.

    Raises:
        InvalidResource: with every error that was found.
    """
    return _validate(Document(dict(body), {}, ()), source)


def _validate(document: Document, source: str) -> Resource:
    body = document.value
    if not isinstance(body, dict):
        allowed = "a mapping with apiVersion, kind, metadata and spec"
        raise InvalidResource(source, [FieldError("", body, allowed, "write a resource as in the examples")])
    body = _without_servers_part(body)
    found = [*document.problems, *_another_kind(body)]
    if not found or document.problems:
        found += _mistakes(body, {path for path, _ in document.problems})
    if found:
        raise InvalidResource(source, [_located(path, problem, document.lines) for path, problem in found])
    return _strictly(body)


def _strictly(body: dict[str, Any]) -> Resource:
    return Resource.model_validate_json(json.dumps(body), strict=True, by_alias=True, by_name=False)


def _without_servers_part(body: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in body.items() if name != "status"}
    metadata = kept.get("metadata")
    if isinstance(metadata, dict):
        kept["metadata"] = {k: v for k, v in metadata.items() if k not in _SERVERS_METADATA}
    return kept


def _another_kind(body: dict[str, Any]) -> Iterator[Found]:
    """A resource of another group: its other fields would only give noise."""
    version = body.get("apiVersion", ABSENT)
    if isinstance(version, str) and version.split("/")[0] == GROUP:
        return
    if version is ABSENT and body.get("kind") == KIND:
        return
    path: Path = ("apiVersion",)
    yield path, Problem(path, version, API_VERSION, f"this reads resources of kind {KIND} only")


def _mistakes(body: dict[str, Any], known: set[Path]) -> Iterator[Found]:
    """Every mistake in the fields, except at the paths that are ``known`` to be wrong."""
    empty = [path for path in _empty_values(body, ()) if path not in known]
    for path in empty:
        yield path, Problem(path, ABSENT, "a value", "write one, or remove the line for the default")
    told = known.union(empty)
    try:
        _strictly(body)
    except ValidationError as error:
        details = error.errors()
        bad = told | {tuple(detail["loc"]) for detail in details}
        for detail in details:
            path = tuple(detail["loc"])
            # A list that is too short only because its entries are wrong is not a mistake of its own.
            of_entries = detail["type"] == "too_short" and any(_within(p, path) and p != path for p in bad)
            if path not in told and not of_entries:
                yield from explain(detail, Resource)
        yield from _broken_rules(Resource, body, (), bad)


def _empty_values(value: object, path: Path) -> Iterator[Path]:
    if path in _FREE:
        return
    if value is None:
        yield path
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _empty_values(inner, (*path, name))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _empty_values(inner, (*path, i))


def _within(path: Path, outer: Path) -> bool:
    return path[: len(outer)] == outer


def _broken_rules(model: type[BaseModel], raw: object, path: Path, bad: set[Path]) -> Iterator[Found]:
    """Problems between fields that are right in themselves, in models where another field is wrong.

    Validation stops before the rules of such a model; its user still wants to read them all.
    """
    if not isinstance(raw, dict) or path in bad or not any(_within(p, path) for p in bad):
        return
    good: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        alias = field.alias or name
        here = (*path, alias)
        if any(_within(p, here) for p in bad):
            yield from _broken_rules_inside(field, raw.get(alias), here, bad)
        elif alias in raw:
            adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
            text = json.dumps(raw[alias])
            good[name] = adapter.validate_json(text, strict=True, by_alias=True, by_name=False)
        elif not field.is_required():
            good[name] = field.get_default(call_default_factory=True)
    assert issubclass(model, Model), "all API models share one base"
    for rule in model.rules:
        if rule.check and all(need in good for need in rule.needs):
            for problem in rule.check(SimpleNamespace(**good)):
                yield (*path, *problem.path), problem


def _broken_rules_inside(field: FieldInfo, raw: object, path: Path, bad: set[Path]) -> Iterator[Found]:
    inner = inner_model(field.annotation)
    if inner is None:
        return
    if isinstance(raw, list):
        for i, item in enumerate(raw):
            yield from _broken_rules(inner, item, (*path, i), bad)
    else:
        yield from _broken_rules(inner, raw, path, bad)


def _located(path: Path, problem: Problem, lines: Mapping[Path, int]) -> FieldError:
    line = next((lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines), None)
    return FieldError(dotted(path), problem.value, problem.allowed, problem.hint, line)
