"""Which share of positives and of negatives the policies keep: what both sides must agree on.

The operator forecasts from it what a sample still tells; the reference trainer draws by it.
"""

from __future__ import annotations


def class_probabilities(rate: float, positive: float | None) -> tuple[float, float]:
    """Probabilities of keeping a positive and a negative such that ``rate`` of all rows is kept.

    All positives are kept as long as they make at most half of the kept rows; beyond that (a low rate
    on a stream with many positives) both classes get half, since further positives would push the
    negatives out. Without an estimate yet both are kept alike.

    Both probabilities rise with the rate.

    Args:
        rate: share of all rows that is kept, in (0, 1].
        positive: share of positives among all rows; None: not known yet.
    """
    if positive is None or not 0.0 < positive < 1.0 or rate >= 1.0:
        return rate, rate
    keep_positive = min(1.0, rate / (2 * positive))
    keep_negative = (rate - positive * keep_positive) / (1 - positive)
    if keep_negative > 1.0:
        return (rate - (1 - positive)) / positive, 1.0
    return keep_positive, keep_negative
