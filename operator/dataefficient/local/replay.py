"""Decisions kept with what they were made from, so that any of them can be made again.

Each line holds the memory before, the observation, the decision and the version of the resource; the
memory before is left out where it is the previous line's memory after. Each line is a gzip member of
its own: an interrupted write loses at most the line that was being written.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataefficient import contract
from dataefficient.api.spec import Spec
from dataefficient.cycle.model import Decision, Memory, Observation
from dataefficient.local.errors import WrongInputError
from dataefficient.local.files import append, disk_errors
from dataefficient.local.store import Store

Advance = Callable[[Spec, Memory, Observation], Decision]


@dataclass(frozen=True)
class Recorded:
    """One decision as it was made; ``decision`` is its JSON."""

    cycle: int
    number: int
    """From 1, within the cycle."""
    resource: str
    """Version of the resource, for :meth:`Store.resource_version`."""
    before: Memory
    observation: Observation
    decision: dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """Where a decision, made again, is another one."""

    cycle: int
    number: int
    path: str
    recorded: object
    recomputed: object

    def __str__(self) -> str:
        return (
            f"cycle {self.cycle}, decision {self.number}: {self.path} was {_short(self.recorded)}, "
            f"now {_short(self.recomputed)}"
        )


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
        body: dict[str, Any] = {"resource": self._store.resource_digest()}
        if self._last != (path, before):
            body["before"] = contract.encode(before)
        body["observation"] = contract.encode(observation)
        body["decision"] = contract.encode(decision)
        line = json.dumps(body, separators=(",", ":"), allow_nan=False).encode() + b"\n"
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
        cycles = sorted(int(p.name[6:9]) for p in path.parent.glob("cycle-*.jsonl.gz"))
        known = (
            f"recorded are the cycles {cycles[0]} to {cycles[-1]}" if cycles else "nothing is recorded yet"
        )
        raise WrongInputError(f"{store.folder}: no decision of cycle {cycle} is recorded; {known}")
    before: Any = None
    for number, (line, _) in enumerate(_lines(path), start=1):
        try:
            body = json.loads(line)
            before = body.get("before", before)
            yield Recorded(
                cycle,
                number,
                body["resource"],
                contract.decode(Memory, before, "before"),
                contract.decode(Observation, body["observation"], "observation"),
                body["decision"],
            )
            before = body["decision"]["memory"]
        except (ValueError, KeyError, TypeError) as error:
            raise WrongInputError(
                f"{path}: decision {number} is damaged ({error}); put a copy of it back"
            ) from error


def replay(store: Store, cycle: int, advance: Advance) -> tuple[int, Difference | None]:
    """Make the decisions of ``cycle`` again.

    Returns:
        How many were compared, and the first difference, if there is one.

    Raises:
        WrongInputError: as :func:`recorded`.
    """
    count = 0
    for count, one in enumerate(recorded(store, cycle), start=1):
        decision = advance(store.resource_version(one.resource).spec, one.before, one.observation)
        again = json.loads(json.dumps(contract.encode(decision)))
        for path, old, new in _differences(one.decision, again, "decision"):
            return count, Difference(cycle, one.number, path, old, new)
    return count, None


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


def _differences(old: Any, new: Any, path: str) -> Iterator[tuple[str, object, object]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            yield from _differences(old.get(name), new.get(name), f"{path}.{name}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _differences(a, b, f"{path}[{i}]")
    elif old != new:
        yield path, old, new


def _short(value: object) -> str:
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
