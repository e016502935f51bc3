"""Distillation from a teacher whose predictions the log carries: what is learned of a row, and how far.

What is learned of a row with the label y is (1 - w) y + w q, where q is what the teacher predicted (Hinton,
Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015, at temperature 1). A label of a rare
event tells little beside the probability that it is drawn from, so a sample that a good teacher speaks of
teaches as a larger one does without it. Among the kept rows the log-odds exceed the stream's by the
sampling's offset, the teacher's as the label's.

A teacher that knows less than its student holds it back, the more after a change of the stream, of which a
teacher that was trained before it knows nothing. So both are compared on rows that the student has not
trained on yet, and w falls with the doubt whether the teacher is as good.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, exp, sqrt

import numpy as np
import numpy.typing as npt

from dataefficient_trainer import scoring
from dataefficient_trainer.errors import DataError
from dataefficient_trainer.scoring import log_loss
from dataefficient_trainer.source import notice

LEAST = 1e-6
"""Predictions nearer to 0 or 1 are taken as this far away."""
COMPARED = 8
"""One in so many kept rows is scored before it is trained on."""
MEMORY = 32_768
"""Compared rows after which an older one counts 1/e: that many tell a difference of a fifth of a per cent."""
CERTAIN = 3.0
"""Standard errors by which a teacher must have been worse in the whole run to be told of."""

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]


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
    return scoring.log_odds(predictions, LEAST)


def soften(labels: Labels, teacher: Floats, weight: float) -> Floats:
    """What is learned of kept rows.

    Args:
        labels: 0 or 1.
        teacher: its log-odds, with the sampling's offset; NaN: the label alone is learned.
        weight: the teacher's share.
    """
    predicted = 1.0 / (1.0 + np.exp(-teacher))
    return np.where(np.isnan(teacher), labels, (1.0 - weight) * labels + weight * predicted)


@dataclass
class Heeded:
    """How good a teacher has been beside its student, and what was learned from it."""

    rows: int = 0
    """Kept rows of which it predicted something."""
    weight: float = 0.0
    """Sum of the teacher's share over these."""
    own: float = 0.0
    """Sum of the student's losses over compared rows."""
    apart: float = 0.0
    """Sum of the teacher's losses less the student's."""
    square: float = 0.0
    """Of these differences."""
    recent: float = 0.0
    """As ``apart``, newer rows counting more, and the same of the squares."""
    recent_square: float = 0.0

    def compare(self, teacher: Floats, own: Floats, labels: Labels) -> None:
        """Add rows of which the teacher predicted something, before the student trains on them.

        Args:
            teacher: its log-odds, with the sampling's offset as ``own``.
        """
        losses = log_loss(own, labels)
        apart, kept = log_loss(teacher, labels) - losses, exp(-len(labels) / MEMORY)
        total, square = float(apart.sum()), float(np.square(apart).sum())
        self.own += float(losses.sum())
        self.apart += total
        self.square += square
        self.recent = self.recent * kept + total
        self.recent_square = self.recent_square * kept + square

    @property
    def trust(self) -> float:
        """1 where the teacher was no worse of late; else the chance of so much by luck alone, both sides."""
        if self.recent <= 0.0 or not self.recent_square:
            return 1.0
        return erfc(self.recent / sqrt(2.0 * self.recent_square))

    @property
    def gap(self) -> float | None:
        """The teacher's loss over the student's, less 1, on all compared rows; None: there were none."""
        return self.apart / self.own if self.own else None

    def tell(self, column: str, kept: int) -> None:
        """Say what a person should know of the teacher."""
        if self.rows < kept:
            notice(f"{kept - self.rows:,} of {kept:,} rows were learned from their labels: no {column}")
        if self.gap is not None and self.apart > CERTAIN * sqrt(self.square):
            notice(
                f"trainer.config.distillation.teacher: {column} predicts worse than this model, by "
                f"{self.gap:.1%} of log loss on rows that neither had trained on, and had a weight of "
                f"{self.weight / max(self.rows, 1):.2f} on average; name a better one, or leave it out"
            )
