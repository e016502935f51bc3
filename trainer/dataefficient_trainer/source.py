"""Files of a stream as Arrow record batches, in stream order, reading only what the interval needs.

Knows formats, URIs and damage; knows nothing of features or labels. Memory is bounded by one record
batch (one row group's column pages for parquet), except for small files that are not in time order,
which are sorted in memory.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from dataefficient_trainer import json_lines
from dataefficient_trainer.errors import DataError
from dataefficient_trainer.marks import TAIL, LostError, Place, digest, tail_of

BATCH_ROWS = 65_536
SORT_ROWS = 1_000_000
"""Parquet files of at most this many rows are sorted in memory where they are not in time order."""
SORT_BYTES = 64 << 20
"""The same for CSV files, by size as stored; compressed ones count eight times."""
CRITEO = ("label", *(f"I{i}" for i in range(1, 14)), *(f"C{i}" for i in range(1, 27)))
"""Column names of a Criteo-format TSV, which has no header."""
_PHYSICAL = {"INT32": pa.int32(), "INT64": pa.int64()}
_GLOB = re.compile(r"[*?\[]")
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
_LONGEST_LINE = 1 << 16
_LONGEST_LINES = 16
"""Blocks that a line may be long."""
BLOCK_BYTES = 4 << 20
"""Text that is parsed at a time."""
_ENDINGS = (
    (".parquet", "parquet"),
    (".pq", "parquet"),
    (".csv", "csv"),
    (".tsv", "tsv"),
    (".json", "json"),
    (".jsonl", "json"),
    (".ndjson", "json"),
)
_SELF_NAMING = {"parquet", "json"}
"""Formats whose rows, or files, always name their columns."""
_SEPARATORS = (",", "\t", ";", "|")
_ARROW_CODECS = ((".gz", "gzip"), (".bz2", "bz2"), (".zst", "zstd"))
_COMPRESSED = (*(ending for ending, _ in _ARROW_CODECS), ".xz")

Spans = list[tuple[int, int]]
"""Intervals [low, high) of time in microseconds since 1970."""


@dataclass(frozen=True)
class File:
    """One file of the stream; ``below`` is the end of its path that the URI does not spell out."""

    fs: Any
    path: str
    below: str = ""

    def open(self) -> Any:
        """Random-access stream of the bytes as stored."""
        return self.fs.open(self.path, "rb")

    @property
    def partitions(self) -> dict[str, str | None]:
        """Columns that the folders' names tell, as Hive writes them: ``dt=2024-03-01``."""
        pairs = (folder.partition("=") for folder in self.below.split("/")[:-1] if "=" in folder)
        return {name: None if value == _HIVE_NULL else unquote(value) for name, _, value in pairs}


@dataclass
class Source:
    """A stream's files and what reading them met.

    Attributes:
        columns: every column's Arrow type, in file order; CSV types as inferred from its beginning.
        first: those of the first file alone.
        names: the columns of text without a header, in its order; None: they stand in the first line.
        partitions: those of them that are text in the folders' names and not in the files.
        malformed_lines: lines refused because their number of fields is wrong, or they are no JSON object.
        lacking: columns that a file was found not to have.
        twice: names that stand for two columns of a file, which are not to be used.
        place: where the newest batch begins, if a later run could go on there; else None.
    """

    uri: str
    format: str
    files: tuple[File, ...]
    columns: dict[str, Any]
    first: dict[str, Any]
    names: tuple[str, ...] | None = None
    partitions: frozenset[str] = frozenset()
    malformed_lines: int = 0
    lacking: set[str] = field(default_factory=set)
    twice: frozenset[str] = frozenset()
    place: Place | None = None

    def require(self, name: str, what: str) -> None:
        """Check that a column exists.

        Raises:
            DataError: lists the columns that exist.
        """
        if name not in self.columns:
            headed = self.format not in _SELF_NAMING and self.names is None
            hint = "; if its first line is no header, name them in trainer.config.columns" if headed else ""
            known = ", ".join(self.columns)
            raise DataError(f"{what}: column {name!r} is not in {self.uri}; its columns are {known}{hint}")
        if name in self.twice:
            raise DataError(f"{what}: {self.uri} has two columns with the name {name!r}; rename one of them")


