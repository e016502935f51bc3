"""The working copy of a log: its last rows, read once and written as every experiment reads them.

It holds usable rows only, in time order, with time as UTC microseconds and the label as 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataefficient.contract import ExitCode
from dataefficient.estimate.errors import EstimateError
from dataefficient.estimate.log import ROWS_FROM, Log, Roles, cause, may_be_feature
from dataefficient.estimate.tail import Reader, last
from dataefficient.estimate.times import TimeColumn, some

MAX_ROWS = 20_000_000
"""Rows of the working copy; of a longer log the last ones are taken."""
ROWS_PER_GROUP = 65_536
COPY = "working-copy.parquet"
"""Name of the working copy."""
_SORTABLE_VALUES = 200_000_000
"""Rows times columns that are sorted in memory, some gigabytes."""
LATE_MARGIN = 2
"""How much later than was seen rows may come."""
_MOST_LATE = 1_000_000
"""Rows within that time; a trainer must hold them."""
_LOOKED_AT = 32
"""Files before those that are read whose first time is looked at."""
_HEAD_ROWS = 100
"""Rows of a file in which one with a time is looked for."""


@dataclass(frozen=True)
class Working:
    """The working copy and what making it found."""

    path: Path
    rows: int
    """Usable rows in the copy."""
    log_rows: int
    """Rows of the whole log."""
    log_rows_exact: bool
    """Whether they were counted, or estimated by the bytes of files that were not read."""
    positives: int
    bad_labels: int
    """Rows without a label, left out."""
    bad_times: int
    """Rows without a time, left out."""
    bad_lines: int
    """Lines of text that do not fit the columns, left out; no rows."""
    late: int | None
    """Seconds by which a row is older than one before it at most, rounded up; None: rows lie anywhere."""
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


def copy(log: Log, roles: Roles, folder: Path, *, most: int = MAX_ROWS) -> Working:
    """Copy the last ``most`` rows into ``folder``, in time order, with usable rows only.

    They are sorted; of a log whose rows lie anywhere all are copied for that.

    Raises:
        EstimateError: labels that are not 0 and 1, a time that is none, one label only, no usable row,
            a damaged file, a log that is out of order and too large to sort here, or a folder in the log's.
    """
    target = folder / COPY
    _keep_apart(log, target)
    state = _copied(log, roles, target, most)
    if not state.ordered:
        sortable = min(MAX_ROWS, _SORTABLE_VALUES // len(log.columns))
        if state.late is None and state.read > sortable:
            raise EstimateError(
                f"{log.path}: the rows are not in the order of {roles.time}, and {state.read:,} rows are too "
                f"many to sort here (at most {sortable:,}); sort the log by {roles.time} first",
                ExitCode.DATA_ERROR,
            )
        if state.kept > sortable or (state.left_out and state.late is None):
            # Where rows lie anywhere, only all of them tell which are the latest.
            state = _copied(log, roles, target, sortable)
    times, labels = np.concatenate(state.times), np.concatenate(state.labels)
    if not state.ordered:
        order = np.argsort(times, kind="stable")
        table = pq.read_table(target)
        pq.write_table(table.take(pa.array(order)), target, row_group_size=ROWS_PER_GROUP)
        times, labels = times[order], labels[order]
    if state.positives in (0, state.kept):
        if roles.equals and not state.positives:
            raise EstimateError(
                f"--label-equals {','.join(roles.equals)}: no row has it in {roles.label}, whose values are "
                f"such as {state.words}",
                ExitCode.USER_ERROR,
            )
        only = int(state.positives > 0)
        raise EstimateError(
            f"--label {roles.label}: all {state.kept:,} usable rows have the label {only}; nothing can be "
            "learned from one label",
            ExitCode.DATA_ERROR,
        )
    return Working(
        target,
        state.kept,
        state.read,
        state.exact,
        state.positives,
        state.bad_labels,
        state.bad_times,
        state.bad_lines,
        state.late,
        state.time.unit,
        state.time.form,
        state.columns,
        times,
        labels,
    )


def _copied(log: Log, roles: Roles, target: Path, most: int) -> _Copy:
    state = _Copy(roles)
    try:
        state.run(log, target, most)
    except (OSError, pa.ArrowException) as error:
        raise EstimateError(
            f"{log.path}: damaged, or not {log.format} throughout: {cause(error)}", ExitCode.DATA_ERROR
        ) from error
    if not state.times or state.kept == 0:
        raise EstimateError(
            f"{log.path}: no row has both a time ({roles.time}) and a label ({roles.label})",
            ExitCode.DATA_ERROR,
        )
    return state


def _lateness(times: np.ndarray[Any, np.dtype[np.int64]]) -> int | None:
    """As ``Working.late``: None where too many rows lie within that time."""
    late = -(-int((np.maximum.accumulate(times) - times).max(initial=0)) // 1_000_000)
    if not late:
        return 0
    times = np.sort(times)
    end = times + LATE_MARGIN * late * 1_000_000
    within = np.searchsorted(times, end, side="right") - np.arange(len(times))
    return late if within.max() <= min(_MOST_LATE, len(times) // 4) else None


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


def _microseconds(times: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(times.cast(pa.int64()).to_numpy(), np.int64)


class _Copy:
    """One pass over the end of a log: check, convert, write."""

    def __init__(self, roles: Roles) -> None:
        self.roles = roles
        self.read = self.kept = self.positives = self.bad_labels = self.bad_times = self.bad_lines = 0
        self.exact, self.left_out = True, False
        self.late: int | None = 0
        self.words = ""
        self.times: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        self.labels: list[np.ndarray[Any, np.dtype[np.int8]]] = []
        self.time = TimeColumn(roles.time, roles.time_format)
        self.names: list[str] = []

    @property
    def ordered(self) -> bool:
        """Whether no row is older than one before it."""
        return self.late == 0

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the copy."""
        roles = self.roles
        made = ((roles.time, roles.in_order), (roles.label, bool(roles.any_of)))
        return (*self.names, *(name for name, is_made in made if is_made))

    def run(self, log: Log, target: Path, most: int) -> None:
        self.names = [name for name, kind in log.columns.items() if may_be_feature(kind)]
        end = last(log, self.names, most, batch_rows=ROWS_PER_GROUP, exact=self.roles.in_order)
        self.exact, self.read = end.exact, end.first
        skip = end.first + max(0, end.rows - most)
        self.left_out = skip > 0
        before = self._begins(end.before)
        writer: Any = None
        try:
            for batch in end.batches:
                first = max(self.read, skip)
                rows = batch.slice(first - self.read)
                self.read += batch.num_rows
                if not rows.num_rows:
                    continue
                table = self._usable(rows, first)
                if writer is None:
                    writer = pq.ParquetWriter(target, table.schema, compression="lz4")
                writer.write_table(table.cast(writer.schema), row_group_size=ROWS_PER_GROUP)
        finally:
            if writer is not None:
                writer.close()
        self.bad_lines = len(end.refused)
        self.late = _lateness(np.concatenate([*before, *self.times])) if self.times else 0

    def _begins(self, before: tuple[Reader, ...]) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
        """The first time of files that are left out, or of some of them, evenly spread."""
        name = self.roles.time
        if self.roles.in_order or not before:
            return []
        places = np.unique(np.linspace(0, len(before) - 1, _LOOKED_AT).astype(int))
        heads = (next(before[place]([name]), None) for place in places)
        found = (self.time.read(head.column(name).slice(0, _HEAD_ROWS)) for head in heads if head is not None)
        return [_microseconds(pc.drop_null(times).slice(0, 1)) for times in found]

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
        self.times.append(_microseconds(table[self.roles.time]))
        return table

    def _label(self, table: Any) -> Any:
        label, *others = (self._label_of(name, table[name]) for name in self.roles.labels)
        for other in others:
            # One positive decides; without any, one that is missing leaves it open.
            label = pc.or_kleene(label.cast(pa.bool_()), other.cast(pa.bool_())).cast(pa.int8())
        return label

    def _label_of(self, name: str, column: Any) -> Any:
        kind = column.type
        if self.roles.equals:
            words = column.cast(pa.string())
            self.words = self.words or some(words)
            positive = pc.is_in(words, value_set=pa.array(self.roles.equals)).cast(pa.int8())
            return pc.if_else(pc.is_valid(words), positive, None)
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        if pa.types.is_decimal(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
            column, number = column.cast(pa.float64()), True
        if not number:
            raise EstimateError(
                f"--label {name}: the column holds {kind} (such as {some(column)}), not 0 and 1; say which "
                "values are positive: --label-equals VALUE",
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
