"""Before any training: the log read, its columns judged, and what the owner should know about them.

Puts ``log`` and ``columns`` together and words what they found; measures nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataefficient.estimate import columns as judged
from dataefficient.estimate import log as logs
from dataefficient.estimate.columns import Column, Use
from dataefficient.estimate.features import Features, choose, parse
from dataefficient.estimate.log import Log, Roles
from dataefficient.estimate.working import LATE_MARGIN, MAX_ROWS, Working, copy

_VALUES_PER_SECOND = 1_000_000
"""Rows times columns, about what the trainer takes: bounds what is copied of a huge log."""
_FEWEST_ROWS = 100_000
_MOSTLY = 0.5


@dataclass(frozen=True)
class Options:
    """What the owner asked for."""

    path: str
    roles: Roles
    minutes: float
    tolerance: float
    command: tuple[str, ...]
    features: str | None = None
    columns: tuple[str, ...] = ()
    """Names of the columns of text without a header."""
    exclude: tuple[str, ...] = ()
    workers: int = field(default_factory=lambda: max(1, min(2, os.cpu_count() or 1)))


@dataclass(frozen=True)
class Prepared:
    """The log, read and judged."""

    log: Log
    working: Working
    columns: tuple[Column, ...]
    features: Features
    key: tuple[str, ...]
    """Columns whose hash decides what is sampled."""
    notes: tuple[str, ...] = ()
    """What the owner should know, in sentences."""


def prepare(options: Options, folder: Path) -> Prepared:
    """Read the log once and decide on the features.

    Raises:
        EstimateError: the log or an option cannot be used.
    """
    roles = options.roles
    log = logs.open_log(options.path, options.columns)
    logs.check_roles(log, roles)
    for name in options.exclude:
        logs.require(log, name, "--exclude")
    if options.features is not None:
        parse(options.features, log, roles)
    fitting = int(options.minutes * 60 * _VALUES_PER_SECOND / len(log.columns))
    working = copy(log, roles, folder, most=min(MAX_ROWS, max(_FEWEST_ROWS, fitting)))
    columns = judged.survey(judged.sample(working), log, roles)
    if options.features is not None:
        features = parse(options.features, log, roles, columns)
    else:
        rest = tuple(c for c in columns if c.name not in options.exclude)
        features = choose(rest, roles, working.times)
    flat = tuple(c.name for c in columns if c.name in working.columns and _hashed(log.columns[c.name]))
    told_apart = (roles.time,) if roles.in_order else tuple(n for n in flat if n not in roles.labels)
    # The time first: a resource takes only some of the columns of a wide log.
    key = roles.key or tuple(sorted(told_apart, key=lambda name: name != roles.time))
    found = Prepared(log, working, columns, features, key)
    return replace(found, notes=(*_data_notes(found, options), *_column_notes(found)))


def _hashed(kind: Any) -> bool:
    """Whether every trainer can hash a type to tell rows apart."""
    return not (pa.types.is_decimal(kind) or pa.types.is_nested(kind))


def _data_notes(found: Prepared, options: Options) -> Iterator[str]:
    working, roles = found.working, options.roles
    if working.late is None:
        yield (
            f"Warning: the rows are not in the order of {roles.time}; a sorted copy was used here. The "
            "operator reads a stream in time order: sort the log before using it."
        )
    elif working.late:
        yield (
            f"Rows come up to {working.late:,} s late; a sorted copy was used here. The resource "
            f"allows {LATE_MARGIN} times that (trainer.config.time.lateSeconds)."
        )
    if roles.in_order:
        yield (
            "The log has no time: its rows were taken to lie in the order of it, a second apart from "
            f"{logs.ROWS_FROM:%Y-%m-%d} on. All days and dates here are made up so."
        )
    if working.time_unit:
        yield f"{roles.time} holds numbers; they were read as {working.time_unit} since 1970."
    if working.time_format and not roles.time_format:
        yield f"{roles.time} holds integers; their digits were read as {working.time_format}."
    for count, what in (
        (working.bad_labels, f"label ({' or '.join(roles.labels)})"),
        (working.bad_times, f"time ({roles.time})"),
    ):
        if count:
            yield f"{count:,} rows without a {what} were left out."
    if working.bad_lines:
        yield f"Lines of text that do not fit its columns were left out: {working.bad_lines:,}."
    shared, looked = judged.duplicates(working, found.key)
    if roles.key and shared:
        yield (
            f"{shared:,} of the last {looked:,} rows share their key with another; such rows are kept or "
            "dropped together."
        )
    if not roles.key and not roles.in_order:
        equal = f"; {shared:,} of the last {looked:,} are equal to another" if shared else ""
        yield f"No --key was given: rows are told apart by all their columns{equal}."
    if found.log.form is not None:
        yield "The log is text; Parquet is read several times faster."


def _column_notes(found: Prepared) -> Iterator[str]:
    used = set(found.features.names())
    for column in found.columns:
        if column.use is Use.LEAK and column.name in used:
            yield f"Warning: {column.name} is used because you named it, but it {column.note}."
        elif column.use is Use.LEAK:
            yield (
                f"Warning: {column.name} was left out as a leak suspect: {column.note}. To use it, name it "
                "in --features."
            )
        elif column.note and column.name in used:
            yield f"Warning: {column.name} {column.note}."
        elif column.values is not None and column.values.separator is not None and column.name in used:
            yield f"{column.name} is text, read as lists with {column.values.separator} between values."
        elif column.missing >= _MOSTLY and column.name in used:
            yield f"{column.name} is missing in {100 * column.missing:.0f} % of the rows."
