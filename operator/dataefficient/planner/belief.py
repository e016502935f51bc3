"""What is believed of every plan's distance to the reference, from measured contrasts.

One linear Gaussian model serves both questions that are asked of it. *May this plan serve?* is asked
with a vague prior: only measurements of the very plan count. *Which plan is worth a trial?* is asked
with an informative one: a plan that was never run borrows from its neighbours. The reference is zero
by definition. Nothing is decided here.

The unknown g(P) is the relative distance to the reference that plan P reaches over the planning
horizon. A branch that trained apart for m cycles shows the share ``growth`` of it, under the model that
knowledge decays geometrically (the share rho of a gap is left after a cycle at full data). Old
measurements lose weight, as if g walked at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1, log, sqrt

import numpy as np
from numpy.typing import NDArray

from dataefficient.contract import Policy
from dataefficient.planner.evidence import Contrast
from dataefficient.planner.knobs import Knobs, Point

Matrix = NDArray[np.float64]

RATE_EXPONENT = 0.7
"""Assumed exponent of the harm of sampling in the informative prior, between 1/2 and 1."""
POLICY_HARM = {Policy.UNIFORM: 1.0, Policy.NEGATIVES: 0.5, Policy.SCORED_NEGATIVES: 0.4}
"""Prior harm relative to uniform sampling at the same rate (levers study: negatives lose far less)."""


@dataclass(frozen=True)
class Belief:
    """Normal belief of a relative distance."""

    mean: float
    sd: float

    def upper(self, z: float) -> float:
        """Bound that is exceeded with the probability of z standard deviations."""
        return self.mean + z * self.sd


@dataclass(frozen=True)
class Dynamics:
    """How a distance builds up and how fast what was measured goes out of date.

    Attributes:
        carry_over: rho, the share of a gap that is left after one cycle at full data, in [0, 1].
        horizon: cycles over which a plan must hold until a control measures it afresh.
        drift: standard deviation per cycle of the random walk of g, relative loss.
        seed_noise: standard deviation between two cold starts that differ in their seed, relative loss.
    """

    carry_over: float
    horizon: int
    drift: float
    seed_noise: float

    def growth(self, age: float | None) -> float:
        """Share of g that shows after ``age`` cycles apart: (1 - rho^m) / (1 - rho^H).

        A cold start shows all of it.

        Without forgetting (rho = 1) harm adds up cycle by cycle and the share is m / H.
        """
        if age is None:
            return 1.0
        if self.carry_over >= 1.0 - 1e-9:
            return age / self.horizon
        if self.carry_over <= 0.0:
            return 1.0
        return expm1(age * log(self.carry_over)) / expm1(self.horizon * log(self.carry_over))

    def remaining(self, cycles: float) -> float:
        """Share of today's distance that is left after ``cycles`` more."""
        return float(max(self.carry_over, 0.0) ** cycles)


@dataclass(frozen=True)
class Prior:
    """Normal prior over the points' distances, in the order of ``points``."""

    mean: Matrix
    covariance: Matrix


def vague_prior(points: Sequence[Point], tolerance: float) -> Prior:
    """Nearly nothing is known, and nothing of one plan from another."""
    return Prior(np.full(len(points), tolerance), np.eye(len(points)) * (100.0 * tolerance) ** 2)


def informative_prior(points: Sequence[Point], knobs: Knobs, tolerance: float) -> Prior:
    """Harm falls with the rate as a power and with the size by steps; scale: a quarter of the rows costs
    one tolerance, give or take one, a step of size half of one; plans deviate from that by a third of it."""
    columns = [*knobs.policies, *knobs.sizes[:-1]]
    features = np.zeros((len(points), len(columns)))
    quarter = 4.0**RATE_EXPONENT - 1.0
    for i, point in enumerate(points):
        if point.rate < knobs.rates[0]:
            relative = point.rate / knobs.rates[0]
            harm = POLICY_HARM[point.policy] * (relative**-RATE_EXPONENT - 1.0) / quarter
            features[i, columns.index(point.policy)] = harm
        for j, size in enumerate(knobs.sizes[:-1]):
            features[i, len(knobs.policies) + j] = 0.5 * (point.size <= size)
    mean = features.sum(axis=1) * tolerance
    shared = features @ features.T * tolerance**2
    return Prior(mean, shared + np.diag((mean / 3.0) ** 2))


def update(
    prior: Prior,
    points: Sequence[Point],
    reference: Point,
    contrasts: Sequence[Contrast],
    *,
    cycle: int,
    dynamics: Dynamics,
) -> dict[Point, Belief]:
    """Posterior of each point's distance (Gaussian conditioning; Rasmussen and Williams 2006, eq. 2.23-24).

    Contrasts of points that are no longer among ``points`` are left out.
    """
    index = {point: i for i, point in enumerate(points)}
    known = [c for c in contrasts if {c.point, c.against} <= {*index, reference} and c.standard_error > 0.0]
    mean, covariance = prior.mean, prior.covariance
    if known:
        design = np.zeros((len(known), len(points)))
        noise = np.empty(len(known))
        for row, c in enumerate(known):
            growth = dynamics.growth(c.age)
            for point, sign in ((c.point, growth), (c.against, -growth)):
                if point != reference:
                    design[row, index[point]] += sign
            seed = 2.0 * dynamics.seed_noise**2 if c.age is None else 0.0
            stale = growth**2 * dynamics.drift**2 * max(cycle - c.cycle, 0)
            noise[row] = c.standard_error**2 + seed + stale
        gain = np.linalg.solve(design @ covariance @ design.T + np.diag(noise), design @ covariance).T
        mean = mean + gain @ (np.array([c.gap for c in known]) - design @ mean)
        covariance = covariance - gain @ design @ covariance
    result = {
        point: Belief(float(mean[i]), sqrt(max(float(covariance[i, i]), 0.0))) for point, i in index.items()
    }
    result[reference] = Belief(0.0, 0.0)
    return result
