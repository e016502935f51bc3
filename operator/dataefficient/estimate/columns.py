"""Which columns may be features, and which ones know the label too well.

A column that is only known after the event makes every figure of an estimate wrong, and flattering.
So each column is tried alone on a sample: what it tells about the label of later rows. What no single
column shows (a weak post-event column) is not found here; the page lists what was taken, for the owner.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataefficient.estimate import lists, vectors
from dataefficient.estimate.log import Log, Roles
from dataefficient.estimate.working import Working

SAMPLE_ROWS = 200_000
_SLICES = 20
_LEAK = 0.5
"""Share of the label's entropy that no honest column explains alone."""
_SUSPECT = 0.2
"""Share above which the owner is asked to look."""
_POST_EVENT = 0.02
"""The same for a column whose name speaks of the time after the event."""
_AFTER_WORDS = frozenset(
    [
        "delay",
        "arr",
        "arrival",
        "actual",
        "outcome",
        "result",
        "end",
        "ended",
        "finish",
        "finished",
        "completed",
        "click",
        "clicked",
        "clicks",
        "conversion",
        "converted",
        "dwell",
        "elapsed",
        "cancelled",
        "canceled",
        "returned",
        "refund",
        "refunded",
        "purchased",
        "revenue",
    ]
)
_EXPECTED = 20.0
"""Rows of the rarer label that a value must be expected to have before having none is a sign."""
_SMOOTHING = 10.0
_BINS = 64
_ALMOST_UNIQUE = 0.5
_NEVER_AGAIN = 0.02
_MANY_VALUES = 200
_AMOUNT = 5e-4
"""Share that whole numbers must explain as numbers to be taken as such; less may be chance."""
_STRETCHES = 3
"""Values that come one after the other; two may be a change that stays."""


class Use(enum.StrEnum):
    """What becomes of a column."""

    CATEGORICAL = "Categorical"
    NUMERIC = "Numeric"
    LIST = "List"
    VECTOR = "Vector"
    LEAK = "LeakSuspect"
    UNUSED = "Unused"
    ROLE = "Role"


@dataclass(frozen=True)
class Listed:
    """How a column of several values a row is read."""

    most: int
    """Values of a row that are used."""
    separator: str | None
    """What stands between the values of a text; None: the column holds lists."""


@dataclass(frozen=True)
class Column:
    """One column of the log."""

    name: str
    kind: str
    use: Use
    note: str
    """Why it is not used, or what to check; empty where nothing is to be said."""
    explained: float | None
    """Share of the label's entropy on later rows that this column explains alone; None: not tried."""
    missing: float
    """Share of missing values."""
    values: Listed | None = None
    """How several values a row are read; None: it has one."""
    length: int | None = None
    """Numbers of a row's vector; None: it has none."""


