"""Looking at resources, and writing requests: at the version that was looked at, then waiting to be heard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from dataefficient.cli_cluster import ClusterError
from dataefficient.cluster.api import TRAININGS, Api, Body, ConflictError
from dataefficient.cluster.kept import missing
from dataefficient.cluster.names import Key
from dataefficient.kubectl.acting import Prepare, Request
from dataefficient.local.errors import Exit, WrongInputError

ATTEMPTS = 8
"""The operator writes the status meanwhile, which makes another version."""
PAUSE = 0.5
"""Seconds between two looks whether a request was heard."""


@dataclass(frozen=True)
class Done:
    """A request that was written."""

    request: Request
    key: Key
    body: Body
    """The resource afterwards; where it was waited for, after the request was heard."""
    heard: bool


async def one(api: Api, key: Key) -> Body:
    """The resource.

    Raises:
        WrongInputError: it is not there; the message says what is.
    """
    body = await api.get(TRAININGS, key.namespace, key.name)
    if body is None:
        raise WrongInputError(await missing(api, key))
    return body


async def every(api: Api, namespace: str | None) -> list[Body]:
    """The resources of a namespace, or of all, by namespace and name."""
    found = await api.list(TRAININGS, namespace)
    return sorted(found, key=lambda b: (b["metadata"]["namespace"], b["metadata"]["name"]))


async def write(
    api: Api,
    key: Key,
    prepare: Prepare,
    *,
    dry_run: bool,
    seconds: float | None,
    written: Callable[[Request], None],
) -> Done:
    """Write a request, and wait until the operator has heard it.

    Args:
        dry_run: only look what would be written.
        seconds: how long to wait; None: not at all.
        written: told the request once it is written.

    Raises:
        LocalError: there is nothing to ask for.
        ClusterError: the resource changes all the time, or nobody has heard the request in time.
    """
    for _ in range(ATTEMPTS):
        body = await one(api, key)
        request = await prepare(api, key, body)
        if dry_run:
            return Done(request, key, body, heard=False)
        metadata = {
            **request.patch.get("metadata", {}),
            "resourceVersion": body["metadata"]["resourceVersion"],
        }
        try:
            stored = await api.patch(
                TRAININGS, key.namespace, key.name, {**request.patch, "metadata": metadata}
            )
        except ConflictError:
            continue
        written(request)
        if seconds is None:
            return Done(request, key, stored, heard=False)
        return await _waited(api, key, request, stored, seconds)
    raise ClusterError(f"{key} changes all the time, so nothing was written; try again", Exit.CLUSTER)


async def _waited(api: Api, key: Key, request: Request, stored: Body, seconds: float) -> Done:
    end, body = time.monotonic() + seconds, stored
    generation = int(stored["metadata"].get("generation") or 0)
    while not request.is_heard(body, generation):
        if time.monotonic() >= end:
            raise ClusterError(
                f"no operator has heard it within {seconds:g} s. The request stays written and is heard once "
                f"one runs that watches namespace {key.namespace}",
                Exit.CLUSTER,
            )
        await asyncio.sleep(PAUSE)
        body = await one(api, key)
    if request.is_refused(body):
        raise WrongInputError(
            "the operator has heard it and could not do it; "
            f"kubectl describe det {key.name} -n {key.namespace} tells why"
        )
    return Done(request, key, body, heard=True)
