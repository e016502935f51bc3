"""The real client: the asyncio half of the official ``kubernetes`` package, with plain values.

Takes care of addresses, credentials, headers and the server's refusals. Every write asks first whether it
may still be made: a leader that was stopped past its Lease must write nothing when it wakes.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient

from dataefficient.cluster.api import ApiError, Body, ConflictError, Kind, NotLeaderError

_MERGE = "application/merge-patch+json"


class AioApi:
    """:class:`~dataefficient.cluster.api.Api` over HTTP."""

    def __init__(
        self,
        client: ApiClient,
        *,
        may_write: Callable[[], bool],
        failed: Callable[[int], None] | None = None,
        timeout_seconds: float = 30.0,
    ) -> None:
        """Set up.

        Args:
            timeout_seconds: within which a request must be answered; its connection may have died silently.
            failed: told the status of every request that was refused; 0: there was no answer.
        """
        self._client = client
        self._may_write = may_write
        self._failed = failed
        self._timeout = timeout_seconds
        self.requests = 0
        """Requests so far."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Body | None:
        """See the Protocol."""
        try:
            body, _ = await self._send("GET", kind.path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return body

    async def list(self, kind: Kind, namespace: str | None, *, labels: str = "") -> list[Body]:
        """See the Protocol."""
        body, _ = await self._send("GET", kind.path(namespace), {"labelSelector": labels})
        items: list[Body] = body.get("items") or []
        return items

    async def create(
        self, kind: Kind, namespace: str, body: Body, *, dry_run: bool = False
    ) -> tuple[Body, tuple[str, ...]]:
        """See the Protocol."""
        query = {"dryRun": "All", "fieldValidation": "Strict"} if dry_run else {}
        return await self._send("POST", kind.path(namespace), query, body)

    async def replace(
        self, kind: Kind, namespace: str, name: str, body: Body, *, subresource: str = ""
    ) -> Body:
        """See the Protocol."""
        return (await self._send("PUT", kind.path(namespace, name, subresource), {}, body))[0]

    async def patch(self, kind: Kind, namespace: str, name: str, body: Body) -> Body:
        """See the Protocol."""
        return (await self._send("PATCH", kind.path(namespace, name), {}, body))[0]

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """See the Protocol."""
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._send("DELETE", kind.path(namespace, name), {}, options)
        except ApiError as error:
            if error.status != 404:
                raise

    def _note(self, status: int) -> None:
        if self._failed is not None:
            self._failed(status)

    async def _send(
        self, method: str, path: str, query: dict[str, str] | None = None, body: Body | None = None
    ) -> tuple[Body, tuple[str, ...]]:
        if method != "GET" and not self._may_write():
            raise NotLeaderError(f"{method} {path} was not sent: this process does not lead any more")
        self.requests += 1
        given = urllib.parse.urlencode({k: v for k, v in (query or {}).items() if v})
        headers = {
            "Accept": "application/json",
            "Content-Type": _MERGE if method == "PATCH" else "application/json",
        }
        try:
            _, url, headers, content, _ = await self._client.param_serialize(
                method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            response = await self._client.call_api(
                method,
                f"{url}?{given}" if given else url,
                headers,
                content,
                _request_timeout=self._timeout,
            )
            text: bytes = await response.read()  # type: ignore[no-untyped-call]
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._note(0)
            raise ApiError(0, "Unreachable", f"{method} {path}: {error or type(error).__name__}") from error
        answer = _parsed(text)
        if not 200 <= response.status < 300:
            if (method, response.status) != ("GET", 404):  # that is how one learns that nothing is there
                self._note(response.status)
            raise _refused(response.status, answer, f"{method} {path}")
        warnings = response.response.headers.getall("Warning", [])
        return answer, tuple(_warning(line) for line in warnings)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"message": text[:200].decode(errors="replace")}


def _refused(status: int, answer: Any, what: str) -> ApiError:
    said = answer if isinstance(answer, dict) else {}
    message = str(said.get("message") or f"{what}: HTTP {status}")
    kind = ConflictError if status == 409 else ApiError
    return kind(status, str(said.get("reason") or "Unknown"), message)


def _warning(line: str) -> str:
    """The text of a Warning header: ``299 - "text"``."""
    return line.split('"', 1)[1].rsplit('"', 1)[0].replace('\\"', '"') if '"' in line else line
