"""Decisions kept with what they were made from, so that any of them can be made again.

One line a decision: the memory before, the observation, the decision and the version of the resource; the
memory before is left out where it is the previous line's memory after. Both drivers write this form, so a
recording of one can be replayed through the other. Where lines are kept is the drivers' business.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dataefficient import contract
from dataefficient.api.spec import Spec
from dataefficient.cycle.model import Decision, Memory, Observation

Advance = Callable[[Spec, Memory, Observation], Decision]


@dataclass(frozen=True)
class Recorded:
    """One decision as it was made; ``decision`` is its JSON."""

    cycle: int
    number: int
    """From 1, within the cycle."""
    resource: str
    """Version of the resource, as the driver names it."""
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


class DamagedError(ValueError):
    """A line that is not a decision; the message says which and why."""


def line_of(
    resource: str, before: Memory, observation: Observation, decision: Decision, *, follows: bool
) -> bytes:
    """One decision as a line.

    Args:
        resource: name of the resource's version.
        follows: ``before`` is the memory after of the line above, and is not repeated.
    """
    body: dict[str, Any] = {"resource": resource}
    if not follows:
        body["before"] = contract.encode(before)
    body["observation"] = contract.encode(observation)
    body["decision"] = contract.encode(decision)
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def parse(lines: Iterable[bytes], cycle: int) -> Iterator[Recorded]:
    """The decisions of ``cycle`` in its lines.

    Raises:
        DamagedError: a line is not a decision.
    """
    before: Any = None
    for number, line in enumerate(lines, start=1):
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
            raise DamagedError(f"decision {number} is damaged ({error})") from error


def compare(
    records: Iterable[Recorded], spec_of: Callable[[str], Spec], advance: Advance
) -> tuple[int, Difference | None]:
    """Make recorded decisions again.

    Returns:
        How many were compared, and the first difference, if there is one.
    """
    count = 0
    for count, one in enumerate(records, start=1):
        decision = advance(spec_of(one.resource), one.before, one.observation)
        again = json.loads(json.dumps(contract.encode(decision)))
        if "codes" not in one.decision:  # recorded by a version that gave none
            again.pop("codes", None)
        for path, old, new in _differences(one.decision, again, "decision"):
            return count, Difference(one.cycle, one.number, path, old, new)
    return count, None


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
