import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

START = 1_600_000_000_000_000
DAY = 86_400_000_000


def events(rows=4_000, *, seed=0, share=0.3):
    """A click log: two weeks and a half, a site that matters, an ad that does not."""
    random = np.random.default_rng(seed)
    times = np.sort(random.integers(0, 18 * DAY, rows)) + START
    site, ad = random.integers(0, 8, rows), random.integers(0, 20, rows)
    odds = np.log(share / (1 - share)) + np.linspace(-1.0, 1.0, 8)[site]
    clicked = random.random(rows) < 1 / (1 + np.exp(-odds))
    return pa.table(
        {
            "ts": pa.array(times, pa.timestamp("us", "UTC")),
            "site": pa.array([f"s{i}" for i in site]),
            "ad": pa.array(ad),
            "clicked": pa.array(clicked.astype(np.int8)),
        }
    )


@pytest.fixture
def table():
    return events()


@pytest.fixture
def write(tmp_path):
    """Write a table as Parquet and return its path as text."""

    def save(table, name="log.parquet"):
        path = tmp_path / name
        pq.write_table(table, path)
        return str(path)

    return save


@pytest.fixture
def pretended_trainer():
    """A trainer that follows the contract and makes its losses up from the request alone."""
    return f"{sys.executable} {Path(__file__).with_name('pretended_trainer.py')}"
