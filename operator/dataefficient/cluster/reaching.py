"""Reaching the server that a resource's queries go to: its address, and credentials if it names any."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from dataefficient.api.spec import Spec
from dataefficient.cluster.api import Api
from dataefficient.cluster.policy import Policy
from dataefficient.cluster.secrets import prometheus_access
from dataefficient.prometheus.access import Access, chosen_address
from dataefficient.prometheus.question import Server
from dataefficient.prometheus.server import HttpServer


class NobodyToAskError(LookupError):
    """Neither the resource nor the installation names a server."""


class Connect(Protocol):
    """Reaches a server; ``HttpServer`` is one."""

    def __call__(
        self, address: str, *, access: Access, timeout_seconds: float
    ) -> AbstractAsyncContextManager[Server]:
        """The server at ``address``, for as long as the context lasts."""


@dataclass(frozen=True)
class Reach:
    """How servers are reached in this installation."""

    api: Api
    policy: Policy
    connect: Connect = HttpServer

    @asynccontextmanager
    async def server(self, namespace: str, spec: Spec) -> AsyncIterator[Server]:
        """The server of a resource, for as long as the context lasts.

        Raises:
            NobodyToAskError: no server is named.
            AccessRefused: its address or its Secret cannot be used.
            ApiError: the Secret could not be read.
        """
        prometheus = spec.prometheus
        address = chosen_address(
            prometheus.address,
            default=self.policy.prometheus_default or None,
            allowed=self.policy.prometheus_allowed,
        )
        if address is None:
            raise NobodyToAskError("spec.prometheus.address is not given and the installation has no default")
        access = await prometheus_access(self.api, namespace, prometheus.secret_name)
        access = replace(access, headers=self.policy.prometheus_headers)
        timeout = float(prometheus.timeout_seconds)
        async with self.connect(address, access=access, timeout_seconds=timeout) as server:
            yield server
