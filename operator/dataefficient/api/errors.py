"""What is wrong with a resource, in words for the person who wrote it.

Turns the validation library's errors into one line per field: where, what was found, what is allowed,
what to do. Decides nothing about validity.
"""

from __future__ import annotations

import difflib
import enum
import json
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from dataefficient.api.model import Problem
from dataefficient.contract import format_time

Path = tuple[str | int, ...]


class Absent(enum.Enum):
    """Stands for a field that is not there."""

    ABSENT = "nothing"


ABSENT = Absent.ABSENT


@dataclass(frozen=True)
class FieldError:
    """One mistake. ``path`` is written as ``spec.kpi.tolerance``; empty: the whole file."""

    path: str
    value: object
    allowed: str
    hint: str
    line: int | None = None
    """Line in the file, from 1; None where there is none."""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}found {_found(self.value)}; allowed: {self.allowed}; {self.hint}"


class InvalidResource(ValueError):  # noqa: N818 - it names what the user has in hand
    """A resource with mistakes: all of them, in the order of the file."""

    def __init__(self, source: str, errors: Iterable[FieldError]) -> None:
        self.source = source
        self.errors = tuple(sorted(errors, key=lambda error: error.line or 0))
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = (
            f"{self.source}:{error.line}: {error}" if error.line else f"{self.source}: {error}"
            for error in self.errors
        )
        return "\n".join(lines)


def dotted(path: Path) -> str:
    """``("spec", "key", 0)`` as ``spec.key[0]``; names that hold a dot are quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif "." in step or "/" in step:
            text += f'["{step}"]'
        else:
            text += f".{step}" if text else step
    return text


def _found(value: object) -> str:
    if value is ABSENT or value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, datetime):
        value = format_time(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = text if len(text) <= 80 else f"{text[:77]}..."
    if isinstance(value, bool | list | tuple) or not isinstance(value, int | float):
        return text
    return f"the number {text}"


def explain(error: ErrorDetails, root: type[BaseModel]) -> list[tuple[Path, Problem]]:
    """The mistakes that one error of the validation of ``root`` stands for, with their whole paths."""
    path = tuple(error["loc"])
    context: dict[str, Any] = error.get("ctx", {})
    if error["type"] == "rules":
        problems: Sequence[Problem] = context["problems"]
        return [((*path, *p.path), p) for p in problems]
    allowed, hint = _words(error, path, context, root)
    value = ABSENT if error["type"] == "missing" else error["input"]
    return [(path, Problem(path, value, allowed, hint))]


_TYPES = {
    "string_type": ("a string", "write it in quotes"),
    "bool_type": ("true or false", "write true or false without quotes"),
    "int_type": ("a whole number", "write it without quotes and without a fraction"),
    "int_from_float": ("a whole number", "write it without a fraction"),
    "tuple_type": ("a list", "write it as [a, b] or one '- ' line each"),
    "list_type": ("a list", "write it as [a, b] or one '- ' line each"),
    "dict_type": ("a mapping", "write it as name: value lines"),
    "model_type": ("a mapping", "write it as name: value lines"),
    "model_attributes_type": ("a mapping", "write it as name: value lines"),
}


def _words(
    error: ErrorDetails, path: Path, context: dict[str, Any], root: type[BaseModel]
) -> tuple[str, str]:
    kind = error["type"]
    if kind == "field":
        return context["allowed"], context["hint"]
    if kind in _TYPES:
        return _TYPES[kind]
    if kind == "missing":
        field = _field(root, path)
        return "a value, since this is required", field or "add it"
    if kind == "extra_forbidden":
        return _unknown(str(path[-1]), model_at(root, path[:-1]))
    if kind in ("enum", "literal_error"):
        return _choice(error["input"], str(context["expected"]))
    if kind in ("greater_than_equal", "less_than_equal"):
        bound, words = next(
            (context[k], w) for k, w in (("ge", "at least"), ("le", "at most")) if k in context
        )
        return f"a whole number of {words} {bound}", "choose one within the bounds"
    if kind in ("too_short", "too_long"):
        bound = context.get("min_length", context.get("max_length"))
        words = "at least" if kind == "too_short" else "at most"
        entries = "entry" if bound == 1 else "entries"
        return f"{words} {bound} {entries}", "add what is missing" if kind == "too_short" else "remove some"
    return error["msg"], "correct it"


def _choice(value: object, expected: str) -> tuple[str, str]:
    allowed = expected.replace("'", "")
    options = allowed.replace(" or ", ", ").split(", ")
    close = _closest(value, options)
    return allowed, f"did you mean {close}?" if close else "choose one of these"


def _unknown(name: str, model: type[BaseModel] | None) -> tuple[str, str]:
    if model is None:
        return "no such field", "remove it"
    names = [field.alias or key for key, field in model.model_fields.items()]
    close = _closest(name, names)
    allowed = "the fields " + ", ".join(names)
    return allowed, f"did you mean {close}?" if close else "this field is unknown; remove it"


def _closest(value: object, options: Sequence[str]) -> str | None:
    folded = {option.lower().replace("_", ""): option for option in options}
    key = str(value).lower().replace("_", "").replace("-", "")
    matches = difflib.get_close_matches(key, folded, n=1, cutoff=0.7)
    return folded[matches[0]] if matches else None


def _field(root: type[BaseModel], path: Path) -> str | None:
    model = model_at(root, path[:-1])
    if model is None:
        return None
    for field in model.model_fields.values():
        if field.alias == path[-1] and field.description:
            return f"add it: {field.description}"
    return None


def model_at(root: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The model that ``path``, in the file's names, leads to; None where there is none."""
    model: type[BaseModel] | None = root
    for step in path:
        if isinstance(step, int):
            continue
        fields = model.model_fields.values() if model else ()
        model = next((inner_model(f.annotation) for f in fields if f.alias == step), None)
    return model


def inner_model(annotation: object) -> type[BaseModel] | None:
    """The model inside an optional or list annotation, if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for m in map(inner_model, typing.get_args(annotation)) if m), None)
