"""The owner's log, as it lies there: opened, checked, and copied once into a working file.

The working copy holds usable rows only, in time order, with time as UTC microseconds and the label as
0 or 1, so that every experiment reads the same rows and the owner's file is read once. Which columns
may be features is decided in ``columns``; nothing here trains.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from dataefficient.contract import ExitCode
from dataefficient.estimate import delimited
from dataefficient.estimate.errors import EstimateError
from dataefficient.estimate.lists import is_list
from dataefficient.estimate.times import TimeColumn, some
from dataefficient.estimate.vectors import is_vector

MAX_ROWS = 20_000_000
"""Rows of the working copy; of a longer log the last ones are taken."""
ROWS_PER_GROUP = 65_536
COPY = "working-copy.parquet"
"""Name of the working copy."""
ROW_TIME = "row_time"
"""The time of a log that has none, by the order of its rows."""
ROWS_FROM = datetime(2000, 1, 1, tzinfo=UTC)
"""Time of the first of these rows; the others follow a second apart."""
_CSV = (".csv", ".tsv")
_PARQUET = (".parquet", ".pq")
_PARQUET_MAGIC = b"PAR1"
_COMPRESSED = (".gz", ".bz2", ".zst")


@dataclass(frozen=True)
class Roles:
    """Which column plays which part; ``at_least`` makes a label out of a number."""

    time: str
    """The column, or ``ROW_TIME`` where ``in_order``."""
    label: str
    key: tuple[str, ...] = ()
    served: str | None = None
    at_least: float | None = None
    time_format: str | None = None
    in_order: bool = False
    """There is no time: rows lie in the order of it."""
    any_of: tuple[str, ...] = ()
    """Columns in the place of one label: a row is positive where any of them is. ``label`` then is a name."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns that the label comes from."""
        return self.any_of or (self.label,)


@dataclass(frozen=True)
class Log:
    """A log that could be opened: its columns and, where the format tells, its rows."""

    path: str
    format: str
    columns: dict[str, Any]
    """Name to Arrow type, in file order."""
    rows: int | None
    source: Any
    names: tuple[str, ...] | None = None
    """Columns of text without a header; None: the files name them."""


@dataclass(frozen=True)
class Working:
    """The working copy and what making it found."""

    path: Path
    rows: int
    """Usable rows in the copy."""
    log_rows: int
    """Rows of the whole log."""
    positives: int
    bad_labels: int
    """Rows without a label, left out."""
    bad_times: int
    """Rows without a time, left out."""
    was_sorted: bool
    time_unit: str | None
    """Unit that was read out of an integer time column."""
    time_format: str | None
    """Form, as in strptime, in which digits or text were read as times."""
    columns: tuple[str, ...]
    """Those that the copy holds."""
    times: np.ndarray[Any, np.dtype[np.int64]]
    """Microseconds since 1970 of every row, ascending, shape (rows,)."""
    labels: np.ndarray[Any, np.dtype[np.int8]]
    """Label of every row, shape (rows,)."""


