"""Features of a log: all that look usable, or those that the owner names with ``--features``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from dataefficient.contract import ExitCode
from dataefficient.estimate import lists, vectors
from dataefficient.estimate.columns import Column, Listed, Use
from dataefficient.estimate.errors import EstimateError
from dataefficient.estimate.log import Log, Roles, may_be_feature, require_flat

_TERM = re.compile(r"^(?P<part>\w+)\((?P<column>[^()]+)\)$")
PARTS = ("hour", "weekday", "minute_of_day", "month", "quarter_hour")


@dataclass(frozen=True)
class Features:
    """Features as ``trainer.config.features`` names them."""

    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    derived: tuple[tuple[str, str, str], ...] = ()
    """Name, source column and part."""
    crosses: tuple[tuple[str, ...], ...] = ()
    lists: tuple[tuple[str, Listed], ...] = ()
    vectors: tuple[tuple[str, int], ...] = ()
    """Names and lengths."""

    def config(self) -> dict[str, Any]:
        """The JSON that the trainer reads."""
        body: dict[str, Any] = {"categorical": list(self.categorical), "numeric": list(self.numeric)}
        body["derived"] = {name: {"from": source, "part": part} for name, source, part in self.derived}
        body["crosses"] = [list(cross) for cross in self.crosses]
        body["lists"] = {
            name: {"most": listed.most} | ({"separator": listed.separator} if listed.separator else {})
            for name, listed in self.lists
        }
        body["vectors"] = {name: {"length": length} for name, length in self.vectors}
        return {key: value for key, value in body.items() if value}

    def names(self) -> list[str]:
        """All fields, for people."""
        crosses = ["*".join(cross) for cross in self.crosses]
        return [
            *self.categorical,
            *self.numeric,
            *(name for name, _ in self.lists),
            *(name for name, _ in self.vectors),
            *(f"{part}({source})" for _, source, part in self.derived),
            *crosses,
        ]


def choose(columns: tuple[Column, ...], roles: Roles, times: np.ndarray[Any, np.dtype[np.int64]]) -> Features:
    """Features where the owner named none: all usable columns, and parts of the time that vary.

    Raises:
        EstimateError: nothing is left to learn from.
    """
    single_key = roles.key[0] if len(roles.key) == 1 else None
    kept = [c for c in columns if c.name != single_key]
    features = Features(
        tuple(c.name for c in kept if c.use is Use.CATEGORICAL),
        tuple(c.name for c in kept if c.use is Use.NUMERIC),
        () if roles.in_order else tuple(_parts(roles.time, times)),
        lists=tuple((c.name, c.values) for c in kept if c.use is Use.LIST and c.values is not None),
        vectors=tuple((c.name, c.length) for c in kept if c.use is Use.VECTOR and c.length is not None),
    )
    if not features.names():
        raise EstimateError(
            "no column is left as a feature; name them yourself: --features a,b,hour(t),a*b",
            ExitCode.USER_ERROR,
        )
    return features


def _parts(time: str, times: np.ndarray[Any, np.dtype[np.int64]]) -> Iterator[tuple[str, str, str]]:
    """Parts of the time that vary within it."""
    if np.unique(times // 3_600_000_000 % 24).size > 1:
        yield f"{time}_hour", time, "hour"
    if times[-1] - times[0] >= 14 * 86_400_000_000:
        yield f"{time}_weekday", time, "weekday"


@dataclass
class _Terms:
    """What ``--features`` names, before it is known how each column is read."""

    plain: list[str] = field(default_factory=list)
    derived: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    crosses: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, term: str, log: Log, roles: Roles) -> None:
        """Take a column, a part of a time, or a cross of several."""
        fields = [self._field(one.strip(), log, roles) for one in term.split("*")]
        if len(fields) > 1:
            for name in fields:
                if name in log.columns and lists.holds_several(log.columns[name]):
                    told = f"--features {term}: {name} holds lists, which cannot be crossed"
                    raise EstimateError(told, ExitCode.USER_ERROR)
            self.crosses.append(tuple(fields))
        self.plain += [name for name in fields if name not in {*self.derived, *self.plain}]

    def _field(self, term: str, log: Log, roles: Roles) -> str:
        if match := _TERM.match(term):
            part, column = match["part"], match["column"].strip()
            if part not in PARTS:
                raise EstimateError(
                    f"--features {term}: {part} is not one of {', '.join(PARTS)}", ExitCode.USER_ERROR
                )
            require_flat(log, column, "--features")
            name = f"{column}_{part}"
            self.derived[name] = (name, column, part)
            return name
        if term not in log.columns or not may_be_feature(log.columns[term]):
            require_flat(log, term, "--features")
        if term in roles.labels:
            raise EstimateError(f"--features {term}: the label cannot be a feature", ExitCode.USER_ERROR)
        return term


def parse(text: str, log: Log, roles: Roles, columns: tuple[Column, ...] = ()) -> Features:
    """Read ``--features``: columns, ``part(column)`` and crosses ``a*b``, separated by commas.

    Args:
        columns: what the survey found, which tells how numbers, lists and vectors are read.

    Raises:
        EstimateError: an unknown column or part, the label as a feature, a list or a vector in a cross, or
            vectors of different lengths.
    """
    terms = _Terms()
    for term in filter(None, (t.strip() for t in text.split(","))):
        terms.add(term, log, roles)
    if not (terms.plain or terms.derived):
        raise EstimateError("--features: no feature is named", ExitCode.USER_ERROR)
    for column in columns:
        if (
            column.name in terms.plain
            and column.length is None
            and vectors.is_vector(log.columns[column.name])
        ):
            raise EstimateError(f"--features {column.name}: {column.note}", ExitCode.USER_ERROR)
    crossed = {name for cross in terms.crosses for name in cross}
    alone = [name for name in terms.plain if name not in crossed]
    floats = {n for n, kind in log.columns.items() if pa.types.is_floating(kind) or pa.types.is_decimal(kind)}
    floats |= {column.name for column in columns if column.use is Use.NUMERIC}
    listed = {c.name: c.values for c in columns if c.values is not None}
    long = {c.name: c.length for c in columns if c.length is not None}
    others = {name for name in alone if name in {*floats, *listed, *long}}
    return Features(
        tuple(name for name in terms.plain if name not in others),
        tuple(name for name in alone if name in floats),
        tuple(terms.derived.values()),
        tuple(terms.crosses),
        tuple((name, listed[name]) for name in alone if name in listed),
        tuple((name, long[name]) for name in alone if name in long),
    )
