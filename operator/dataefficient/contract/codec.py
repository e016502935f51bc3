"""Dataclasses to JSON values and back, with the path of whatever does not fit.

It knows no message: any tree of frozen dataclasses with scalars, times, enumerations, tuples and mappings
will do, and the state machine keeps its memory with it. camelCase outside, snake_case inside.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

MAX_INTEGER = 2**63 - 1


class ContractError(ValueError):
    """A request or report that breaks the contract; the message names the field."""


def shown(value: object) -> str:
    """A value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def format_time(instant: datetime) -> str:
    """RFC 3339 in UTC with a ``Z``, microseconds only where there are some."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Inverse of :func:`format_time`; a time without an offset is refused."""
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            raise ContractError(f"{shown(text)} has no time zone; write it in UTC with a final Z")
        return instant.astimezone(UTC)
    except ContractError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise ContractError(f"{shown(text)} is not an RFC 3339 time such as 2001-01-31T00:00:00Z") from error


def camel(name: str) -> str:
    """``kept_positives`` to ``keptPositives``."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


class _Field(typing.NamedTuple):
    name: str
    hint: Any
    default: Any
    optional: bool
    required: bool


@functools.cache
def _fields(kind: type) -> dict[str, _Field]:
    """JSON name -> field; resolving the annotations takes far longer than decoding, so it is kept."""
    hints = typing.get_type_hints(kind)
    missing = dataclasses.MISSING
    return {
        camel(f.name): _Field(
            f.name,
            hints[f.name],
            f.default,
            type(None) in typing.get_args(hints[f.name]),
            f.default is missing and f.default_factory is missing,
        )
        for f in dataclasses.fields(kind)
    }


def encode(value: Any) -> Any:
    """Plain JSON values of a dataclass tree: camelCase names, defaults and None left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((name, f.default, getattr(value, f.name)) for name, f in _fields(type(value)).items())
        return {name: encode(v) for name, default, v in pairs if v is not None and v != default}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, Mapping):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(v) for v in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ContractError(f"{value} is not a finite number")
        return value
    return value


def _decode_dataclass(kind: type[Any], value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise ContractError(f"{path}: expected an object, found {shown(value)}")
    fields = _fields(kind)  # type: ignore[arg-type]  # mypy does not see that classes are hashable
    unknown = sorted(value.keys() - fields.keys() - {"version"})
    if unknown:
        raise ContractError(f"{path}.{unknown[0]}: unknown field; allowed are {', '.join(fields)}")
    arguments = {}
    for name, f in fields.items():
        if name in value:
            arguments[f.name] = decode(f.hint, value[name], f"{path}.{name}")
        elif f.optional:
            arguments[f.name] = None
        elif f.required:
            raise ContractError(f"{path}.{name}: missing")
    return kind(**arguments)


def decode(kind: Any, value: Any, path: str) -> Any:
    """Inverse of :func:`encode` for the type ``kind``.

    Raises:
        ContractError: names ``path`` and what was expected there.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        inner = next(a for a in arguments if a is not type(None))
        return None if value is None else decode(inner, value, path)
    if origin is tuple:
        if not isinstance(value, list):
            raise ContractError(f"{path}: expected a list, found {shown(value)}")
        return tuple(decode(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, dict):
            raise ContractError(f"{path}: expected an object, found {shown(value)}")
        return {k: decode(arguments[1], v, f"{path}.{k}") for k, v in value.items()}
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_dataclass(kind, value, path)
    if kind is datetime:
        try:
            return parse_time(value)
        except ContractError as error:
            raise ContractError(f"{path}: {error}") from None
    return _decode_scalar(kind, value, path)


def _decode_scalar(kind: type[Any], value: Any, path: str) -> Any:
    if issubclass(kind, enum.Enum):
        try:
            return kind(value)
        except ValueError as error:
            allowed = ", ".join(str(m.value) for m in kind)
            raise ContractError(f"{path}: {shown(value)} is not one of {allowed}") from error
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not _finite(value):
            raise ContractError(f"{path}: expected a finite number, found {shown(value)}")
        return float(value)
    if isinstance(value, bool) != (kind is bool) or not isinstance(value, kind):
        raise ContractError(f"{path}: expected {_JSON_NAMES[kind]}, found {shown(value)}")
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ContractError(f"{path}: an integer of more than 64 bits")
    return value


_JSON_NAMES = {int: "an integer", str: "a string", bool: "true or false"}


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
