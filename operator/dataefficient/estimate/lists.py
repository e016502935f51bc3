"""Columns whose cells hold several values: which ones do, and what stands between the values of a text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST = 32
"""Values of a row that are proposed at most."""
_SEVERAL = 0.25
"""Share of the cells that must hold more than one value for a text to be taken as a list."""
_SHARED = 0.5
"""A list has fewer different values than this share of its different cells."""
_USUAL = 0.95
"""Share of the rows of which all values are used."""
_SEPARATORS = ("|", ";", ",")
_NO_SENTENCE = r"^\[?[^\s,]+(,\s?[^\s,]+)*\]?$"
"""Text with commas is mostly a sentence or a place; values without blanks are neither."""
_AROUND = " \t[]'\""
"""What the trainer too takes off the values of a text."""


def holds_several(kind: Any) -> bool:
    """Whether an Arrow type holds several values a row."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_list(kind: Any) -> bool:
    """Whether an Arrow type holds lists of categories: text, integers or booleans."""
    if not holds_several(kind):
        return False
    inner = kind.value_type
    return not (pa.types.is_nested(inner) or pa.types.is_floating(inner))


def found(values: Any) -> tuple[Any, str | None] | None:
    """A column's values as lists, and what stands between them in a text; None: it holds one value a row."""
    if is_list(values.type):
        return values, None
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return None
    texts = values.filter(pc.fill_null(pc.not_equal(values, ""), fill_value=False))
    for mark in _SEPARATORS:
        several = pc.match_substring(texts, mark)
        if not len(texts) or pc.mean(several.cast(pa.int8())).as_py() < _SEVERAL:
            continue
        if mark == "," and not pc.all(pc.match_substring_regex(texts, _NO_SENTENCE)).as_py():
            continue
        lists = _split(values, mark)
        different = lists.filter(pc.not_equal(values, "")).flatten().unique()
        if len(different) < _SHARED * len(texts.unique()):
            return lists, mark
    return None


def _split(texts: Any, mark: str) -> Any:
    """The values of each text, as lists."""
    parts = pc.split_pattern(texts, mark)
    flat = pc.utf8_trim(parts.flatten(), characters=_AROUND)
    return pa.ListArray.from_arrays(
        pa.array(np.concatenate([[0], np.cumsum(counts(parts))]), pa.int32()), flat
    )


def counts(lists: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Values of each row, shape (rows,); a missing list has none."""
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0).cast(pa.int64()))


def firsts(lists: Any) -> Any:
    """The first value of each row; null where there is none."""
    length = counts(lists)
    start = np.cumsum(length) - length
    return lists.flatten().take(pa.array(np.where(length > 0, start, 0), mask=length == 0))


def usual(length: np.ndarray[Any, np.dtype[np.int64]]) -> int:
    """Values that a row has at most, but for a few rows: from 1 to ``MOST``."""
    return int(np.clip(np.quantile(length, _USUAL, method="higher"), 1, MOST))
