"""Which rows are trained on, with which probability, and the offset that undoes the bias.

Every decision compares one hash of the row's key with a probability that depends on the stream and the
rate only: a higher rate keeps all rows of a lower one. Nothing here depends on the rows' position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dataefficient.contract import Policy
from dataefficient.contract.sampling import class_probabilities

WINDOW_ROWS = 4_096
"""Rows scored with one state of the model before they are trained on; the positive share moves with it."""
MEMORY_ROWS = 1 << 20
"""Rows after which an observation counts 1/e in the running positive share."""
SCORE_MIX = 0.25
"""Share of uniform sampling in the scored policy: the least a negative's probability is, of their mean."""

Floats = npt.NDArray[np.float64]


@dataclass
class Shares:
    """Running estimates from earlier rows, unsampled; part of a checkpoint, so that a warm start has them."""

    rows: float = 0.0
    positives: float = 0.0
    score: float = 0.0
    """Sum over negatives of p*sqrt(1-p)."""
    scored: float = 0.0
    """Negatives in ``score``."""

    def add(self, rows: int, positives: int) -> None:
        """Count a window."""
        decay = float(np.exp(-rows / MEMORY_ROWS))
        self.rows = self.rows * decay + rows
        self.positives = self.positives * decay + positives

    def add_scores(self, scores: Floats) -> None:
        """Count the scores of a window's negatives."""
        decay = float(np.exp(-len(scores) / MEMORY_ROWS))
        self.score = self.score * decay + float(scores.sum())
        self.scored = self.scored * decay + len(scores)

    @property
    def positive(self) -> float | None:
        """Positive share; None before any row was seen."""
        return self.positives / self.rows if self.rows else None


def negative_scores(probability: Floats) -> Floats:
    """p*sqrt(1-p) of a served probability: how much a negative can still teach."""
    clipped = np.clip(np.nan_to_num(probability, nan=0.0), 1e-6, 1 - 1e-6)
    return np.asarray(clipped * np.sqrt(1 - clipped))


@dataclass(frozen=True)
class Kept:
    """Sampling of a window: for each row whether it is kept, with what probability, at which offset."""

    keep: npt.NDArray[np.bool_]
    probability: Floats
    offset: Floats
    """log(P(kept | positive, x) / P(kept | negative, x)): the log-odds among kept rows exceed the
    stream's by this."""
    weight: Floats
    """Rows of the window that each kept row stands for; they sum up to all of them. 0 where not kept."""
    target: Floats
    """Positives of the window that each kept row stands for; they sum up to all of them, as the labels of
    dropped rows are known too: only their features were not looked at. 0 where not kept."""


def standing_for(
    keep: npt.NDArray[np.bool_], probability: Floats, labels: npt.NDArray[np.int8]
) -> tuple[Floats, Floats]:
    """``Kept.weight`` and ``Kept.target`` of a window.

    The inverse probabilities are brought to the known number of rows, and the positives to the known number
    of positives: the ratio and the difference estimator of survey sampling (Saerndal, Swensson and
    Wretman, Model Assisted Survey Sampling, 1992). What is left to chance is which
    rows' predictions stand for those of the others. A window of which nothing was kept says nothing.
    """
    weight, target = np.zeros(len(keep)), np.zeros(len(keep))
    kept = int(keep.sum())
    if kept:
        inverse = 1.0 / probability[keep]
        inverse *= len(keep) / inverse.sum()
        own = inverse * labels[keep]
        weight[keep], target[keep] = inverse, own + (labels.sum() - own.sum()) / kept
    return weight, target


def sample(
    policy: Policy,
    rate: float,
    uniforms: Floats,
    *,
    labels: npt.NDArray[np.int8],
    shares: Shares,
    scores: Floats | None,
) -> Kept:
    """Sample a window of rows.

    Args:
        policy: the policy; ``ScoredNegatives`` without ``scores`` is ``Negatives``.
        rate: expected share kept.
        uniforms: the key's number in [0, 1).
        labels: 0 or 1.
        shares: estimates from earlier rows.
        scores: ``negative_scores`` of the rows, or None.
    """
    n = len(uniforms)
    if policy is Policy.UNIFORM or rate >= 1.0:
        keep, probability = uniforms < rate, np.full(n, rate)
        return Kept(keep, probability, np.zeros(n), *standing_for(keep, probability, labels))
    positive, negative = class_probabilities(rate, shares.positive)
    negatives = np.full(n, negative)
    if policy is Policy.SCORED_NEGATIVES and scores is not None and shares.scored:
        mean = max(shares.score / shares.scored, 1e-9)
        negatives = np.minimum(1.0, negative * (SCORE_MIX + (1 - SCORE_MIX) * scores / mean))
    probability = np.where(labels == 1, positive, negatives)
    keep = uniforms < probability
    offset = np.log(positive) - np.log(negatives)
    return Kept(keep, probability, offset, *standing_for(keep, probability, labels))
