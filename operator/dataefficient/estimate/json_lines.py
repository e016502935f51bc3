"""Text of one JSON object a line.

Arrow takes many lines at once only where all fit the types of their fields; those that do not are found by
halving, and left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
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
        """The files as one Arrow dataset, with the types of the first file's begin."""
        files = ds.dataset(place, schema=pa.schema([]), format="json")
        with files.filesystem.open_input_stream(files.files[0]) as file:
            return files.replace_schema(_schema(next(_blocks(file), b"")))

    def batches(self, file: Any, header: bytes, schema: Any, *, begun: bool) -> Iterator[Any]:  # noqa: ARG002
        """What is left of an open file, by a schema; columns that a line lacks are missing."""
        for block in _blocks(file):
            yield from self._parsed(block, schema)

    def _parsed(self, block: bytes, schema: Any) -> Iterator[Any]:
        if not block.strip():
            return
        parse = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        try:
            table = json.read_json(pa.BufferReader(block), parse_options=parse)
        except pa.ArrowInvalid:
            middle = len(block) // 2
            cut = block.find(b"\n", middle, -1) + 1 or block.rfind(b"\n", 0, middle) + 1
            if not cut:
                self.refused.append(1)
                return
            yield from self._parsed(block[:cut], schema)
            yield from self._parsed(block[cut:], schema)
        else:
            yield from table.to_batches()


def _blocks(file: Any) -> Iterator[bytes]:
    """Whole lines of a file, many at a time."""
    held = b""
    while more := file.read(BLOCK_BYTES):
        held += more
        cut = held.rfind(b"\n") + 1
        if cut:
            yield held[:cut]
            held = held[cut:]
    if held:
        yield held


def _schema(head: bytes) -> Any:
    """Types of the fields by the begin of a text, as far as all its lines fit them.

    Raises:
        pyarrow.ArrowInvalid: the first line is no JSON object.
    """
    try:
        return json.read_json(pa.BufferReader(head)).schema
    except pa.ArrowInvalid:
        cut = head.find(b"\n", len(head) // 2, -1) + 1 or head.rfind(b"\n", 0, len(head) // 2) + 1
        if not cut:
            raise
        return _schema(head[:cut])
