"""Text of one JSON object a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow.dataset as ds
from pyarrow import json

from dataefficient.estimate.text import BLOCK_BYTES


class JsonLines:
    """Every line names its columns; see ``text.Text``."""

    names = None
    headed = False

    def __init__(self) -> None:
        self.refused: list[int] = []

    def dataset(self, place: str | list[str]) -> Any:
        """The files as one Arrow dataset; the place is a folder or files."""
        return ds.dataset(place, format=ds.JsonFileFormat(read_options=_read()))

    def batches(self, file: Any, header: bytes, schema: Any) -> Iterator[Any]:  # noqa: ARG002
        """What is left of an open file, by a schema; columns that a line lacks are missing."""
        parse = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        yield from json.open_json(file, _read(), parse)


def _read() -> Any:
    return json.ReadOptions(block_size=BLOCK_BYTES)