def sample(working: Working, most: int = SAMPLE_ROWS) -> Any:
    """Up to ``most`` rows in even stretches over the working copy, in time order."""
    file = pq.ParquetFile(working.path)
    groups = file.metadata.num_row_groups
    chosen = sorted({round(i * (groups - 1) / max(1, _SLICES - 1)) for i in range(_SLICES)})
    each = -(-most // len(chosen))
    return pa.concat_tables([file.read_row_group(g).slice(0, each) for g in chosen])


def survey(table: Any, log: Log, roles: Roles) -> tuple[Column, ...]:
    """Judge every column of the log on a sample of its rows.

    Args:
        table: rows in time order, with the label as 0 or 1.
        log: for columns that the sample does not hold.
        roles: time, label, key and served prediction are no features unless named.
    """
    label = table[roles.label].to_numpy().astype(np.float64)
    taken = {roles.time: "the time", roles.served: "the served prediction"}
    taken |= dict.fromkeys(roles.labels, "the label" if len(roles.labels) == 1 else "one of the labels")
    columns = []
    for name, kind in log.columns.items():
        if name in taken:
            columns.append(Column(name, str(kind), Use.ROLE, taken[name], None, 0.0))
        elif name not in table.column_names:
            columns.append(Column(name, str(kind), Use.UNUSED, "nested; flatten it to use it", None, 0.0))
        else:
            columns.append(_judge(name, table[name].combine_chunks(), label))
    return tuple(columns)


def _judge(name: str, values: Any, label: np.ndarray[Any, np.dtype[np.float64]]) -> Column:
    if vectors.is_vector(values.type):
        return _judge_vector(name, values, label)
    several = lists.found(values)
    if several is not None:
        return _judge_list(name, values, *several, label)
    return _judge_single(name, values, label)


def _judge_single(name: str, values: Any, label: np.ndarray[Any, np.dtype[np.float64]]) -> Column:
    kind, text = values.type, str(values.type)
    missing = values.null_count / max(1, len(values))
    if pa.types.is_temporal(kind):
        return Column(
            name,
            text,
            Use.UNUSED,
            "a second time; if it is later than the event it would leak",
            None,
            missing,
        )
    if pa.types.is_null(kind) or missing == 1.0:
        return Column(name, text, Use.UNUSED, "always missing", None, missing)
    numeric = pa.types.is_decimal(kind) or (pa.types.is_floating(kind) and not _is_whole(values))
    codes, distinct = _bins(values) if numeric else _codes(values)
    if distinct < 2:
        return Column(name, text, Use.UNUSED, "one value only", None, missing)
    explained = _explained(codes, label)
    if not numeric and distinct > _MANY_VALUES and (amount := _as_amount(values, label)) >= explained:
        numeric, explained = amount > _AMOUNT, max(amount, explained)
    use = Use.NUMERIC if numeric else Use.CATEGORICAL
    if explained >= _LEAK:
        note = (
            f"explains {100 * explained:.0f} % of the label alone: is it the label, or known only afterwards?"
        )
        return Column(name, text, Use.LEAK, note, explained, missing)
    if explained >= _POST_EVENT and _AFTER_WORDS & set(
        re.split(r"[^a-z]+", re.sub("([A-Z])", r"_\1", name).lower())
    ):
        note = f"its name speaks of afterwards, and it explains {100 * explained:.0f} % of the label"
        return Column(name, text, Use.LEAK, note, explained, missing)
    if distinct <= 4 and (value := _deciding(codes, label)):
        return Column(
            name,
            text,
            Use.LEAK,
            f"one of its {distinct} values {value}: it looks like another label",
            explained,
            missing,
        )
    if not numeric and distinct > _ALMOST_UNIQUE * len(values) and len(values) >= _MANY_VALUES:
        return Column(
            name, text, Use.UNUSED, "nearly every row has its own value: an identifier", explained, missing
        )
    if not numeric and distinct > _MANY_VALUES and _seen_again(codes) < _NEVER_AGAIN:
        return Column(
            name, text, Use.UNUSED, "its values do not come again: a running number", explained, missing
        )
    if not numeric and distinct >= _STRETCHES and _stretches(codes) == distinct:
        return Column(
            name,
            text,
            Use.UNUSED,
            "each of its values fills one stretch of time: a part of the time",
            explained,
            missing,
        )
    return Column(name, text, use, _suspicion(explained), explained, missing)


def _judge_list(
    name: str, values: Any, several: Any, mark: str | None, label: np.ndarray[Any, np.dtype[np.float64]]
) -> Column:
    """As ``_judge``, by a row's first value and by how many it has."""
    text, missing = str(values.type), values.null_count / max(1, len(values))
    number = lists.counts(several)
    listed = Listed(lists.usual(number), mark)
    if not number.any():
        return Column(name, text, Use.UNUSED, "always missing or empty", None, missing, listed)
    codes, distinct = _codes(lists.firsts(several))
    numbers, _ = _bins(pa.array(number))
    explained = max(_explained(codes, label), _explained(numbers, label))
    if explained >= _LEAK:
        return Column(name, text, Use.LEAK, _leak(explained), explained, missing, listed)
    if distinct > _MANY_VALUES and _seen_again(codes) < _NEVER_AGAIN:
        note = "its values do not come again"
        return Column(name, text, Use.UNUSED, note, explained, missing, listed)
    return Column(name, text, Use.LIST, _suspicion(explained), explained, missing, listed)


def _judge_vector(name: str, values: Any, label: np.ndarray[Any, np.dtype[np.float64]]) -> Column:
    """As ``_judge``, by all coordinates together."""
    text, missing = str(values.type), values.null_count / max(1, len(values))
    length = vectors.length_of(values)
    if length is None or length > vectors.LONGEST:
        note = (
            "no vectors: its rows have different numbers of values"
            if length is None
            else f"vectors of {length} numbers; at most {vectors.LONGEST} are taken"
        )
        return Column(name, text, Use.UNUSED, "always missing" if missing == 1.0 else note, None, missing)
    explained = vectors.explained(values, length, label)
    if explained >= _LEAK:
        return Column(name, text, Use.LEAK, _leak(explained), explained, missing, length=length)
    return Column(name, text, Use.VECTOR, _suspicion(explained), explained, missing, length=length)


def _leak(explained: float) -> str:
    """Why several values a row are left out that explain too much."""
    return f"explains {100 * explained:.0f} % of the label alone: is it known only afterwards?"


def _suspicion(explained: float) -> str:
    """What the owner is asked to look at; empty where there is nothing."""
    if explained < _SUSPECT:
        return ""
    return f"explains {100 * explained:.0f} % of the label alone; check that it is known before the event"


def _as_amount(values: Any, label: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """What whole numbers explain where neighbours are taken together; 0 of what is no number."""
    kind = values.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return 0.0
    return _explained(_bins(values)[0], label)


def _is_whole(values: Any) -> bool:
    """Whether all floats are whole: integers become so where values are missing (pandas)."""
    numbers = values.cast(pa.float64()).drop_null().to_numpy(zero_copy_only=False)
    numbers = numbers[np.isfinite(numbers)]
    return bool(numbers.size and (numbers == np.floor(numbers)).all())


def _codes(values: Any) -> tuple[np.ndarray[Any, Any], int]:
    encoded = values if pa.types.is_dictionary(values.type) else pc.dictionary_encode(values)
    indices = pc.fill_null(encoded.indices.cast(pa.int64()), len(encoded.dictionary))
    unique, codes = np.unique(indices.to_numpy(zero_copy_only=False), return_inverse=True)
    return codes, unique.size


def _bins(values: Any) -> tuple[np.ndarray[Any, Any], int]:
    numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    good = np.isfinite(numbers)
    if not good.any():
        return np.zeros(len(numbers), int), 1
    edges = np.unique(np.quantile(numbers[good], np.linspace(0, 1, _BINS + 1)[1:-1]))
    codes = np.where(good, np.searchsorted(edges, np.where(good, numbers, 0.0), side="right"), edges.size + 1)
    unique, dense = np.unique(codes, return_inverse=True)
    return dense, unique.size


def _explained(codes: np.ndarray[Any, Any], label: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Share of the label's entropy on the later half that rates from the earlier half explain; at least 0."""
    half = len(label) // 2
    base = float(np.clip(label[:half].mean() if half else 0.5, 1e-6, 1 - 1e-6))
    rows = np.bincount(codes[:half], minlength=int(codes.max()) + 1)
    positives = np.bincount(codes[:half], label[:half], minlength=rows.size)
    rate = np.clip((positives + _SMOOTHING * base) / (rows + _SMOOTHING), 1e-6, 1 - 1e-6)
    later, probability = label[half:], rate[codes[half:]]
    loss = -np.mean(later * np.log(probability) + (1 - later) * np.log1p(-probability))
    entropy = -np.mean(later * np.log(base) + (1 - later) * np.log1p(-base))
    return float(max(0.0, 1.0 - loss / entropy))


def _deciding(codes: np.ndarray[Any, Any], label: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    """What a value that never meets one of the labels does; empty where there is none."""
    rows = np.bincount(codes)
    positives = np.bincount(codes, label)
    share = float(label.mean())
    if bool(((rows * share >= _EXPECTED) & (positives == 0)).any()):
        return "never comes with label 1"
    if bool(((rows * (1 - share) >= _EXPECTED) & (positives == rows)).any()):
        return "never comes with label 0"
    return ""


def _seen_again(codes: np.ndarray[Any, Any]) -> float:
    cut = int(0.9 * len(codes))
    return float(np.isin(codes[cut:], codes[:cut]).mean()) if cut < len(codes) else 1.0


def _stretches(codes: np.ndarray[Any, Any]) -> int:
    """Runs of equal values, in the order of time."""
    return 1 + int(np.count_nonzero(np.diff(codes)))


def duplicates(working: Working, key: tuple[str, ...], most: int = 500_000) -> tuple[int, int]:
    """Rows among the last ``most`` that share their key with an earlier one, and how many were looked at."""
    file = pq.ParquetFile(working.path)
    groups, rows = [], 0
    for group in reversed(range(file.metadata.num_row_groups)):
        if rows >= most:
            break
        groups.append(group)
        rows += file.metadata.row_group(group).num_rows
    table = file.read_row_groups(sorted(groups), columns=list(key))
    return rows - table.group_by(list(key)).aggregate([]).num_rows, rows
