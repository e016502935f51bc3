"""How much is left to do and how long it will take, from what this call has measured.

An estimate for the person who waits; no decision reads it. Nothing measured: no estimate.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from dataefficient.api.schedule import due, interval
from dataefficient.api.spec import Schedule


def cycles_until(schedule: Schedule, now: datetime) -> int:
    """Number of the first cycle that will not run without waiting: past ``endTime``, or not due yet."""

    def runs(cycle: int) -> bool:
        return interval(schedule, cycle) is not None and due(schedule, cycle) <= now

    if not runs(0):
        return 0
    step = 1
    while runs(step):
        step *= 2
    low, high = step // 2, step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if runs(middle) else (low, middle)
    return high


class Pace:
    """Mean seconds of a cycle, the operator's and the controls' apart, since both have cores of their own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._cycle: int | None = None
        self._since = 0.0
        self._durations: list[float] = []
        self._control_seconds = 0.0
        self._control_cycles: set[int] = set()

    def cycle(self, number: int) -> None:
        """The operator works on cycle ``number`` now. Cycle 0 is unlike the others and not counted."""
        if number == self._cycle:
            return
        if self._cycle is not None and self._cycle > 0:
            self._durations.append(self._clock() - self._since)
        self._cycle, self._since = number, self._clock()

    def control(self, cycle: int, seconds: float) -> None:
        """A control run of ``cycle`` took ``seconds`` of wall clock."""
        if cycle > 0:
            self._control_cycles.add(cycle)
            self._control_seconds += seconds

    def left(self, cycles: int) -> float | None:
        """Seconds until ``cycles`` cycles are done; None before a cycle after cycle 0 was measured."""
        if self._cycle is None or not self._durations:
            return None
        mean = sum(self._durations) / len(self._durations)
        running = min(self._clock() - self._since, mean)
        own = max(0.0, (cycles - self._cycle) * mean - running)
        if not self._control_cycles:
            return own
        behind = cycles - 1 - max(self._control_cycles)
        return max(own, behind * self._control_seconds / len(self._control_cycles))
