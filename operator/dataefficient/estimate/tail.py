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
import pyarrow.dataset as ds

from dataefficient.estimate import delimited
from dataefficient.estimate.log import Log

_CHUNK_BYTES = 8 << 20
_NEWLINE = ord("\n")


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
    before: tuple[Any, ...]
    """Files, as datasets, that are left out wholly or in part, oldest first."""


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
    batches = _dataset(log.source, kept[::-1]).to_batches(columns=names, batch_size=batch_rows)
    return Tail(batches, rows, log.rows - rows, exact=True, before=_each(log.source, fragments))


def _of_text(log: Log, form: delimited.Form, names: list[str], wanted: int, *, exact: bool) -> Tail:
    source, files = log.source, log.source.filesystem
    header = 0 if form.names else 1
    fragments, kept, rows, size = list(source.get_fragments()), [], 0, 0
    cut: Any = None
    begun: Iterator[Any] = iter(())
    first = 0
    while fragments and rows < wanted and cut is None:
        fragment = fragments.pop()
        lines = _Lines.of(files, fragment.path)
        size += _size(files, fragment.path)
        place = lines.chunk_before(lines.total - (wanted - rows))
        if place is None:
            kept.append(fragment)
            rows += max(0, lines.total - header)
            continue
        offset, line = place
        cut, begun = fragment, delimited.rest(source, fragment, form, names, offset)
        rows += lines.total - line
        first = line - header
    if exact:
        first += sum(max(0, _Lines.of(files, one.path).total - header) for one in fragments)
    else:
        first += round(sum(_size(files, one.path) for one in fragments) * (first + rows) / max(1, size))
    batches = chain(begun, _dataset(source, kept[::-1]).to_batches(columns=names))
    before = _each(source, fragments if cut is None else [*fragments, cut])
    return Tail(batches, rows, first, exact=exact or not fragments, before=before)


def _dataset(source: Any, fragments: list[Any]) -> Any:
    return ds.FileSystemDataset(fragments, source.schema, source.format, source.filesystem)


def _each(source: Any, fragments: list[Any]) -> tuple[Any, ...]:
    return tuple(_dataset(source, [fragment]) for fragment in fragments)


def _size(files: Any, path: str) -> int:
    return int(files.get_file_info(path).size)


class _Lines:
    """Where the lines of a text lie, to the chunk; of packed text, once it is unpacked."""

    def __init__(self, offsets: list[int], ended: list[int], total: int) -> None:
        self.total = total
        self._offsets, self._ended = offsets, ended

    @classmethod
    def of(cls, files: Any, path: str) -> _Lines:
        """Read a text once."""
        offsets, ended, byte = [0], [0], _NEWLINE
        chunk = np.empty(_CHUNK_BYTES, np.uint8)
        with files.open_input_stream(path) as stream:
            while size := stream.readinto(chunk):
                offsets.append(offsets[-1] + size)
                ended.append(ended[-1] + int(np.count_nonzero(chunk[:size] == _NEWLINE)))
                byte = int(chunk[size - 1])
        return cls(offsets[:-1], ended[:-1], ended[-1] + (byte != _NEWLINE))

    def chunk_before(self, line: int) -> tuple[int, int] | None:
        """The last chunk to read on from so that a line is not missed: its offset, and its first whole line.

        None: it is the first one.
        """
        # What a chunk begins with is taken for the end of a line.
        chunk = bisect_right(self._ended, line - 1) - 1
        return (self._offsets[chunk], self._ended[chunk] + 1) if chunk > 0 else None