def _format(path: str, given: str | None) -> str:
    if given is not None:
        return given
    name = path.lower()
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    for ending, kind in _ENDINGS:
        if name.endswith(ending):
            return kind
    raise DataError(f"data.uri: the format of {path} is not clear from its name; set trainer.config.format")


def _list(uri: str) -> tuple[File, ...]:
    try:
        fs, _, paths = fsspec.get_fs_token_paths(uri)
        _, spelled = fsspec.core.url_to_fs(uri)
        if (glob := _GLOB.search(spelled)) is not None:
            spelled = spelled[: glob.start()].rpartition("/")[0]
        files = [
            File(fs, p, p.removeprefix(spelled))
            for path in sorted(paths)
            for p in (sorted(fs.find(path)) if fs.isdir(path) else [path])
        ]
        files = [f for f in files if not f.path.rsplit("/", 1)[-1].startswith((".", "_"))]
        missing = [f.path for f in files if not fs.exists(f.path)]
    except (OSError, ValueError, ImportError) as error:
        raise DataError(f"data.uri: cannot read {uri}: {_line(error)}") from error
    if missing or not files:
        raise DataError(f"data.uri: cannot read {uri}: no such file")
    return tuple(files)


def _line(error: BaseException) -> str:
    told = " ".join(str(error).split())[:300] or type(error).__name__
    return f"{told}; convert it to UTF-8" if "UTF8" in told else told


def open_source(uri: str, given_format: str | None, given_names: tuple[str, ...] = ()) -> Source:
    """Find the files behind a URI (a file, a folder, or a glob; any fsspec address) and their columns.

    Columns are those of the first and of the last file, as a log gets more of them in time; where a file has
    none of a name, its rows lack the value.
    Files of a folder are read in the order of their names. Folders named ``column=value`` add a column.

    Args:
        uri: where the files are.
        given_format: one of ``config.FORMATS``; None: the first file's name tells.
        given_names: columns of text without a header; none: the first line, or the format, names them.

    Raises:
        DataError: unreadable, damaged, of an unknown format, or with more or fewer columns than are named.
    """
    files = _list(uri)
    kind = _format(files[0].path, given_format)
    if kind == "tsv" and not given_names and given_format is None and _is_criteo(files[0]):
        kind = "criteo"
    if given_names and kind in {*_SELF_NAMING, "criteo"}:
        raise DataError(f"trainer.config.columns: the format {kind} names its columns itself; leave them out")
    named = CRITEO if kind == "criteo" else given_names or None
    if given_names and (there := len(_columns(files[0], kind, None, _LONGEST_LINE))) != len(given_names):
        raise DataError(
            f"trainer.config.columns: {len(given_names)} columns are named, and the first line of "
            f"{files[0].path} has {there} values"
        )
    told = _columns(files[0], kind, named, BLOCK_BYTES)
    first, names = dict(told), [name for name, _ in told]
    twice = frozenset(name for name in first if names.count(name) > 1)
    partitions = frozenset(files[0].partitions) - first.keys()
    first |= dict.fromkeys(sorted(partitions), pa.string())
    last = _columns(files[-1], kind, named, BLOCK_BYTES) if len(files) > 1 else []
    later = {name: its for name, its in last if name not in first}
    return Source(uri, kind, files, first | later, first, named, partitions, twice=twice)


def _columns(file: File, kind: str, names: tuple[str, ...] | None, size: int) -> list[tuple[str, Any]]:
    """Names and types of a file's columns, in its order.

    Args:
        names: the columns of text without a header; None: its first line names them.
        size: bytes of text that are looked at.
    """
    try:
        if kind == "parquet":
            with file.open() as handle:
                schema = pq.read_schema(handle)
        else:
            with _text_of(file) as handle:
                head = next(_blocks(handle, size), b"")
            if kind == "json":
                schema = json_lines.fields(head)
            else:
                schema = _parsed(head, _separator(head, kind), names, None, []).schema
        return list(zip(schema.names, schema.types, strict=True))
    except UnicodeDecodeError as error:
        raise DataError(f"data.uri: {file.path} is not text in UTF-8; convert it") from error
    except (OSError, pa.ArrowException, EOFError) as error:
        needed = "one object a line is needed: " if kind == "json" else ""
        raise DataError(f"data.uri: {file.path} cannot be read as {kind}: {needed}{_line(error)}") from error


