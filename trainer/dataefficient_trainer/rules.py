"""What follows from size and sampling rate: widths, batch and learning rates. One place, so it can be read.

The constants were chosen on two unlike streams at once (flight delays, a fifth positive, drifting by the
day; tennis points, 2.4 % positive, nearly still), never for one: a factor of three on either rate changed
the log loss by less than 0.3 % on both.
"""

from __future__ import annotations

from dataclasses import dataclass

from dataefficient.contract import Scales

BATCH = 1024
"""Rows a step at rate 1."""
MIN_BATCH = 512
"""Below this a row costs too much: the batch stays and the learning rates rise instead. At a tenth of the
rows, 1,024 rows a step with the rates raised lost nothing against 128, at a third of the cost of a row."""
SPARSE_RATE = 0.05
"""Learning rate of the embedding tables (row-wise Adagrad on summed gradients)."""
DENSE_RATE = 2e-4
"""Learning rate of the dense layers (Adam on mean gradients) at size 16. Twice that chases the days of a
drifting stream: equal runs with other seeds then differ by 0.2 % of log loss, at this rate by half of it."""


@dataclass(frozen=True)
class Widths:
    """Layer widths of a model of size s over F fields and D numbers."""

    embedding: int
    """s; 0 for the linear model."""
    low_rank: int
    """2s: rank of the cross layer."""
    hidden: tuple[int, int]
    """4s and 2s."""


def widths(size: int) -> Widths:
    """Size is the embedding width of each field; 1 is the linear model, without embeddings."""
    if size == 1:
        return Widths(0, 0, (0, 0))
    return Widths(size, 2 * size, (4 * size, 2 * size))


@dataclass(frozen=True)
class Pace:
    """Rows a step, and the two learning rates."""

    batch: int
    sparse: float
    dense: float


def pace(*, size: int, rate: float, scales: Scales, batch_size: int | None, learning_rate: float) -> Pace:
    """Batch and learning rates of a run.

    The batch falls with the sampling rate, so that the number of optimizer steps stays; once it would
    fall below ``MIN_BATCH`` it stays and both rates rise with the square root of the steps missing.
    Smaller models learn faster: the dense rate goes with the inverse square root of the size.
    """
    wanted = (batch_size or BATCH) * scales.batch * rate
    batch = max(round(wanted), min(MIN_BATCH, batch_size or BATCH), 1)
    missing_steps = max(1.0, batch / wanted)
    factor = learning_rate * scales.learning_rate * missing_steps**0.5
    return Pace(batch, SPARSE_RATE * factor, DENSE_RATE * factor * (16 / size) ** 0.5)
