"""Make ``examples/flights/flights.parquet`` from the flights table of the npm package vega-datasets.

The example must travel with the repository, so the table is cut to what the example asks: it is sorted
by time, the label is computed, columns are narrow, and row groups are small enough that reading two
weeks reads little else. It drops no row.

Use: ``python hack/make_flights.py flights-3m.parquet`` (``data/flights-3m.parquet`` of vega-datasets 3.2.1)
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SOURCE_SHA256 = "dbeb920c90f59b6ccaff823dcc3d08f25a97fa1ce128d93f40be4e931f5900b0"
ROWS = 3_000_000
LATE_MINUTES = 15
"""Delay from which the US Department of Transportation counts a flight as late."""
ROWS_PER_GROUP = 125_000
MAX_BYTES = 10_000_000
OUTPUT = Path(__file__).parents[1] / "examples" / "flights" / "flights.parquet"


def compact(source: pa.Table) -> pa.Table:
    """The example's columns, sorted by departure.

    ``source`` has ``date`` (timestamp), ``delay`` (minutes), ``origin`` and ``destination`` (airport codes).
    Left out: the delay itself, which tells the label, and the distance, which origin and destination tell.
    """
    table = source.sort_by([("date", "ascending"), ("origin", "ascending"), ("destination", "ascending")])
    late = pc.greater_equal(table["delay"], LATE_MINUTES)
    return pa.table(
        {
            "departure": table["date"].cast(pa.timestamp("ms")).cast(pa.timestamp("ms", tz="UTC")),
            "origin": table["origin"].cast(pa.string()),
            "destination": table["destination"].cast(pa.string()),
            "late": late.cast(pa.int8()),
        }
    )


def main() -> int:
    """Write the table and print what must be true of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    digest = hashlib.sha256(arguments.source.read_bytes()).hexdigest()
    if digest != SOURCE_SHA256:
        print(f"{arguments.source}: sha256 {digest}, expected {SOURCE_SHA256}", file=sys.stderr)
        return 1
    table = compact(pq.read_table(arguments.source))
    pq.write_table(
        table,
        arguments.output,
        row_group_size=ROWS_PER_GROUP,
        compression="zstd",
        compression_level=19,
        use_dictionary=["origin", "destination"],
        column_encoding={"departure": "DELTA_BINARY_PACKED"},
        data_page_size=1 << 20,
    )
    size = arguments.output.stat().st_size
    span = pc.min_max(table["departure"]).as_py()
    keys = table.group_by(["departure", "origin", "destination"]).aggregate([([], "count_all")])
    shared = pc.sum(pc.filter(keys["count_all"], pc.greater(keys["count_all"], 1))).as_py()
    print(f"rows {table.num_rows:,}  late {pc.mean(table['late']).as_py():.4f}")
    print(f"from {span['min']:%Y-%m-%dT%H:%MZ} to {span['max']:%Y-%m-%dT%H:%MZ}")
    print(f"keys {keys.num_rows:,}; {shared:,} rows share theirs with another")
    print(f"{size:,} bytes  sha256 {hashlib.sha256(arguments.output.read_bytes()).hexdigest()}")
    if table.num_rows != ROWS or size > MAX_BYTES:
        print(f"expected {ROWS:,} rows in at most {MAX_BYTES:,} bytes", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
