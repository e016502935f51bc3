"""The few parts of Markdown that generated pages are made of."""

from collections.abc import Iterable, Sequence

GENERATED = "Made from `{source}` by `python hack/reference_pages`; edit there."


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells may hold Markdown, and their bars and line ends are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(c) for c in line)} |" for line in lines)


def document(*parts: str) -> str:
    """Parts with a blank line between them."""
    return "\n\n".join(part for part in parts if part) + "\n"


def prose(text: str) -> str:
    """Plain text as Markdown that shows exactly it, but for `code`."""
    return text.replace("<", "&lt;").replace("*", "\\*").replace("$", "\\$").replace("[", "\\[")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