def _is_criteo(file: File) -> bool:
    """Whether the first line is a row of Criteo's format and no header: a label and 39 values."""
    with _text_of(file) as handle:
        first = handle.read(_LONGEST_LINE).partition(b"\n")[0].split(b"\t")
    return len(first) == len(CRITEO) and first[0] in {b"0", b"1"}


def _text_of(file: File) -> Any:
    """The bytes of a text file, unpacked."""
    name = file.path.lower()
    for ending, codec in _ARROW_CODECS:
        if name.endswith(ending):
            return pa.CompressedInputStream(pa.PythonFile(file.open(), mode="r"), codec)
    return fsspec.core.OpenFile(file.fs, file.path, mode="rb", compression="infer").open()


def _blocks(handle: Any, size: int) -> Iterator[bytes]:
    """Whole lines of text, about ``size`` bytes at a time, from where the handle stands.

    Lines end as Arrow takes them to: with a line feed, or in a file without any with a carriage return.
    """
    held, end = b"", b""
    while more := handle.read(size):
        if len(held) > _LONGEST_LINES * size:
            raise pa.ArrowInvalid(f"a line has more than {len(held):,} bytes")
        held += more
        end = end or (b"\n" if b"\n" in held or b"\r" not in held else b"\r")
        cut = held.rfind(end) + 1
        if cut:
            yield held[:cut]
            held = held[cut:]
    if held:
        yield held


def _separator(head: bytes, kind: str) -> str:
    """What stands between the values of a line: of a CSV what its first line has most of."""
    if kind != "csv":
        return "\t"
    line = head.partition(b"\n")[0]
    return max(_SEPARATORS, key=lambda mark: line.count(mark.encode()))


