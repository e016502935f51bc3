"""How the harm of sampling goes with policy and rate, before anything was measured.

A sample estimates what all rows would with more noise. In a logistic model whose sampling is undone by an
offset, rows with a share pi of positives, kept with the probabilities k1 (positives) and k0 (negatives), tell
as much as k1 k0 / (pi k1 + (1 - pi) k0) of all of them would (Fithian and Hastie, Annals of Statistics 2014,
for one probability a class). The variance of what is learned is inflated by the inverse,

    v = pi / k0 + (1 - pi) / k1,

which is linear in pi, so that the stream's mean share stands for all rows. Uniform sampling has v = 1 / rate.
Where few are positive, to drop negatives costs next to nothing: at 2.4 %, a quarter of the rows has v = 1.08.

Harm is a scale times v^b - 1. On streams that have converged what is lost is variance, b = 1; where more data
still helps, what counts is how far the curve has come, and b is close to 0, a logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import hypot

import numpy as np
from numpy.typing import NDArray

from dataefficient.contract import Policy
from dataefficient.contract.sampling import class_probabilities
from dataefficient.planner.knobs import Knobs, Point

EXPONENTS = (0.15, 0.45, 0.9)
"""Grid of b. What was measured lies between 0 and 0.3, on streams that had not converged (record 88)."""
UNIT = 4.0
"""Inflation at which the law is 1: that of a uniform quarter."""
DEVIATION = 0.15
"""Standard deviation of a plan's own distance from the law, relative to the prior mean of its harm."""


@dataclass(frozen=True)
class Law:
    """The law on one stream.

    Attributes:
        full: the reference's rate.
        positives: share of positives among all rows; None: not known, and then all policies count as uniform.
    """

    full: float = 1.0
    positives: float | None = None

    @classmethod
    def of(cls, knobs: Knobs) -> Law:
        """The law for what may be chosen."""
        return cls(knobs.rates[0], knobs.positives)

    def inflation(self, point: Point) -> float:
        """v of a plan's rows relative to that of the reference's; 1 for the reference."""
        return _inflation(point.policy, point.rate, self.positives) * self.full

    def harm(self, point: Point, exponents: NDArray[np.float64]) -> NDArray[np.float64]:
        """(v^b - 1) / (4^b - 1), for each b; 0 where all rows are kept."""
        return np.asarray((self.inflation(point) ** exponents - 1.0) / (UNIT**exponents - 1.0))

    def share(self, milder: Point, harsher: Point) -> float | None:
        """Largest share of the harsher plan's harm that the milder one may have; None: not comparable.

        Plans that differ in the rate alone are.
        """
        if milder == harsher:
            return 1.0
        if (milder.policy, milder.size) != (harsher.policy, harsher.size) or milder.rate <= harsher.rate:
            return None
        return max(self._shares(milder, harsher))

    def doubt(self, milder: Point, harsher: Point) -> float:
        """Relative standard deviation of a milder plan's harm, given a harsher one's: b, and deviations."""
        if milder == harsher:
            return 0.0
        low, high = sorted(self._shares(milder, harsher))
        return hypot((high - low) / (high + low), DEVIATION)

    def _shares(self, milder: Point, harsher: Point) -> tuple[float, float]:
        ends = np.array([EXPONENTS[0], EXPONENTS[-1]])
        low, high = self.harm(milder, ends) / self.harm(harsher, ends)
        return float(low), float(high)


@cache
def _inflation(policy: Policy, rate: float, positives: float | None) -> float:
    if policy is Policy.UNIFORM or positives is None:
        return 1.0 / rate
    positive, negative = class_probabilities(rate, positives)
    return positives / negative + (1.0 - positives) / positive
