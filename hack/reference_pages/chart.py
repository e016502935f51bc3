"""The chart's values, from values.yaml (defaults and comments) and values.schema.json (what is allowed)."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from markdown import GENERATED, document, prose, table

CHART = Path(__file__).parents[2] / "charts" / "data-efficient-training"
_KEY = re.compile(r"( *)([A-Za-z0-9_.-]+):(.*)")


def page() -> str:
    """The page of the chart."""
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    text = (CHART / "values.yaml").read_text()
    schema = json.loads((CHART / "values.schema.json").read_text())
    comments = _comments(text)
    rows = [
        (f"`{path}`", f"*Default `{json.dumps(value)}`.* {_meaning(path, schema, comments)}")
        for path, value in _leaves(yaml.safe_load(text), "", schema)
    ]
    return document(
        "# The chart",
        GENERATED.format(source="charts/data-efficient-training"),
        f"Values of `charts/data-efficient-training`, version {about['version']}. A value that is not here, "
        "or is not allowed, is refused with its place. [Installing](../installing.md) says which ones most "
        "installations set.",
        table(("value", "meaning"), rows),
    )


def _leaves(value: Any, path: str, schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Values that a user sets as a whole: a map counts as one where its keys are the user's."""
    named = schema.get("properties", {})
    if isinstance(value, dict) and value and named:
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}".lstrip("."), named.get(name, {}))
    else:
        yield path, value


def _meaning(path: str, schema: dict[str, Any], comments: dict[str, str]) -> str:
    at, told = schema, ""
    for name in path.split("."):
        at = at.get("properties", {}).get(name, {})
        told = at.get("description") or told
    parents = [".".join(path.split(".")[:n]) for n in range(path.count(".") + 1, 0, -1)]
    words = at.get("description") or next((comments[p] for p in parents if p in comments), told)
    return " ".join(filter(None, (prose(words), _allowed(at))))


def _allowed(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + "."
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None:
        return f"From {low}." if high is None else f"{low} to {high}."
    return ""


def _sentence(words: str) -> str:
    first = words.split(maxsplit=1)[0]
    return (words[0].upper() + words[1:] if first.rstrip(":,").isalpha() else words).rstrip(".") + "."


def _comments(text: str) -> dict[str, str]:
    """The comment above or beside each key, by its path."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    above: list[str] = []
    for line in text.splitlines():
        if line.strip().startswith("#"):
            above.append(line.strip().lstrip("# "))
            continue
        if (key := _KEY.match(line)) is None:
            above = []
            continue
        indent = len(key[1])
        path = [(depth, name) for depth, name in path if depth < indent]
        path.append((indent, key[2]))
        beside = key[3].partition(" # ")[2].strip()
        if words := " ".join([*above, *([beside] if beside else [])]):
            found[".".join(name for _, name in path)] = _sentence(words)
        above = []
    return found
