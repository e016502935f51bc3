"""Columns of times as microseconds since 1970: timestamps, text, digits, and numbers that count."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataefficient_trainer.features import MISSING_TIME, Times
from dataefficient_trainer.source import is_text

_DAY = r"^\d{4}-\d{2}-\d{2}"
_CLOCK = r"[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
_PLAIN = rf"{_DAY}({_CLOCK})?Z?$"
_ZONED = rf"{_DAY}{_CLOCK}[+-]\d{{2}}(:?\d{{2}})?$"
_NUMBER = r"^-?\d{1,18}(\.\d*)?$"
_MICROSECONDS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}


def is_time(kind: Any) -> bool:
    """Whether an Arrow type holds points in time."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def may_be_time(kind: Any) -> bool:
    """Whether ``microseconds`` reads an Arrow type: points in time, text, and numbers that count."""
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    counts = pa.types.is_integer(inner) or pa.types.is_floating(inner) or pa.types.is_null(inner)
    return bool(is_time(kind) or is_text(inner) or counts)


def microseconds(array: Any, *, unit: str | None = None, form: str | None = None) -> Times:
    """Microseconds since 1970, ``MISSING_TIME`` where there is no time; times without a zone are UTC.

    Args:
        array: timestamps, days, text, numbers, or a dictionary of these.
        unit: s, ms, us or ns, of numbers that count since 1970, also where they are text.
        form: how text and digits are written, as in strptime.
    """
    if pa.types.is_dictionary(array.type):
        table = np.append(microseconds(array.dictionary, unit=unit, form=form), MISSING_TIME)
        codes = pc.fill_null(array.indices.cast(pa.int64()), len(array.dictionary))
        return np.asarray(table[codes.to_numpy(zero_copy_only=False)])
    if form is not None:
        array = _written(array, form)
    elif is_text(array.type):
        array = _text(array) if unit is None else _numbers(array)
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        array = _counted(array, unit or "us")
    kind = pa.timestamp("us", tz=getattr(array.type, "tz", None))
    whole = pc.fill_null(array.cast(kind, safe=False).cast(pa.int64()), MISSING_TIME)
    return np.asarray(whole.to_numpy(zero_copy_only=False))


def _written(array: Any, form: str) -> Any:
    text = array.cast(pa.string())
    # Numbers lose the zeros that they begin with: 3 o'clock of 2009-01-05 in %y%m%d%H is 9010503.
    wide = len(datetime(2000, 1, 1, tzinfo=UTC).strftime(form))
    text = pc.if_else(pc.match_substring_regex(text, r"^\d+$"), pc.utf8_lpad(text, wide, "0"), text)
    return pc.strptime(text, format=form, unit="us", error_is_null=True)


def _text(array: Any) -> Any:
    plain = pc.if_else(pc.match_substring_regex(array, _PLAIN), array, None)
    times = pc.replace_substring_regex(plain, "Z$", "").cast(pa.timestamp("us"))
    zoned = pc.match_substring_regex(array, _ZONED)
    if not pc.any(zoned).as_py():
        return times
    elsewhere = pc.if_else(zoned, array, None).cast(pa.timestamp("us", "UTC"))
    return pc.coalesce(times, elsewhere.cast(pa.timestamp("us")))


def _numbers(array: Any) -> Any:
    """Integers, or floats where some are no integers; null where the text is no number."""
    array = pc.if_else(pc.match_substring_regex(array, _NUMBER), array, None)
    whole = not pc.any(pc.match_substring(array, ".")).as_py()
    return array.cast(pa.int64() if whole else pa.float64())


def _counted(array: Any, unit: str) -> Any:
    if pa.types.is_integer(array.type):
        most = int(2**62 / _MICROSECONDS[unit]) if unit != "ns" else 2**62
        whole = array.cast(pa.int64(), safe=False)
        whole = pc.if_else(pc.less(pc.abs(whole), most), whole, None)
        exact = pc.divide(whole, 1000) if unit == "ns" else pc.multiply(whole, int(_MICROSECONDS[unit]))
        return exact.cast(pa.timestamp("us"))
    value = pc.round(pc.multiply(array.cast(pa.float64()), _MICROSECONDS[unit]))
    fits = pc.and_(pc.is_finite(value), pc.less(pc.abs(value), 2.0**62))
    return pc.if_else(fits, value, None).cast(pa.int64()).cast(pa.timestamp("us"))
