"""Stable 64-bit hashes of columns, vectorised: the same value hashes alike in every run, file and type width.

Sampling, the evaluation share and the hashed features all start here. Not cryptographic; what must
resist an adversary (checkpoint digests) uses SHA-256.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]

NULL = np.uint64(0x9AE16A3B2F90404F)
"""Hash of a missing value."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_TEXT = np.uint64(0xC2B2AE3D27D4EB4F)
_TEXTS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)


def mix(values: Hashes) -> Hashes:
    """Finalizer of SplitMix64 (Steele, Lea and Flood 2014), elementwise; a bijection."""
    z = values + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def salt(text: str) -> np.uint64:
    """64 bits of a salt or a name."""
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


def uniform(hashes: Hashes, salted: np.uint64) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1), one per hash, independent between salts; the same for the same hash and salt."""
    return (mix(hashes ^ salted) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def combine(columns: list[Hashes]) -> Hashes:
    """Hash of a tuple of columns; the order of the columns counts."""
    total = columns[0]
    for column in columns[1:]:
        total = mix(total) + column
    return mix(total)


def _text_hashes(array: Any) -> Hashes:
    """Hash strings by their UTF-8 bytes, eight at a time over all rows at once."""
    array = pc.cast(array, pa.large_binary()) if not pa.types.is_large_string(array.type) else array
    n = len(array)
    if n == 0:
        return np.empty(0, np.uint64)
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[array.offset : array.offset + n + 1]
    base, end = int(offsets[0]), int(offsets[-1])
    data = np.zeros(end - base + 16, np.uint8)
    if end > base:
        data[: end - base] = np.frombuffer(data_buffer, np.uint8)[base:end]
    words = np.ndarray((data.size - 7,), "<u8", data.data, strides=(1,))
    starts, lengths = offsets[:-1] - base, np.diff(offsets)
    total = mix(lengths.astype(np.uint64) ^ _TEXT)
    for k in range(0, int(lengths.max()), 8):
        rows = np.flatnonzero(lengths > k)
        word = words[starts[rows] + k]
        unused = np.clip(8 - (lengths[rows] - k), 0, 7).astype(np.uint64) * np.uint64(8)
        total[rows] = mix(total[rows] ^ (word & (np.uint64(0xFFFFFFFFFFFFFFFF) >> unused)))
    return total


def _number_bits(array: Any) -> Hashes:
    """64 bits of each number, 0 where missing; floats and integers are kept apart, widths are not."""
    kind = array.type
    if pa.types.is_floating(kind):
        values = pc.fill_null(array.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False) + 0.0
        return np.asarray(values).view(np.uint64)
    if pa.types.is_uint64(kind):
        return np.asarray(pc.fill_null(array, 0).to_numpy(zero_copy_only=False))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        array = array.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False)
    elif pa.types.is_time(kind):
        array = array.cast(pa.time64("us"), safe=False)
    elif pa.types.is_duration(kind):
        array = array.cast(pa.duration("us"), safe=False)
    integers = pc.fill_null(array.cast(pa.int64()), 0)
    return np.asarray(integers.to_numpy(zero_copy_only=False)).view(np.uint64)


def hash_column(array: Any) -> Hashes:
    """Hash of each value of an Arrow array (any type that is not nested).

    A dictionary's values are hashed once and taken by index.

    Returns:
        uint64 of shape (len(array),); missing values hash to ``NULL``.

    Raises:
        TypeError: a nested type.
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        table = np.append(hash_column(array.dictionary), NULL)
        missing = len(array.dictionary)
        codes = array.indices
        return np.asarray(table[pc.fill_null(codes.cast(pa.int64()), missing).to_numpy(zero_copy_only=False)])
    if pa.types.is_null(kind):
        return np.full(len(array), NULL)
    if any(is_such(kind) for is_such in _TEXTS):
        hashes = _text_hashes(array)
    elif pa.types.is_decimal(kind):
        hashes = _text_hashes(array.cast(pa.string()))
    elif pa.types.is_nested(kind):
        raise TypeError(str(kind))
    else:
        hashes = mix(_number_bits(array))
    if array.null_count:
        hashes[np.asarray(array.is_null().to_numpy(zero_copy_only=False))] = NULL
    return hashes
