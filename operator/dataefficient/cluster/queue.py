"""Which resources to look at next: a queue of keys, each at most once, and due times.

A key that is marked while it is being worked on comes again afterwards, so no change is lost and no two
workers have the same key. Nothing is kept about why a key was marked: whoever takes it looks at everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dataefficient.cluster.names import Key

FARTHEST = 86_400.0
"""A due time further away is looked at again after a day: the clock may have been set meanwhile."""


class WorkQueue:
    """Keys to work on. Belongs to one event loop."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._marked: dict[Key, float] = {}
        self._busy: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._news = asyncio.Event()

    def add(self, key: Key) -> None:
        """Mark a key."""
        self._marked.setdefault(key, self._clock())
        self._news.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Mark a key in so many seconds, instead of when it was to be marked before."""
        self._cancel(key)
        loop = asyncio.get_running_loop()
        self._timers[key] = loop.call_later(min(max(seconds, 0.0), FARTHEST), self._due, key)

    def forget(self, key: Key) -> None:
        """Drop a key's due time."""
        self._cancel(key)

    async def get(self) -> tuple[Key, float]:
        """The key marked longest ago that nobody works on, and how long it has waited."""
        while True:
            for key, since in self._marked.items():
                if key not in self._busy:
                    del self._marked[key]
                    self._busy.add(key)
                    return key, self._clock() - since
            self._news.clear()
            await self._news.wait()

    def __len__(self) -> int:
        """Keys that wait."""
        return len(self._marked)

    def done(self, key: Key) -> None:
        """The work on a key has ended."""
        self._busy.discard(key)
        if key in self._marked:
            self._news.set()

    def oldest(self) -> float:
        """Seconds for which the key that waits longest has waited."""
        return max((self._clock() - since for since in self._marked.values()), default=0.0)

    def _due(self, key: Key) -> None:
        del self._timers[key]
        self.add(key)

    def _cancel(self, key: Key) -> None:
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
