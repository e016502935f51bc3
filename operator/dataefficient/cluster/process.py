"""The operator process: its parts put together, from start to SIGTERM.

Nothing is decided here. SIGTERM and SIGINT end it cleanly: no new work is begun, what is being written is
finished, and the runs on the cluster are left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal

from prometheus_client import CollectorRegistry

from dataefficient.cluster.health import serving
from dataefficient.cluster.settings import Settings

logger = logging.getLogger(__name__)


def main(settings: Settings) -> int:
    """Run until a signal; the exit code."""
    asyncio.run(operate(settings))
    return 0


async def operate(settings: Settings) -> None:
    """Drive the cluster's resources until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(
            serving(
                host=settings.host,
                port=settings.port,
                registry=CollectorRegistry(),
                healthy=lambda: None,
                ready=lambda: None,
            )
        )
        logger.info("Serving on port %d", port)
        await stop.wait()
