"""What formats of text have in common: rows are lines, and files may be packed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from pyarrow import fs

PACKED = (".gz", ".bz2", ".zst")
"""Endings of the names of packed files."""
BLOCK_BYTES = 16 << 20
"""Text that is parsed at a time; the first block tells the types of columns."""
_LONGEST_LINE = 1 << 16


class Text(Protocol):
    """How the files of a log are written."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """Columns, in the order of the files, where these do not name them."""

    @property
    def headed(self) -> bool:
        """Whether the first line of a file is a header."""

    def dataset(self, place: str | list[str]) -> Any:
        """The files as one Arrow dataset; the place is a folder or files.

        Raises:
            OSError, ValueError, pyarrow.ArrowException: they cannot be read so.
        """

    def batches(
        self, file: Any, header: bytes, schema: Any, refused: list[int], *, begun: bool
    ) -> Iterator[Any]:
        """What is left of an open file, at the begin of a line.

        Args:
            file: open and unpacked.
            header: its first line.
            schema: of the columns that are wanted, as the dataset has them.
            refused: one more entry for each line that is left out, since it does not fit the columns.
            begun: the first line was passed.
        """


def first_line(path: str, files: Any = None) -> bytes:
    """The begin of a file, unpacked: its first line, where it is text.

    Args:
        path: a file of the file system, or without one a local file or a URI.
        files: an Arrow file system.

    Raises:
        OSError: it cannot be read.
    """
    if files is None:
        files, path = fs.FileSystem.from_uri(path) if "://" in path else (fs.LocalFileSystem(), path)
    with files.open_input_stream(path, compression="detect") as file:
        return bytes(file.read(_LONGEST_LINE)).partition(b"\n")[0].rstrip(b"\r")
