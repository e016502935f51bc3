"""The synthetic stream with a column of every type that Parquet can bring; helpers, no tests."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainer.synthetic import table

ROWS = 400
BITS = np.arange(ROWS) % 2
AT = table(ROWS)["at"]
COLUMNS = {
    "timestamp": AT,
    "nanoseconds": AT.cast(pa.timestamp("ns")),
    "zoned": AT.cast(pa.timestamp("us", "UTC")),
    "date": AT.cast(pa.date32()),
    "time of day": pa.array([time(i % 24) for i in range(ROWS)]),
    "duration": pa.array([timedelta(seconds=i) for i in range(ROWS)]),
    "binary": pa.array([b"%d" % bit for bit in BITS]),
    "fixed binary": pa.array([b"%02d" % bit for bit in BITS], pa.binary(2)),
    "decimal": pa.array([Decimal(int(bit)) for bit in BITS]),
    "long decimal": pa.array([Decimal(int(bit)) for bit in BITS], pa.decimal256(50, 3)),
    "digits": pa.array([str(bit) for bit in BITS]),
    "large digits": pa.array([str(bit) for bit in BITS], pa.large_string()),
    "words": pa.array(["x", "y"] * (ROWS // 2)),
    "dictionary": pa.array([str(bit) for bit in BITS]).dictionary_encode(),
    "dictionary of integers": pa.array(BITS).dictionary_encode(),
    "nothing": pa.nulls(ROWS),
    "half": pa.array(BITS.astype(np.float16)),
    "byte": pa.array(BITS.astype(np.int8)),
    "huge": pa.array(BITS.astype(np.uint64) + np.uint64(2**63)),
    "boolean": pa.array(BITS == 1),
    "struct": pa.array([{"a": 1}] * ROWS),
    "map": pa.array([[("a", 1)]] * ROWS, pa.map_(pa.string(), pa.int64())),
    "list": pa.array([["a", "b"]] * ROWS),
    "vector": pa.array([[0.5, 0.25]] * ROWS, pa.list_(pa.float32(), 2)),
}


def write(path: Path) -> Path:
    """Write the stream with all of them."""
    rows = table(ROWS)
    for name, values in COLUMNS.items():
        rows = rows.append_column(name, values)
    pq.write_table(rows, path)
    return path
