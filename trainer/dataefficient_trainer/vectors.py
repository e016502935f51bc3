"""Columns of vectors, such as the embedding of an image: lists of as many numbers in every row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dataefficient_trainer.listed import is_list


def holds_vectors(kind: Any) -> bool:
    """Whether an Arrow type holds lists of numbers."""
    if not is_list(kind):
        return False
    inner = kind.value_type
    return bool(pa.types.is_floating(inner) or pa.types.is_integer(inner) or pa.types.is_decimal(inner))


def coordinates(array: Any, length: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Vectors of a column.

    Args:
        array: lists of numbers, or nothing but missing values.
        length: numbers of a vector.

    Returns:
        Coordinates of shape (rows, length), and how many numbers each row has, shape (rows,). All coordinates
        of a row are NaN where it has another number of them, or one that is missing or not finite.
    """
    if pa.types.is_null(array.type):  # of a file that lacks the column
        return np.full((len(array), length), np.nan, np.float32), np.zeros(len(array), np.int64)
    lengths = pc.fill_null(pc.list_value_length(array), 0).cast(pa.int64()).to_numpy(zero_copy_only=False)
    flat = array.flatten().cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False)
    fits = lengths == length
    found = np.full((len(lengths), length), np.nan, np.float32)
    found[fits] = flat[np.repeat(fits, lengths)].reshape(-1, length)
    found[~np.isfinite(found).all(1)] = np.nan
    return found, lengths
