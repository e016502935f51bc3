"""The synthetic stream as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.synthetic import table, written


@pytest.fixture(scope="session")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten days of clicks."""
    return written(table(), tmp_path_factory.mktemp("stream"))
