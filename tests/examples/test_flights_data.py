"""The flights in the repository are what their README and the demonstration rely on."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "flights"
PATH = FOLDER / "flights.parquet"


@pytest.fixture(scope="module")
def flights() -> pa.Table:
    return pq.read_table(PATH)


def test_there_are_three_million_without_a_missing_value(flights):
    assert flights.num_rows == 3_000_000
    assert flights.column_names == ["departure", "origin", "destination", "late"]
    assert all(column.null_count == 0 for column in flights.columns)


def test_they_are_in_time_order_from_january_to_june(flights):
    minutes = flights["departure"].to_numpy()
    assert (minutes[1:] >= minutes[:-1]).all()
    assert flights["departure"][0].as_py() == datetime(2001, 1, 1, 0, 1, tzinfo=UTC)
    assert flights["departure"][-1].as_py() == datetime(2001, 7, 1, 0, 0, tzinfo=UTC)


def test_a_fifth_is_late(flights):
    assert pc.mean(flights["late"]).as_py() == pytest.approx(0.209, abs=0.0005)
    assert set(pc.unique(flights["late"]).to_pylist()) == {0, 1}


def test_the_key_tells_nearly_all_rows_apart(flights):
    keys = flights.group_by(["departure", "origin", "destination"]).aggregate([([], "count_all")])
    assert keys.num_rows == 2_992_108


def test_two_weeks_can_be_read_without_the_rest():
    groups = pq.ParquetFile(PATH).metadata
    assert groups.num_row_groups == 24
    assert all(groups.row_group(i).num_rows == 125_000 for i in range(24))
    assert groups.row_group(0).column(0).statistics.has_min_max


def test_the_file_is_small_and_the_one_in_the_readme():
    body = PATH.read_bytes()
    assert len(body) <= 10_000_000
    assert hashlib.sha256(body).hexdigest() in (FOLDER / "README.md").read_text()
