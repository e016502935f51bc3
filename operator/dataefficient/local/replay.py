"""The decisions of a work folder: writing them down, and making them again.

Each line is a gzip member of its own: an interrupted write loses at most the line that was being written.
What a line holds is in ``cycle.recording``.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from dataefficient.cycle.model import Decision, Memory, Observation
from dataefficient.cycle.recording import (
    Advance,
    DamagedError,
    Difference,
    Recorded,
    compare,
    line_of,
    parse,
)
from dataefficient.local.errors import WrongInputError
from dataefficient.local.files import append, disk_errors
from dataefficient.local.store import Store

__all__ = ["Advance", "Difference", "Recorded", "Recorder", "cycles", "recorded", "replay"]


class Recorder:
    """Writes decisions down."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last: tuple[Path, Memory] | None = None

    def record(self, before: Memory, observation: Observation, decision: Decision) -> None:
        """Keep one decision.

        Raises:
            DiskError: nothing was added.
        """
        path = _file(self._store, before.cycle)
        follows = self._last == (path, before)
        line = line_of(self._store.resource_digest(), before, observation, decision, follows=follows)
        with disk_errors(self._store.folder):
            path.parent.mkdir(exist_ok=True)
            if self._last is None or self._last[0] != path:
                _drop_unfinished(path)
            append(path, gzip.compress(line, 6))
        self._last = (path, decision.memory)


def recorded(store: Store, cycle: int) -> Iterator[Recorded]:
    """The decisions of ``cycle``, in the order in which they were made.

    Raises:
        WrongInputError: none was recorded, or the file is damaged.
    """
    path = _file(store, cycle)
    if not path.exists():
        found = cycles(store)
        known = f"recorded are the cycles {found[0]} to {found[-1]}" if found else "nothing is recorded yet"
        raise WrongInputError(f"{store.folder}: no decision of cycle {cycle} is recorded; {known}")
    try:
        yield from parse((line for line, _ in _lines(path)), cycle)
    except DamagedError as error:
        raise WrongInputError(f"{path}: {error}; put a copy of it back") from error


def cycles(store: Store) -> tuple[int, ...]:
    """The cycles whose decisions are recorded, oldest first."""
    found = (store.folder / "decisions").glob("cycle-*.jsonl.gz")
    return tuple(sorted(int(path.name.removeprefix("cycle-").split(".")[0]) for path in found))


def replay(store: Store, cycle: int, advance: Advance) -> tuple[int, Difference | None]:
    """Make the decisions of ``cycle`` again.

    Returns:
        How many were compared, and the first difference, if there is one.

    Raises:
        WrongInputError: as :func:`recorded`.
    """
    return compare(recorded(store, cycle), lambda name: store.resource_version(name).spec, advance)


def _file(store: Store, cycle: int) -> Path:
    return store.folder / "decisions" / f"cycle-{cycle:03d}.jsonl.gz"


def _drop_unfinished(path: Path) -> None:
    """Cut off a last line that a power cut left half written, so that more can follow."""
    if path.exists():
        whole = sum(size for _, size in _lines(path))
        if whole < path.stat().st_size:
            os.truncate(path, whole)


def _lines(path: Path) -> Iterator[tuple[bytes, int]]:
    """Whole lines, each with its bytes in the file; an unfinished last one is left out."""
    data = path.read_bytes()
    while data:
        before = len(data)
        reader = zlib.decompressobj(wbits=31)
        try:
            line = reader.decompress(data)
        except zlib.error as error:
            raise WrongInputError(f"{path}: damaged ({error}); put a copy of it back") from error
        if not reader.eof:
            return
        data = reader.unused_data
        yield line, before - len(data)
