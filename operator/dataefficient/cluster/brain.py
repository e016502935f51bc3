"""Decisions, made in a process of their own that ends when it is idle.

A fit takes seconds, in which the event loop must go on renewing and answering; and the libraries that fit
take memory that an operator with nothing to decide need not hold. What is decided is the state machine's.
"""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from dataefficient.api.spec import Spec
from dataefficient.cycle.model import Decision, Memory, Observation

IDLE_SECONDS = 120.0

Decided = tuple[Memory, Decision]
"""The memory that was decided from, and the decision."""
Decide = Callable[[Spec, Memory, Observation, bool], Awaitable[Decided]]
"""The last argument says whether a person has acted, so that what stopped goes on."""


def decide(spec: Spec, memory: Memory, observation: Observation, acted: bool) -> Decided:  # noqa: FBT001 - pickled
    """The decision, in this process."""
    machine = importlib.import_module("dataefficient.cycle.machine")
    before = machine.continued(spec, memory) if acted else memory
    decision: Decision = machine.advance(spec, before, observation)
    return before, decision


class Brain:
    """Asks :func:`decide` in another process; start with ``async with``."""

    def __init__(self, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._pool: ProcessPoolExecutor | None = None
        self._asking = 0
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Brain:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end()

    async def __call__(
        self,
        spec: Spec,
        memory: Memory,
        observation: Observation,
        acted: bool,  # noqa: FBT001 - see Decide
    ) -> Decided:
        """The decision.

        Raises:
            BrokenProcessPool: the process was ended from outside, for want of memory perhaps; asking again
                starts another.
        """
        if self._timer is not None:
            self._timer.cancel()
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, context, initializer=_alone)
        self._asking += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, decide, spec, memory, observation, acted)
        except BrokenProcessPool:
            self._end()
            raise
        finally:
            self._asking -= 1
            if not self._asking:
                self._timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._end)

    def _end(self) -> None:
        pool, self._pool = self._pool, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def _alone() -> None:
    """The operator's signals are not for its worker, which ends with it also where it was killed."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker was started by someone"
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(0)
