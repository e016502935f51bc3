"""A YAML text as plain values with their lines, read as the API server's clients read it.

Numbers with an exponent are numbers, times stay text, an unquoted ``1:30`` is text: a file must mean the
same here and through kubectl. Not a YAML library: it composes PyYAML's parts and refuses what a resource
never needs (several documents, repeated keys, other tags, values nested or repeated without end).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from dataefficient.api.errors import ABSENT, FieldError, InvalidResource, Path, dotted

MAX_BYTES = 1024 * 1024
"""The API server's store takes no more than 1.5 MiB of one object."""
MAX_VALUES = 50_000
MAX_DEPTH = 64

Lines = dict[Path, int]


class _Loader(yaml.SafeLoader):
    """SafeLoader with the number and text forms of the Go library that kubectl uses."""


_KEPT = {"tag:yaml.org,2002:null", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:merge"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag in _KEPT]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(0b[01_]+|0[0-7_]*|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def read(text: str, source: str) -> tuple[Any, Lines]:
    """The one document in ``text`` and the line of each of its fields.

    Raises:
        InvalidResource: not YAML, no document or several, repeated keys, keys that are no strings,
            numbers that are not finite, or too large.
    """
    if len(text.encode()) > MAX_BYTES:
        raise _whole(source, "a larger text", f"at most {MAX_BYTES} bytes", "give one resource")
    loader = _Loader(text)
    try:
        nodes = [node for node in _nodes(loader) if not _is_empty(node)]
        if len(nodes) != 1:
            found = f"{len(nodes)} documents" if nodes else ABSENT
            raise _whole(source, found, "one resource", "write one resource per file")
        lines: Lines = {}
        errors = list(_walk(nodes[0], (), lines, [0]))
        if errors:
            raise InvalidResource(source, errors)
        value = loader.construct_document(nodes[0])
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, source) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, InvalidResource):
            raise
        raise _whole(source, "text that is not YAML", "YAML or JSON", str(error).splitlines()[0]) from error
    finally:
        loader.dispose()
    not_finite = list(_not_finite(value, (), lines))
    if not_finite:
        raise InvalidResource(source, not_finite)
    return value, lines


def _nodes(loader: yaml.SafeLoader) -> Iterator[yaml.Node]:
    while loader.check_node():
        node = loader.get_node()
        if node is not None:
            yield node


def _whole(source: str, found: object, allowed: str, hint: str) -> InvalidResource:
    return InvalidResource(source, [FieldError("", found, allowed, hint)])


def _syntax(error: yaml.MarkedYAMLError, source: str) -> InvalidResource:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "an unknown place"
    problem = error.problem or "it cannot be read"
    hint = f"at {place}: {problem}; look at indentation, quotes and brackets there"
    line = mark.line + 1 if mark else None
    return InvalidResource(source, [FieldError("", "text that is not YAML", "YAML or JSON", hint, line)])


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _walk(node: yaml.Node, path: Path, lines: Lines, count: list[int]) -> Iterator[FieldError]:
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    count[0] += 1
    if count[0] > MAX_VALUES or len(path) > MAX_DEPTH:
        raise yaml.MarkedYAMLError(
            problem="too many values, or nested too deep", problem_mark=node.start_mark
        )
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            yield from _walk(item, (*path, i), lines, count)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            here = key.start_mark.line + 1
            if key.tag == "tag:yaml.org,2002:merge":
                yield from _walk(value, path, {}, count)
                continue
            if key.tag != "tag:yaml.org,2002:str":
                found = key.value if isinstance(key, yaml.ScalarNode) else "a collection as a key"
                yield FieldError(
                    dotted(path), found, "keys that are strings", "write the key in quotes", here
                )
                continue
            name = key.value
            if name in seen:
                hint = f"it stands in line {seen[name]} already; remove one"
                yield FieldError(dotted((*path, name)), "a second one", "each key once", hint, here)
                continue
            seen[name] = here
            lines[(*path, name)] = here
            yield from _walk(value, (*path, name), lines, count)


def _not_finite(value: object, path: Path, lines: Lines) -> Iterator[FieldError]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _not_finite(inner, (*path, name), lines)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _not_finite(inner, (*path, i), lines)
    elif isinstance(value, float) and not math.isfinite(value):
        yield FieldError(dotted(path), str(value), "a finite number", "write another value", lines.get(path))
    elif value is not None and not isinstance(value, str | int | float | bool):
        kind = type(value).__name__
        yield FieldError(
            dotted(path), kind, "text, numbers, lists and mappings", "remove the tag", lines.get(path)
        )
