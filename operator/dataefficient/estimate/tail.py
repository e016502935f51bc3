"""The last rows of a log, without decoding those before them.

Of Parquet the footers tell where they begin. Of text ends of lines are counted, which takes a small part of
the time that parsing takes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from dataefficient.estimate.log import Log
from dataefficient.estimate.text import PACKED, Text, first_line

_CHUNK_BYTES = 8 << 20
_NEWLINE = ord("\n")


@dataclass(frozen=True)
class Tail:
    """The end of a log: at least the rows that are wanted, or all there are."""

    batches: Iterator[Any]
    """Its rows, in the order of the log. Nothing is parsed before the first is asked for."""
    rows: int
    """How many they are; blank lines of text count."""
    first: int
    """Place in the log of the first of them."""
    exact: bool
    """Whether ``first`` was counted; else it is estimated by the bytes before it."""
    before: tuple[Any, ...]
    """Files, as datasets, that are left out wholly or in part, oldest first."""


def last(log: Log, names: list[str], wanted: int, *, batch_rows: int, exact: bool) -> Tail:
    """The last rows of a log.

    Args:
        log: where they are.
        names: columns to read.
        wanted: rows to read.
        batch_rows: most rows of a batch, where whole files are read.
        exact: count also where their place would be estimated, by reading all text.

    Raises:
        OSError: a file cannot be read.
        pyarrow.ArrowException: a file is damaged.
    """
    if log.form is None:
        return _of_parquet(log, names, wanted, batch_rows)
    return _of_text(log, log.form, names, wanted, batch_rows, exact=exact)


def _of_parquet(log: Log, names: list[str], wanted: int, batch_rows: int) -> Tail:
    assert log.rows is not None, "footers tell"
    fragments, kept, rows = list(log.source.get_fragments()), [], 0
    while fragments and rows < wanted:
        fragment = fragments.pop()
        groups, ids = list(fragment.row_groups), []
        while groups and rows < wanted:
            group = groups.pop()
            rows += group.num_rows
            ids.append(group.id)
        kept.append(fragment.subset(row_group_ids=ids[::-1]))
        if groups:
            fragments.append(fragment)
    batches = _all(log.source, kept[::-1], names, batch_rows)
    return Tail(batches, rows, log.rows - rows, exact=True, before=_each(log.source, fragments))


def _of_text(log: Log, form: Text, names: list[str], wanted: int, batch_rows: int, *, exact: bool) -> Tail:
    source, files = log.source, log.source.filesystem
    header = int(form.headed)
    fragments, kept, rows, size = list(source.get_fragments()), [], 0, 0
    cut: Any = None
    begun: Iterator[Any] = iter(())
    first = 0
    while fragments and rows < wanted and cut is None:
        fragment = fragments.pop()
        lines = _Lines.of(files, fragment.path)
        size += _size(files, fragment.path)
        place = lines.place_before(lines.total - (wanted - rows))
        if place is None:
            kept.append(fragment)
            rows += max(0, lines.total - header)
            continue
        line, offset = place
        cut, begun = fragment, _rest(source, form, fragment, names, offset)
        rows += lines.total - line
        first = line - header
    if exact:
        first += sum(max(0, _Lines.of(files, one.path).total - header) for one in fragments)
    else:
        first += round(sum(_size(files, one.path) for one in fragments) * (first + rows) / max(1, size))
    batches = chain(begun, _all(source, kept[::-1], names, batch_rows))
    before = _each(source, fragments if cut is None else [*fragments, cut])
    return Tail(batches, rows, first, exact=exact or not fragments, before=before)


def _dataset(source: Any, fragments: list[Any]) -> Any:
    return ds.FileSystemDataset(fragments, source.schema, source.format, source.filesystem)


def _all(source: Any, fragments: list[Any], names: list[str], batch_rows: int) -> Iterator[Any]:
    yield from _dataset(source, fragments).to_batches(columns=names, batch_size=batch_rows)


def _each(source: Any, fragments: list[Any]) -> tuple[Any, ...]:
    return tuple(_dataset(source, [fragment]) for fragment in fragments)


def _size(files: Any, path: str) -> int:
    return int(files.get_file_info(path).size)


def _rest(source: Any, form: Text, fragment: Any, names: list[str], offset: int) -> Iterator[Any]:
    """Batches of a file from a place in it on; of a packed one, once it is unpacked."""
    schema = pa.schema([source.schema.field(name) for name in names])
    files, path = source.filesystem, fragment.path
    if path.lower().endswith(PACKED):
        file = files.open_input_stream(path)
        while offset and (passed := file.read(min(offset, _CHUNK_BYTES))):
            offset -= len(passed)
    else:
        file = files.open_input_file(path)
        file.seek(offset)
    with file:
        yield from form.batches(file, first_line(path, files), schema)


class _Lines:
    """Where lines of a text begin, one of each chunk; of packed text, once it is unpacked."""

    def __init__(self, total: int, places: list[tuple[int, int]]) -> None:
        self.total = total
        self._places = places

    @classmethod
    def of(cls, files: Any, path: str) -> _Lines:
        """Read a text once."""
        places: list[tuple[int, int]] = []
        offset, lines, byte = 0, 0, _NEWLINE
        chunk = np.empty(_CHUNK_BYTES, np.uint8)
        with files.open_input_stream(path) as stream:
            while size := stream.readinto(chunk):
                is_end = chunk[:size] == _NEWLINE
                if offset and is_end.any():
                    places.append((lines + 1, offset + int(is_end.argmax()) + 1))
                offset, lines, byte = (
                    offset + size,
                    lines + int(np.count_nonzero(is_end)),
                    int(chunk[size - 1]),
                )
        return cls(lines + (byte != _NEWLINE), places)

    def place_before(self, line: int) -> tuple[int, int] | None:
        """The last line that is known and not after one, and its offset; None: that is the first line."""
        known = bisect_right(self._places, line, key=lambda place: place[0])
        return self._places[known - 1] if known else None
