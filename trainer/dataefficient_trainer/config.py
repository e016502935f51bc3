"""``spec.trainer.config`` as types: what a user may tell this trainer, checked before any data is read.

Unknown keys are refused with those that are allowed. What a field means for the model is in
``features.py`` and ``rules.py``; this module only reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dataefficient.contract import ContractError, parse_time
from dataefficient_trainer.errors import UserError

PARTS = ("hour", "weekday", "minute_of_day", "month", "quarter_hour")
"""Parts of a time that ``features.derived`` can take; each becomes a categorical field, in UTC."""
FORMATS = ("parquet", "csv", "tsv", "criteo", "json")
DIRECTIVES = "YymdjbHIpMSz"
"""Letters that may follow % in ``time.format``: those of C's strptime that a log needs."""
MOST_VALUES = 128
"""Values of a list that can be used."""
MOST_COORDINATES = 1024
"""Length of a vector at most."""
TIME_PARTS = ("year", "month", "day", "hour", "minute")


@dataclass(frozen=True)
class Derived:
    """A categorical field computed from a time column."""

    source: str
    part: str


@dataclass(frozen=True)
class Listed:
    """How a column of several values a row is read."""

    most: int = 8
    """Values of a row that are used, the first ones; each costs a look-up."""
    separator: str | None = None
    """What stands between the values of a text; None: the column holds lists."""


@dataclass(frozen=True)
class Features:
    """Columns that the model sees, by kind."""

    categorical: tuple[str, ...] = ()
    """Any type; hashed into ``hashBuckets`` buckets, or looked up where ``vocabulary`` lists values."""
    numeric: tuple[str, ...] = ()
    """Numbers; signed log1p, then standardised by running statistics. Missing has its own indicator."""
    derived: Mapping[str, Derived] = field(default_factory=dict)
    crosses: tuple[tuple[str, ...], ...] = ()
    """Tuples of categorical or derived fields, hashed together into one more field."""
    vocabulary: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Known values of a categorical column or a list, as text; all others share one embedding."""
    lists: Mapping[str, Listed] = field(default_factory=dict)
    """Columns of several values a row, hashed like categorical ones; see ``pooling.py``."""
    vectors: Mapping[str, int] = field(default_factory=dict)
    """Columns of lists of numbers, with their length; each coordinate is standardised."""

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns but those of ``derived``."""
        return (*self.categorical, *self.numeric, *self.lists, *self.vectors)


@dataclass(frozen=True)
class Label:
    """How the label is computed; by default the column itself, which then must hold 0 and 1."""

    column: str | None = None
    """Default: the request's ``data.label``."""
    at_least: float | None = None
    """Positive where the column is at least this."""
    any_of: tuple[str, ...] = ()
    """Several columns in the place of one: positive where any of them is."""
    equals: tuple[str, ...] = ()
    """Positive where the column is one of these, as text."""

    def columns(self, default: str) -> tuple[str, ...]:
        """The columns that the label is computed from; ``default`` is that of the request."""
        return self.any_of or (self.column or default,)


@dataclass(frozen=True)
class Time:
    """How the event time is found where ``data.time`` is not simply a time column."""

    parts: Mapping[str, str] = field(default_factory=dict)
    """``year``, ``month``, ``day``, ``hour``, ``minute`` -> column of integers; ``minute`` may exceed 59.

    ``data.time`` then is a name for the result, not a column.
    """
    unit: str | None = None
    """Unit of an integer time column since 1970: s, ms, us or ns."""
    format: str | None = None
    """How the digits or the text of the time column are to be read, as in strptime: ``%y%m%d%H``."""
    row_start: datetime | None = None
    """For files without a time (Criteo): the time of the first row."""
    row_seconds: float = 1.0
    """Seconds between rows, with ``rowStart``."""
    late_seconds: float = 0.0
    """How much older than the newest row before it a row may be, see ``late.py``; 0: rows are in order."""


