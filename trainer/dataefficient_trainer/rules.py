"""What follows from size and sampling rate: widths, batch and learning rates. One place, so it can be read.

The constants were chosen on unlike streams at once (flight delays, a fifth positive, drifting by the day;
tennis points, 2.4 % positive, nearly still; generated ones), never for one, and at the learning rate that was
tuned for full data on each: what a sample loses under a rule tells nothing where full data could do better.
"""

from __future__ import annotations

from dataclasses import dataclass

from dataefficient.contract import Scales

BATCH = 1024
"""Rows a step at rate 1."""
MIN_BATCH = 512
MIN_WORK = 16_384
"""Rows a step, and rows a step times size, below which a row costs too much: more than a third of a step is
then what it costs however few its rows are. The batch stays, and the dense learning rate rises instead."""
SPARSE_RATE = 0.035
"""Learning rate of the embedding tables (row-wise Adagrad on summed gradients)."""
DENSE_RATE = 2.8e-4
"""Learning rate of the dense layers (Adam on mean gradients) at size 16."""


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

    The batch falls with the sampling rate, so that the number of optimizer steps stays. Where it would fall
    below ``MIN_BATCH`` or ``MIN_WORK`` it stays, and the dense rate rises with the square root of the steps
    missing: at full data's batch, models of size 16 and less do not let it fall at all. The
    sparse rate does not: a rare row of a table is met once in a batch of any size, and Adagrad moves it by
    what it has met. Raised alike, it lost 1 to 4 % of log loss at a sixteenth of the rows.
    Smaller models learn faster: the dense rate goes with the inverse square root of the size.
    """
    whole = (batch_size or BATCH) * scales.batch
    batch = max(round(max(whole * rate, min(whole, max(MIN_BATCH, MIN_WORK / size)))), 1)
    missing_steps = max(1.0, batch / (whole * rate))
    factor = learning_rate * scales.learning_rate
    return Pace(batch, SPARSE_RATE * factor, DENSE_RATE * factor * (missing_steps * 16 / size) ** 0.5)
