"""The last cycles' recorded decisions, as the ConfigMap ``NAME-HASH-decisions`` that the resource owns.

The lines are those that the local driver writes, so that what was decided on a cluster can be made again
anywhere. It is a convenience and no memory: nothing is decided from it, and what does not fit is dropped.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from dataefficient import contract
from dataefficient.api.errors import InvalidResource
from dataefficient.api.load import parse_object
from dataefficient.api.spec import Resource
from dataefficient.cluster import names
from dataefficient.cluster.manifests import Manifest, metadata
from dataefficient.contract import RunRequest
from dataefficient.cycle.model import Decision, Memory, Observation, RunOutcome, RunPlan
from dataefficient.cycle.recording import Advance, DamagedError, Difference, Recorded, compare, line_of, parse
from dataefficient.cycle.riding import alone, apart

CYCLES = 5
MAX_BYTES = 128 * 1024
"""Of the content as it is sent, base64 included."""

Files = dict[str, bytes]


class NotRecordedError(LookupError):
    """The cycle's decisions are gone, or were never kept; the message says which are there."""


def files(body: Mapping[str, Any] | None) -> Files:
    """What a decisions ConfigMap holds; nothing where there is none."""
    found = (body or {}).get("binaryData") or {}
    return {name: base64.b64decode(text) for name, text in found.items()}


def with_decision(
    held: Files, resource: Resource, before: Memory, observation: Observation, decision: Decision
) -> Files:
    """``held`` and one more decision, without what is too old or too much."""
    text = json.dumps(
        resource.model_dump(mode="json", by_alias=True, exclude_none=True), sort_keys=True
    ).encode()
    version = hashlib.sha256(text).hexdigest()[:16]
    name = _file(before.cycle)
    kept = dict(held)
    kept[_resource_file(version)] = gzip.compress(text, 6, mtime=0)
    lines = _lines(kept.get(name, b""))
    follows = bool(lines) and _after(lines[-1]) == _plain(before)
    line = line_of(version, before, observation, decision, follows=follows)
    kept[name] = kept.get(name, b"") + gzip.compress(line, 6, mtime=0)
    oldest = sorted(n for n in kept if n.startswith("cycle-"))
    while len(oldest) > CYCLES or (len(oldest) > 1 and _sent(kept) > MAX_BYTES):
        del kept[oldest.pop(0)]
        _drop_unused(kept)
    if _sent(kept) > MAX_BYTES:
        # One cycle alone is too much: its end is kept.
        alone = line_of(version, before, observation, decision, follows=False)
        kept[name] = gzip.compress(alone, 6, mtime=0)
        _drop_unused(kept)
    return kept if _sent(kept) <= MAX_BYTES else {}


def config_map(resource: Resource, held: Files, *, version: str | None) -> Manifest:
    """The ConfigMap; ``version`` as for the ledger."""
    assert resource.metadata.uid is not None
    about = metadata(resource, names.decisions(resource.metadata.name, resource.metadata.uid))
    if version is not None:
        about["resourceVersion"] = version
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": about,
        "binaryData": {name: base64.b64encode(data).decode() for name, data in held.items()},
    }


def recorded(held: Files, cycle: int) -> tuple[Recorded, ...]:
    """The decisions of ``cycle``, in the order in which they were made.

    Raises:
        NotRecordedError: they are not there any more, or not yet.
        DamagedError: they cannot be read.
    """
    data = held.get(_file(cycle))
    if data is None:
        raise NotRecordedError(_absent(cycles(held), cycle))
    return tuple(parse(_lines(data), cycle))


def cycles(held: Files) -> tuple[int, ...]:
    """The cycles whose decisions are kept, oldest first."""
    return tuple(sorted(int(name[6:].split(".")[0]) for name in held if name.startswith("cycle-")))


def _absent(kept: tuple[int, ...], cycle: int) -> str:
    if not kept:
        return "no decision is kept; they are with the resource that made them, and go when it is deleted"
    known = f"kept are cycles {kept[0]} to {kept[-1]}"
    if cycle < kept[0]:
        return f"the decisions of cycle {cycle} are gone: the last {CYCLES} are kept at most; {known}"
    return f"no decision of cycle {cycle} is kept; {known}"


def runs(held: Files, memory: Memory) -> tuple[tuple[RunRequest, RunOutcome | None], ...]:
    """Every run that something is still kept of in full, with its last attempt's outcome, by name.

    Raises:
        DamagedError: the recorded decisions cannot be read.
    """
    found: dict[str, tuple[RunRequest, RunOutcome | None]] = {}
    for cycle in cycles(held):
        for one in recorded(held, cycle):
            found |= _ended(one.before.launched, one.before.done)
            found |= _ended(one.before.running, one.observation.outcomes)
    found |= _ended(memory.launched, memory.done)
    found |= {one.run: (one, None) for plan in memory.running for one in alone(plan.request)}
    return tuple(found[run] for run in sorted(found))


def _ended(
    plans: Iterable[RunPlan], outcomes: Iterable[RunOutcome]
) -> dict[str, tuple[RunRequest, RunOutcome | None]]:
    requests = {(plan.request.run, plan.attempt): plan.request for plan in plans}
    return {
        part.run: (request, part)
        for o in outcomes
        if (o.run, o.attempt) in requests
        for request, part in apart(requests[o.run, o.attempt], o)
    }


def newest_resource(held: Files) -> Resource | None:
    """The resource as it was last decided under, with what the installation supplies; None: nothing is kept.

    Raises:
        DamagedError: it cannot be read.
    """
    kept = cycles(held)
    return _resource(held, recorded(held, kept[-1])[-1].resource) if kept else None


def replay(held: Files, cycle: int, advance: Advance) -> tuple[int, Difference | None]:
    """Make the decisions of ``cycle`` again; errors as for :func:`recorded`.

    Returns:
        How many were compared, and the first difference, if there is one.
    """

    return compare(recorded(held, cycle), lambda version: _resource(held, version).spec, advance)


def _resource(held: Files, version: str) -> Resource:
    data = held.get(_resource_file(version))
    if data is None:
        raise DamagedError(f"the resource's version {version} is missing")
    try:
        return parse_object(json.loads(gzip.decompress(data)), f"version {version}")
    except (OSError, EOFError, zlib.error, ValueError, InvalidResource) as error:
        raise DamagedError(f"the resource's version {version} is damaged ({error})") from error


def _file(cycle: int) -> str:
    return f"cycle-{cycle:06d}.jsonl.gz"


def _resource_file(version: str) -> str:
    return f"resource-{version}.json.gz"


def _lines(data: bytes) -> list[bytes]:
    try:
        return gzip.decompress(data).splitlines() if data else []
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedError(f"decisions are damaged ({error})") from error


def _after(line: bytes) -> Any:
    try:
        return json.loads(line)["decision"]["memory"]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"the last decision is damaged ({error})") from error


def _plain(memory: Memory) -> Any:
    return json.loads(json.dumps(contract.encode(memory)))


def _sent(held: Files) -> int:
    return sum(len(name) + -(-len(data) // 3) * 4 for name, data in held.items())


def _drop_unused(held: Files) -> None:
    """Remove versions of the resource that no line names any more."""
    used = {
        json.loads(line)["resource"]
        for name, data in held.items()
        if name.startswith("cycle-")
        for line in _lines(data)
    }
    for name in [n for n in held if n.startswith("resource-")]:
        if name.removeprefix("resource-").split(".")[0] not in used:
            del held[name]