@dataclass(frozen=True)
class Distillation:
    """A teacher whose predictions the log carries, see ``teaching.py``."""

    teacher: str
    """Column of probabilities; a row without one is learned from its label alone."""
    weight: float = 0.5
    """The teacher's share in what is learned of a row; the rest is the label's."""


@dataclass(frozen=True)
class Config:
    """The whole of ``spec.trainer.config``."""

    features: Features | None = None
    """None: strings, booleans and integers are categorical, floats numeric (see ``features.default``)."""
    label: Label = Label()
    time: Time = Time()
    format: str | None = None
    """One of ``FORMATS``; None: by the file name's ending, and a TSV without a header is Criteo's."""
    columns: tuple[str, ...] = ()
    """Names of the columns of a text without a header; none: they stand in its first line."""
    hash_buckets: int = 16_384
    """Buckets of each hashed field; bucket 0 is the missing value."""
    batch_size: int | None = None
    """Rows a step at rate 1; None: ``rules.BATCH``."""
    learning_rate: float = 1.0
    """Multiplies the trainer's own learning rates (``rules.py``)."""
    distillation: Distillation | None = None
    """None: rows are learned from their labels."""
    slices: tuple[str, ...] = ()
    """Columns whose worst values are reported."""
    snapshot_seconds: float = 60.0
    """Wall-clock seconds between resumable snapshots."""

    @property
    def teacher(self) -> str | None:
        """Column of the teacher's predictions."""
        return self.distillation.teacher if self.distillation is not None else None


