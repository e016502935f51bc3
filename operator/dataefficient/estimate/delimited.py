"""Text files of a log: what stands between their values, and what names their columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.dataset as ds
from pyarrow import fs

from dataefficient.contract import ExitCode
from dataefficient.estimate.errors import EstimateError

CRITEO = ("label", *(f"I{i}" for i in range(1, 14)), *(f"C{i}" for i in range(1, 27)))
"""Columns of Criteo's public click logs, which have no header, as the reference trainer names them."""
PACKED = (".gz", ".bz2", ".zst")
"""Endings of the names of packed files."""
_MISSING = {"strings_can_be_null": True, "null_values": ["", "NA", "NaN", "null", "NULL"]}
_BLOCK_BYTES = 16 << 20
_SEPARATORS = (",", "\t", ";", "|")
_LONGEST_LINE = 1 << 16


@dataclass(frozen=True)
class Form:
    """How a text file is written."""

    separator: str
    names: tuple[str, ...] | None
    """Columns of a file without a header, in its order; None: its first line names them."""


def form_of(path: str, names: Sequence[str]) -> Form:
    """Look at the first line of a file.

    Args:
        path: a file or a URI, packed or not.
        names: the columns as the owner names them; none: the first line names them, or it is Criteo's.

    Raises:
        EstimateError: more or fewer columns are named than there are.
        OSError: it cannot be read.
    """
    line = _first_line(path)
    separator = b"\t" if ".tsv" in path.lower() else max((m.encode() for m in _SEPARATORS), key=line.count)
    if names and (there := _values(line, separator.decode())) != len(names):
        raise EstimateError(
            f"--columns: {len(names)} are named, and the first line of {path} has {there} values",
            ExitCode.USER_ERROR,
        )
    values = line.split(separator)
    criteo = separator == b"\t" and len(values) == len(CRITEO) and values[0] in {b"0", b"1"}
    return Form(separator.decode(), tuple(names) or (CRITEO if criteo else None))


def _values(line: bytes, separator: str) -> int:
    read = pa_csv.ReadOptions(autogenerate_column_names=True)
    table = pa_csv.read_csv(pa.BufferReader(line + b"\n"), read, pa_csv.ParseOptions(delimiter=separator))
    return int(table.num_columns)


def dataset(place: str | list[str], form: Form) -> Any:
    """The files as one Arrow dataset; the place is a folder or files."""
    options = ds.CsvFileFormat(
        parse_options=_parse(form),
        convert_options=pa_csv.ConvertOptions(**_MISSING),
        read_options=pa_csv.ReadOptions(block_size=_BLOCK_BYTES, column_names=form.names),
    )
    return ds.dataset(place, format=options)


def rest(source: Any, fragment: Any, form: Form, names: Sequence[str], offset: int) -> Iterator[Any]:
    """Batches of a file of a dataset, read on from a place in it.

    Args:
        source: the dataset.
        fragment: the file.
        form: how it is written.
        names: columns to read.
        offset: bytes before the place, of a packed file once it is unpacked; what is left of the line there
            is left out.

    Raises:
        OSError: it cannot be read.
        pyarrow.ArrowException: it is damaged.
    """
    there = form.names or fragment.physical_schema.names
    schema = pa.schema([source.schema.field(name) for name in names])
    # Columns that this file lacks are missing in it, as they are in the dataset.
    convert = pa_csv.ConvertOptions(
        **_MISSING, column_types=schema, include_columns=names, include_missing_columns=True
    )
    read = pa_csv.ReadOptions(block_size=_BLOCK_BYTES, column_names=there, skip_rows=1)
    with _opened(source.filesystem, fragment.path, offset) as file:
        yield from pa_csv.open_csv(file, read, _parse(form), convert)


def _opened(files: Any, path: str, offset: int) -> Any:
    if not path.lower().endswith(PACKED):
        file = files.open_input_file(path)
        file.seek(offset)
        return file
    stream = files.open_input_stream(path)
    while offset:
        offset -= len(stream.read(min(offset, _BLOCK_BYTES)))
    return stream


def _parse(form: Form) -> Any:
    return pa_csv.ParseOptions(delimiter=form.separator)


def _first_line(path: str) -> bytes:
    system, place = fs.FileSystem.from_uri(path) if "://" in path else (fs.LocalFileSystem(), path)
    with system.open_input_stream(place, compression="detect") as file:
        return bytes(file.read(_LONGEST_LINE)).partition(b"\n")[0].rstrip(b"\r")
