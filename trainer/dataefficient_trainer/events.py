"""The stream as chunks of rows: times, labels and hashes of all rows, features of those that are asked for.

Chunks have exactly ``CHUNK_ROWS`` rows (the last one fewer), counted from the first row of the
interval, whatever the file's own batches are: all that follows depends on the stream alone, so a
resumed run does the same arithmetic as one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dataefficient.contract import Data
from dataefficient_trainer import marks
from dataefficient_trainer import source as files
from dataefficient_trainer.config import Config
from dataefficient_trainer.errors import DataError
from dataefficient_trainer.features import MISSING_TIME, Cells, Layout, Times, extract, is_number, numbers
from dataefficient_trainer.hashing import Hashes, combine, hash_column
from dataefficient_trainer.late import in_order, lateness
from dataefficient_trainer.marks import LostError, Mark, Place
from dataefficient_trainer.time_columns import is_time, may_be_time, microseconds

CHUNK_ROWS = 65_536
_YEARS = 1e5
"""Years from here on have no place in microseconds of 64 bits."""
_PART = 1e6
"""No part of a time is as large; minutes may be those of a year."""


def micros(instant: datetime) -> int:
    """Microseconds since 1970."""
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def union(spans: list[tuple[int, int]]) -> files.Spans:
    """The instants of all intervals as ascending intervals that are apart."""
    apart: files.Spans = []
    for low, high in sorted(spans):
        if apart and low <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(high, apart[-1][1]))
        else:
            apart.append((low, high))
    return apart


def instant(microseconds: int) -> str:
    """Text of a time, for messages."""
    return f"{np.datetime64(int(microseconds), 'us').astype('M8[s]')}Z"


@dataclass
class Piece:
    """Rows of one record batch that lie in the interval."""

    batch: Any
    times: Times
    labels: npt.NDArray[np.int8]
    """1, 0, or -1 where the label is unusable."""
    keys: Hashes
    """Hash of the key columns."""
    groups: Hashes
    """Hash that sampling uses: of the group, or of the key."""

    def slice(self, start: int, stop: int) -> Piece:
        """Rows [start, stop)."""
        return Piece(
            self.batch.slice(start, stop - start),
            self.times[start:stop],
            self.labels[start:stop],
            self.keys[start:stop],
            self.groups[start:stop],
        )


@dataclass
class Chunk:
    """``CHUNK_ROWS`` rows of the interval in time order."""

    row: int
    """Position of the first row, counted from the interval's first row."""
    pieces: list[Piece]
    stream: Stream = field(repr=False)

    def __post_init__(self) -> None:
        self.times: Times = np.concatenate([p.times for p in self.pieces])
        self.labels = np.concatenate([p.labels for p in self.pieces])
        self.keys: Hashes = np.concatenate([p.keys for p in self.pieces])
        self.groups: Hashes = np.concatenate([p.groups for p in self.pieces])

    def _picked(self, rows: npt.NDArray[np.int64]) -> Iterator[tuple[Any, npt.NDArray[np.int64]]]:
        start = 0
        for piece in self.pieces:
            stop = start + len(piece.times)
            first, last = np.searchsorted(rows, (start, stop))
            if last > first:
                yield piece.batch.take(pa.array(rows[first:last] - start)), self.times[rows[first:last]]
            start = stop

    def features(
        self, rows: npt.NDArray[np.int64], cells: Cells
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Features of some rows (ascending positions in the chunk): see ``features.extract``."""
        plan = self.stream.layout
        parts = [extract(b, plan, self.stream.times_of(b, t), cells) for b, t in self._picked(rows)]
        if not parts:
            return np.empty((0, plan.places), np.int64), np.empty((0, plan.numbers), np.float32)
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def numbers(self, column: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """A numeric column of some rows, NaN where unusable."""
        parts = [numbers(b.column(column), Cells()) for b, _ in self._picked(rows)]
        return np.concatenate(parts) if parts else np.empty(0)

    def texts(self, column: str, rows: npt.NDArray[np.int64]) -> Any:
        """A column of some rows as an Arrow dictionary array of text."""
        parts = [b.column(column) for b, _ in self._picked(rows)]
        parts = [p.dictionary_decode() if pa.types.is_dictionary(p.type) else p for p in parts]
        return pa.chunked_array([p.cast(pa.string()) for p in parts]).combine_chunks().dictionary_encode()


def _coded(column: Any) -> Any:
    """A column of text as a dictionary, so that each value is looked at once; others as they are."""
    return column.dictionary_encode() if files.is_text(column.type) else column


@dataclass
class Stream:
    """Reads intervals of a stream.

    Attributes:
        slices: columns whose values are told apart in the report.
        bad: rows refused so far: no usable label or time, or a line with a wrong number of fields.
        timeless: those of them that have no time that can be read.
        strange_time: what one of these has in the place of a time; None: they have nothing.
        first_time, last_time: time of the first and the last row read in file order, the last one to see
            time running backwards.
        marks: where a later run could go on reading, in the order of the stream.
    """

    source: files.Source
    data: Data
    config: Config
    layout: Layout
    slices: tuple[str, ...] = ()
    bad: int = 0
    timeless: int = 0
    strange_time: str | None = None
    read_rows: int = 0
    first_time: int = MISSING_TIME
    last_time: int = MISSING_TIME
    marks: list[Mark] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.labels = self.config.label.columns(self.data.label)
        self._check_columns()

    @property
    def label(self) -> str:
        """The label's columns, for people and to tell labels apart."""
        return " or ".join(self.labels)

    def _check_label(self) -> None:
        label = self.config.label
        named = "anyOf" if label.any_of else "column" if label.column is not None else None
        for name in self.labels:
            what = "data.label" if named is None else f"trainer.config.label.{named}"
            if label.equals:
                self._check_flat(name, what)
            else:
                self._check_number(name, what)

    def _check_columns(self) -> None:
        source, parts = self.source, self.config.time.parts
        self._check_label()
        for name, column in parts.items():
            self._check_number(column, f"trainer.config.time.parts.{name}")
        for prediction, what in (
            (self.data.served_prediction, "data.servedPrediction"),
            (self.config.teacher, "trainer.config.distillation.teacher"),
        ):
            if prediction:
                self._check_number(prediction, what)
        virtual = {self.data.time} if parts or self.config.time.row_start else set()
        if self.data.time not in virtual:
            source.require(self.data.time, "data.time")
            self._check_time_type()
        features = self.layout.features
        for what, names in (
            ("data.key", self.data.key),
            ("data.group", (self.data.group,) if self.data.group else ()),
            ("trainer.config.slices", self.config.slices),
            ("kpi.slices", self.slices),
            ("trainer.config.features", (*features.categorical, *features.numeric)),
        ):
            for name in names:
                if name not in virtual:
                    self._check_flat(name, what)
        for name in (*features.lists, *features.vectors):
            source.require(name, "trainer.config.features")
        for made, derived in features.derived.items():
            if derived.source not in virtual:
                what = f"trainer.config.features.derived.{made}.from"
                self._check(derived.source, what, may_be_time, "of times")
        wanted = [*self.labels, *parts.values(), self.data.time, *self.data.key, *self.layout.columns()]
        others = (self.data.group, self.data.served_prediction, self.config.teacher)
        wanted += [*self.slices, *(c for c in others if c)]
        self.columns = [c for c in dict.fromkeys(wanted) if c not in virtual or c in source.columns]

    def _check(self, name: str, what: str, fits: Callable[[Any], bool], needed: str) -> None:
        """Check that a column exists and has a type that ``fits``."""
        self.source.require(name, what)
        kind = self.source.columns[name]
        if not fits(kind):
            raise DataError(f"{what}: column {name!r} has the type {kind}; a column {needed} is needed")

    def _check_flat(self, name: str, what: str) -> None:
        self._check(name, what, lambda kind: not pa.types.is_nested(kind), "with one value a row")

    def _check_number(self, name: str, what: str) -> None:
        self._check(name, what, is_number, "of numbers")

    def _check_time_type(self) -> None:
        kind = self.source.columns[self.data.time]
        text = self.source.format != "parquet" or files.is_text(kind)
        form = self.config.time.format
        if form is not None and not (text or pa.types.is_integer(kind)):
            raise DataError(
                f"trainer.config.time.format: column {self.data.time!r} has the type {kind}, neither text "
                "nor an integer; leave format out"
            )
        if pa.types.is_integer(kind) and self.config.time.unit is None and form is None:
            raise DataError(
                f"data.time: column {self.data.time!r} holds integers ({kind}); set trainer.config.time.unit "
                "to s, ms, us or ns, or trainer.config.time.format to how its digits are read, as %Y%m%d%H"
            )
        counts = pa.types.is_floating(kind) and self.config.time.unit is not None
        if not (text or counts or pa.types.is_integer(kind) or is_time(kind)):
            also = ", or trainer.config.time.unit for numbers that count since 1970"
            raise DataError(
                f"data.time: column {self.data.time!r} has the type {kind}; a timestamp is needed"
                f"{also if pa.types.is_floating(kind) else ''}"
            )

    # ------------------------------------------------------------------ columns of one batch

    def _event_times(self, batch: Any) -> Times:
        time = self.config.time
        if time.row_start is not None:
            rows = self.read_rows + np.arange(batch.num_rows, dtype=np.float64)
            return micros(time.row_start) + (rows * time.row_seconds * 1e6).astype(np.int64)
        if not time.parts:
            return microseconds(batch.column(self.data.time), unit=time.unit, form=time.format)
        parts = {name: numbers(_coded(batch.column(column)), Cells()) for name, column in time.parts.items()}
        usable = [np.abs(values) < (_YEARS if name == "year" else _PART) for name, values in parts.items()]
        missing = ~np.all(usable, axis=0)
        part = {name: np.where(missing, 1, values).astype(np.int64) for name, values in parts.items()}
        one, zero = np.ones(batch.num_rows, np.int64), np.zeros(batch.num_rows, np.int64)
        months = ((part["year"] - 1970) * 12 + part.get("month", one) - 1).astype("M8[M]").astype("M8[D]")
        minutes = part.get("hour", zero) * 60 + part.get("minute", zero)
        times = (months.astype(np.int64) + part.get("day", one) - 1) * 1440 + minutes
        return np.where(missing, MISSING_TIME, times * 60_000_000)

    def times_of(self, batch: Any, event_times: Times) -> Any:
        """Function from the name of a time to the microseconds of a batch's rows."""
        return lambda name: (
            event_times
            if name == self.data.time
            else microseconds(batch.column(name), unit=self.config.time.unit)
        )

    def _labels(self, batch: Any) -> npt.NDArray[np.int8]:
        each = np.stack([self._label_of(batch, name) for name in self.labels])
        # One positive decides; without any, one that is not known leaves it open.
        return np.where(each.max(axis=0) == 1, np.int8(1), each.min(axis=0))

    def _label_of(self, batch: Any, name: str) -> npt.NDArray[np.int8]:
        column = _coded(batch.column(name))
        if self.config.label.equals:
            return self._equal(column)
        if pa.types.is_dictionary(column.type) and files.is_text(column.type.value_type):
            # As booleans are written in CSV; each word is looked at once.
            words = pc.replace_substring_regex(column.dictionary, "^(?i:true)$", "1")
            words = pc.replace_substring_regex(words, "^(?i:false)$", "0")
            column = pa.DictionaryArray.from_arrays(column.indices, words)
        values = numbers(column, Cells())
        missing = np.isnan(values)
        if self.config.label.at_least is not None:
            return np.where(missing, -1, values >= self.config.label.at_least).astype(np.int8)
        odd = ~missing & (values != 0) & (values != 1)
        if odd.sum() * 2 > len(values):
            raise DataError(
                f"data.label: column {name!r} holds values such as {values[odd][0]:g}; a label is 0 or "
                "1: set trainer.config.label.atLeast or .equals to make one"
            )
        return np.where(missing | odd, -1, values).astype(np.int8)

    def _equal(self, column: Any) -> npt.NDArray[np.int8]:
        """1 where a column is one of the values that are positive, -1 where it is missing."""
        coded = pa.types.is_dictionary(column.type)
        words = (column.dictionary if coded else column).cast(pa.string())
        positive = pc.is_in(words, value_set=pa.array(self.config.label.equals)).cast(pa.int8())
        positive = pc.if_else(pc.is_valid(words), positive, None)
        found = positive.take(column.indices) if coded else positive
        return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), np.int8)

    def _hash(self, batch: Any, names: tuple[str, ...], times: Times) -> Hashes:
        """Hash of some columns; an assembled time stands for itself."""
        return combine(
            [hash_column(batch.column(n) if n in batch.schema.names else pa.array(times)) for n in names]
        )

    # ------------------------------------------------------------------ batches to chunks

    def _backwards(self, times: Times, known: npt.NDArray[np.bool_]) -> None:
        seen = np.concatenate([[self.last_time], times[known]])
        steps = np.flatnonzero(np.diff(seen.astype(np.float64)) < 0)
        if len(steps):
            row = self.read_rows + int(np.flatnonzero(known)[steps[0]])
            seconds = -(-int(lateness(seen).max()) // 1_000_000)
            raise DataError(
                f"data.time: time runs backwards in {self.source.uri}: row {row} of those read has "
                f"{self.data.time} {instant(seen[steps[0] + 1])} after {instant(seen[steps[0]])}; sort the "
                f"file by its time (files of at most {files.SORT_ROWS:,} rows are sorted for you), or, where "
                f"rows only come late, set trainer.config.time.lateSeconds to how late, {seconds:,} or more"
            )
        if len(seen) > 1:
            self.last_time = int(seen[-1])
            self.first_time = self.first_time if self.first_time != MISSING_TIME else int(seen[1])

    def _count_timeless(self, batch: Any, known: npt.NDArray[np.bool_]) -> None:
        timeless = int((~known).sum())
        self.bad += timeless
        self.timeless += timeless
        if timeless and self.strange_time is None and self.data.time in batch.schema.names:
            there = pc.drop_null(batch.column(self.data.time).filter(pa.array(~known)))
            self.strange_time = str(there[0].as_py()) if len(there) else None

    def extent(self) -> tuple[int, int] | None:
        """First and last time of the stream as its files tell them, else of the rows that were read."""
        first, last = (self._moment(file) for file in (self.source.files[0], self.source.files[-1]))
        if first is not None and last is not None:
            return first, last
        told = files.extent(self.source, self.data.time)
        seen = None if self.last_time == MISSING_TIME else (self.first_time, self.last_time)
        return told or seen

    def _moment(self, file: files.File) -> int | None:
        """The time of all rows of a file where a folder's name tells it, in microseconds."""
        if self.data.time not in self.source.partitions:
            return None
        text = pa.array([file.partitions.get(self.data.time)], pa.string())
        at = int(microseconds(text, unit=self.config.time.unit, form=self.config.time.format)[0])
        return None if at == MISSING_TIME else at

    # ------------------------------------------------------------------ marks

    @cached_property
    def _described(self) -> tuple[str, ...]:
        """``Mark.described`` of places in each file."""
        by = (self.source.uri, self.source.format, self.data.time, str(self.config.time))
        return marks.described(by, [file.path for file in self.source.files])

    def believes(self, mark: Mark) -> bool:
        """Whether a mark is of this stream, as it is described now."""
        place = mark.place
        there = 0 <= place.file < len(self.source.files) and place.offset >= 0
        return there and mark.described == self._described[place.file]

    def _mark(self, place: Place | None, rows: int, first: int, last: int) -> None:
        """Remember a place, how many rows lie before it, and the first and the last of their times."""
        if place is not None and last != MISSING_TIME:
            self.marks.append(Mark(place, self._described[place.file], rows, first, last))

    def _mark_here(self, place: Place | None) -> None:
        """Remember that the next row is the first one after a place."""
        self._mark(place, self.read_rows, self.first_time, self.last_time)

    # ------------------------------------------------------------------ reading

    def _batches(self, spans: files.Spans, since: Mark | None) -> Iterator[tuple[Any, Times]]:
        """Record batches with their times, in time order; each time that it yields, a mark may be new.

        Raises:
            LostError: ``since`` is not what it was. Nothing was yielded then.
        """
        if since is not None:
            self.read_rows, self.first_time, self.last_time = since.rows, since.first, since.last
            self.marks.append(since)
        plain = not self.config.time.parts and self.config.time.row_start is None
        batches = files.read(
            self.source,
            self.columns,
            self.data.time if plain else None,
            spans,
            self._moment,
            since=since.place if since is not None else None,
        )
        if self.config.time.late_seconds and not files.small_enough_to_sort(self.source):
            self.last_time = MISSING_TIME  # what follows a mark may be older than what lies before it
            newest = since.last if since is not None else MISSING_TIME
            arrivals = self._arrivals(batches, since)
            yield from in_order(arrivals, int(self.config.time.late_seconds * 1e6), newest)
            return
        by_folders = self.data.time in self.source.partitions
        if by_folders or self.config.time.row_start or not files.small_enough_to_sort(self.source):
            for batch in batches:
                self._mark_here(self.source.place)
                yield batch, self._event_times(batch)
            return
        held = [(batch, self.source.place) for batch in batches]
        times = np.concatenate([self._event_times(b) for b, _ in held]) if held else np.empty(0, np.int64)
        ordered = not np.any(times[1:] < times[:-1])
        if since is not None and not (ordered and (not len(times) or times[0] >= since.last)):
            raise LostError
        if not ordered:
            known = int((times == MISSING_TIME).sum())
            files.notice(
                f"{self.source.uri} is not in time order; its {len(times):,} rows were sorted in memory"
                + (f" ({known:,} without a time come first)" if known else "")
            )
            sorted_batches = files.sort_batches([b for b, _ in held], times)
            held, times = [(b, None) for b in sorted_batches], np.sort(times, kind="stable")
        start = 0
        for batch, place in held:
            self._mark_here(place)
            yield batch, times[start : start + batch.num_rows]
            start += batch.num_rows

    def _arrivals(self, batches: Iterator[Any], since: Mark | None) -> Iterator[tuple[Any, Times]]:
        """Record batches with their times, in the order of the stream, with marks on the way."""
        rows, first, last = (
            (since.rows, since.first, since.last) if since else (0, MISSING_TIME, MISSING_TIME)
        )
        for batch in batches:
            self._mark(self.source.place, rows, first, last)
            times = self._event_times(batch)
            if len(known := times[times != MISSING_TIME]):
                first = int(known.min()) if first == MISSING_TIME else min(first, int(known.min()))
                last = max(last, int(known.max()))
            rows += batch.num_rows
            yield batch, times

    def _pieces(self, spans: files.Spans, since: Mark | None) -> Iterator[Piece]:
        for batch, times in self._batches(spans, since):
            known = times != MISSING_TIME
            self._backwards(times, known)
            self._count_timeless(batch, known)
            self.read_rows += batch.num_rows
            within = np.any([(times >= low) & (times < high) for low, high in spans], axis=0)
            inside = np.flatnonzero(known & within)
            if not len(inside):
                if known.any() and times[known][0] >= spans[-1][1]:
                    return
                continue
            first, last = int(inside[0]), int(inside[-1]) + 1
            if last - first == len(inside):
                chosen, at = batch.slice(first, last - first), times[first:last]
            else:
                chosen, at = batch.take(pa.array(inside)), times[inside]
            keys = self._hash(chosen, self.data.key, at)
            groups = self._hash(chosen, (self.data.group,), at) if self.data.group else keys
            yield Piece(chosen, at, self._labels(chosen), keys, groups)

    def pieces(self, spans: files.Spans, since: Mark | None = None) -> Iterator[Piece]:
        """Rows whose event time lies in one of the spans, in time order; ``Chunks`` makes chunks of them.

        Args:
            spans: intervals [low, high) in microseconds, ascending and apart.
            since: a mark before all of them, from which on is read, if it is what it was; None: all is read.

        Raises:
            DataError: damaged, a wrong type, or time running backwards.
        """
        try:
            yield from self._pieces(spans, since)
        except LostError:
            self.rewind()
            yield from self._pieces(spans, None)
        self.bad += self.source.malformed_lines

    def rewind(self) -> None:
        """Forget what was read, to read anew."""
        self.bad, self.timeless, self.strange_time, self.read_rows = 0, 0, None, 0
        self.first_time = self.last_time = MISSING_TIME
        self.marks = []
        self.source.malformed_lines = 0


@dataclass
class Chunks:
    """Cuts the stream's pieces into the chunks of one interval.

    Rows are counted from the interval's first one, whatever else is read of the stream: the same interval
    always has the same chunks.

    Attributes:
        span: the interval [low, high) in microseconds.
        skip: rows to pass over, the end of a chunk (a resumed run).
    """

    stream: Stream
    span: tuple[int, int]
    skip: int = 0
    _row: int = 0
    _held: int = 0
    _pieces: list[Piece] = field(default_factory=list)

    def add(self, piece: Piece) -> list[Chunk]:
        """Take the interval's rows of a piece; returns the chunks that are full with them."""
        full = []
        start, last = (int(at) for at in np.searchsorted(piece.times, self.span))
        while start < last:
            stop = min(last, start + CHUNK_ROWS - self._held)
            self._pieces.append(piece.slice(start, stop))
            self._held += stop - start
            start = stop
            if self._held == CHUNK_ROWS:
                full += self.rest()
        return full

    def rest(self) -> list[Chunk]:
        """The rows that have not filled a chunk, as the last one."""
        held, self._row, row = self._pieces, self._row + self._held, self._row
        self._pieces, self._held = [], 0
        return [Chunk(row, held, self.stream)] if held and row >= self.skip else []
