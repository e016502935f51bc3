"""What the log says was predicted, held against the published model on the same rows: an alarm for skew.

The published model has seen none of the rows that it is scored on, nor had the one that served them. So
logged predictions that are clearly worse were made from other features than the log holds, or by a model that
is stale. Better ones come from a model that knows more, which is no mistake.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from dataefficient_trainer.scoring import by_label, log_loss, log_odds, of_all
from dataefficient_trainer.source import notice

WORSE = 0.02
"""Log loss over the published model's, less 1, from which logged predictions are told to be skewed."""
CERTAIN = 1.645
"""Standard errors: one-sided 95 %."""
LEAST = 1e-7
"""Predictions nearer to 0 or 1 are taken as this far away."""

Floats = npt.NDArray[np.float64]


@dataclass
class Logged:
    """Sums over scored rows with a logged prediction, [2, blocks]: negatives, positives.

    Attributes:
        rows: how many there are.
        logged: losses of the logged predictions.
        published: those of the published model on the same rows.
        predicted: the logged predictions.
        without: scored rows without a probability.
    """

    rows: Floats
    logged: Floats
    published: Floats
    predicted: Floats
    without: int = 0

    @classmethod
    def empty(cls, blocks: int) -> Logged:
        """No row."""
        rows, logged, published, predicted = np.zeros((4, 2, blocks))
        return cls(rows, logged, published, predicted)

    def add(
        self,
        block: npt.NDArray[np.int64],
        predictions: Floats,
        published: Floats,
        labels: npt.NDArray[np.int8],
    ) -> None:
        """Add rows: their blocks, what was logged (NaN: nothing), the published model's losses, labels."""
        logits = log_odds(predictions, LEAST)
        usable = ~np.isnan(logits)
        self.without += int(np.count_nonzero(~usable))
        block, labels, blocks = block[usable], labels[usable], self.rows.shape[1]
        self.rows += by_label(block, labels, blocks)
        self.logged += by_label(block, labels, blocks, log_loss(logits[usable], labels))
        self.published += by_label(block, labels, blocks, published[usable])
        self.predicted += by_label(block, labels, blocks, predictions[usable])

    def tell(self, column: str, rows: Floats) -> dict[str, float]:
        """Numbers for the report, and a word to a person where predictions are skewed.

        Args:
            column: of the predictions.
            rows: of the evaluation, [2, blocks]; where not all were scored, those scored stand for them.
        """
        some = self.rows.sum(axis=0) > 0
        if not some.any():
            return {}
        if self.without:
            notice(f"{self.without:,} scored rows have no probability in {column}")
        ones = self.rows * np.array([[0.0], [1.0]])
        apart, published, predicted, positives = (
            of_all(sums, self.rows, rows)[some]
            for sums in (self.logged - self.published, self.published, self.predicted, ones)
        )
        gap = float(apart.sum() / published.sum())
        found = {"servedGap": gap}
        if positives.any():
            found["servedCalibration"] = float(predicted.sum() / positives.sum())
        blocks = len(apart)
        if blocks > 1:
            scatter = float(np.square(apart - gap * published).sum()) * blocks / (blocks - 1)
            error = sqrt(scatter) / float(published.sum())
            found["servedGapError"] = error
            if gap - CERTAIN * error > WORSE:
                notice(
                    f"skew: the predictions in {column} are worse than the published model's on the same "
                    f"rows, by {gap:.1%} of log loss (standard error {error:.1%}): features at serving may "
                    "differ from those logged, or the model that serves is stale"
                )
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, which ``from_json`` reads."""
        sums = (self.rows, self.logged, self.published, self.predicted)
        return {"sums": np.stack(sums).tolist(), "without": self.without}

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Logged:
        """What ``to_json`` wrote."""
        rows, logged, published, predicted = np.array(body["sums"])
        return cls(rows, logged, published, predicted, body["without"])
