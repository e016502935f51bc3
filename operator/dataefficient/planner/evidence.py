"""From block sums to a paired difference with a standard error.

Two models scored on the same rows are compared block by block, since rows of one time are alike:
the standard error comes from the spread of the blocks' differences and not from the rows. This
module turns reports into numbers; what follows from them is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import stdtrit

from dataefficient.contract import MIN_PAIRED_BLOCKS


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
        None with fewer than 8 non-empty blocks or a comparator without loss: that decides nothing.
    """
    rows = np.asarray(n[blocks])
    a, b = np.asarray(loss_a[blocks], float)[rows > 0], np.asarray(loss_b[blocks], float)[rows > 0]
    count = len(b)
    if count < MIN_PAIRED_BLOCKS or b.sum() <= 0.0:
        return None
    gap = float(a.sum() / b.sum() - 1.0)
    residuals = a - (1.0 + gap) * b
    return Paired(gap, sqrt(count / (count - 1) * float(residuals @ residuals)) / float(b.sum()), count)
