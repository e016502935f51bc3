"""From columns to what the model sees: one table row per categorical field, and the numbers of the others.

The layout (which fields, in which order, at which table rows) is part of a checkpoint's identity: two
checkpoints compare only where it is the same. Vectorised over rows; dictionaries are hashed once each.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dataefficient_trainer.config import Config, Derived, Features, Listed
from dataefficient_trainer.errors import DataError, UserError
from dataefficient_trainer.hashing import NULL, Hashes, combine, hash_column, mix, salt
from dataefficient_trainer.listed import Values, is_list, split
from dataefficient_trainer.pooling import Bag
from dataefficient_trainer.source import is_text, notice
from dataefficient_trainer.vectors import coordinates, holds_vectors

PART_VALUES = {"hour": 24, "weekday": 7, "minute_of_day": 1440, "month": 12, "quarter_hour": 96}
"""Values of each derived part; each has one more table row for a missing time. Monday is weekday 0."""
_MINUTE = 60_000_000
_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$|^\s*[+-]?([nN]a[nN]|[iI]nf(inity)?)\s*$"

_MANY = 1_000
"""Vectors after which most of them cannot have another length by chance."""

Times = npt.NDArray[np.int64]
MISSING_TIME = np.iinfo(np.int64).min
"""Microseconds that stand for no time."""


@dataclass(frozen=True)
class Layout:
    """Resolved features: what is computed and where each field's rows lie in the embedding table."""

    features: Features
    buckets: int
    sizes: tuple[int, ...]
    """Table rows by field: categorical, derived, crosses, lists, in this order."""

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """First table row of each field, shape (fields,)."""
        return (
            np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)
            if self.sizes
            else np.empty(0, int)
        )

    @property
    def table_rows(self) -> int:
        """Rows of the embedding table."""
        return sum(self.sizes)

    @property
    def fields(self) -> int:
        """Number of categorical fields, F, lists among them."""
        return len(self.sizes)

    @property
    def bags(self) -> tuple[Bag, ...]:
        """The lists, which are the last fields; the last table row of each is its padding."""
        ends = np.cumsum(self.sizes)[self.fields - len(self.features.lists) :]
        most = (listed.most for listed in self.features.lists.values())
        return tuple(Bag(places, int(end) - 1) for places, end in zip(most, ends, strict=True))

    @property
    def places(self) -> int:
        """Table rows that a row of the stream looks up, S: one a field, of a list as many as are used."""
        return self.fields + sum(bag.places - 1 for bag in self.bags)

    @property
    def vectors(self) -> tuple[int, ...]:
        """Lengths of the vectors, whose coordinates are the last numbers."""
        return tuple(self.features.vectors.values())

    @property
    def numbers(self) -> int:
        """Numbers of a row, D: one a numeric column, of a vector its coordinates."""
        return len(self.features.numeric) + sum(self.vectors)

    def columns(self) -> list[str]:
        """Columns that the features are computed from."""
        sources = [d.source for d in self.features.derived.values()]
        return list(dict.fromkeys([*self.features.columns, *sources]))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, the same for equal layouts."""
        body = {**dataclasses.asdict(self.features), "buckets": self.buckets, "sizes": self.sizes}
        for kind in ("lists", "vectors"):
            if not body[kind]:  # as checkpoints have it from when there were none
                del body[kind]
        plain: dict[str, Any] = json.loads(json.dumps(body))
        return plain


def layout(features: Features, buckets: int) -> Layout:
    """Lay the fields out in one table."""

    def rows(name: str) -> int:
        return len(features.vocabulary[name]) + 2 if name in features.vocabulary else buckets

    sizes = [rows(name) for name in features.categorical]
    sizes += [PART_VALUES[d.part] + 1 for d in features.derived.values()]
    sizes += [buckets] * len(features.crosses)
    sizes += [rows(name) + 1 for name in features.lists]
    return Layout(features, buckets, tuple(sizes))


def default(columns: Mapping[str, Any], *, time: str, not_features: set[str]) -> Features:
    """Features where the configuration names none.

    Every column but the time, the label, the group, a logged prediction and a key of a single column:
    text, booleans and integers are categorical, floats numeric; timestamps are left out; the hour and
    the weekday of the event time are added. Columns known only after the event must be left out by
    naming the features, which no program can know. Lists and vectors are left out, and told of.
    """
    categorical, numeric, lists = [], [], []
    for name, kind in columns.items():
        if name == time or name in not_features:
            continue
        if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            numeric.append(name)
        elif is_list(kind):
            lists.append(name)
        elif not (pa.types.is_temporal(kind) or pa.types.is_nested(kind) or pa.types.is_null(kind)):
            categorical.append(name)
    if lists:
        told = "to use lists and vectors, name all in trainer.config.features"
        notice(f"no feature: {', '.join(lists)}; {told}")
    derived = {f"{time}:hour": Derived(time, "hour"), f"{time}:weekday": Derived(time, "weekday")}
    return Features(tuple(categorical), tuple(numeric), derived)


def resolve(
    config: Config, columns: Mapping[str, Any], *, time: str, labels: tuple[str, ...], others: set[str]
) -> Layout:
    """The layout of a run.

    Args:
        config: the user's configuration.
        columns: the stream's columns and types.
        time: name of the event time.
        labels: columns that the label is computed from.
        others: further columns that are no features unless named: group, prediction, a single key.

    Raises:
        UserError: the label is named as a feature, or a column has a type that cannot be used so.
    """
    features = config.features
    if features is None:
        excluded = {*labels, *others, *config.time.parts.values()}
        features = default(columns, time=time, not_features=excluded)
    for name in features.columns:
        if name in labels:
            raise UserError(
                f"trainer.config.features: {name!r} is the label's column; a label cannot be a feature"
            )
        kind = columns.get(name)
        flat = name not in features.lists and name not in features.vectors
        if kind is not None and flat and pa.types.is_nested(kind):
            lists = (
                f"name it in trainer.config.features.vectors, as {{{name}: {{length: {_likely(kind)}}}}}"
                if holds_vectors(kind) and pa.types.is_floating(kind.value_type)
                else f"name it in trainer.config.features.lists, as {{{name}: {{}}}}"
            )
            raise DataError(
                f"trainer.config.features: column {name!r} has the type {kind}; "
                f"{lists if is_list(kind) else 'use a flat column'}"
            )
    for name, listed in features.lists.items():
        _check_list(name, columns.get(name), listed)
    for name, length in features.vectors.items():
        _check_vector(name, columns.get(name), length)
    for name in features.numeric:
        kind = columns.get(name)
        if kind is not None and pa.types.is_temporal(kind):
            raise DataError(
                f"trainer.config.features.numeric: column {name!r} is a time; use features.derived"
            )
        if kind is not None and not is_number(kind):
            raise DataError(
                f"trainer.config.features.numeric: column {name!r} has the type {kind}; "
                "name it in features.categorical"
            )
    return layout(features, config.hash_buckets)


def _check_list(name: str, kind: Any, listed: Listed) -> None:
    """Check that a column's type can be read as a list.

    Raises:
        DataError: lists of what is no category, or text that nothing separates.
    """
    path = f"trainer.config.features.lists.{name}"
    if kind is None:
        return
    inner = kind.value_type if is_list(kind) else kind
    if pa.types.is_nested(inner) or (is_list(kind) and pa.types.is_floating(inner)):
        also = "; vectors have a place of their own, features.vectors" if holds_vectors(kind) else ""
        raise DataError(
            f"{path}: the column has the type {kind}; a list holds categories: text or integers{also}"
        )
    if is_text(inner) and not is_list(kind) and listed.separator is None:
        raise DataError(
            f"{path}.separator: the column holds text; say what stands between its values, as "
            f'{{separator: "|"}}, or name it in trainer.config.features.categorical'
        )


def _check_vector(name: str, kind: Any, length: int) -> None:
    """Check that a column's type can be read as vectors.

    Raises:
        DataError: no lists of numbers, or of another length.
    """
    path = f"trainer.config.features.vectors.{name}"
    if kind is None:
        return
    if not holds_vectors(kind):
        raise DataError(f"{path}: the column has the type {kind}; lists of numbers are needed")
    if pa.types.is_fixed_size_list(kind) and kind.list_size != length:
        raise DataError(f"{path}.length: {length}, but the column's vectors have {kind.list_size} numbers")


def _likely(kind: Any) -> str:
    """A vector's length where its type tells, for messages."""
    return str(kind.list_size) if pa.types.is_fixed_size_list(kind) else "..."


