"""The fenced blocks of README.md and docs/, and what the first line of each says is done with it.

    ```bash run                a command: run, in the page's own folder, after the blocks above it
    ```bash needs=docker       a command that needs what a test does not have; NEEDS says why
    ```yaml apply              a manifest: a real API server takes it (dry run), with the chart installed
    ```yaml valid              a resource for `detctl run`: `detctl validate` accepts it
    ```yaml needs=kueue        a manifest of a kind that is not installed here: it is parsed, strictly
    ```yaml values             values of the chart: helm renders the chart with them
    ```yaml part               a part of a file that the text names: it is parsed
    ```promql                  a query: promtool accepts it
    ```json                    parsed
    ```python                  compiled
    ```dockerfile              not built; needs=docker
    ```text output             lines that the command above printed; `…` stands for anything
    ```text                    read by people

In a command NAME is filled in with a resource that is there, NAMESPACE and RELEASE with its namespace and the
chart's. `file=NAME` keeps a block in the page's folder, for the commands below it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]

NEEDS = {
    "approval": "something that waits for approval; tests/cluster/test_plugin.py approves it",
    "argocd": "the kinds of Argo CD are not installed on the test's API server",
    "ci": "takes minutes; `.ci/run` runs it",
    "docker": "an image builder; `make e2e` builds both stages of the same Dockerfile with BuildKit",
    "flux": "the kinds of Flux are not installed on the test's API server",
    "install": "would change the environment of the tests; `make test` makes the same from the locks",
    "minutes": "takes the minutes that it is given; tests/estimate runs it with a trainer that pretends",
    "kueue": "the kinds of Kueue are not installed on the test's API server",
    "pods": "a kubelet that runs pods; `make e2e` has one",
    "prometheus-operator": "the kinds of the Prometheus Operator are not installed on the test's API server",
}
"""What a block may need that is not here, and why."""

TREATMENTS = {
    "bash": {"run"},
    "yaml": {"apply", "valid", "part", "values"},
    "text": {"", "output"},
    "json": {"", "request", "report", "riders", "riders-report"},
    "promql": {""},
    "python": {""},
    "dockerfile": set(),
}
"""By language; a block that needs something has none."""


class UnmarkedError(Exception):
    """A block that does not say what is done with it."""


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    treatment: str
    needs: str
    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """README.md and every page of the site."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def of_page(path: Path, page: str) -> list[Block]:
    """The blocks of a page, in order.

    Raises:
        UnmarkedError: naming the first that is not marked.
    """
    return list(_parsed(path.read_text(), page))


def of(path: Path) -> list[Block]:
    """The blocks of a page of this repository."""
    return of_page(path, str(path.relative_to(ROOT)))


def _parsed(text: str, page: str) -> Iterator[Block]:
    for token in MarkdownIt("commonmark").parse(text):
        if token.map is None or token.type not in ("fence", "code_block"):
            continue
        line = token.map[0] + 1
        if token.type == "fence" and token.info.startswith("{"):
            continue  # a directive of the site, such as a table of contents
        yield _marked(token.info if token.type == "fence" else "", token.content, page, line)


def _marked(info: str, text: str, page: str, line: int) -> Block:
    words = shlex.split(info)
    options = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    plain = [word for word in words[1:] if "=" not in word]
    language, treatment = words[0] if words else "", plain[0] if plain else ""
    block = Block(page, line, language, treatment, options.pop("needs", ""), options.pop("file", ""), text)
    if language not in TREATMENTS:
        raise UnmarkedError(f"{block}: a block of {language or 'no language'!r}; use {', '.join(TREATMENTS)}")
    if block.needs and block.needs not in NEEDS:
        raise UnmarkedError(f"{block}: needs={block.needs} is not one of {', '.join(NEEDS)}")
    if options or len(plain) > 1 or (block.needs and treatment):
        raise UnmarkedError(f"{block}: cannot be read: {info}")
    if not block.needs and treatment not in TREATMENTS[language]:
        allowed = ", ".join(filter(None, sorted(TREATMENTS[language])))
        raise UnmarkedError(
            f"{block}: {info!r} does not say what is done with it; add one of {allowed}, or needs="
        )
    return block
