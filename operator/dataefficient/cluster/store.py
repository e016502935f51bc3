"""Reading and writing what a resource keeps on the cluster: ledger, decisions, published checkpoints, status.

Every write names the version that it replaces. What order they are written in is ``reconcile``'s.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from dataefficient.api.spec import Resource
from dataefficient.cluster import decisions, ledger, names
from dataefficient.cluster.api import CONFIG_MAPS, TRAININGS, Api, ApiError, Body, ConflictError
from dataefficient.cluster.ledger import Book, LedgerError
from dataefficient.cluster.manifests import is_owned
from dataefficient.cluster.published import published
from dataefficient.cycle.model import Decision, Memory, Observation
from dataefficient.cycle.recording import DamagedError

logger = logging.getLogger(__name__)


class ForeignError(Exception):
    """A ConfigMap that this operator did not make has the name of one that it needs."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"ConfigMap {name} is there and is not the operator's; remove it, or rename the resource"
        )


class Store:
    """Keeps resources' memories."""

    def __init__(self, *, api: Api) -> None:
        self._api = api
        self._published: dict[names.Key, Mapping[str, Any]] = {}

    async def book(self, key: names.Key) -> tuple[Book, str] | None:
        """What is remembered, and the version that it was read at; None: nothing is.

        Raises:
            LedgerError: it is damaged; nothing is overwritten.
            ForeignError: the ConfigMap is another's.
        """
        name = names.ledger(key.name)
        body = await self._api.get(CONFIG_MAPS, key.namespace, name)
        if body is None:
            return None
        if not ledger.is_ours(body, key.name):
            raise ForeignError(name)
        return ledger.read(body), body["metadata"]["resourceVersion"]

    async def save(self, resource: Resource, book: Book, version: str | None) -> str:
        """Remember ``book``; durable when this returns.

        Returns:
            Its new version.

        Raises:
            ConflictError: another wrote meanwhile, or removed it; nothing was written.
        """
        body = ledger.config_map(resource, book, version=version)
        namespace, name = resource.metadata.namespace, names.ledger(resource.metadata.name)
        try:
            if version is None:
                stored, _ = await self._api.create(CONFIG_MAPS, namespace, body)
            else:
                stored = await self._api.replace(CONFIG_MAPS, namespace, name, body)
        except ApiError as error:
            if error.status == 404:
                raise ConflictError(404, "NotFound", f"ConfigMap {name} was removed") from error
            raise
        saved: str = stored["metadata"]["resourceVersion"]
        return saved

    async def record(
        self, resource: Resource, before: Memory, observation: Observation, decision: Decision
    ) -> None:
        """Keep a decision with what it was made from. What cannot be kept is logged; nothing rests on it."""
        assert resource.metadata.uid is not None
        namespace = resource.metadata.namespace
        name = names.decisions(resource.metadata.name, resource.metadata.uid)
        held = await self._api.get(CONFIG_MAPS, namespace, name)
        if held is not None and not is_owned(held, resource.metadata.uid):
            logger.warning("ConfigMap %s is not the operator's: this decision is not recorded", name)
            return
        try:
            found = decisions.files(held)
            found = decisions.with_decision(found, resource, before, observation, decision)
        except DamagedError as error:
            logger.warning("ConfigMap %s: %s; recording begins anew", name, error)
            found = decisions.with_decision({}, resource, before, observation, decision)
        version = held["metadata"]["resourceVersion"] if held else None
        body = decisions.config_map(resource, found, version=version)
        if held is None:
            await self._api.create(CONFIG_MAPS, namespace, body)
        else:
            await self._api.replace(CONFIG_MAPS, namespace, name, body)

    async def publish(self, resource: Resource, memory: Memory) -> None:
        """Write the champion's and the candidate's ConfigMaps, where they are not so already.

        Raises:
            ForeignError: one of the names is taken by another's.
        """
        key = names.Key(resource.metadata.namespace, resource.metadata.name)
        maps = published(resource, memory)
        content = {m["metadata"]["name"]: (m["metadata"], m["data"]) for m in maps}
        if self._published.get(key) == content:
            return
        for body in maps:
            await self._put(key, body)
        self._published[key] = content

    async def _put(self, key: names.Key, body: dict[str, Any]) -> None:
        name = body["metadata"]["name"]
        held = await self._api.get(CONFIG_MAPS, key.namespace, name)
        if held is None:
            await self._api.create(CONFIG_MAPS, key.namespace, body)
        elif not ledger.is_ours(held, key.name):
            raise ForeignError(name)
        elif held.get("data") != body["data"] or _owners(held) != _owners(body):
            about = {**body["metadata"], "resourceVersion": held["metadata"]["resourceVersion"]}
            await self._api.replace(CONFIG_MAPS, key.namespace, name, {**body, "metadata": about})

    async def show(self, body: Body, status: Mapping[str, Any]) -> None:
        """Write the status, where it is another than the one in ``body``."""
        if body.get("status") == status:
            return
        about = body["metadata"]
        await self._api.replace(
            TRAININGS,
            about["namespace"],
            about["name"],
            {**body, "status": status},
            subresource="status",
        )

    def forget(self, key: names.Key) -> None:
        """The resource is gone."""
        self._published.pop(key, None)


def _owners(body: Mapping[str, Any]) -> list[Any]:
    return body["metadata"].get("ownerReferences") or []


__all__ = ["Book", "ForeignError", "LedgerError", "Store"]
