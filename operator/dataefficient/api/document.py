"""A YAML text as plain values with their lines, read as the API server's clients read it.

Numbers with an exponent are numbers, times stay text, an unquoted ``1:30`` is text: a file must mean the
same here and through kubectl. Not a YAML library: it composes PyYAML's parts and refuses what a resource
never needs (several documents, repeated keys, other tags, values nested or repeated without end).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from dataefficient.api.errors import ABSENT, FieldError, InvalidResource, Path
from dataefficient.api.model import Problem

MAX_BYTES = 1024 * 1024
"""The API server's store takes no more than 1.5 MiB of one object."""
MAX_VALUES = 50_000
MAX_DEPTH = 64


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


@dataclass(frozen=True)
class Document:
    """What a text says, and what is wrong with its form."""

    value: object
    """Mappings with string keys, lists, text, numbers, booleans and None."""
    lines: dict[Path, int]
    """Line of each field, from 1."""
    problems: tuple[tuple[Path, Problem], ...]
    """Mistakes that leave the rest readable; the value at such a path is None or the first one given."""


def read(text: str, source: str) -> Document:
    """The one document in ``text``.

    Raises:
        InvalidResource: not YAML, no document or several, or too large.
    """
    if len(text.encode()) > MAX_BYTES:
        raise _whole(source, "a larger text", f"at most {MAX_BYTES} bytes", "give one resource")
    lines: dict[Path, int] = {}
    try:
        loader = _Loader(text)
        nodes = [node for node in _nodes(loader) if not _is_empty(node)]
        if len(nodes) == 1:
            problems = list(_walk(nodes[0], (), lines, [0]))
            value = _plain(loader.construct_document(nodes[0]), (), problems)
            return Document(value, lines, tuple(problems))
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, source) from error
    except (yaml.YAMLError, ValueError) as error:
        hint = f"{' '.join(str(error).split())}; save the file as UTF-8 YAML"
        raise _whole(source, "text that is not YAML", "YAML or JSON", hint) from error
    except RecursionError as error:
        raise _whole(source, "values nested too deep", "YAML or JSON", "check its brackets") from error
    found = f"{len(nodes)} documents" if nodes else ABSENT
    raise _whole(source, found, "one resource", "write one resource per file")


def _nodes(loader: yaml.SafeLoader) -> Iterator[yaml.Node]:
    while loader.check_node():
        node = loader.get_node()
        if node is not None:
            yield node


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _whole(source: str, found: object, allowed: str, hint: str) -> InvalidResource:
    return InvalidResource(source, [FieldError("", found, allowed, hint)])


def _syntax(error: yaml.MarkedYAMLError, source: str) -> InvalidResource:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or "it cannot be read"
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "an unknown place"
    advice = (
        "indent with blanks, not tabs" if "\\t" in problem else "look at indentation, quotes and brackets"
    )
    hint = f"at {place}: {problem}; {advice}"
    line = mark.line + 1 if mark else None
    return InvalidResource(source, [FieldError("", "text that is not YAML", "YAML or JSON", hint, line)])


def _walk(
    node: yaml.Node, path: Path, lines: dict[Path, int], count: list[int]
) -> Iterator[tuple[Path, Problem]]:
    """Note the line of each field and tell the mistakes in keys."""
    lines.setdefault(path, node.start_mark.line + 1)
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
            if key.tag == "tag:yaml.org,2002:merge":
                yield from _walk(value, path, {}, count)
                continue
            if key.tag != "tag:yaml.org,2002:str":
                yield (
                    path,
                    Problem(path, f"the key {key.value}", "keys that are strings", "write it in quotes"),
                )
                continue
            name, here = key.value, key.start_mark.line + 1
            inner = (*path, name)
            if name in seen:
                hint = f"it stands in line {seen[name]} already; remove one"
                yield inner, Problem(inner, f"it again in line {here}", "each key once", hint)
                continue
            seen[name] = lines[inner] = here
            yield from _walk(value, inner, lines, count)


def _plain(value: object, path: Path, problems: list[tuple[Path, Problem]]) -> object:
    """``value`` as JSON can hold it; what JSON cannot hold becomes None and a problem."""
    if isinstance(value, dict):
        named = ((name, inner) for name, inner in value.items() if isinstance(name, str))
        return {name: _plain(inner, (*path, name), problems) for name, inner in named}
    if isinstance(value, list):
        return [_plain(inner, (*path, i), problems) for i, inner in enumerate(value)]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        problem = Problem(path, f"the number {value}", "a finite number", "write another value")
    else:
        problem = Problem(path, type(value).__name__, "text, numbers, lists and mappings", "remove the tag")
    problems.append((path, problem))
    return None
