"""The owner's log, as it lies there: opened, and held against the roles of its columns.

Which columns may be features is decided in ``columns``.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import glob
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from pydantic import TypeAdapter, ValidationError

from dataefficient.api.names import Column
from dataefficient.contract import ExitCode
from dataefficient.estimate.delimited import form_of
from dataefficient.estimate.errors import EstimateError
from dataefficient.estimate.json_lines import JsonLines
from dataefficient.estimate.lists import is_list
from dataefficient.estimate.text import PACKED, Text, first_line
from dataefficient.estimate.vectors import is_vector

ROW_TIME = "row_time"
"""The time of a log that has none, by the order of its rows."""
ROWS_FROM = datetime(2000, 1, 1, tzinfo=UTC)
"""Time of the first of these rows; the others follow a second apart."""
_ENDINGS = {
    "csv": (".csv", ".tsv"),
    "parquet": (".parquet", ".pq"),
    "json": (".json", ".jsonl", ".ndjson"),
}
_NEEDED = {
    "csv": "text whose first line names the columns (else: --columns A,B,...)",
    "parquet": "Parquet",
    "json": "one JSON object a line",
}
_COLUMN: TypeAdapter[str] = TypeAdapter(Column)
_PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True)
class Roles:
    """Which column plays which part; ``at_least`` and ``equals`` make a label out of a column's values."""

    time: str
    """The column, or ``ROW_TIME`` where ``in_order``."""
    label: str
    key: tuple[str, ...] = ()
    served: str | None = None
    at_least: float | None = None
    equals: tuple[str, ...] = ()
    time_format: str | None = None
    in_order: bool = False
    """There is no time: rows lie in the order of it."""
    any_of: tuple[str, ...] = ()
    """Columns in the place of one label: a row is positive where any of them is. ``label`` then is a name."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns that the label comes from."""
        return self.any_of or (self.label,)


@dataclass(frozen=True)
class Log:
    """A log that could be opened: its columns and, where the format tells, its rows."""

    path: str
    format: str
    columns: dict[str, Any]
    """Name to Arrow type, in file order; without those that no resource can name."""
    rows: int | None
    source: Any
    form: Text | None = None
    """How text is written; None: it is Parquet."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """Columns of text without a header; None: the files name them."""
        return self.form.names if self.form else None


def cause(error: BaseException) -> str:
    """The cause alone: the reader's own message repeats the path."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words.rsplit("': ", 1)[-1].rstrip(".")[:160]


def format_in(path: str) -> str | None:
    """The format that the ending of a name tells: csv, parquet or json; None: it tells nothing."""
    name = path.lower().rstrip("/")
    for ending in PACKED:
        name = name.removesuffix(ending)
    return next((kind for kind, endings in _ENDINGS.items() if name.endswith(endings)), None)


def _kind(path: str) -> str:
    told = format_in(path)
    if told is not None or not Path(path).is_file():
        return told or "parquet"
    # Such as train.gz: the file itself tells.
    with suppress(OSError):  # told where it is opened
        line = first_line(path).lstrip()
        return "parquet" if line.startswith(_PARQUET_MAGIC) else "json" if line.startswith(b"{") else "csv"
    return "csv"


def open_log(path: str, names: Sequence[str] = ()) -> Log:
    """Open Parquet, CSV or JSON lines: a file, a folder of files, or a pattern such as ``clicks/*.csv``.

    Args:
        path: where the log is.
        names: columns of text without a header; none: the first line names them.

    Raises:
        EstimateError: there is no such file, it is damaged, it is of no such format, or names do not fit it.
    """
    files = [path] if "://" in path else _files(path)
    if not files:
        near = (
            [p.name for p in Path(path).parent.glob("*") if p.is_file()] if Path(path).parent.is_dir() else []
        )
        raise EstimateError(f"{path}: no such file{_meant(Path(path).name, near)}", ExitCode.DATA_ERROR)
    if "://" not in path and not any(Path(file).stat().st_size for file in files):
        raise EstimateError(f"{path}: the file is empty (0 bytes)", ExitCode.DATA_ERROR)
    kind = _kind(files[0])
    place = path if Path(path).is_dir() else files
    if names and kind != "csv":
        raise EstimateError(f"--columns: {path} is {kind}, which names its columns", ExitCode.USER_ERROR)
    try:
        form = _text(kind, files[0], names)
        source: Any = _parquet_dataset(place) if form is None else form.dataset(place)
        rows = source.count_rows() if form is None else None
    except (OSError, pa.ArrowException, ValueError) as error:
        raise EstimateError(
            f"{path}: cannot be read as {kind}: {cause(error)}. Is the file complete, and is it "
            f"{_NEEDED[kind]}?",
            ExitCode.DATA_ERROR,
        ) from error
    columns = {name: source.schema.field(name).type for name in source.schema.names if _is_name(name)}
    if rows == 0:
        raise EstimateError(f"{path}: the log holds no row", ExitCode.DATA_ERROR)
    return Log(path, kind, columns, rows, source, form)


