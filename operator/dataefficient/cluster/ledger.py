"""What is remembered of a resource, as the ConfigMap ``NAME-ledger``: the truth that the status only shows.

It holds the state machine's whole memory and what only this driver has to know, and beside them a few lines
for people. Nobody owns it, so it outlives the resource: one that is made again under its name goes on from
it, and deleting it is how to start anew. Encoding and decoding only; when it is written is ``reconcile``'s.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dataefficient import contract
from dataefficient.api.spec import Resource
from dataefficient.cluster import names
from dataefficient.cluster.manifests import Manifest, metadata
from dataefficient.contract import ContractError, format_time, parse_time
from dataefficient.cycle.model import CycleRecord, Memory

LAYOUT = 1
MEMORY_KEY = "memory.json.gz"
DECIDED_KEY = "decidedAt"
MAX_BYTES = 900 * 1024
"""Largest encoded memory; an object may have 1 MiB, its metadata included."""
HOURS = 3600.0


class LedgerError(ValueError):
    """The ConfigMap cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Book:
    """A resource's memory, and what this driver has done about it."""

    memory: Memory
    uid: str
    """UID of the resource that wrote it last; another one means that the resource was made again."""
    generation: int = 0
    """Generation of the spec that was last acted under."""
    launched: tuple[str, ...] = ()
    """Jobs that were created for ``memory.running``. One that is gone was deleted, and must be paid."""
    handled: tuple[str, ...] = ()
    """Requests by annotation that were carried out, newest last."""
    decided_at: datetime | None = None
    """When the cycle in hand came in hand: the last cycle was decided, or the resource was first visited. It
    stands beside the packed book, so that an operator that does not know it can read the rest."""


def config_map(resource: Resource, book: Book, *, version: str | None) -> Manifest:
    """The ConfigMap that holds ``book``.

    Args:
        version: resourceVersion that it must still have; None: it must not be there.
    """
    about = metadata(resource, names.ledger(resource.metadata.name), owned=False)
    if version is not None:
        about["resourceVersion"] = version
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": about,
        "binaryData": {MEMORY_KEY: base64.b64encode(_packed(book)).decode()},
        "data": _for_people(resource, book),
    }


def trimmed(book: Book) -> Book:
    """``book`` small enough to be kept: the weighed options of the oldest cycles go first, then the oldest
    cycles. No decision reads the options; those that read old cycles look at the newest.

    Raises:
        LedgerError: it stays too large without them.
    """
    while _length(book) > MAX_BYTES:
        history = book.memory.history
        weighed = [i for i, r in enumerate(history) if r.plan is not None and r.plan.options]
        if weighed:
            some = set(weighed[: max(1, len(weighed) // 2)])
            history = tuple(_without_options(r) if i in some else r for i, r in enumerate(history))
        elif len(history) > 1:
            history = history[len(history) // 2 :]
        else:
            raise LedgerError(
                f"what must be remembered has more than {MAX_BYTES} bytes; a smaller trainer.config helps"
            )
        book = replace(book, memory=replace(book.memory, history=history))
    return book


def read(body: Mapping[str, Any]) -> Book:
    """The book in a ConfigMap.

    Raises:
        LedgerError: it holds none, a damaged one, or one of another version. Nothing is guessed.
    """
    name = body.get("metadata", {}).get("name")
    reset = f"Put a copy of ConfigMap {name} back, or delete it to start anew"
    try:
        content = json.loads(gzip.decompress(base64.b64decode(body["binaryData"][MEMORY_KEY], validate=True)))
        if not isinstance(content, dict) or content.get("layout") != LAYOUT:
            raise ContractError("it was written by another version of the operator")
        book: Book = contract.decode(Book, content["book"], "book")
        if DECIDED_KEY in (body.get("data") or {}):
            book = replace(book, decided_at=parse_time(body["data"][DECIDED_KEY]))
    except (KeyError, TypeError, ValueError, EOFError, OSError, zlib.error, binascii.Error) as error:
        raise LedgerError(f"ConfigMap {name} cannot be read ({error}). {reset}") from error
    return book


def is_ours(body: Mapping[str, Any], name: str) -> bool:
    """Whether an object without an owner was made by this operator for the resource ``name``."""
    found = body.get("metadata", {}).get("labels") or {}
    return found.get(names.MANAGER_LABEL) == names.MANAGER and found.get(names.RESOURCE_LABEL) == name


def _packed(book: Book) -> bytes:
    content = {"layout": LAYOUT, "book": contract.encode(replace(book, decided_at=None))}
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    # Without the time of day in it, equal books are equal bytes.
    return gzip.compress(text.encode(), 6, mtime=0)


def _length(book: Book) -> int:
    return -(-len(_packed(book)) // 3) * 4


def _without_options(record: CycleRecord) -> CycleRecord:
    return replace(record, plan=replace(record.plan, options=()) if record.plan else None)


def _for_people(resource: Resource, book: Book) -> dict[str, str]:
    memory, price = book.memory, resource.spec.accelerators[0].price_per_device_hour
    hours = memory.ledger.settled / HOURS
    lines = {
        "about": "What the operator remembers. Deleting this ConfigMap starts the resource anew.",
        "cycle": str(memory.cycle),
        "step": memory.step.value,
        "spentDeviceHours": f"{hours:.4f}",
        "reservedDeviceHours": f"{sum(r.reserved_seconds for r in memory.running) / HOURS:.4f}",
    }
    if book.decided_at is not None:
        lines[DECIDED_KEY] = format_time(book.decided_at)
    if price is not None:
        lines["spentMoney"] = f"{hours * float(price):.4f} {resource.spec.budget.currency}"
    if memory.champion is not None:
        champion = memory.champion
        lines |= {
            "champion": champion.checkpoint.uri,
            "championDigest": champion.checkpoint.digest,
            "championCycle": str(champion.cycle),
        }
    if memory.stopped is not None:
        lines["stopped"] = f"{memory.stopped.code}: {memory.stopped.message}"[:1024]
    return lines
