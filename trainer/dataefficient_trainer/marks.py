"""Where a later run may go on reading: a place in a stream, and what lies before it.

Text has no index: to find an interval, every line before it is parsed. Of parquet every file's footer is
read. And a log grows. So a run leaves a mark beside its checkpoint, and a run that starts from there passes
over what that one has read.

A mark is a hint. It is believed only where the stream is described as it was, the files up to it have the
same names, and a text has the same bytes before it. Else everything is read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import fsspec

from dataefficient.contract import CheckpointRef

FILE = "mark.json"
TAIL = 1024
"""Bytes before a place that are remembered."""


@dataclass(frozen=True)
class Place:
    """The begin of a file, or of a line in one.

    Attributes:
        file: its number in the stream.
        offset: bytes of text before the place.
        tail: digest of the last of them.
    """

    file: int
    offset: int
    tail: str


@dataclass(frozen=True)
class Mark:
    """A place with what was seen of the stream before it.

    Attributes:
        described: digest of how the stream is described, and of the names of its files up to this one.
        rows: before the place.
        first: time of the first of them, in microseconds.
        last: time of the last of them; none is later.
    """

    place: Place
    described: str
    rows: int
    first: int
    last: int


class LostError(Exception):
    """A place is not what it was when it was marked."""


def digest(body: bytes) -> str:
    """Short digest of bytes."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def tail_of(*parts: bytes) -> bytes:
    """The last ``TAIL`` bytes of all parts together."""
    return b"".join(parts)[-TAIL:]


def described(by: Sequence[str], files: Sequence[str]) -> tuple[str, ...]:
    """``Mark.described`` of places in each of a stream's files.

    Args:
        by: what the rows and their times follow from.
        files: the names of all files.
    """
    begin = digest(json.dumps(list(by)).encode())
    chain = itertools.accumulate(
        files, lambda before, name: digest(f"{before} {name}".encode()), initial=begin
    )
    return tuple(chain)[1:]


def address(checkpoint: str) -> str:
    """Where the mark of a checkpoint lies."""
    return posixpath.join(posixpath.dirname(checkpoint), FILE)


def to_json(mark: Mark) -> bytes:
    """What :func:`beside` reads."""
    return (json.dumps(dataclasses.asdict(mark), sort_keys=True) + "\n").encode()


def beside(ref: CheckpointRef) -> Mark | None:
    """The mark that the run of a checkpoint has left; None: none that can be read."""
    try:
        fs, path = fsspec.core.url_to_fs(address(ref.uri))
        body = json.loads(fs.cat_file(path))
        place = Place(int(body["place"]["file"]), int(body["place"]["offset"]), str(body["place"]["tail"]))
        counts = (int(body[name]) for name in ("rows", "first", "last"))
        return Mark(place, str(body["described"]), *counts)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def latest(found: Iterable[Mark], time: int) -> Mark | None:
    """The last of the marks before which all rows are earlier than ``time``; None: there is none."""
    return max(
        (mark for mark in found if mark.last < time),
        key=lambda mark: (mark.place.file, mark.place.offset),
        default=None,
    )
