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

    def dataset(self, place: str | list[str]) -> Any:
        """The files as one Arrow dataset, with the types of the first file's begin."""
        files = ds.dataset(place, schema=pa.schema([]), format="json")
        with files.filesystem.open_input_stream(files.files[0]) as file:
            return files.replace_schema(_schema(next(_blocks(file), b"")))

    def batches(
        self,
        file: Any,
        header: bytes,  # noqa: ARG002
        schema: Any,
        refused: list[int],
        *,
        begun: bool,  # noqa: ARG002
    ) -> Iterator[Any]:
        """What is left of an open file, by a schema; columns that a line lacks are missing."""
        for block in _blocks(file):
            yield from _parsed(block, schema, refused)


def _parsed(block: bytes, schema: Any, refused: list[int]) -> Iterator[Any]:
    if not block.strip():
        return
    parse = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    try:
        table = json.read_json(pa.BufferReader(block), parse_options=parse)
    except pa.ArrowInvalid:
        cut = _middle(block)
        if not cut:
            refused.append(1)
            return
        yield from _parsed(block[:cut], schema, refused)
        yield from _parsed(block[cut:], schema, refused)
    else:
        yield from table.to_batches()


def _middle(block: bytes) -> int:
    """Where a line begins near the middle of a block; 0: it is one line."""
    middle = len(block) // 2
    return block.find(b"\n", middle, -1) + 1 or block.rfind(b"\n", 0, middle) + 1


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
        cut = _middle(head)
        if not cut:
            raise
        return _schema(head[:cut])