def _object(value: Any, path: str, allowed: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UserError(f"{path}: expected an object, found {value!r}")
    for key in value:
        if key not in allowed:
            raise UserError(f"{path}.{key}: unknown field; allowed are {', '.join(allowed)}")
    return dict(value)


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise UserError(f"{path}: expected a non-empty string, found {value!r}")
    return value


def _texts(value: Any, path: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise UserError(f"{path}: expected a list of strings, found {value!r}")
    items = tuple(_text(item, f"{path}[{i}]") for i, item in enumerate(value))
    if len(set(items)) != len(items):
        raise UserError(f"{path}: an entry appears twice in {list(items)}")
    return items


def _choice(value: Any, path: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise UserError(f"{path}: {value!r} is not one of {', '.join(allowed)}")
    return str(value)


def _number(value: Any, path: str, low: float, high: float = 1e12) -> float:
    """A number in [low, high]; decimal strings are read too, as the resource writes them."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise UserError(f"{path}: expected a number, found {value!r}") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise UserError(f"{path}: expected a number from {low:g} to {high:g}, found {value!r}")
    return float(value)


def _integer(value: Any, path: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UserError(f"{path}: expected an integer from {low} to {high}, found {value!r}")
    return value


def _derived(value: Any, path: str) -> Derived:
    body = _object(value, path, ("from", "part"))
    for key in ("from", "part"):
        if key not in body:
            raise UserError(f"{path}.{key}: missing")
    return Derived(_text(body["from"], f"{path}.from"), _choice(body["part"], f"{path}.part", PARTS))


def _listed(value: Any, path: str) -> Listed:
    body = _object(value, path, ("most", "separator"))
    separator = _text(body["separator"], f"{path}.separator") if "separator" in body else None
    return Listed(_integer(body.get("most", Listed.most), f"{path}.most", 1, MOST_VALUES), separator)


def _in_order(columns: dict[str, Any]) -> dict[str, Any]:
    """By name: keys of a resource have no order, as an API server sorts them, and a layout has one."""
    return dict(sorted(columns.items()))


def _length(value: Any, path: str) -> int:
    body = _object(value, path, ("length",))
    return _integer(body.get("length"), f"{path}.length", 1, MOST_COORDINATES)


def _named(value: Any, path: str, read: Callable[[Any, str], Any]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UserError(f"{path}: expected an object, found {value!r}")
    return {_text(k, path): read(v, f"{path}.{k}") for k, v in value.items()}


def _crosses(value: Any, path: str, known: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, (list, tuple)):
        raise UserError(f"{path}: expected a list of lists, found {value!r}")
    crosses = tuple(_texts(item, f"{path}[{i}]") for i, item in enumerate(value))
    for i, cross in enumerate(crosses):
        if len(cross) < 2:
            raise UserError(f"{path}[{i}]: a cross needs at least two fields, found {list(cross)}")
        for name in cross:
            if name not in known:
                raise UserError(
                    f"{path}[{i}]: {name!r} is not a categorical or derived field: {', '.join(known)}"
                )
    return crosses


def _features(value: Any, path: str) -> Features:
    kinds = ("categorical", "numeric", "derived", "crosses", "vocabulary", "lists", "vectors")
    body = _object(value, path, kinds)
    categorical = _texts(body.get("categorical", ()), f"{path}.categorical")
    numeric = _texts(body.get("numeric", ()), f"{path}.numeric")
    derived = _named(body.get("derived", {}), f"{path}.derived", _derived)
    vocabulary = _named(body.get("vocabulary", {}), f"{path}.vocabulary", _texts)
    lists = _in_order(_named(body.get("lists", {}), f"{path}.lists", _listed))
    vectors = _in_order(_named(body.get("vectors", {}), f"{path}.vectors", _length))
    for kind, named, others in (
        ("lists", lists, (*categorical, *numeric, *derived)),
        ("vectors", vectors, (*categorical, *numeric, *derived, *lists)),
    ):
        for name in named:
            if name in others:
                told = f"{path}.{kind}.{name}: {name!r} is a feature of another kind too; name it once"
                raise UserError(told)
    for name in derived:
        if name in categorical:
            raise UserError(
                f"{path}.derived.{name}: {name!r} is already a categorical column; choose another name"
            )
    for name in vocabulary:
        if name not in (*categorical, *lists):
            raise UserError(
                f"{path}.vocabulary.{name}: {name!r} is neither in {path}.categorical nor in {path}.lists"
            )
    crosses = _crosses(body.get("crosses", ()), f"{path}.crosses", (*categorical, *derived))
    if not (categorical or numeric or derived or lists or vectors):
        raise UserError(f"{path}: no feature is named; leave {path} out to use all columns")
    return Features(categorical, numeric, derived, crosses, vocabulary, lists, vectors)


def _columns(value: Any, path: str) -> tuple[str, ...]:
    names = _texts(value, path)
    if not names:
        raise UserError(f"{path}: no column is named; leave {path} out where the first line names them")
    return names


def _label(value: Any, path: str) -> Label:
    body = _object(value, path, ("column", "atLeast", "anyOf", "equals"))
    for one, other in (("column", "anyOf"), ("atLeast", "equals")):
        if one in body and other in body:
            raise UserError(f"{path}: give only one of {one} and {other}")
    column = _text(body["column"], f"{path}.column") if "column" in body else None
    at_least = _number(body["atLeast"], f"{path}.atLeast", -1e12) if "atLeast" in body else None
    any_of = _texts(body["anyOf"], f"{path}.anyOf") if "anyOf" in body else ()
    if "anyOf" in body and len(any_of) < 2:
        raise UserError(f"{path}.anyOf: expected two columns or more, found {list(any_of)}")
    equals = _texts(body["equals"], f"{path}.equals") if "equals" in body else ()
    if "equals" in body and not equals:
        raise UserError(f"{path}.equals: no value is given; name those that are positive")
    return Label(column, at_least, any_of, equals)


def _time_format(value: Any, path: str) -> str:
    text = _text(value, path)
    letters = re.findall("%(.?)", text.replace("%%", ""))
    for letter in letters:
        if letter not in DIRECTIVES or not letter:
            known = ", ".join(f"%{one}" for one in DIRECTIVES)
            raise UserError(f"{path}: {text!r} has %{letter}; allowed are {known}")
    if not {"Y", "y"} & set(letters):
        raise UserError(f"{path}: {text!r} has no year (%Y or %y); a time needs at least its year")
    return text


def _time(value: Any, path: str) -> Time:
    body = _object(value, path, ("parts", "unit", "format", "rowStart", "rowSeconds", "lateSeconds"))
    parts = _named(body.get("parts", {}), f"{path}.parts", _text)
    for name in parts:
        _choice(name, f"{path}.parts", TIME_PARTS)
    if parts and "year" not in parts:
        raise UserError(f"{path}.parts.year: missing; a time needs at least its year")
    unit = _choice(body["unit"], f"{path}.unit", ("s", "ms", "us", "ns")) if "unit" in body else None
    pattern = _time_format(body["format"], f"{path}.format") if "format" in body else None
    row_start = None
    if "rowStart" in body:
        try:
            row_start = parse_time(body["rowStart"])
        except ContractError as error:
            raise UserError(f"{path}.rowStart: {error}") from None
    if sum((bool(parts), unit is not None, pattern is not None, row_start is not None)) > 1:
        raise UserError(f"{path}: give only one of parts, unit, format and rowStart")
    seconds = _number(body.get("rowSeconds", 1.0), f"{path}.rowSeconds", 1e-6)
    late = _number(body.get("lateSeconds", 0.0), f"{path}.lateSeconds", 0.0)
    if late and row_start is not None:
        raise UserError(f"{path}.lateSeconds: rows that rowStart gives a time are never late; leave it out")
    return Time(parts, unit, pattern, row_start, seconds, late)


def _distillation(value: Any, path: str, features: Features | None) -> Distillation:
    body = _object(value, path, ("teacher", "weight"))
    if "teacher" not in body:
        raise UserError(f"{path}.teacher: missing; name the column of the teacher's predictions")
    teacher = _text(body["teacher"], f"{path}.teacher")
    if features is not None and teacher in features.columns:
        raise UserError(
            f"{path}.teacher: {teacher!r} is a feature too, so that the model would copy it; take it out of "
            "trainer.config.features"
        )
    return Distillation(teacher, _number(body.get("weight", 0.5), f"{path}.weight", 0.0, 1.0))


def parse(value: Mapping[str, Any], path: str = "trainer.config") -> Config:
    """Read ``RunRequest.config``.

    Raises:
        UserError: names the field, the value and what is allowed.
    """
    allowed = (
        "features", "label", "time", "format", "columns", "hashBuckets", "batchSize", "learningRate",
        "distillation", "slices", "snapshotSeconds",
    )  # fmt: skip
    body = _object(value, path, allowed)
    features = _features(body["features"], f"{path}.features") if "features" in body else None
    return Config(
        features=features,
        label=_label(body.get("label", {}), f"{path}.label"),
        time=_time(body.get("time", {}), f"{path}.time"),
        format=_choice(body["format"], f"{path}.format", FORMATS) if "format" in body else None,
        columns=_columns(body["columns"], f"{path}.columns") if "columns" in body else (),
        hash_buckets=_integer(body.get("hashBuckets", 16_384), f"{path}.hashBuckets", 2, 1 << 26),
        batch_size=_integer(body["batchSize"], f"{path}.batchSize", 1, 1 << 20)
        if "batchSize" in body
        else None,
        learning_rate=_number(body.get("learningRate", 1.0), f"{path}.learningRate", 1e-6, 1e6),
        distillation=_distillation(body["distillation"], f"{path}.distillation", features)
        if "distillation" in body
        else None,
        slices=_texts(body.get("slices", ()), f"{path}.slices"),
        snapshot_seconds=_number(body.get("snapshotSeconds", 60.0), f"{path}.snapshotSeconds", 0.0),
    )
