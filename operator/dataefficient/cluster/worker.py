"""Taking keys from the queue and visiting them, with pauses that grow where a visit fails.

What a visit does is ``reconcile``'s. A failure of one resource never stops the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures.process import BrokenProcessPool

from dataefficient.cluster.api import ApiError, ConflictError, NotLeaderError
from dataefficient.cluster.names import Key
from dataefficient.cluster.queue import WorkQueue
from dataefficient.telemetry.logs import about
from dataefficient.telemetry.process import ProcessMetrics

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 300.0

Reconcile = Callable[[Key], Awaitable[float | None]]


class Worker:
    """Visits keys, one after the other. Several may share a queue."""

    def __init__(
        self,
        *,
        queue: WorkQueue,
        reconcile: Reconcile,
        leads: Callable[[], bool],
        metrics: ProcessMetrics,
        clock: Callable[[], float],
        resync_seconds: float,
        failures: dict[Key, int],
    ) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._leads = leads
        self._metrics = metrics
        self._clock = clock
        self._resync = resync_seconds
        self._failures = failures

    async def run(self, stop: asyncio.Event) -> None:
        """Visit until ``stop``; the visit that has begun is finished."""
        ending = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                taking = asyncio.create_task(self._queue.get())
                await asyncio.wait([taking, ending], return_when=asyncio.FIRST_COMPLETED)
                if not taking.done():
                    taking.cancel()
                    return
                key, _ = taking.result()
                try:
                    if self._leads():
                        with about(resource=str(key)):
                            await self._visit(key)
                finally:
                    self._queue.done(key)
        finally:
            ending.cancel()

    async def _visit(self, key: Key) -> None:
        began = self._clock()
        try:
            after = await self._reconcile(key)
        except NotLeaderError as error:
            logger.info("Left to the new leader: %s", error)
            return
        except ConflictError as error:
            self._again(key, "conflict", f"{error}; it is read anew")
        except (ApiError, BrokenProcessPool) as error:
            self._again(key, "unreachable", str(error) or type(error).__name__)
        except Exception:
            logger.exception("A fault of the operator; the resource is visited again")
            self._again(key, "fault", "")
        else:
            self._failures.pop(key, None)
            self._metrics.visits.labels("done").inc()
            self._queue.add_after(key, min(self._resync, self._resync if after is None else after))
        self._metrics.visit_seconds.observe(self._clock() - began)

    def _again(self, key: Key, result: str, told: str) -> None:
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        pause = min(FIRST_PAUSE * 2.0**count, LONGEST_PAUSE)
        self._metrics.visits.labels(result).inc()
        if told:
            logger.warning("%s; again in %.1f s", told, pause)
        self._queue.add_after(key, pause)
