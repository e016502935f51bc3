"""From finished runs to paired differences that own up to seeds.

Every arm is scored on the same later rows, so differences are paired by time blocks. Cold starts also
differ by their seed, which blocks do not show: its spread is estimated from replicas, with a weak prior,
and added. Degrees of freedom of the sum follow Satterthwaite (1946). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt
from typing import Any

import numpy as np
from scipy.stats import t as student

from dataefficient.contract import MIN_PAIRED_BLOCKS, Scored
from dataefficient.estimate.plan import Arm, Experiment
from dataefficient.planner.evidence import paired, paired_ahead

SEED_PRIOR = 0.0007
"""Relative standard deviation between seeds that is assumed, weakly, before replicas."""
SEED_PRIOR_DEGREES = 1.0


@dataclass(frozen=True)
class Measured:
    """What one run showed. Sequences run over the time blocks of the held-out rows."""

    loss: tuple[float, ...]
    """Summed log loss in nats."""
    predicted: tuple[float, ...]
    """Summed probabilities."""
    n: tuple[int, ...]
    positives: tuple[int, ...]
    digest: str
    kept: int
    """Rows trained on."""
    seconds: float
    """Processor seconds of reading and training, start-up and scoring apart."""
    auc: float | None = None


@dataclass(frozen=True)
class Contrast:
    """Relative difference of an arm's log loss to another's; positive is worse."""

    gap: float
    block_error: float
    """Standard error from the time blocks."""
    seed_error: float
    """Standard error from seeds."""
    degrees: float
    """Of the sum of both."""
    seeds: int

    @property
    def error(self) -> float:
        """Standard error of the gap."""
        return sqrt(self.block_error**2 + self.seed_error**2)

    def half_width(self, confidence: float) -> float:
        """Distance from the gap to its one-sided bound."""
        return float(student.ppf(confidence, self.degrees)) * self.error

    def upper(self, confidence: float) -> float:
        """One-sided upper bound."""
        return self.gap + self.half_width(confidence)

    def lower(self, confidence: float) -> float:
        """One-sided lower bound."""
        return self.gap - self.half_width(confidence)


@dataclass(frozen=True)
class Seeds:
    """Spread between runs that differ by their seed alone."""

    deviation: float
    """Relative standard deviation of the log loss of one run over the whole history."""
    degrees: float
    replicas: int
    """Measured degrees of freedom; 0: the prior alone."""


Results = Mapping[Experiment, Measured]


def of_arm(results: Results, arm: Arm) -> list[Measured]:
    """All runs of an arm, by seed."""
    return [results[e] for e in sorted((e for e in results if e.arm == arm), key=lambda e: e.seed)]


def mean_loss(runs: list[Measured]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Summed log loss by block, averaged over the seeds."""
    loss = np.array([m.loss for m in runs], float)
    return np.asarray(loss.mean(axis=0))


def _mean(runs: list[Measured]) -> Scored:
    """Sums by block, averaged over the seeds."""
    predicted = np.array([m.predicted for m in runs], float).mean(axis=0)
    return Scored(tuple(mean_loss(runs).tolist()), tuple(predicted.tolist()))


def seeds(results: Results) -> Seeds:
    """Pool the spread between replicas over all arms that have some.

    What a seed moves is taken to grow like 1 / sqrt(rows) as the history shrinks.
    """
    squares, degrees = SEED_PRIOR_DEGREES * SEED_PRIOR**2, SEED_PRIOR_DEGREES
    replicas = 0
    for arm in sorted({e.arm for e in results}, key=lambda a: a.name):
        totals = np.array([sum(m.loss) for m in of_arm(results, arm)])
        if totals.size > 1:
            squares += arm.history * float(((totals / totals.mean() - 1.0) ** 2).sum())
            replicas += totals.size - 1
    return Seeds(sqrt(squares / (degrees + replicas)), degrees + replicas, replicas)


def contrast(results: Results, arm: Arm, against: Arm) -> Contrast | None:
    """Compare two arms; None where one was not run or too few blocks hold rows."""
    ours, theirs = of_arm(results, arm), of_arm(results, against)
    if not ours or not theirs:
        return None
    pair = paired_ahead(_mean(ours), _mean(theirs), ours[0].n, ours[0].positives)
    if pair is None:
        return None
    spread = seeds(results)
    seed_error = spread.deviation * sqrt(1 / (arm.history * len(ours)) + 1 / (against.history * len(theirs)))
    degrees = _satterthwaite(((pair.standard_error, pair.blocks - 1), (seed_error, spread.degrees)))
    return Contrast(pair.gap, pair.standard_error, seed_error, degrees, min(len(ours), len(theirs)))


def _satterthwaite(parts: tuple[tuple[float, float], ...]) -> float:
    total = sum(error**2 for error, _ in parts)
    weights = sum(error**4 / degrees for error, degrees in parts)
    return max(1.0, total**2 / weights) if weights > 0 else float(MIN_PAIRED_BLOCKS)


def against_constant(run: Measured, share: float) -> Contrast | None:
    """Compare a model with the constant ``share`` of positives of the rows it learned from."""
    share = min(max(share, 1e-9), 1 - 1e-9)
    constant = [-p * log(share) - (n - p) * log(1 - share) for n, p in zip(run.n, run.positives, strict=True)]
    pair = paired(run.loss, constant, run.n)
    if pair is None:
        return None
    return Contrast(pair.gap, pair.standard_error, 0.0, pair.blocks - 1, 1)


def saved(results: Results, arm: Arm, against: Arm) -> float:
    """Share of the training seconds that an arm saves, from measured seconds averaged over seeds."""
    ours = [m.seconds for m in of_arm(results, arm)]
    theirs = [m.seconds for m in of_arm(results, against)]
    return 1.0 - float(np.mean(ours)) / float(np.mean(theirs))


def calibration(runs: list[Measured]) -> float:
    """Mean prediction over mean label; 1 is right."""
    return sum(sum(m.predicted) for m in runs) / max(1, sum(sum(m.positives) for m in runs))
