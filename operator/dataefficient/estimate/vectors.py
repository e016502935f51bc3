"""Columns of vectors, such as the embedding of an image: how long they are, and what they tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataefficient.estimate.lists import counts, holds_several

LONGEST = 1024
"""Numbers of a vector that the reference trainer takes at most."""
_LOOKED_AT = 40_000
_SAME = 0.99
"""Share of the rows that must have as many numbers as the others."""
_RIDGE = 1e-2

Floats = np.ndarray[Any, np.dtype[np.float64]]


def is_vector(kind: Any) -> bool:
    """Whether an Arrow type holds lists of fractions."""
    return holds_several(kind) and bool(pa.types.is_floating(kind.value_type))


def length_of(vectors: Any) -> int | None:
    """Numbers that nearly all rows have; None: they have different ones, or there is none."""
    there = counts(vectors.drop_null())
    if not len(there):
        return None
    length = int(np.median(there))
    return length if length and np.mean(there == length) >= _SAME else None


def explained(vectors: Any, length: int, label: Floats) -> float:
    """Share of the label's variance on the later half that a sum of the coordinates explains; at least 0.

    Args:
        vectors: a column's vectors in time order.
        length: numbers of a vector; rows with others are left out.
        label: 0 or 1, shape (rows,).
    """
    usable = np.flatnonzero(counts(vectors) == length)
    some = usable[:: max(1, len(usable) // _LOOKED_AT)]
    flat = pc.list_flatten(vectors.take(pa.array(some))).cast(pa.float64())
    x = np.nan_to_num(flat.to_numpy(zero_copy_only=False), posinf=0.0, neginf=0.0).reshape(-1, length)
    y, half = label[some], len(some) // 2
    if half <= length:
        return 0.0
    level, centre = y[:half].mean(), x[:half].mean(0)
    spread = x[:half].std(0)
    x = (x - centre) / np.where(spread > 0, spread, 1.0)
    early = x[:half]
    gram = early.T @ early + _RIDGE * half * np.eye(length)
    told = x[half:] @ np.linalg.solve(gram, early.T @ (y[:half] - level))
    rest, whole = np.var(y[half:] - told), np.var(y[half:])
    return float(max(0.0, 1.0 - rest / whole)) if whole > 0 else 0.0
