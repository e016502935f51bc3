"""Leadership by a Lease, on a thread of its own.

The event loop may be busy, or the whole process stopped for a while; what counts is the time since the last
renewal was *sent*. Before every write the client asks :meth:`Leadership.holds`, so that a leader that was
stopped past its Lease writes nothing when it wakes, whatever it was in the middle of.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from dataefficient.cluster.api import LEASES, Api, ApiError, Body, ConflictError

logger = logging.getLogger(__name__)

MARGIN = 0.2
"""Share of the Lease's length by which a leader stops sooner than others may take over."""


class Leadership:
    """Whether this process leads. Safe to ask from any thread."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = 0.0

    def holds(self) -> bool:
        """Whether a write may be sent now."""
        return self._clock() < self._until

    def extend(self, until: float) -> None:
        """Renewed: leads until then, by ``clock``."""
        self._until = until

    def resign(self) -> None:
        """Leads no more."""
        self._until = 0.0


def boot_clock() -> float:
    """Seconds that go on while the process is stopped or the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Elector:
    """Gets the Lease, keeps it, and gives it back at the end."""

    def __init__(
        self,
        *,
        api: Api,
        leadership: Leadership,
        namespace: str,
        name: str,
        identity: str,
        seconds: float,
        clock: Callable[[], float],
        gained: Callable[[], None],
    ) -> None:
        """Stand for election.

        Args:
            gained: called when this process begins to lead.
        """
        self._api = api
        self._gained = gained
        self._leadership = leadership
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._seconds = seconds
        self._clock = clock
        self._seen: tuple[object, float] = (None, 0.0)
        """The holder's last renewal that was seen, and when, by our own clock: clocks of machines differ."""

    @property
    def pause(self) -> float:
        """Seconds between two renewals."""
        return self._seconds / 5.0

    async def step(self) -> None:
        """One attempt to get or to renew the Lease."""
        sent = self._clock()
        try:
            if await self._renew():
                led = self._leadership.holds()
                self._leadership.extend(sent + (1.0 - MARGIN) * self._seconds)
                if not led:
                    logger.info("%s leads", self._identity)
                    self._gained()
            else:
                self._leadership.resign()
        except ConflictError:
            self._leadership.resign()
        except ApiError as error:
            # Leads on until the Lease ends by itself; it may be renewed before that.
            logger.warning("The Lease %s/%s was not renewed: %s", self._namespace, self._name, error)

    async def release(self) -> None:
        """Let another take over at once."""
        if self._leadership.holds():
            held = await self._api.get(LEASES, self._namespace, self._name)
            if held is not None and held["spec"].get("holderIdentity") == self._identity:
                body = self._lease(held, holder="")
                await self._api.replace(LEASES, self._namespace, self._name, body)
        self._leadership.resign()

    async def _renew(self) -> bool:
        held = await self._api.get(LEASES, self._namespace, self._name)
        if held is None:
            await self._api.create(LEASES, self._namespace, self._lease(None, holder=self._identity))
            return True
        holder = held["spec"].get("holderIdentity")
        if holder not in (self._identity, "", None) and not self._expired(held):
            return False
        await self._api.replace(LEASES, self._namespace, self._name, self._lease(held, holder=self._identity))
        return True

    def _expired(self, held: Body) -> bool:
        mark = (held["spec"].get("holderIdentity"), held["spec"].get("renewTime"))
        if self._seen[0] != mark:
            self._seen = (mark, self._clock())
        length = float(held["spec"].get("leaseDurationSeconds") or self._seconds)
        return self._clock() - self._seen[1] > length

    def _lease(self, held: Body | None, *, holder: str) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before: dict[str, Any] = dict(held["spec"]) if held else {}
        changed = before.get("holderIdentity") != holder
        spec = {
            **before,
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, round(self._seconds)),
            "renewTime": now,
            "acquireTime": now if changed else before.get("acquireTime", now),
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (1 if changed and held else 0),
        }
        about = dict(held["metadata"]) if held else {"name": self._name, "namespace": self._namespace}
        about.pop("managedFields", None)
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": about,
            "spec": spec,
        }


class LeaseThread:
    """Runs an elector on a thread with an event loop of its own."""

    def __init__(self, make: Callable[[], contextlib.AbstractAsyncContextManager[Elector]]) -> None:
        self._make = make
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def start(self) -> None:
        """Begin to stand for election."""
        self._thread.start()

    def stop(self) -> None:
        """Give the Lease back and end; waits for it."""
        self._stop.set()
        self._thread.join(timeout=10.0)

    def alive(self) -> bool:
        """Whether renewals still happen."""
        return self._thread.is_alive()

    def _run(self) -> None:
        asyncio.run(self._elect())

    async def _elect(self) -> None:
        async with self._make() as elector:
            while not self._stop.is_set():
                await elector.step()
                await asyncio.to_thread(self._stop.wait, elector.pause)
            with contextlib.suppress(ApiError):
                await elector.release()
