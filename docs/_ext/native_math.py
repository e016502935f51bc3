"""Formulas as MathML, which browsers draw themselves: no script, no font and no network is needed.

Sphinx' own renderers load a script from elsewhere or need LaTeX. The translation is that of docutils, which
knows the common part of LaTeX; a formula that it does not know ends the build with the formula's text.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.application import Sphinx
from sphinx.errors import SphinxError


def translated(text: str, *, block: bool) -> str:
    """MathML of a formula.

    Raises:
        SphinxError: a command that is not known, with the formula.
    """
    try:
        return latex2mathml.tex2mathml(text, as_block=block)
    except MathError as error:
        raise SphinxError(f"this formula cannot be translated: {text!r}: {error}") from error


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(translated(node.astext(), block=False))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula">{translated(node.astext(), block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer under the name ``native``."""
    app.add_html_math_renderer("native", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
