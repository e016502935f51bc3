"""Numeric tables from people: a CSV file read into columns, every fault named with its place.

Why: a table that someone exported has gaps, words and signs that do not belong there, and a fit of those
would be silently wrong. Nothing is repaired or dropped here; what the numbers mean is the caller's.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click
import numpy as np

from dataefficient.contract import ExitCode
from dataefficient.planner.families import Array


class InputError(click.ClickException):
    """What the user gave cannot be used; the message says where and what to do."""

    exit_code = int(ExitCode.USER_ERROR)


def read_columns(path: Path, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, Array]:
    """Numeric columns of a CSV file with a header line; other columns are ignored.

    Args:
        path: the file, UTF-8, comma-separated.
        required: columns that must exist.
        optional: columns that are returned where they exist.

    Raises:
        InputError: unreadable file, missing column, or a cell that is not a finite number >= 0; the message
            names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not a text file in UTF-8") from error
    try:
        lines = [(number, row) for number, row in _lines(text) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(f"{path}: is not a comma-separated table: {error}") from error
    if not lines:
        raise InputError(f"{path}: is empty; the first line must name the columns: {','.join(required)}")
    header = [name.strip() for name in lines[0][1]]
    for name in required:
        if name not in header:
            found = ", ".join(header)
            raise InputError(
                f"{path}: column '{name}' is missing; found: {found}. The first line must name the columns."
            )
    wanted_columns = {name: header.index(name) for name in (*required, *optional) if name in header}
    values: dict[str, list[float]] = {name: [] for name in wanted_columns}
    for number, row in lines[1:]:
        for name, index in wanted_columns.items():
            cell = row[index].strip() if index < len(row) else ""
            values[name].append(_number(cell, f"{path}: line {number}, column '{name}'"))
    return {name: np.array(column) for name, column in values.items()}


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of their last line."""
    rows = csv.reader(text.splitlines())
    for row in rows:
        yield rows.line_num, row


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        found = f"'{cell}'" if cell else "an empty cell"
        raise InputError(f"{where}: {found} is not a number; remove the line or fill it in") from None
    if not math.isfinite(value):
        raise InputError(f"{where}: {cell} is not a finite number; remove the line")
    if value < 0:
        raise InputError(f"{where}: {cell} is negative; only numbers of at least 0 are allowed")
    return value


def check_positive(path: Path, columns: Mapping[str, Array], names: Iterable[str], fewest: int) -> None:
    """Check that there are at least ``fewest`` rows and that ``names`` hold no zero.

    Raises:
        InputError: names the row, counted without the header.
    """
    for name in names:
        values = columns[name]
        if values.size < fewest:
            raise InputError(f"{path}: {values.size} rows; at least {fewest} are needed")
        if values.min() <= 0:
            row = int(np.argmin(values)) + 1
            raise InputError(
                f"{path}: data row {row}, column '{name}': 0 is not allowed, the number must be positive"
            )
