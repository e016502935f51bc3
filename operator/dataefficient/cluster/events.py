"""Kubernetes events about a resource, each told once and counted when it happens again.

An event's name follows from what it says, so that a restart or a second operator finds the same event. An
event that cannot be written is logged and forgotten: nothing depends on it.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from dataefficient.api.spec import API_VERSION, KIND, Resource
from dataefficient.cluster.api import EVENTS, Api, ApiError, ConflictError
from dataefficient.cluster.names import MANAGER, Key

logger = logging.getLogger(__name__)

QUIET = timedelta(minutes=10)
"""The same event is not even counted again within this time."""
_REMEMBERED = 4096
_MAX_MESSAGE = 1024


class Events:
    """Writes events; remembers the latest ones."""

    def __init__(self, *, api: Api, now: Callable[[], datetime]) -> None:
        self._api = api
        self._now = now
        self._told: OrderedDict[str, datetime] = OrderedDict()

    async def tell(self, resource: Resource, reason: str, message: str, *, warning: bool = False) -> None:
        """Write one event.

        Args:
            reason: one CamelCase word.
            warning: whether a person may have to act.
        """
        about = resource.metadata
        assert about.uid is not None, "the API server gives every object a UID"
        await self.tell_of(Key(about.namespace, about.name), about.uid, reason, message, warning=warning)

    async def tell_of(self, about: Key, uid: str, reason: str, message: str, *, warning: bool) -> None:
        """The same of a resource that may not be readable as one."""
        words = message[:_MAX_MESSAGE]
        digest = hashlib.sha256(f"{uid}/{reason}/{words}".encode()).hexdigest()[:16]
        now = self._now()
        if digest in self._told and now - self._told[digest] < QUIET:
            return
        logger.info("%s: %s", reason, words)
        name = f"{about.name}.{digest}"
        instant = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": about.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "namespace": about.namespace,
                "name": about.name,
                "uid": uid,
            },
            "reason": reason,
            "message": words,
            "type": "Warning" if warning else "Normal",
            "source": {"component": MANAGER},
            "reportingComponent": MANAGER,
            "firstTimestamp": instant,
            "lastTimestamp": instant,
            "count": 1,
        }
        try:
            try:
                await self._api.create(EVENTS, about.namespace, body)
            except ConflictError:
                await self._again(about.namespace, name, instant)
        except ApiError as error:
            logger.warning("An event was not written: %s", error)
            return
        self._told[digest] = now
        self._told.move_to_end(digest)
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)

    async def _again(self, namespace: str, name: str, instant: str) -> None:
        held = await self._api.get(EVENTS, namespace, name)
        if held is not None:
            count = int(held.get("count") or 1) + 1
            await self._api.patch(EVENTS, namespace, name, {"count": count, "lastTimestamp": instant})