def _parsed(
    block: bytes, separator: str, names: tuple[str, ...] | None, columns: list[str] | None, refused: list[int]
) -> Any:
    """A block of lines as one table; the wanted columns come as text, so that a bad cell stops nothing.

    Args:
        separator: what stands between the values of a line.
        names: the file's columns; None: they stand in the first line.
        columns: those wanted; None: all, with types inferred.
        refused: one more entry for each line whose number of fields is wrong.
    """

    def refuse(row: Any) -> str:  # noqa: ARG001
        refused.append(1)
        return "skip"

    return csv.read_csv(
        pa.BufferReader(block),
        read_options=csv.ReadOptions(
            use_threads=False, block_size=len(block) + 1, column_names=list(names) if names else None
        ),
        parse_options=csv.ParseOptions(
            delimiter=separator, invalid_row_handler=refuse, newlines_in_values=False
        ),
        convert_options=csv.ConvertOptions(
            include_columns=columns,
            include_missing_columns=True,
            column_types=dict.fromkeys(columns, pa.string()) if columns else None,
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )


def _header(file: File) -> bytes:
    """The begin of a text file, with its first line."""
    with _text_of(file) as handle:
        return next(_blocks(handle, _LONGEST_LINE), b"")


def _read_text(source: Source, number: int, columns: list[str], since: Place | None) -> Iterator[Any]:
    """The lines of a text file from a place on, as batches; tells of each block where it begins.

    Raises:
        LostError: the place is not what it was. Nothing was read then.
    """
    file, refused, names = source.files[number], list[int](), source.names
    separator = None
    with _text_of(file) as handle:
        offset = 0 if since is None else since.offset
        tail = _pass_over(file, handle, offset)
        if since is not None and digest(tail) != since.tail:
            raise LostError
        for block in _blocks(handle, BLOCK_BYTES):
            if source.format == "json":
                table = json_lines.parsed(block, source.columns, columns, refused)
            else:
                head = _header(file) if offset and names is None else block
                separator = separator or _separator(head, source.format)
                if offset and names is None:
                    names = tuple(_parsed(head, separator, None, None, []).column_names)
                table = _parsed(block, separator, names, columns, refused)
            source.place = Place(number, offset, digest(tail)) if number or offset else None
            for batch in table.to_batches():
                for part in _slices(batch):
                    yield part
                    source.place = None
            offset, tail = offset + len(block), tail_of(tail, block[-TAIL:])
    source.malformed_lines += len(refused)


def _pass_over(file: File, handle: Any, offset: int) -> bytes:
    """Move to an offset of the text; returns the last bytes before it, none where the text is shorter."""
    if not file.path.lower().endswith(_COMPRESSED):
        handle.seek(max(offset - TAIL, 0))
        return bytes(handle.read(min(TAIL, offset)))
    tail, left = b"", offset
    while left and (more := handle.read(min(left, BLOCK_BYTES))):
        tail, left = tail_of(tail, more), left - len(more)
    return tail if not left else b""


def _group_bounds(metadata: Any, schema: Any, time: str | None) -> list[tuple[int, int] | None]:
    """Microseconds since 1970 of the first and last time of each row group; None: not told.

    From the stored integers, since Python has no times with nanoseconds, which pandas writes.
    """
    told: list[tuple[int, int] | None] = [None] * metadata.num_row_groups
    names = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
    if time not in names:
        return told
    column, kind = names.index(time), schema.field(time).type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date32(kind)):
        return told
    statistics = {
        group: found
        for group in range(metadata.num_row_groups)
        if (found := metadata.row_group(group).column(column).statistics) is not None
        and found.has_min_max
        and found.physical_type in _PHYSICAL
    }
    if not statistics:
        return told
    stored = _PHYSICAL[next(iter(statistics.values())).physical_type]
    raw = [value for found in statistics.values() for value in (found.min_raw, found.max_raw)]
    times = pa.array(raw, stored).cast(kind).cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
    ends = times.cast(pa.int64()).to_pylist()
    for group, first, last in zip(statistics, ends[::2], ends[1::2], strict=True):
        told[group] = (first, last)
    return told


def _groups(metadata: Any, schema: Any, time: str | None, spans: Spans) -> list[int]:
    """Row groups whose time statistics overlap one of the spans; those without statistics too."""
    # A millisecond of slack: statistics may be coarser than the values.
    return [
        group
        for group, bounds in enumerate(_group_bounds(metadata, schema, time))
        if bounds is None or _overlap(bounds[0] - 1000, bounds[1] + 1000, spans)
    ]


def extent(source: Source, time: str) -> tuple[int, int] | None:
    """First and last time in microseconds, by the statistics of the first and last file; None: not told."""
    if source.format != "parquet":
        return None
    found: list[tuple[int, int] | None] = []
    for file in source.files[:: max(1, len(source.files) - 1)]:
        with file.open() as handle:
            metadata = pq.read_metadata(handle)
        found += _group_bounds(metadata, metadata.schema.to_arrow_schema(), time)
    told = [bounds for bounds in found if bounds is not None]
    return (min(a for a, _ in told), max(b for _, b in told)) if told and len(told) == len(found) else None


def _overlap(first: int, last: int, spans: Spans) -> bool:
    return any(last >= low and first < high for low, high in spans)


def read(
    source: Source,
    columns: list[str],
    time: str | None,
    spans: Spans,
    moment: Callable[[File], int | None] = lambda _: None,
    *,
    since: Place | None = None,
) -> Iterator[Any]:
    """Record batches of at most ``BATCH_ROWS`` rows that cover the spans, in stream order.

    Args:
        source: the stream.
        columns: those to read.
        time: a timestamp column whose statistics may skip row groups; None: read all.
        spans: intervals [low, high) of time in microseconds.
        moment: the one time that all rows of a file have, if its folder tells it: others are not opened.
        since: where to begin; None: with the first file.

    Raises:
        DataError: a file is damaged.
        LostError: as ``_read_text``.
    """
    inside = [name for name in columns if name not in source.partitions]
    for number, file in enumerate(source.files):
        if since is not None and number < since.file:
            continue
        at = moment(file)
        if at is not None and not _overlap(at, at, spans):
            continue
        told = file.partitions
        added = [(name, told.get(name)) for name in columns if name in source.partitions]
        try:
            if source.format == "parquet":
                source.place = Place(number, 0, "") if number else None
                for batch in _read_parquet(source, file, inside, time, spans):
                    yield _with_constants(batch, added)
                    source.place = None
            else:
                within = since is not None and number == since.file and since.offset > 0
                for batch in _read_text(source, number, inside, since if within else None):
                    yield _with_constants(batch, added)
        except (OSError, pa.ArrowException, EOFError) as error:
            raise DataError(
                f"data.uri: {file.path} is damaged or not {source.format} throughout: {_line(error)}"
            ) from error


