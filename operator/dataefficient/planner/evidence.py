"""From block sums to a paired difference with a standard error.

Two models scored on the same rows are compared block by block, since rows of one time are alike:
the standard error comes from the spread of the blocks' differences and not from the rows. ``paired``
tells of these rows, ``paired_ahead`` of rows to come. This module turns reports into numbers; what follows
from them is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from dataefficient.contract import MIN_PAIRED_BLOCKS, Scored

Array = npt.NDArray[np.float64]

CLEARLY = 0.5
"""Share of its variance down to which a difference has to be steadied by an adjustment that is used."""
NO_PREDICTION = 1e-6
"""A block's mean prediction nearer than this to 0 or 1 is taken for none."""


@dataclass(frozen=True)
class Paired:
    """Relative difference (a - b) / b of two models' log loss on the same rows."""

    gap: float
    standard_error: float
    blocks: int

    @property
    def widened(self) -> float:
        """Standard error with Student's t for few blocks folded in, so that beliefs may stay normal."""
        return max(self.standard_error * float((1.0 + 1.0 / self.blocks) ** 1.5), 1e-9)

    def upper(self, confidence: float) -> float:
        """One-sided upper bound by Student's t with blocks - 1 degrees of freedom."""
        return self.gap + float(stdtrit(self.blocks - 1, confidence)) * self.standard_error

    def lower(self, confidence: float) -> float:
        """One-sided lower bound."""
        return self.gap - float(stdtrit(self.blocks - 1, confidence)) * self.standard_error


def paired(
    loss_a: Sequence[float], loss_b: Sequence[float], n: Sequence[int], *, blocks: slice = slice(None)
) -> Paired | None:
    """Ratio estimate of the relative loss difference over time blocks and its standard error.

    With d_i = a_i - (1 + gap) b_i the linearised standard error of the ratio is
    sqrt(B / (B - 1) * sum d_i^2) / sum b_i (Cochran, Sampling Techniques, 1977, section 6.4).

    Args:
        loss_a, loss_b: summed log loss by block.
        n: rows by block; empty blocks are left out.
        blocks: which blocks count.

    Returns:
        None with fewer than 6 non-empty blocks or a comparator without loss: that decides nothing.
    """
    rows = np.asarray(n[blocks])
    a, b = np.asarray(loss_a[blocks], float)[rows > 0], np.asarray(loss_b[blocks], float)[rows > 0]
    count = len(b)
    if count < MIN_PAIRED_BLOCKS or b.sum() <= 0.0:
        return None
    gap = float(a.sum() / b.sum() - 1.0)
    residuals = a - (1.0 + gap) * b
    return Paired(gap, sqrt(count / (count - 1) * float(residuals @ residuals)) / float(b.sum()), count)


def paired_ahead(a: Scored, b: Scored, n: Sequence[int], positives: Sequence[int]) -> Paired | None:
    """Relative loss difference that two models will show on average while the share of positives moves.

    Most noise of a paired difference comes from the models' mean predictions: a model that lies by
    delta = (A - B) / (n p (1 - p)) log-odds above the other, with A and B the sums of predictions in a block
    and p = B / n, loses x = delta (B - positives) more in that block, up to second order in delta. This
    follows how the share of positives wanders from block to block, and would average out if ``b`` were
    calibrated in the long run, whatever ``a`` was. So x may be taken off a's loss as a control variate with
    a known mean (Owen, Monte Carlo theory, methods and examples, section 8.9; Cochran, section 7.2; CUPED of
    Deng et al. 2013), with the coefficient 1 that follows from the loss: 8 to 16 blocks would tell a fitted
    one no better. What ``a`` loses by being off itself, delta^2 p (1 - p) / 2 a row, stays in the difference.

    That mean is known only roughly: a model that follows the stream more slowly has both a delta and a
    residual of the same sign, and loses for it. On real streams the mean of x proved to be about as large as
    its own standard error over 16 blocks. A normal prior of that width gives x half its weight: the estimate
    lies midway between the measured difference and the adjusted one, with the mean of both variances, and a
    standard error that reaches from there to either. The record 0083 has the figures.

    Args:
        a, b: what both models scored on the same rows; ``b`` is the one that counts as calibrated.
        n: rows by block; empty blocks are left out.
        positives: positives by block.

    Returns:
        As ``paired``, and the same number as ``paired`` where x does not halve the variance at least, or
        where predictions are missing from a block.
    """
    measured = paired(a.loss, b.loss, n)
    x = _shifted(a, b, n, positives)
    if measured is None or x is None:
        return measured
    adjusted = paired((np.asarray(a.loss, float) - x).tolist(), b.loss, n)
    if adjusted is None or adjusted.standard_error**2 > CLEARLY * measured.standard_error**2:
        return measured
    between = (measured.gap + adjusted.gap) / 2.0
    error = sqrt((measured.standard_error**2 + adjusted.standard_error**2) / 2.0)
    return Paired(between, max(error, abs(measured.gap - between)), measured.blocks)


def _shifted(a: Scored, b: Scored, n: Sequence[int], positives: Sequence[int]) -> Array | None:
    """Loss by block that ``a``'s shift from ``b`` in log-odds explains; None where one predicts nothing."""
    rows = np.asarray(n, float)
    filled = rows > 0
    rows, labels = rows[filled], np.asarray(positives, float)[filled]
    mine, theirs = (np.asarray(model.predicted, float)[filled] / rows for model in (a, b))
    if any(((p < NO_PREDICTION) | (p > 1.0 - NO_PREDICTION)).any() for p in (mine, theirs)):
        return None
    shift = (mine - theirs) / (theirs * (1.0 - theirs))
    x = np.zeros(len(n))
    x[filled] = shift * (rows * theirs - labels)
    return x
