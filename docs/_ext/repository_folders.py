"""Links to folders of the repository, which a site cannot follow, become their plain words.

Where the pages are read in the repository such a link opens the folder. Files are another matter: the site
takes a copy along. A folder that is not there stays a link, which ends a strict build.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

_LINK = re.compile(r"\[([^\[\]]+)\]\((\.\./[^)#\s]+)\)")


def without_folders(text: str, page: Path) -> str:
    """``text`` of ``page`` with its links to folders outside of it taken out."""
    return _LINK.sub(lambda link: link[1] if (page.parent / link[2]).is_dir() else link[0], text)


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    source[0] = without_folders(source[0], Path(app.env.doc2path(docname)))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the reader."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
