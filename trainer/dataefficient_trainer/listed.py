"""Columns whose cells hold several values: Arrow lists, or text with a separator between the values.

Each distinct text is split once; nothing here knows of tables or models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dataefficient_trainer.hashing import Hashes, hash_column
from dataefficient_trainer.source import is_text

_AROUND = " \t[]'\""
"""What may stand around the values of a text and is no part of them: lists written as text have brackets."""
_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)


def is_list(kind: Any) -> bool:
    """Whether an Arrow type holds lists."""
    return any(is_such(kind) for is_such in _LISTS)


@dataclass(frozen=True)
class Values:
    """The values of each row's cell: ``length`` hashes from ``start`` on; a missing cell has none."""

    hashes: Hashes
    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]


def split(array: Any, separator: str | None) -> Values:
    """Hashes of all values of a column.

    Args:
        array: lists; text; or one value a row.
        separator: what stands between the values of a text; None: a text is one value.
    """
    if pa.types.is_dictionary(array.type):
        each = split(array.dictionary, separator)
        codes = pc.fill_null(array.indices.cast(pa.int64()), len(array.dictionary))
        rows = codes.to_numpy(zero_copy_only=False)
        return Values(each.hashes, np.append(each.start, 0)[rows], np.append(each.length, 0)[rows])
    if separator is not None and is_text(array.type):
        array = pc.split_pattern(array, separator)
        flat = pc.utf8_trim(array.flatten(), characters=_AROUND)
        flat = pc.if_else(pc.equal(flat, ""), None, flat)
    elif is_list(array.type):
        flat = array.flatten()
    else:
        flat = array.drop_null()
    lengths = pc.list_value_length(array) if is_list(array.type) else array.is_valid().cast(pa.int64())
    length = pc.fill_null(lengths, 0).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return Values(hash_column(flat), np.cumsum(length) - length, length)
