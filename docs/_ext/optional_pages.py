"""Pages that may be there or not: a pattern in a table of contents that matches nothing is left out.

Sphinx warns of such a pattern, which would end a strict build, and its warning cannot be suppressed by name.
"""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx


def _drop_absent(app: Sphinx, _docname: str, source: list[str]) -> None:
    lines = source[0].splitlines()
    kept = [line for line in lines if not is_absent(Path(app.srcdir), line)]
    source[0] = "\n".join(kept) + "\n"


def is_absent(folder: Path, line: str) -> bool:
    """Whether a line is a pattern of the list of optional pages that matches no page."""
    return line.endswith("*") and " " not in line and not any(folder.glob(f"{line}.md"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the reader."""
    app.connect("source-read", lambda *given: _drop_absent(*given) if given[1] == "index" else None)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
