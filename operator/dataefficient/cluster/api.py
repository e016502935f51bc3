"""What the operator asks of a Kubernetes API server, in plain values, and what may go wrong.

A Protocol, so that the real client can be replaced where a test injects faults. No object of a client
library is seen beyond ``aio``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from dataefficient.api.crd import PLURAL
from dataefficient.api.spec import API_VERSION

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of namespaced object, by where the server keeps it."""

    prefix: str
    plural: str

    def path(self, namespace: str | None, name: str | None = None, subresource: str = "") -> str:
        """Path of one object or of a collection; ``namespace`` None: of all namespaces."""
        inside = f"/namespaces/{namespace}" if namespace is not None else ""
        tail = f"/{name}" if name is not None else ""
        return f"{self.prefix}{inside}/{self.plural}{tail}{subresource and '/' + subresource}"


TRAININGS = Kind(f"/apis/{API_VERSION}", PLURAL)
JOBS = Kind("/apis/batch/v1", "jobs")
PODS = Kind("/api/v1", "pods")
CONFIG_MAPS = Kind("/api/v1", "configmaps")
EVENTS = Kind("/api/v1", "events")
LEASES = Kind("/apis/coordination.k8s.io/v1", "leases")


class ApiError(Exception):
    """The server refused, or could not be asked; ``status`` 0: no answer."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason

    @property
    def is_refusal(self) -> bool:
        """Whether the same request would be refused again: it is wrong, not its time."""
        return self.status in (400, 403, 405, 413, 422)


class ConflictError(ApiError):
    """The object changed, or exists already, or is not the one that was meant."""


class NotLeaderError(Exception):
    """A write without the Lease; nothing was sent."""


class Api(Protocol):
    """The requests that the operator makes. All raise :class:`ApiError`."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Body | None:
        """The object; None: there is none."""

    async def list(self, kind: Kind, namespace: str | None, *, labels: str = "") -> list[Body]:
        """The objects that a label selector finds."""

    async def create(
        self, kind: Kind, namespace: str, body: Body, *, dry_run: bool = False
    ) -> tuple[Body, tuple[str, ...]]:
        """Create; the object as stored and the server's warnings. ConflictError: it exists."""

    async def replace(
        self, kind: Kind, namespace: str, name: str, body: Body, *, subresource: str = ""
    ) -> Body:
        """Replace the version that ``body`` names. ConflictError: it is another by now."""

    async def patch(self, kind: Kind, namespace: str, name: str, body: Body) -> Body:
        """Merge ``body`` into the object."""

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Delete the object of this UID and what it owns; one that is gone is no error."""
