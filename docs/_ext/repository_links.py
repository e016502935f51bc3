"""Links to folders, and to Markdown that is no page of the site, become their plain words.

In the repository such a link opens what it names. Other files are no matter: the site
takes a copy along. What is not there stays a link, which ends a strict build.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

_LINK = re.compile(r"\[([^\[\]]+)\]\((\.\./[^)#\s]+)\)")


def without_outside(text: str, page: Path, docs: Path) -> str:
    """``text`` of ``page`` with its links to what the site of ``docs`` cannot show taken out."""

    def is_outside(name: str) -> bool:
        target = (page.parent / name).resolve()
        unread = target.suffix == ".md" and target.is_file() and not target.is_relative_to(docs.resolve())
        return unread or target.is_dir()

    return _LINK.sub(lambda link: link[1] if is_outside(link[2]) else link[0], text)


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    source[0] = without_outside(source[0], Path(app.env.doc2path(docname)), Path(app.srcdir))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the reader."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