def _line(error: BaseException) -> str:
    """The cause alone: the reader's own message repeats the path."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words.rsplit("': ", 1)[-1].rstrip(".")[:160]


def format_in(path: str) -> str | None:
    """The format that the ending of a name tells, csv or parquet; None: it tells nothing."""
    name = path.lower().rstrip("/")
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    if name.endswith(_CSV):
        return "csv"
    return "parquet" if name.endswith(_PARQUET) else None


def _kind(path: str) -> str:
    told = format_in(path)
    if told is not None or not Path(path).is_file():
        return told or "parquet"
    # Such as train.gz: the file itself tells.
    with Path(path).open("rb") as file:
        return "parquet" if file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC else "csv"


def open_log(path: str, names: Sequence[str] = ()) -> Log:
    """Open a Parquet or CSV file, a folder of such files, or a pattern such as ``clicks/*.csv``.

    Args:
        path: where the log is.
        names: columns of text without a header; none: the first line names them.

    Raises:
        EstimateError: there is no such file, it is damaged, it is neither format, or names do not fit it.
    """
    files = [path] if "://" in path else _files(path)
    if not files:
        near = (
            [p.name for p in Path(path).parent.glob("*") if p.is_file()] if Path(path).parent.is_dir() else []
        )
        raise EstimateError(f"{path}: no such file{_meant(Path(path).name, near)}", ExitCode.DATA_ERROR)
    if "://" not in path and not any(Path(file).stat().st_size for file in files):
        raise EstimateError(f"{path}: the file is empty (0 bytes)", ExitCode.DATA_ERROR)
    kind = _kind(files[0])
    place = path if Path(path).is_dir() else files
    if names and kind != "csv":
        raise EstimateError(f"--columns: {path} is {kind}, which names its columns", ExitCode.USER_ERROR)
    form = None
    try:
        if kind == "csv":
            form = delimited.form_of(files[0], names)
        source: Any = _parquet_dataset(place) if form is None else delimited.dataset(place, form)
        rows = source.count_rows() if kind == "parquet" else None
    except (OSError, pa.ArrowException, ValueError) as error:
        raise EstimateError(
            f"{path}: cannot be read as {kind}: {_line(error)}. Is the file complete, is it Parquet or "
            "CSV, and does its first line name the columns (else: --columns A,B,...)?",
            ExitCode.DATA_ERROR,
        ) from error
    columns = {name: source.schema.field(name).type for name in source.schema.names}
    if rows == 0:
        raise EstimateError(f"{path}: the log holds no row", ExitCode.DATA_ERROR)
    return Log(path, kind, columns, rows, source, form.names if form else None)


def _files(path: str) -> list[str]:
    """The files of a path, of a folder, or that a pattern fits, in the order of their names."""
    # Not Path.glob, which refuses patterns that are absolute.
    found = [path] if Path(path).exists() else sorted(glob(path))  # noqa: PTH207
    below = (sorted(Path(one).rglob("*")) if Path(one).is_dir() else [Path(one)] for one in found)
    files = [file for some in below for file in some if file.is_file()]
    return [str(file) for file in files if not file.name.startswith((".", "_"))]


def _parquet_dataset(place: str | list[str]) -> Any:
    # Of a folder, columns that stand in the names of folders below it (Hive).
    folders = "hive" if isinstance(place, str) else None
    return ds.dataset(place, format="parquet", partitioning=folders)


def may_be_feature(kind: Any) -> bool:
    """Whether columns of an Arrow type are looked at: those of one value a row, of lists, and of vectors."""
    return not pa.types.is_nested(kind) or is_list(kind) or is_vector(kind)


def _meant(name: str, options: list[str]) -> str:
    close = difflib.get_close_matches(name.lower(), [o.lower() for o in options], n=1, cutoff=0.6)
    return f"; did you mean {next(o for o in options if o.lower() == close[0])}?" if close else "."


def _way_out(log: Log, option: str) -> str:
    if log.format == "csv" and log.names is None:
        return "; if its first line is no header, name them: --columns A,B,..."
    return (
        "; where none is the time, and rows lie in the order of it: --rows-in-order"
        if option == "--time"
        else ""
    )


def require(log: Log, name: str, option: str) -> None:
    """Check that the log has a column.

    Raises:
        EstimateError: lists the columns that exist and the one that may have been meant.
    """
    if name not in log.columns:
        raise EstimateError(
            f"{option} {name}: {log.path} has no such column{_meant(name, list(log.columns))} Its columns "
            f"are: {', '.join(log.columns)}{_way_out(log, option)}",
            ExitCode.USER_ERROR,
        )


def require_flat(log: Log, name: str, option: str) -> None:
    """Check that the log has a column, with one value a row.

    Raises:
        EstimateError: as ``require``, or the column's type is nested.
    """
    require(log, name, option)
    kind = log.columns[name]
    if pa.types.is_nested(kind):
        raise EstimateError(
            f"{option} {name}: the column holds {kind}; one with one value a row is needed",
            ExitCode.USER_ERROR,
        )


def check_roles(log: Log, roles: Roles) -> None:
    """Check every named column at once, before anything is read.

    Raises:
        EstimateError: a column is missing, or one column plays two parts that exclude each other.
    """
    if not roles.in_order:
        require_flat(log, roles.time, "--time")
    elif roles.time in log.columns:
        raise EstimateError(
            f"--rows-in-order: {log.path} has a column {roles.time}; name it with --time, or another one",
            ExitCode.USER_ERROR,
        )
    for name in roles.labels:
        require_flat(log, name, "--label")
    if roles.any_of and roles.label in log.columns:
        told = (
            f"--label {','.join(roles.any_of)}: together they would be called as the column {roles.label} is"
        )
        raise EstimateError(f"{told}; rename it", ExitCode.USER_ERROR)
    for name in roles.key:
        require_flat(log, name, "--key")
    if roles.served is not None:
        require_flat(log, roles.served, "--served-prediction")
    for name in roles.labels:
        if name in (roles.time, roles.served, *roles.key):
            raise EstimateError(
                f"--label {name}: the label cannot also be the time, the key or the served prediction",
                ExitCode.USER_ERROR,
            )


def copy(log: Log, roles: Roles, folder: Path, *, most: int = MAX_ROWS) -> Working:
    """Copy the last ``most`` rows into ``folder``, in time order, with usable rows only.

    Raises:
        EstimateError: labels that are not 0 and 1, a time that is none, one label only, no usable row,
            a damaged file, a log that is out of order and too large to sort here, or a folder in the log's.
    """
    target = folder / COPY
    _keep_apart(log, target)
    state = _Copy(roles, skip=max(0, (log.rows or 0) - most))
    try:
        state.run(log, target)
    except (OSError, pa.ArrowException) as error:
        raise EstimateError(
            f"{log.path}: damaged, or not {log.format} throughout: {_line(error)}", ExitCode.DATA_ERROR
        ) from error
    seen = (log.rows or state.read) if log.rows is not None else state.read
    if not state.times or state.kept == 0:
        raise EstimateError(
            f"{log.path}: no row has both a time ({roles.time}) and a label ({roles.label})",
            ExitCode.DATA_ERROR,
        )
    times, labels = np.concatenate(state.times), np.concatenate(state.labels)
    ordered = bool((np.diff(times) >= 0).all())
    if not ordered:
        if state.skip or times.size > most:
            raise EstimateError(
                f"{log.path}: the rows are not in the order of {roles.time}, and {seen:,} rows are too many "
                f"to sort here (at most {most:,}); sort the log by {roles.time} first",
                ExitCode.DATA_ERROR,
            )
        order = np.argsort(times, kind="stable")
        table = pq.read_table(target)
        pq.write_table(table.take(pa.array(order)), target, row_group_size=ROWS_PER_GROUP)
        times, labels = times[order], labels[order]
    if state.positives in (0, state.kept):
        only = int(state.positives > 0)
        raise EstimateError(
            f"--label {roles.label}: all {state.kept:,} usable rows have the label {only}; nothing can be "
            "learned from one label",
            ExitCode.DATA_ERROR,
        )
    return Working(
        target,
        state.kept,
        seen,
        state.positives,
        state.bad_labels,
        state.bad_times,
        ordered,
        state.time.unit,
        state.time.form,
        state.columns,
        times,
        labels,
    )


def _row_times(first: int, rows: int) -> Any:
    seconds = np.arange(first, first + rows) + int(ROWS_FROM.timestamp())
    return pa.array(seconds.astype("M8[s]")).cast(pa.timestamp("us"))


def _keep_apart(log: Log, target: Path) -> None:
    """Check that the working copy is not written into the log.

    Raises:
        EstimateError: it would be.
    """
    if "://" in log.path:
        return
    place, own = Path(log.path).resolve(), target.resolve()
    if (place.is_dir() and own.is_relative_to(place)) or own in {Path(f).resolve() for f in log.source.files}:
        raise EstimateError(
            f"--workdir {target.parent}: its working copy would lie in the log; choose another folder",
            ExitCode.USER_ERROR,
        )


class _Copy:
    """One pass over the log: check, convert, write."""

    def __init__(self, roles: Roles, skip: int) -> None:
        self.roles, self.skip = roles, skip
        self.read = self.kept = self.positives = self.bad_labels = self.bad_times = 0
        self.times: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        self.labels: list[np.ndarray[Any, np.dtype[np.int8]]] = []
        self.time = TimeColumn(roles.time, roles.time_format)
        self.names: list[str] = []

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the copy."""
        roles = self.roles
        made = ((roles.time, roles.in_order), (roles.label, bool(roles.any_of)))
        return (*self.names, *(name for name, is_made in made if is_made))

    def run(self, log: Log, target: Path) -> None:
        writer: Any = None
        self.names = [name for name, kind in log.columns.items() if may_be_feature(kind)]
        try:
            for row, batch in self._batches(log, self.names):
                table = self._usable(batch, row)
                if writer is None:
                    writer = pq.ParquetWriter(target, table.schema, compression="lz4")
                writer.write_table(table.cast(writer.schema), row_group_size=ROWS_PER_GROUP)
        finally:
            if writer is not None:
                writer.close()

    def _batches(self, log: Log, names: list[str]) -> Iterator[tuple[int, Any]]:
        """Batches of the rows to copy, each with the place of its first row in the log."""
        for batch in log.source.to_batches(columns=names, batch_size=ROWS_PER_GROUP):
            first = max(self.read, self.skip)
            skipped = first - self.read
            self.read += batch.num_rows
            if first < self.read:
                yield first, batch.slice(skipped)

    def _usable(self, batch: Any, row: int) -> Any:
        table = pa.Table.from_batches([batch])
        if self.roles.in_order:
            table = table.append_column(self.roles.time, _row_times(row, batch.num_rows))
        label = self._label(table)
        time = self.time.read(table[self.roles.time])
        good = pc.and_(pc.is_valid(label), pc.is_valid(time))
        self.bad_labels += label.null_count
        self.bad_times += time.null_count
        table = table.set_column(table.schema.get_field_index(self.roles.time), self.roles.time, time)
        if self.roles.any_of:
            table = table.append_column(self.roles.label, label)
        else:
            table = table.set_column(table.schema.get_field_index(self.roles.label), self.roles.label, label)
        if label.null_count or time.null_count:
            table = table.filter(good)
        self.kept += table.num_rows
        self.labels.append(table[self.roles.label].to_numpy().astype(np.int8))
        self.positives += int(self.labels[-1].sum())
        self.times.append(table[self.roles.time].cast(pa.int64()).to_numpy().astype(np.int64))
        return table

    def _label(self, table: Any) -> Any:
        label, *others = (self._label_of(name, table[name]) for name in self.roles.labels)
        for other in others:
            # One positive decides; without any, one that is missing leaves it open.
            label = pc.or_kleene(label.cast(pa.bool_()), other.cast(pa.bool_())).cast(pa.int8())
        return label

    def _label_of(self, name: str, column: Any) -> Any:
        kind = column.type
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        if pa.types.is_decimal(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
            column, number = column.cast(pa.float64()), True
        if not number:
            raise EstimateError(
                f"--label {name}: the column holds {kind} (such as {some(column)}), not 0 and 1",
                ExitCode.USER_ERROR,
            )
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)
        if self.roles.at_least is not None:
            return pc.greater_equal(column.cast(pa.float64(), safe=False), self.roles.at_least).cast(
                pa.int8()
            )
        if not pa.types.is_boolean(kind):
            strange = pc.invert(pc.is_in(column, value_set=pa.array([0, 1], column.type)))
            strange = pc.and_(strange, pc.is_valid(column))
            if pc.any(strange).as_py():
                raise EstimateError(
                    f"--label {name}: found {some(column.filter(strange))} where only 0 and 1 are allowed; "
                    "name a 0/1 column, or say from which value on a row is positive: --label-at-least N",
                    ExitCode.USER_ERROR,
                )
        return column.cast(pa.int8())
