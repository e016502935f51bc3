"""The last rows of a log, without decoding those before them.

Of Parquet the footers tell where they begin. Of text ends of lines are counted, which takes a small part of
the time that parsing takes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from dataefficient.estimate.log import Log
from dataefficient.estimate.text import PACKED, Text, first_line

_CHUNK_BYTES = 8 << 20
_NEWLINE = ord("\n")


Reader = Callable[[list[str]], Iterator[Any]]
"""Gives batches of a file, of the columns that are named."""


@dataclass(frozen=True)
class Tail:
    """The end of a log: at least the rows that are wanted, or all there are."""

    batches: Iterator[Any]
    """Its rows, in the order of the log."""
    rows: int
    """How many they are; blank lines of text count."""
    first: int
    """Place in the log of the first of them."""
    exact: bool
    """Whether ``first`` was counted; else it is estimated by the bytes before it."""
    refused: list[int]
    """Grows by an entry with each line of ``batches`` that is left out, since it does not fit the columns."""
    before: tuple[Reader, ...]
    """Files that are left out wholly or in part, oldest first."""


def last(log: Log, names: list[str], wanted: int, *, batch_rows: int, exact: bool) -> Tail:
    """The last rows of a log.

    Args:
        log: where they are.
        names: columns to read.
        wanted: rows to read.
        batch_rows: most rows of a batch of Parquet.
        exact: count also where their place would be estimated, by reading all text.

    Raises:
        OSError: a file cannot be read.
        pyarrow.ArrowException: a file is damaged.
    """
    if log.form is None:
        return _of_parquet(log, names, wanted, batch_rows)
    return _of_text(log, log.form, names, wanted, exact=exact)


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
    batches = _decoded(log.source, kept[::-1], batch_rows, names)
    before = tuple(partial(_decoded, log.source, [fragment], batch_rows) for fragment in fragments)
    return Tail(batches, rows, log.rows - rows, exact=True, refused=[], before=before)


def _of_text(log: Log, form: Text, names: list[str], wanted: int, *, exact: bool) -> Tail:
    files, header = log.source.filesystem, int(form.headed)
    paths, kept, rows, size, first = list(log.source.files), list[tuple[str, int]](), 0, 0, 0
    while paths and rows < wanted:
        path = paths.pop()
        lines = _Lines.of(files, path, header)
        line, offset = lines.place_before(lines.total - (wanted - rows))
        kept.append((path, offset))
        rows, size, first = rows + max(0, lines.total - line), size + _size(files, path), line - header
    before = (*paths, kept[-1][0]) if first else tuple(paths)
    if exact:
        first += sum(max(0, _Lines.of(files, one, header).total - header) for one in paths)
    else:
        first += round(sum(_size(files, one) for one in paths) * (first + rows) / max(1, size))
    refused: list[int] = []
    batches = chain.from_iterable(_parsed(log.source, form, *place, refused, names) for place in kept[::-1])
    heads = tuple(partial(_parsed, log.source, form, one, 0, []) for one in before)
    return Tail(batches, rows, first, exact=exact or not paths, refused=refused, before=heads)


def _decoded(source: Any, fragments: list[Any], batch_rows: int, names: list[str]) -> Iterator[Any]:
    """Batches of parts of Parquet files."""
    parts = ds.FileSystemDataset(fragments, source.schema, source.format, source.filesystem)
    yield from parts.to_batches(columns=names, batch_size=batch_rows)


def _parsed(  # noqa: PLR0917
    source: Any, form: Text, path: str, offset: int, refused: list[int], names: list[str]
) -> Iterator[Any]:
    """Batches of a text from a place in it on; of a packed one, once it is unpacked."""
    schema = pa.schema([source.schema.field(name) for name in names])
    files, begun = source.filesystem, offset > 0
    if path.lower().endswith(PACKED):
        file = files.open_input_stream(path)
        while offset and (passed := file.read(min(offset, _CHUNK_BYTES))):
            offset -= len(passed)
    else:
        file = files.open_input_file(path)
        file.seek(offset)
    with file:
        yield from form.batches(file, first_line(path, files), schema, refused, begun=begun)


def _size(files: Any, path: str) -> int:
    return int(files.get_file_info(path).size)


class _Lines:
    """Where lines of a text begin, one of each chunk; of packed text, once it is unpacked."""

    def __init__(self, total: int, places: list[tuple[int, int]]) -> None:
        self.total = total
        self._places = places

    @classmethod
    def of(cls, files: Any, path: str, header: int) -> _Lines:
        """Read a text once; its header, lines that are no rows, is passed where it is parsed."""
        places = [(header, 0)]
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

    def place_before(self, line: int) -> tuple[int, int]:
        """The last line that is known and not after one, or the first row, and its offset."""
        known = bisect_right(self._places, line, key=lambda place: place[0])
        return self._places[max(0, known - 1)]