def _is_name(text: str) -> bool:
    """Whether a resource can name a column so; the index that pandas writes has no name."""
    try:
        _COLUMN.validate_python(text)
    except ValidationError:
        return False
    return True


def _text(kind: str, path: str, names: Sequence[str]) -> Text | None:
    if kind == "json":
        return JsonLines()
    return form_of(path, names) if kind == "csv" else None


def _files(path: str) -> list[str]:
    """The files of a path, of a folder, or that a pattern fits, in the order of their names."""
    # Not Path.glob, which refuses patterns that are absolute.
    found = [path] if Path(path).exists() else sorted(glob(path))  # noqa: PTH207
    below = (sorted(Path(one).rglob("*")) if Path(one).is_dir() else [Path(one)] for one in found)
    files = [file for some in below for file in some if file.is_file()]
    return [str(file) for file in files if not file.name.startswith((".", "_"))]


def _parquet_dataset(place: str | list[str]) -> Any:
    # Of a folder, columns that stand in the names of folders below it (Hive).
    folders = "hive" if isinstance(place, str) else None
    return ds.dataset(place, format="parquet", partitioning=folders)


def may_be_feature(kind: Any) -> bool:
    """Whether columns of an Arrow type are looked at: those of one value a row, of lists, and of vectors."""
    return not pa.types.is_nested(kind) or is_list(kind) or is_vector(kind)


def _meant(name: str, options: list[str]) -> str:
    close = difflib.get_close_matches(name.lower(), [o.lower() for o in options], n=1, cutoff=0.6)
    return f"; did you mean {next(o for o in options if o.lower() == close[0])}?" if close else "."


def _way_out(log: Log, option: str) -> str:
    if log.format == "csv" and log.names is None:
        return "; if its first line is no header, name them: --columns A,B,..."
    return (
        "; where none is the time, and rows lie in the order of it: --rows-in-order"
        if option == "--time"
        else ""
    )


def require(log: Log, name: str, option: str) -> None:
    """Check that the log has a column.

    Raises:
        EstimateError: lists the columns that exist and the one that may have been meant.
    """
    if name not in log.columns:
        raise EstimateError(
            f"{option} {name}: {log.path} has no such column{_meant(name, list(log.columns))} Its columns "
            f"are: {', '.join(log.columns)}{_way_out(log, option)}",
            ExitCode.USER_ERROR,
        )


def require_flat(log: Log, name: str, option: str) -> None:
    """Check that the log has a column, with one value a row.

    Raises:
        EstimateError: as ``require``, or the column's type is nested.
    """
    require(log, name, option)
    kind = log.columns[name]
    if pa.types.is_nested(kind):
        raise EstimateError(
            f"{option} {name}: the column holds {kind}; one with one value a row is needed",
            ExitCode.USER_ERROR,
        )


def check_roles(log: Log, roles: Roles) -> None:
    """Check every named column at once, before anything is read.

    Raises:
        EstimateError: a column is missing, or one column plays two parts that exclude each other.
    """
    if not roles.in_order:
        require_flat(log, roles.time, "--time")
    elif roles.time in log.columns:
        raise EstimateError(
            f"--rows-in-order: {log.path} has a column {roles.time}; name it with --time, or another one",
            ExitCode.USER_ERROR,
        )
    for name in roles.labels:
        require_flat(log, name, "--label")
    if roles.any_of and roles.label in log.columns:
        told = (
            f"--label {','.join(roles.any_of)}: together they would be called as the column {roles.label} is"
        )
        raise EstimateError(f"{told}; rename it", ExitCode.USER_ERROR)
    for name in roles.key:
        require_flat(log, name, "--key")
    if roles.served is not None:
        require_flat(log, roles.served, "--served-prediction")
    for name in roles.labels:
        if name in (roles.time, roles.served, *roles.key):
            raise EstimateError(
                f"--label {name}: the label cannot also be the time, the key or the served prediction",
                ExitCode.USER_ERROR,
            )
