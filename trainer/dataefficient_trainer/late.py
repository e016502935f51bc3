"""Rows that come late, put in their place.

A row is passed on once one has come that is younger by the lateness that is allowed: a watermark with
bounded lateness, as stream processors have it (Akidau et al., "The Dataflow Model", VLDB 2015). So not much
more is held than lies within that span. The order is that of all rows sorted by their time, wherever reading
begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from dataefficient_trainer.errors import DataError
from dataefficient_trainer.features import MISSING_TIME, Times
from dataefficient_trainer.source import BATCH_ROWS, sort_batches

MOST_HELD = 4_000_000
"""Rows that may lie within the lateness that is allowed."""


def lateness(times: Times, newest: int = MISSING_TIME) -> Times:
    """By how much each row is older than the newest one before it, in microseconds; 0 where it is not.

    Args:
        times: of rows in the order of the stream, shape (rows,); without a time a row is not late.
        newest: time of the newest row before them.
    """
    peaks = np.maximum.accumulate(np.maximum(times, newest))
    return np.where(times == MISSING_TIME, 0, peaks - times)


def in_order(
    batches: Iterable[tuple[Any, Times]], allowed: int, newest: int = MISSING_TIME
) -> Iterator[tuple[Any, Times]]:
    """Record batches with their times, in the order of time; of equal times, in that of the stream.

    Args:
        batches: the same in the order of the stream, of any number of rows.
        allowed: how much older than the newest row before it a row may be, in microseconds.
        newest: time of the newest row before the first batch.

    Raises:
        DataError: a row is later, or too many lie within the time allowed.
    """
    held: list[tuple[Any, Times]] = []
    rows = new = old = 0
    for batch, times in batches:
        late = lateness(times, newest)
        if late.max(initial=0) > allowed:
            row, most = rows + int(np.argmax(late > allowed)), -(-int(late.max()) // 1_000_000)
            raise DataError(
                f"data.time: row {row} of those read is older than one before it by more than the "
                f"{allowed / 1e6:g} s of trainer.config.time.lateSeconds; raise it to {most:,} or more, or "
                "sort the log by its time"
            )
        newest = max(newest, int(times.max(initial=MISSING_TIME)))
        held.append((batch, times))
        rows, new = rows + len(times), new + len(times)
        if new < max(old, BATCH_ROWS):  # so that what stays is not sorted too often
            continue
        done, held = _parted(held, newest - allowed)
        yield from done
        new, old = 0, sum(len(its) for _, its in held)
        if old > MOST_HELD:
            raise DataError(
                f"data.time: {old:,} rows lie within the {allowed / 1e6:g} s of trainer.config.time"
                f".lateSeconds, and at most {MOST_HELD:,} are held; sort the log by its time"
            )
    yield from _parted(held, newest)[0]


def _parted(
    held: list[tuple[Any, Times]], cut: int
) -> tuple[list[tuple[Any, Times]], list[tuple[Any, Times]]]:
    """What is not younger than a time, and what is; both in the order of time."""
    if not held:
        return [], []
    batches, times = [batch for batch, _ in held], np.concatenate([its for _, its in held])
    if np.any(times[1:] < times[:-1]):
        batches, times = sort_batches(batches, times), np.sort(times, kind="stable")
    done, others = [], []
    start, end = 0, int(np.searchsorted(times, cut, side="right"))
    for batch in batches:
        stop = start + batch.num_rows
        middle = min(max(start, end), stop)
        done.append((batch.slice(0, middle - start), times[start:middle]))
        others.append((batch.slice(middle - start), times[middle:stop]))
        start = stop
    return [one for one in done if len(one[1])], [one for one in others if len(one[1])]
