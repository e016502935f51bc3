"""``/healthz``, ``/readyz`` and ``/metrics`` of the operator process.

Answers from what it is told; knows nothing of resources. Ready means that the watches have been filled,
on a standby too, since a rollout waits for it; who leads is a metric. Unhealthy means that reconciling
has stopped while there was work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest


class ServingError(Exception):
    """Nothing can be served there; the message says why."""


@asynccontextmanager
async def serving(
    *,
    host: str,
    port: int,
    registry: CollectorRegistry,
    healthy: Callable[[], str | None],
    ready: Callable[[], str | None],
) -> AsyncIterator[int]:
    """Serve while the context lasts; gives the port that was bound.

    Args:
        healthy: None, or what is wrong.
        ready: None, or what is waited for.

    Raises:
        ServingError: the address is not this machine's, or the port is taken.
    """

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", _probe(healthy))
    app.router.add_get("/readyz", _probe(ready))
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        try:
            await site.start()
        except OSError as error:
            told = error.strerror or str(error)
            raise ServingError(
                f"--host {host} --port {port}: cannot be served on ({told}); name another"
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _probe(ask: Callable[[], str | None]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_request: web.Request) -> web.Response:
        trouble = ask()
        return web.Response(text=trouble or "ok\n", status=503 if trouble else 200)

    return answer
