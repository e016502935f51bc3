"""Text with marks between its values (CSV, TSV): which marks, and what names the columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.dataset as ds

from dataefficient.contract import ExitCode
from dataefficient.estimate.errors import EstimateError
from dataefficient.estimate.text import BLOCK_BYTES, first_line

CRITEO = ("label", *(f"I{i}" for i in range(1, 14)), *(f"C{i}" for i in range(1, 27)))
"""Columns of Criteo's public click logs, which have no header, as the reference trainer names them."""
_MISSING = {"strings_can_be_null": True, "null_values": ["", "NA", "NaN", "null", "NULL"]}
_SEPARATORS = (",", "\t", ";", "|")


@dataclass(frozen=True)
class Delimited:
    """Text with a mark between the values of a line; see ``text.Text``."""

    separator: str
    names: tuple[str, ...] | None
    """Columns of a file without a header, in its order; None: its first line names them."""

    @property
    def headed(self) -> bool:
        """Whether the first line names the columns."""
        return self.names is None

    def dataset(self, place: str | list[str]) -> Any:
        """The files as one Arrow dataset; the place is a folder or files."""
        options = ds.CsvFileFormat(
            parse_options=self._parse([]),
            convert_options=pa_csv.ConvertOptions(**_MISSING),
            read_options=pa_csv.ReadOptions(block_size=BLOCK_BYTES, column_names=self.names),
        )
        return ds.dataset(place, format=options)

    def batches(
        self, file: Any, header: bytes, schema: Any, refused: list[int], *, begun: bool
    ) -> Iterator[Any]:
        """What is left of an open file, by a schema; columns that it lacks are missing."""
        read = pa_csv.ReadOptions(
            block_size=BLOCK_BYTES,
            column_names=self.names or _values(header, self.separator),
            skip_rows=int(self.headed and not begun),
        )
        convert = pa_csv.ConvertOptions(
            **_MISSING, column_types=schema, include_columns=schema.names, include_missing_columns=True
        )
        yield from pa_csv.open_csv(file, read, self._parse(refused), convert)

    def _parse(self, refused: list[int]) -> Any:
        def refuse(row: Any) -> str:  # noqa: ARG001
            refused.append(1)
            return "skip"

        return pa_csv.ParseOptions(delimiter=self.separator, invalid_row_handler=refuse)


def form_of(path: str, names: Sequence[str]) -> Delimited:
    """Look at the first line of a file.

    Args:
        path: a file or a URI, packed or not.
        names: the columns as the owner names them; none: the first line names them, or it is Criteo's.

    Raises:
        EstimateError: more or fewer columns are named than there are.
        OSError: it cannot be read.
    """
    line = first_line(path)
    separator = b"\t" if ".tsv" in path.lower() else max((m.encode() for m in _SEPARATORS), key=line.count)
    if names and (there := len(_values(line, separator.decode()))) != len(names):
        raise EstimateError(
            f"--columns: {len(names)} are named, and the first line of {path} has {there} values",
            ExitCode.USER_ERROR,
        )
    values = line.split(separator)
    criteo = separator == b"\t" and len(values) == len(CRITEO) and values[0] in {b"0", b"1"}
    return Delimited(separator.decode(), tuple(names) or (CRITEO if criteo else None))


def _values(line: bytes, separator: str) -> list[str]:
    """What stands in a line, as names of columns."""
    parse = pa_csv.ParseOptions(delimiter=separator)
    return list(pa_csv.read_csv(pa.BufferReader(line + b"\n"), parse_options=parse).column_names)
