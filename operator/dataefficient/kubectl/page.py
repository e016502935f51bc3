"""What goes to the terminal: lines with a label, tables that fit, colours only where someone sees them.

On a terminal lines are wrapped and tables lose their least important columns where it is narrow; into a pipe
everything goes whole, one row a line. Rich leaves colours out where there is no terminal and under NO_COLOR.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click
import yaml
from rich.console import Console
from rich.text import Text

LABEL = 12
"""Columns of a label."""
GAP = 3
"""Blanks between two columns, as kubectl has them."""
NARROWEST = 40
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""What a terminal would act on; a trainer's own words may hold it."""

GOOD, BAD, WAITS, HEAD = "green", "red", "yellow", "bold"


@dataclass(frozen=True)
class Cell:
    """A figure or word, and the colour that it may have."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Column:
    """A column; the one with the highest ``rank`` is left out first, one with rank 0 never."""

    title: str
    rank: int = 0


class Page:
    """Standard output, or a console that stands for it."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, markup=False, emoji=False, soft_wrap=True)

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None: it is none, and nothing needs to fit."""
        return max(self._console.width, NARROWEST) if self._console.is_terminal else None

    def line(self, text: str = "", style: str = "") -> None:
        """One line, wrapped on a terminal."""
        for part in self._wrapped(text, self.width) or [""]:
            self._console.print(Text(part, style))

    def labelled(self, label: str, text: str, style: str = "") -> None:
        """A line behind its label."""
        room = None if self.width is None else max(self.width - LABEL, NARROWEST - LABEL)
        for number, part in enumerate(self._wrapped(text, room) or [""]):
            head = Text(f"{label if number == 0 else '':<{LABEL}}", HEAD)
            self._console.print(head.append(part, style or "not bold"))

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        """Rows under their titles, as wide as the terminal at most if leaving out columns can do it."""
        shown = fitting(columns, rows, self.width)
        widths = [_width(columns[i].title, [row[i] for row in rows]) for i in shown]
        self._row([Cell(columns[i].title, HEAD) for i in shown], widths)
        for row in rows:
            self._row([row[i] for i in shown], widths)

    def _row(self, cells: Sequence[Cell], widths: Sequence[int]) -> None:
        line = Text()
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            last = place == len(cells) - 1
            text = _plain(cell.text)
            line.append(text, cell.style).append("" if last else " " * (width - len(text) + GAP))
        if self.width is not None and len(line) > self.width:
            line.truncate(self.width, overflow="ellipsis")
        self._console.print(line)

    def _wrapped(self, text: str, room: int | None) -> list[str]:
        clean = _plain(text)
        return [clean] if room is None else textwrap.wrap(clean, room, break_on_hyphens=False)


def fitting(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int | None) -> list[int]:
    """The columns that fit side by side, the least important left out first; empty ones are left out too."""
    shown = [i for i, c in enumerate(columns) if not c.rank or any(row[i].text for row in rows)]
    need = {i: _width(columns[i].title, [row[i] for row in rows]) + GAP for i in shown}
    while width is not None and sum(need[i] for i in shown) - GAP > width:
        least = max(shown, key=lambda i: columns[i].rank)
        if not columns[least].rank:
            break
        shown.remove(least)
    return shown


def write_as(form: str, body: Any) -> None:
    """``body`` as one document, ``json`` or ``yaml``."""
    if form == "json":
        click.echo(json.dumps(body, indent=2, allow_nan=False, ensure_ascii=False))
    else:
        click.echo(yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=110), nl=False)


def _plain(text: str) -> str:
    return _CONTROL.sub("", text).replace("\n", " ")


def _width(title: str, cells: Sequence[Cell]) -> int:
    return max(len(title), *(len(_plain(cell.text)) for cell in cells), 0)