def part(times: Times, name: str) -> npt.NDArray[np.int64]:
    """Part of each time (microseconds since 1970, UTC), from 0; missing times give the last value + 1."""
    minutes = times // _MINUTE
    if name == "hour":
        values = minutes // 60 % 24
    elif name == "weekday":
        values = (minutes // 1440 + 3) % 7
    elif name == "minute_of_day":
        values = minutes % 1440
    elif name == "quarter_hour":
        values = minutes % 1440 // 15
    else:
        values = times.view("M8[us]").astype("M8[M]").astype(np.int64) % 12
    return np.where(times == MISSING_TIME, PART_VALUES[name], values)


@dataclass
class Cells:
    """Counts of cells that could not be used as they were."""

    missing: int = 0
    malformed: int = 0
    not_finite: int = 0
    cut: dict[str, int] = field(default_factory=dict)
    """Lists with more values than are used, by column."""
    vectors: dict[str, int] = field(default_factory=dict)
    """Vectors that are there, by column."""
    odd: dict[str, int] = field(default_factory=dict)
    """Those of them that have another length than was said."""


def is_number(kind: Any) -> bool:
    """Whether an Arrow type holds numbers, or text that may."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    return is_text(kind) or pa.types.is_null(kind) or any(is_such(kind) for is_such in plain)


def numbers(array: Any, cells: Cells) -> npt.NDArray[np.float64]:
    """Numbers of a column; NaN where missing, malformed (text) or not finite, and counted as such."""
    if pa.types.is_dictionary(array.type):
        inner = numbers(array.dictionary, Cells())
        array = pa.DictionaryArray.from_arrays(
            array.indices, pa.array(inner, from_pandas=True)
        ).dictionary_decode()
    missing = array.null_count
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        good = pc.match_substring_regex(array, _NUMBER)
        array = pc.if_else(good, pc.utf8_trim_whitespace(array), None)
        cells.malformed += array.null_count - missing
    elif pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    values = np.array(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)
    bad = ~np.isfinite(values)
    cells.missing += missing
    cells.not_finite += int(bad.sum()) - array.null_count
    values[bad] = np.nan
    return values


def _lookup(hashes: Hashes, values: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Row of each value in a vocabulary: 0 missing, 1 unknown, then the values in their order."""
    known = [hash_column(pa.array(values, pa.string()))]
    rows = [np.arange(2, len(values) + 2)]
    whole = [i for i, v in enumerate(values) if v.lstrip("-").isdigit()]
    known.append(hash_column(pa.array([int(values[i]) for i in whole], pa.int64())))
    rows.append(np.array(whole, np.int64) + 2)
    table, places = np.concatenate(known), np.concatenate(rows)
    order = np.argsort(table)
    at = np.minimum(np.searchsorted(table[order], hashes), len(order) - 1)
    found = np.where(table[order][at] == hashes, places[order][at], 1)
    return np.where(hashes == NULL, 0, found)


def extract(
    batch: Any, plan: Layout, time_of: Callable[[str], Times], cells: Cells
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Features of each row of a record batch.

    Args:
        batch: record batch with the layout's columns.
        plan: the layout.
        time_of: microseconds of a named time for these rows.
        cells: counts to add to.

    Returns:
        Table rows of shape (rows, S), and numbers of shape (rows, D), NaN where missing: the signed log1p of
        each numeric column, and the coordinates of the vectors as they are.
    """
    n = batch.num_rows
    features, offsets = plan.features, plan.offsets
    indices = np.empty((n, plan.places), np.int64)
    hashes: dict[str, Hashes] = {}
    crossed = {name for cross in features.crosses for name in cross}
    field = 0
    for name in features.categorical:
        array = batch.column(name)
        cells.missing += array.null_count
        raw = hash_column(array)
        indices[:, field] = _rows_of(raw, name, plan)
        if name in crossed:
            hashes[name] = raw
        field += 1
    for name, derived in features.derived.items():
        indices[:, field] = part(time_of(derived.source), derived.part)
        if name in crossed:
            hashes[name] = mix(indices[:, field].view(np.uint64))
        field += 1
    for cross in features.crosses:
        indices[:, field] = _bucket(
            combine([hashes[name] for name in cross]), salt("*".join(cross)), plan.buckets
        )
        field += 1
    indices[:, :field] += offsets[:field]
    first = field
    for name, offset, bag in zip(features.lists, offsets[field:], plan.bags, strict=True):
        array = batch.column(name)
        cells.missing += array.null_count
        found = split(array, features.lists[name].separator)
        if cut := int(np.count_nonzero(found.length > bag.places)):
            cells.cut[name] = cells.cut.get(name, 0) + cut
        place = indices[:, first : first + bag.places]
        _fill(place, found, offset + _rows_of(found.hashes, name, plan), missing=offset, padding=bag.padding)
        first += bag.places
    values = np.empty((n, plan.numbers), np.float32)
    for d, name in enumerate(features.numeric):
        column = numbers(batch.column(name), cells)
        values[:, d] = np.sign(column) * np.log1p(np.abs(column))
    first = len(features.numeric)
    for name, length in features.vectors.items():
        values[:, first : first + length] = _vectors(batch.column(name), name, length, cells)
        first += length
    return indices, values


def _vectors(array: Any, name: str, length: int, cells: Cells) -> npt.NDArray[np.float32]:
    """Vectors of a column [rows, length], NaN where they cannot be used.

    Raises:
        DataError: of many that are there more than half have another length.
    """
    found, lengths = coordinates(array, length)
    there = lengths > 0
    other = there & (lengths != length)
    seen = cells.vectors[name] = cells.vectors.get(name, 0) + int(there.sum())
    odd = int(other.sum())
    if odd:
        cells.odd[name] = cells.odd.get(name, 0) + odd
        if seen >= _MANY and cells.odd[name] * 2 > seen:
            raise DataError(
                f"trainer.config.features.vectors.{name}.length: {length}, but most rows have another number "
                f"of values, such as {lengths[other][0]}"
            )
    cells.missing += int((~there).sum())
    cells.malformed += odd
    cells.not_finite += int((there & ~other & np.isnan(found[:, 0])).sum())
    return found


def _rows_of(hashes: Hashes, name: str, plan: Layout) -> npt.NDArray[np.int64]:
    """Row of each value among those of its field."""
    if name in plan.features.vocabulary:
        return _lookup(hashes, plan.features.vocabulary[name])
    return _bucket(hashes, salt(name), plan.buckets)


def _fill(
    places: npt.NDArray[np.int64], found: Values, row: npt.NDArray[np.int64], *, missing: int, padding: int
) -> None:
    """Fill the places of a list [rows, most] with its first values, then padding.

    Args:
        found: where the values of each row lie in ``row``.
        row: table rows of all values.
        missing: that of a list without values.
    """
    places[:] = padding
    places[:, 0] = missing
    for k in range(min(places.shape[1], int(found.length.max(initial=0)))):
        longer = np.flatnonzero(found.length > k)
        places[longer, k] = row[found.start[longer] + k]


def _bucket(hashes: Hashes, salted: np.uint64, buckets: int) -> npt.NDArray[np.int64]:
    """Bucket of each hash: 0 for missing, else 1 to buckets - 1."""
    place = (mix(hashes ^ salted) % np.uint64(buckets - 1)).astype(np.int64) + 1
    return np.where(hashes == NULL, 0, place)
