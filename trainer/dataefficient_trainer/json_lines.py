"""Text of one JSON object a line, as tables.

Arrow takes many lines at once only where a field has one type in all of them and no line is broken. So
types are taken from the begin of the text, found anew for lines that they do not fit, and lines that
fit no type are looked for by halving.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pyarrow as pa
from pyarrow import json


def fields(head: bytes) -> Any:
    """The schema of text by its begin, as far as that is of one kind.

    Raises:
        pyarrow.ArrowInvalid: the first line is no JSON object.
    """
    try:
        return _read(head, pa.schema([]), "infer").schema
    except pa.ArrowInvalid:
        cut = _middle(head)
        if not cut:
            raise
        return fields(head[:cut])


def parsed(block: bytes, types: Mapping[str, Any], columns: list[str], refused: list[int]) -> Any:
    """A block of lines as one table; values are text, as those of a CSV are, and lists stay lists.

    Args:
        block: whole lines.
        types: of the fields, as far as they are known.
        columns: the fields that are wanted; other ones are passed over.
        refused: one more entry for each line that is no object, or whose values fit no column.
    """
    if not block.strip():
        return _empty(columns)
    try:
        return _table(block, types, columns)
    except pa.ArrowInvalid:
        cut = _middle(block)
        if not cut:
            refused.append(1)
            return _empty(columns)
        halves = (parsed(half, types, columns, refused) for half in (block[:cut], block[cut:]))
        return pa.concat_tables(halves, promote_options="permissive")


def _middle(block: bytes) -> int:
    """Where a line begins near the middle of a block; 0: it is one line."""
    middle = len(block) // 2
    return block.find(b"\n", middle, -1) + 1 or block.rfind(b"\n", 0, middle) + 1


def _table(block: bytes, types: Mapping[str, Any], columns: list[str]) -> Any:
    """The block, by the first of three ways that takes it: as the begin was, with text as text, freely.

    Raises:
        pyarrow.ArrowInvalid: none does.
    """
    known = [(name, _kept(types[name])) for name in columns if name in types]
    # Where a block has nothing but dates, Arrow would take them for times, and write them otherwise.
    texts = [(name, kind) for name, kind in known if pa.types.is_string(kind)]
    for schema, others in ((known, "ignore"), (texts, "infer")):
        with suppress(pa.ArrowInvalid):
            return _chosen(_read(block, pa.schema(schema), others), columns)
    return _chosen(_read(block, pa.schema([]), "infer"), columns)


def _kept(kind: Any) -> Any:
    return pa.string() if pa.types.is_timestamp(kind) else kind


def _chosen(table: Any, columns: list[str]) -> Any:
    values = [table[name] if name in table.column_names else pa.nulls(table.num_rows) for name in columns]
    return pa.table([_as_text(its) for its in values], names=columns)


def _as_text(values: Any) -> Any:
    other = pa.types.is_nested(values.type) or pa.types.is_null(values.type)
    return values if other else values.cast(pa.string())


def _empty(columns: list[str]) -> Any:
    return pa.table({name: pa.nulls(0) for name in columns})


def _read(block: bytes, schema: Any, others: str) -> Any:
    return json.read_json(
        pa.BufferReader(block),
        read_options=json.ReadOptions(use_threads=False, block_size=len(block) + 1),
        parse_options=json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=others),
    )