def _with_constants(batch: Any, added: list[tuple[str, str | None]]) -> Any:
    """The batch with text columns that have one value each."""
    for name, value in added:
        codes = pa.array(np.zeros(batch.num_rows, np.int32))
        column = pa.DictionaryArray.from_arrays(codes, pa.array([value], pa.string()))
        batch = batch.append_column(name, column)
    return batch


def _tell_lacking(source: Source, file: File, columns: list[str]) -> None:
    for name in columns:
        if name not in source.lacking:
            source.lacking.add(name)
            notice(f"{file.path} has no column {name!r}; its rows lack the value, and so may others")


def _with_missing(batch: Any, columns: list[str]) -> Any:
    """The batch with a column without values for each that the file lacks."""
    for name in columns:
        if name not in batch.schema.names:
            batch = batch.append_column(name, pa.nulls(batch.num_rows))
    return batch


def _slices(batch: Any) -> Iterator[Any]:
    for start in range(0, batch.num_rows, BATCH_ROWS):
        yield batch.slice(start, BATCH_ROWS)


def _read_parquet(
    source: Source, file: File, columns: list[str], time: str | None, spans: Spans
) -> Iterator[Any]:
    with file.open() as handle:
        metadata = pq.read_metadata(handle)
        schema = metadata.schema.to_arrow_schema()
        here = [name for name in columns if name in schema.names]
        texts = [name for name in here if is_text(schema.field(name).type)]
        parquet = pq.ParquetFile(handle, metadata=metadata, read_dictionary=texts, pre_buffer=False)
        groups = _groups(metadata, schema, time, spans)
        if groups:
            _tell_lacking(source, file, [name for name in columns if name not in here])
            for batch in parquet.iter_batches(BATCH_ROWS, row_groups=groups, columns=here, use_threads=False):
                yield _with_missing(batch, columns)


def is_text(kind: Any) -> bool:
    """Whether an Arrow type holds text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def small_enough_to_sort(source: Source) -> bool:
    """True where the whole stream may be held in memory."""
    try:
        if source.format == "parquet":
            rows = 0
            for file in source.files:
                with file.open() as handle:
                    rows += pq.read_metadata(handle).num_rows
                if rows > SORT_ROWS:
                    return False
            return True
        sizes = (
            int(f.fs.size(f.path)) * (8 if f.path.lower().endswith(_COMPRESSED) else 1) for f in source.files
        )
        return sum(sizes) <= SORT_BYTES
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"data.uri: cannot read {source.uri}: {_line(error)}") from error


def notice(text: str) -> None:
    """Tell a person something that stops nothing."""
    sys.stderr.write(f"notice: {text}\n")


def sort_batches(batches: list[Any], times: np.ndarray[Any, Any]) -> list[Any]:
    """The rows of ``batches`` in order of ``times`` (stable), as new batches.

    Raises:
        DataError: a column has types in some of the files that do not go together.
    """
    tables = [pa.Table.from_batches([batch]) for batch in batches]
    try:
        table = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries().combine_chunks()
    except pa.ArrowException as error:
        raise DataError(
            f"data.uri: the files are not in time order, and cannot be sorted as one: {_line(error)}; "
            "give each column one type, or sort the files by their time"
        ) from error
    table = table.take(pa.array(np.argsort(times, kind="stable")))
    return [piece for batch in table.combine_chunks().to_batches() for piece in _slices(batch)]
