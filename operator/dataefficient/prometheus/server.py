"""A Prometheus server over HTTP, with aiohttp.

One request, one reply; it follows no redirection, reads a bounded body and never raises for what the
other side does. Trying again is for the caller, who asks every cycle.
"""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Self

import aiohttp

from dataefficient.cycle.answers import Cause
from dataefficient.prometheus.access import Access
from dataefficient.prometheus.response import MAX_BYTES, Refused, Reply, read, shortened

_PATH = "/api/v1/query"


class HttpServer:
    """``question.Server`` at an address; use it as an asynchronous context."""

    def __init__(
        self, address: str, *, access: Access, timeout_seconds: float, max_bytes: int = MAX_BYTES
    ) -> None:
        """Args:
        address: base address, whose path may be a prefix.
        timeout_seconds: for the whole exchange; the server is told to give up then, too.
        """
        self._url = address.rstrip("/") + _PATH
        self._timeout = timeout_seconds
        self._max_bytes = max_bytes
        headers = {**access.headers, "Accept": "application/json", "Accept-Encoding": "identity"}
        if access.authorization is not None:
            headers["Authorization"] = access.authorization
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=access.tls or True, limit=4),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            # What a compressed body unfolds to is not bounded; so none is asked for, and none is unfolded.
            auto_decompress=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def instant(self, query: str, *, at: float | None = None) -> Reply:
        """The query's samples at the server's Unix time ``at``, by default its now."""
        form = {"query": query, "timeout": f"{max(round(self._timeout * 1000), 1)}ms"}
        if at is not None:
            form["time"] = f"{at:.3f}"
        try:
            async with self._session.post(self._url, data=form, allow_redirects=False) as response:
                body = await self._bounded(response)
        except TimeoutError:
            return Refused(Cause.TIMEOUT, f"no answer within {self._timeout:g} s")
        except aiohttp.ClientConnectorCertificateError as error:
            told = f"the server's certificate is not trusted ({shortened(str(error.certificate_error))})"
            return Refused(Cause.TLS, f"{told}: put its authority into the Secret as ca.crt")
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            return Refused(Cause.TLS, f"no TLS connection: {shortened(str(error))}")
        except aiohttp.InvalidURL:
            return Refused(Cause.UNREACHABLE, "the address is not one that can be asked")
        except (aiohttp.ClientError, OSError) as error:
            return Refused(Cause.UNREACHABLE, f"no answer: {shortened(str(error) or type(error).__name__)}")
        if body is None:
            told = f"the answer is longer than {self._max_bytes} bytes"
            return Refused(Cause.TOO_LARGE, f"{told}: aggregate the query to one number")
        return read(response.status, body)

    async def _bounded(self, response: aiohttp.ClientResponse) -> bytes | None:
        """The whole body, or None where it is too long."""
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._max_bytes:
                return None
        return bytes(body)
