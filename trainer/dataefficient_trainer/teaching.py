"""Distillation from a teacher whose predictions the log carries: what is learned of a row, and a watch on it.

What is learned of a row with the label y is (1 - w) y + w q, where q is what the teacher predicted (Hinton,
Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015, at temperature 1). A label of a rare
event tells little beside the probability that it is drawn from, so a sample that a good teacher speaks of
teaches as a larger one does without it. Among the kept rows the log-odds exceed the stream's by the
sampling's offset, the teacher's as the label's.

A teacher that knows less than the student holds it back: their losses on rows that neither has trained on
are compared, and a worse teacher is told of.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from dataefficient_trainer.errors import DataError
from dataefficient_trainer.scoring import log_loss
from dataefficient_trainer.source import notice

LEAST = 1e-6
"""Predictions nearer to 0 or 1 are taken as this far away."""
CERTAIN = 3.0
"""Standard errors by which a teacher must be worse to be told of."""

Floats = npt.NDArray[np.float64]


def log_odds(predictions: Floats, column: str) -> Floats:
    """The teacher's log-odds; NaN where it predicted nothing.

    Raises:
        DataError: most of the numbers are no probabilities.
    """
    known = ~np.isnan(predictions)
    odd = known & ((predictions < 0.0) | (predictions > 1.0))
    if odd.sum() * 2 > known.sum():
        raise DataError(
            f"trainer.config.distillation.teacher: column {column!r} holds values such as "
            f"{predictions[odd][0]:g}; a prediction is a probability from 0 to 1: log that, or name "
            "another column"
        )
    usable = np.clip(np.where(known & ~odd, predictions, 0.5), LEAST, 1.0 - LEAST)
    return np.where(known & ~odd, np.log(usable) - np.log1p(-usable), np.nan)


def soften(labels: npt.NDArray[np.int8], teacher: Floats, offset: Floats, weight: float) -> Floats:
    """What is learned of kept rows.

    Args:
        labels: 0 or 1.
        teacher: its log-odds on the unsampled stream; NaN: the label alone is learned.
        offset: log-odds offset of the sampling.
        weight: the teacher's share.
    """
    predicted = 1.0 / (1.0 + np.exp(-(teacher + offset)))
    return np.where(np.isnan(teacher), labels, (1.0 - weight) * labels + weight * predicted)


@dataclass
class Heeded:
    """What was learned from a teacher, and how good it was where the student had not trained yet."""

    rows: int = 0
    """Kept rows of which it predicted something."""
    teacher_loss: float = 0.0
    own_loss: float = 0.0
    """Sums over evaluated rows of which it predicted something, each counted as the rows it stands for."""
    square: float = 0.0
    """Of their differences."""

    def compare(self, teacher: Floats, own: Floats, labels: npt.NDArray[np.int8], weight: Floats) -> None:
        """Add evaluated rows.

        Args:
            teacher: its log-odds; NaN: nothing.
            own: the student's losses.
            weight: rows that each stands for.
        """
        known = ~np.isnan(teacher)
        losses = log_loss(teacher[known], labels[known])
        self.teacher_loss += float(losses @ weight[known])
        self.own_loss += float(own[known] @ weight[known])
        self.square += float(np.square((losses - own[known]) * weight[known]).sum())

    @property
    def gap(self) -> float | None:
        """The teacher's loss over the student's, less 1; None: not compared."""
        return self.teacher_loss / self.own_loss - 1.0 if self.own_loss else None

    def tell(self, column: str, kept: int) -> None:
        """Say what a person should know of the teacher."""
        if self.rows < kept:
            notice(f"{kept - self.rows:,} of {kept:,} rows were learned from their labels: no {column}")
        if self.gap is not None and self.teacher_loss - self.own_loss > CERTAIN * sqrt(self.square):
            notice(
                f"trainer.config.distillation.teacher: {column} predicts worse than this model, by "
                f"{self.gap:.1%} of log loss on the same rows, and holds it back: leave distillation out, or "
                "name a better teacher"
            )
