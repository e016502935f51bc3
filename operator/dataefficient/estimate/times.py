"""The time column as it lies in the log: timestamps, text, time since 1970, or digits of a calendar."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataefficient.contract import ExitCode
from dataefficient.estimate.errors import EstimateError

CALENDARS = ("%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d%H", "%Y%m%d", "%y%m%d%H")
"""Forms that integers are tried in. The last one is that of a public click log (Avazu)."""
_YEARS = (1970, 2100)
"""Integers that are calendar days lie within; before 2032 no second since 1970 looks like one of these."""
_LOOKED_AT = 1000
_UNITS = (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", float("inf")))
_LEAST = 1e8
"""Smaller integers are no seconds since 1970: that would be before 1973."""
_PER_MICROSECOND = {"s": 1_000_000, "ms": 1_000, "us": 1}
_UTC = pa.timestamp("us", "UTC")


class TimeColumn:
    """Reads a column batch after batch; what its integers mean follows from the first batch.

    Attributes:
        unit: of numbers that count since 1970; None: it holds none.
        form: as in strptime, where digits or text are read so.

    Raises:
        EstimateError: the form that was named has no year.
    """

    def __init__(self, name: str, form: str | None) -> None:
        if form is not None and "%Y" not in form and "%y" not in form:
            raise EstimateError(
                f"--time-format {form}: has no year (%Y or %y); allowed is a form as in strptime, such as "
                "%Y%m%d%H",
                ExitCode.USER_ERROR,
            )
        self._name, self._given = name, form
        self.unit: str | None = None
        self.form = form

    def read(self, column: Any) -> Any:
        """UTC timestamps in microseconds; null where there is none.

        Raises:
            EstimateError: the column holds no times, or none of the form that was named.
        """
        kind = column.type
        counts = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        if self.form is None and self.unit is None and counts:
            self._look(column)
        if self.form is not None:
            return _as_utc(self._written(column, self.form))
        if counts:
            return self._counted(column).cast(_UTC)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return _as_utc(self._text(column))
        if pa.types.is_date(kind):
            return _as_utc(column.cast(pa.timestamp("us")))
        if not pa.types.is_timestamp(kind):
            raise self._wrong(f"the column holds {kind} (such as {some(column)}), not a time")
        return _as_utc(column)

    def _look(self, column: Any) -> None:
        values = pc.unique(pc.drop_null(column)).slice(0, _LOOKED_AT)
        forms = CALENDARS if len(values) and pa.types.is_integer(column.type) else ()
        self.form = next((form for form in forms if _is_calendar(values, form)), None)
        if self.form is not None:
            return
        largest = pc.max(pc.abs(_finite(column))).as_py() or 0.0
        self.unit = next(unit for unit, below in _UNITS if largest < below)
        if largest < _LEAST:
            raise self._wrong(
                f"numbers such as {some(column)} are no time since 1970 (in s, ms, us or ns) and no days "
                "such as 20010131; say how their digits are read, as --time-format %y%m%d, or add a column "
                "with the whole time"
            )

    def _written(self, column: Any, form: str) -> Any:
        if pa.types.is_temporal(column.type):
            raise EstimateError(
                f"--time-format {form}: {self._name} holds times ({column.type}); leave the option out",
                ExitCode.USER_ERROR,
            )
        found = _parsed(column, form)
        if found.null_count == len(found) > column.null_count:
            where = "--time-format" if self._given else f"--time {self._name}: digits as"
            told = f"{where} {form}: {some(column)} is no time of this form"
            raise EstimateError(told, ExitCode.USER_ERROR)
        return found

    def _text(self, column: Any) -> Any:
        for kind in (pa.timestamp("us"), _UTC):
            try:
                return column.cast(kind)
            except pa.ArrowException:
                continue
        raise self._wrong(
            f"{some(column)} is not a time such as 2001-01-31T08:15:00Z; say how it is written, as "
            "--time-format '%d/%m/%Y %H:%M'"
        )

    def _counted(self, column: Any) -> Any:
        assert self.unit is not None, "the first batch told"
        if pa.types.is_floating(column.type):
            times = pc.round(pc.multiply(_finite(column), _PER_MICROSECOND.get(self.unit, 1e-3)))
            return times.cast(pa.int64())
        column = column.cast(pa.int64(), safe=False)
        if self.unit == "ns":
            return pc.divide(column, 1000)
        return pc.multiply(column, _PER_MICROSECOND[self.unit])

    def _wrong(self, told: str) -> EstimateError:
        return EstimateError(f"--time {self._name}: {told}", ExitCode.USER_ERROR)


def _finite(column: Any) -> Any:
    numbers = column.cast(pa.float64(), safe=False)
    return pc.if_else(pc.is_finite(numbers), numbers, None)


def _parsed(column: Any, form: str) -> Any:
    """Timestamps of digits or text; digits get back the zeros that numbers lose at their front."""
    text = column.cast(pa.string())
    wide = len(datetime(2000, 1, 1, tzinfo=UTC).strftime(form))
    text = pc.if_else(pc.match_substring_regex(text, r"^\d+$"), pc.utf8_lpad(text, wide, "0"), text)
    return pc.strptime(text, format=form, unit="us", error_is_null=True)


def _is_calendar(values: Any, form: str) -> bool:
    """Whether all integers are days of the calendar in this form, and of our time."""
    found = _parsed(values, form)
    if found.null_count:
        return False
    # Of whole seconds, since %S would write fractions.
    found = found.cast(pa.timestamp("s"))
    same = pc.equal(pc.strftime(found, form).cast(pa.int64()), values.cast(pa.int64()))
    first, last = (pc.year(end(found)).as_py() for end in (pc.min, pc.max))
    return bool(pc.all(same).as_py()) and _YEARS[0] <= first <= last <= _YEARS[1]


def _as_utc(column: Any) -> Any:
    if column.type.tz is None:
        return pc.assume_timezone(pc.cast(column, pa.timestamp("us"), safe=False), "UTC")
    return pc.cast(column, _UTC, safe=False)


def some(column: Any) -> str:
    """A few values, for messages."""
    values = pc.unique(pc.drop_null(column)).slice(0, 3).to_pylist()
    return ", ".join(str(v) for v in values) or "nothing but missing values"
