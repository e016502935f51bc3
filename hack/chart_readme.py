"""Writes the chart's README from Chart.yaml, values.yaml, values.schema.json and the examples in ci/.

`--output FILE` writes elsewhere, which is how a test sees that the one in the chart is up to date.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "charts" / "data-efficient-training"
TYPES = {"boolean": "true or false", "object": "map", "array": "list", "integer": "whole number"}


def rows(schema: dict[str, Any], values: Any, path: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Path, type, default and description of every value that can be given."""
    for name, part in schema.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        if part.get("properties"):
            yield from rows(part, (values or {}).get(name), where)
        elif name in (values or {}):
            told = part["description"].replace("|", "\\|")
            yield where, _type(part), f"`{json.dumps(values[name])}`", told


def _type(part: dict[str, Any]) -> str:
    if "enum" in part:
        return ", ".join(f"`{one}`" for one in part["enum"])
    kinds = [one["type"] for one in part.get("anyOf", [part]) if "type" in one]
    return " or ".join(TYPES.get(kind, kind) for kind in kinds)


def examples() -> Iterator[str]:
    """A line for each file of ci/: its name and its first comment."""
    for file in sorted((CHART / "ci").glob("*-values.yaml")):
        first = file.read_text().partition("\n")[0].removeprefix("# ")
        yield f"| [{file.name}](ci/{file.name}) | {first} |"


def page() -> str:
    """The README as Markdown."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    needs = f"needs Kubernetes {chart['kubeVersion'].removesuffix('-0')}"
    lines = [
        f"# {chart['name']}",
        "",
        f"{chart['description']}. Chart {chart['version']}, application {chart['appVersion']}; {needs}.",
        "",
        "Made of `values.yaml`, `values.schema.json` and `ci/` by `python hack/chart_readme.py`; edit there.",
        "",
        "```",
        f"helm install det charts/{chart['name']} --namespace det --create-namespace \\",
        "  --set image.repository=REGISTRY/OPERATOR",
        "helm test det --namespace det",
        "```",
        "",
        "[Installing](../../docs/installing.md) says where the images come from, what the operator may do,",
        "and how it is upgraded, rolled back and removed; [alerts](../../docs/runbooks/README.md) what it",
        "wakes you for.",
        "",
        "## Examples",
        "",
        "Values files that are rendered, linted and applied to a real API server by the tests:",
        "",
        "| file | |",
        "|---|---|",
        *examples(),
        "",
        "## Values",
        "",
        "A value that is not here, or is of another type, is refused.",
        "",
        "| value | type | default | |",
        "|---|---|---|---|",
        *(f"| `{where}` | {kind} | {given} | {told} |" for where, kind, given, told in rows(schema, values)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=CHART / "README.md")
    parser.parse_args().output.write_text(page())
