"""Watching the cluster, by kopf, which does nothing else here.

Events only mark a resource: of its own, of its Jobs, of its pods. What is behind a mark is read anew by the
visit, so that an event that comes twice, late or never changes nothing for long. Jobs and pods are selected
by label on the server. No handler of kopf's is used but ``on.event``, and it writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import kopf
from kubernetes.aio.client import Configuration

from dataefficient.api.crd import PLURAL, VERSION
from dataefficient.api.spec import GROUP
from dataefficient.cluster import names
from dataefficient.cluster.names import Key

SILENT_SECONDS = 70.0
"""The server sends a bookmark about every minute."""
ANSWER_SECONDS = 30.0
"""For a list, which may go out on a dead connection, too."""
_BATCH, _CORE = ("batch", "v1", "jobs"), ("", "v1", "pods")


class Watch:
    """Marks keys as their objects change, and knows which resources there are."""

    def __init__(
        self,
        *,
        mark: Callable[[Key], None],
        pod: Callable[[Mapping[str, Any]], None],
    ) -> None:
        """Set up.

        Args:
            mark: called with the key of a resource that something has happened to.
            pod: called with every pod as it changes.
        """
        self._mark = mark
        self._pod = pod
        self.keys: set[Key] = set()
        """The resources that are there."""

    async def run(
        self,
        *,
        settings: Configuration,
        namespaces: tuple[str, ...],
        ready: asyncio.Event,
        stop: asyncio.Event,
        resync_seconds: float,
    ) -> None:
        """Watch until ``stop``; ``ready`` is set once the watches have begun.

        A watch on which nothing came for ``resync_seconds``, or for longer than the server's bookmarks are
        apart, is begun anew: its connection may be dead without anyone having said so.
        """
        registry = kopf.OperatorRegistry()
        options = kopf.OperatorSettings()
        options.posting.enabled = False
        options.scanning.disabled = True
        options.peering.standalone = True
        options.watching.server_timeout = 300
        options.watching.inactivity_timeout = min(SILENT_SECONDS, resync_seconds)
        options.networking.request_timeout = ANSWER_SECONDS
        selector = names.RESOURCE_LABEL
        options.watching.label_selectors[f"{_BATCH[2]}.{_BATCH[1]}.{_BATCH[0]}"] = selector
        options.watching.label_selectors[_CORE[2]] = selector

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.ConnectionInfo:
            return await credentials(settings)

        @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
        async def on_resource(event: Mapping[str, Any], **_: Any) -> None:
            self.resource(event.get("type"), event["object"])

        @kopf.on.event(*_BATCH, registry=registry)
        async def on_job(body: Mapping[str, Any], **_: Any) -> None:
            self.child(body)

        @kopf.on.event(*_CORE, registry=registry)
        async def on_pod(body: Mapping[str, Any], **_: Any) -> None:
            self._pod(body)
            self.child(body)

        await kopf.operator(
            registry=registry,
            settings=options,
            standalone=True,
            # Without one kopf asks who runs it, which nothing knows of a container's user.
            identity="detctl",  # type: ignore[arg-type]  # kopf exports no name for its kind of string
            clusterwide=not namespaces,
            namespaces=namespaces,
            ready_flag=ready,
            stop_flag=stop,
        )

    def resource(self, kind: str | None, body: Mapping[str, Any]) -> None:
        """A resource was found, changed or deleted."""
        key = Key(body["metadata"]["namespace"], body["metadata"]["name"])
        if kind == "DELETED":
            self.keys.discard(key)
        else:
            self.keys.add(key)
        self._mark(key)

    def child(self, body: Mapping[str, Any]) -> None:
        """A Job or pod was found, changed or deleted."""
        name = (body["metadata"].get("labels") or {}).get(names.RESOURCE_LABEL)
        if name:
            self._mark(Key(body["metadata"]["namespace"], name))


async def credentials(settings: Configuration) -> kopf.ConnectionInfo:
    """The client's way to the cluster in kopf's words; a service account's token is read anew each time."""
    renew: Callable[[Configuration], Any] | None = settings.refresh_api_key_hook
    if renew is not None and asyncio.iscoroutine(renewal := renew(settings)):
        await renewal
    scheme, _, token = (settings.api_key.get("BearerToken") or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=settings.host,
        ca_path=settings.ssl_ca_cert,
        insecure=not settings.verify_ssl,
        scheme=(scheme or "Bearer") if token else None,
        token=token or None,
        certificate_path=settings.cert_file,
        private_key_path=settings.key_file,
    )
