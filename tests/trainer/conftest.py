"""The synthetic stream as a file."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from trainer.synthetic import table


@pytest.fixture(scope="session")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten days of clicks as parquet, in row groups of two days."""
    path = tmp_path_factory.mktemp("stream") / "clicks.parquet"
    pq.write_table(table(), path, row_group_size=4_000)
    return path
