"""Scoring every positive and a part of the negatives: what that tells, and how many rows it takes.

Why: where positives are rare nearly all of the noise of a comparison comes from them, and nearly all of the
cost from the negatives. Log-odds that differ by d change a positive's loss by d (1 - p) and a negative's by
d p, so at a share p of positives both classes tell as much for what they cost when negatives are scored at
the rate p / (1 - p) (optimum allocation: Neyman 1934; Cochran, Sampling Techniques, section 5.5). Variance
and rows of one and the same row share then fall, taken together, to 4 p (1 - p) of what they were.
"""

from __future__ import annotations

AMPLE = 2.0
"""Times the optimum at which negatives are scored: some are taken for likely positives and lose much, which
the mean share does not tell, and near the optimum the price of too many is small."""
ENOUGH = 10_000.0
"""Negatives that are scored at least, where there are so many: every time block needs some."""


def negatives(positives: float | None, rows: float) -> float:
    """Share of the negatives to score, in (0, 1].

    Args:
        positives: share of positives among all rows; None: not known, then all are scored.
        rows: rows that scores are to tell of.
    """
    if positives is None or positives >= 0.5:
        return 1.0
    part = max(AMPLE * positives / (1.0 - positives), ENOUGH / max(rows, 1.0))
    return float(f"{min(part, 1.0):.3g}")


def scored(positives: float | None, part: float) -> float:
    """Share of the rows that is scored with a part of the negatives."""
    known = positives or 0.0
    return known + (1.0 - known) * part


def variance(positives: float | None, part: float) -> float:
    """Variance of two models' difference, over that with all negatives of the same rows."""
    known = positives or 0.0
    return (1.0 - known) + known / part
