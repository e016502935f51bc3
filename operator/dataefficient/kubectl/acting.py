"""What a person can ask of the operator: each request as a patch, what it will do, and when it was heard.

The operator never writes spec or annotations, and a person never the status: a request is an annotation with
a word that was not there before, or a field of the spec. It is written onto the version that was looked at.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dataefficient.cluster import names, words
from dataefficient.cluster.api import Api
from dataefficient.cluster.kept import Kept, NotKeptError, kept
from dataefficient.cluster.names import Key
from dataefficient.cycle import wishing
from dataefficient.kubectl.words import Body, condition, plan, with_word
from dataefficient.local.errors import Exit, LocalError, WrongInputError


class NothingToDoError(LocalError):
    """It is so already, or there is nothing to do it to; nothing was written."""

    code = Exit.NOTHING


@dataclass(frozen=True)
class Request:
    """What is to be written, and what follows from it."""

    patch: dict[str, Any]
    told: str
    """What the operator will do, and when."""
    word: str = ""
    """As ``status.handledRequests`` will name it; empty: the generation tells."""
    unlike: int | None = None
    """Cycle of the champion that is to give way; None: none is."""

    def is_heard(self, body: Body, generation: int) -> bool:
        """Whether the operator has taken it up.

        Args:
            generation: of the resource after the patch.
        """
        status = body.get("status") or {}
        if self.word and self.word not in (status.get("handledRequests") or []):
            return False
        return int(status.get("observedGeneration") or 0) >= generation

    def is_refused(self, body: Body) -> bool:
        """Whether the operator has heard it and found that it cannot be met, after all."""
        champion = (body.get("status") or {}).get("champion") or {}
        return self.unlike is not None and champion.get("cycle") == self.unlike


Prepare = Callable[[Api, Key, Body], Awaitable[Request]]
"""Looks whether there is anything to ask for. Raises LocalError where there is not."""


def annotated(annotation: str, word: str) -> dict[str, Any]:
    """A patch that writes one annotation."""
    return {"metadata": {"annotations": {annotation: word}}}


def approval(digest: str | None, again: str) -> Prepare:
    """Approve what waits under ``digest``."""

    async def prepare(_api: Api, key: Key, body: Body) -> Request:
        status = body.get("status") or {}
        asked = status.get("recommendation")
        if body["spec"].get("mode") == "Enforce":
            raise NothingToDoError(f"{key} is in mode Enforce, which acts without approval")
        if digest is not None and digest in (status.get("handledRequests") or []):
            raise NothingToDoError(f"{digest} was approved already")
        if not asked:
            raise NothingToDoError(f"nothing of {key} waits for approval now")
        waits = f"{asked['asked']}: {asked['reason']}"
        how = f"kubectl det approve {with_word(again, asked['digest'])}"
        if digest is None:
            raise WrongInputError(f"name what you approve. It waits for: {waits}\n{how}")
        if digest != asked["digest"]:
            raise WrongInputError(
                f"{digest} is not, or no longer, what waits for approval. It waits for: {waits}\n{how}"
            )
        effect = {
            "Plan": f"{plan(asked)} is in force from the next cycle on",
            "Measurement": "small runs on the history are made before the next cycle trains",
            "Trial": f"a trial of {plan(asked)} begins with the next cycle",
            "Run": f"cycle {status.get('cycle')} goes on at once",
        }.get(asked["asked"], "it is done")
        return Request(annotated(names.APPROVE_ANNOTATION, digest), f"Approved {digest}: {effect}.", digest)

    return prepare


async def suspension(_api: Api, key: Key, body: Body) -> Request:
    """Start nothing new and end what runs."""
    if body["spec"].get("suspend"):
        raise NothingToDoError(f"{key} is suspended already")
    runs = [r["name"] for r in (body.get("status") or {}).get("runs") or [] if r["state"] == "Running"]
    told = "No run is started any more."
    if runs:
        told += f" {', '.join(runs)} ends at once, keeps its state, and goes on when you resume it."
    return Request({"spec": {"suspend": True}}, told)


async def resumption(_api: Api, key: Key, body: Body) -> Request:
    """Go on after a suspension, or after what stopped the resource was mended."""
    suspended = bool(body["spec"].get("suspend"))
    stopped = (body.get("status") or {}).get("step") == "Stopped"
    if not suspended and not stopped:
        raise NothingToDoError(f"{key} is neither suspended nor stopped")
    patch: dict[str, Any] = {}
    told, word = [], ""
    if suspended:
        patch["spec"] = {"suspend": False}
        told.append("Runs are started again; those that were ended go on from their state.")
    if stopped:
        word = _stamp()
        patch |= annotated(names.RESUME_ANNOTATION, word)
        why = condition(body, "Ready").get("message", "")
        told.append(f"It goes on at once, past what stopped it. That was: {why}")
    return Request(patch, " ".join(told), word)


async def hurry(api: Api, key: Key, _body: Body) -> Request:
    """Wait for nothing that a clock alone would end."""
    found, now = await _remembered(api, key), datetime.now(UTC)
    spec, memory = found.resource.spec, found.memory
    if memory.stopped is not None:
        raise NothingToDoError(f"{key} is stopped: {memory.stopped.message}. Once that is mended, resume it")
    if (why := wishing.nothing_to_hurry(spec, memory, now)) is not None:
        raise NothingToDoError(f"nothing of {key} would run sooner: {why}")
    _, _, told = wishing.run_now(spec, memory, now)
    word = _stamp()
    patch = annotated(names.RUN_NOW_ANNOTATION, word)
    return Request(patch, _as_promise(told), words.run_now_word(word))


def going_back(cycle: int | None) -> Prepare:
    """Have the champion of ``cycle`` serve again; None: the one before the present one."""

    async def prepare(api: Api, key: Key, _body: Body) -> Request:
        found = await _remembered(api, key)
        memory = found.memory
        chosen = cycle
        if chosen is None:
            older = [c.cycle for c in memory.previous_champions]
            if not older:
                raise NothingToDoError(f"{key} has no earlier champion to go back to")
            chosen = max(older)
        if memory.champion is not None and memory.champion.cycle == chosen:
            raise NothingToDoError(f"the champion of cycle {chosen} is the one that serves")
        if (why := wishing.objection(memory, chosen)) is not None:
            raise WrongInputError(f"{key} cannot go back: {why}")
        _, _, told = wishing.roll_back(memory, found.resource.spec, chosen)
        word = f"{chosen}-{_stamp()}"
        patch = annotated(names.ROLLBACK_ANNOTATION, word)
        now = memory.champion.cycle if memory.champion is not None else None
        return Request(patch, _as_promise(told), words.rollback_word(word), unlike=now)

    return prepare


async def _remembered(api: Api, key: Key) -> Kept:
    try:
        return await kept(api, key)
    except NotKeptError as error:
        raise WrongInputError(str(error)) from error


def _as_promise(told: str) -> str:
    """What the operator will say that it did, before it does it."""
    told = told.removeprefix("As asked, ")
    return f"{told[0].upper()}{told[1:]}."


def _stamp() -> str:
    """A word that was not there before, and says when it was written."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
