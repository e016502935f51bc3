"""What is believed of every plan's distance to the reference, from measured contrasts.

One linear Gaussian model serves both questions that are asked of it. *May this plan serve?* is asked
with a vague prior: only measurements of the very plan count. *Which plan is worth a trial?* is asked
with an informative one: a plan that was never run borrows from its neighbours. The reference is zero
by definition. Nothing is decided here.

The unknown g(P) is the relative distance to the reference that plan P reaches if it runs for ever. A
branch that trained apart for m cycles shows the share 1 - rho^m of it, under the model that knowledge
decays geometrically: the share rho of a gap is left after a cycle. rho is unknown as well and summed over:
a short trial without harm says little if harm may build up slowly. Old measurements lose weight, as if g
walked at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

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


OWN_HARM = 0.4
"""Spread of a policy's own factor on the harm, relative to what the policies share."""


@dataclass(frozen=True)
class Belief:
    """Normal belief of a relative distance."""

    mean: float
    sd: float

    def upper(self, z: float) -> float:
        """Bound that is exceeded with the probability of z standard deviations."""
        return self.mean + z * self.sd


def rate_share(milder: Point, harsher: Point) -> float | None:
    """Largest share of the harsher plan's distance that the milder one may have; None: not comparable.

    Plans that differ in the rate alone follow rate^-b - 1 with b of at least 1/2, the rate at which
    sampling noise falls. With a smaller size part of the distance is the size's, and only order is left.
    """
    if milder == harsher:
        return 1.0
    if (milder.policy, milder.size) != (harsher.policy, harsher.size) or milder.rate <= harsher.rate:
        return None
    return float((milder.rate**-0.5 - 1.0) / (harsher.rate**-0.5 - 1.0))


@dataclass(frozen=True)
class Wear:
    """How what was measured goes out of date, and how it is blurred.

    Attributes:
        drift: standard deviation per cycle of the random walk of a distance, relative loss.
        seed_noise: standard deviation between two cold starts that differ in their seed, relative loss.
    """

    drift: float
    seed_noise: float


def growth(carry_over: float, age: float | None) -> float:
    """Share of a distance that shows after ``age`` cycles apart: 1 - rho^age; all after a cold start."""
    return 1.0 if age is None else 1.0 - float(carry_over**age)


@dataclass(frozen=True)
class Prior:
    """Normal prior over the points' distances, in the order of ``points``."""

    mean: Matrix
    covariance: Matrix


def vague_prior(points: Sequence[Point], tolerance: float) -> Prior:
    """Nearly nothing is known, and nothing of one plan from another."""
    return Prior(np.full(len(points), tolerance), np.eye(len(points)) * (100.0 * tolerance) ** 2)


def informative_prior(points: Sequence[Point], knobs: Knobs, tolerance: float) -> Prior:
    """Harm falls with the rate as a power and with the size by steps.

    Scale: a quarter of the rows costs one tolerance when chosen uniformly, give or take one; a step of
    size costs half of one. What policies share is most of it; plans deviate from the law by a third.
    """
    width = 1 + len(knobs.policies) + len(knobs.sizes) - 1
    features, mean = np.zeros((len(points), width)), np.zeros(len(points))
    quarter = 4.0**RATE_EXPONENT - 1.0
    for i, point in enumerate(points):
        if point.rate < knobs.rates[0]:
            relative = point.rate / knobs.rates[0]
            harm = POLICY_HARM[point.policy] * (relative**-RATE_EXPONENT - 1.0) / quarter
            features[i, 0] = harm
            features[i, 1 + knobs.policies.index(point.policy)] = OWN_HARM * harm
            mean[i] += harm
        for j, size in enumerate(knobs.sizes[:-1]):
            features[i, 1 + len(knobs.policies) + j] = 0.5 * (point.size <= size)
            mean[i] += 0.5 * (point.size <= size)
    shared = features @ features.T * tolerance**2
    return Prior(mean * tolerance, shared + np.diag((mean * tolerance / 3.0) ** 2))


CARRY_OVERS = (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.96, 0.98)
"""Grid of rho; without evidence each is as likely as the others."""


class Evidence:
    """The contrasts as one linear Gaussian system for each rho of the grid, and the weight of each rho.

    A cold start's learning curve does not tell rho: it falls fast with what is common, while sampling harms
    what is rare. So rho comes from how measured gaps grow with the age of their branches, by the marginal
    likelihood of the contrasts (Rasmussen and Williams 2006, eq. 2.30) under independent distances of
    mean zero whose standard deviation is ``scale``, what is expected of each plan.
    """

    def __init__(
        self,
        contrasts: Sequence[Contrast],
        reference: Point,
        *,
        cycle: int,
        wear: Wear,
        scale: Mapping[Point, float],
    ) -> None:
        self._points = list(
            dict.fromkeys(p for c in contrasts for p in (c.point, c.against) if p != reference)
        )
        self._reference = reference
        index = {point: i for i, point in enumerate(self._points)}
        signs = np.zeros((len(contrasts), len(self._points)))
        for row, c in enumerate(contrasts):
            for point, sign in ((c.point, 1.0), (c.against, -1.0)):
                if point != reference:
                    signs[row, index[point]] += sign
        shares = np.array([[growth(rho, c.age) for c in contrasts] for rho in CARRY_OVERS])
        error = np.array([c.standard_error**2 for c in contrasts])
        cold = np.array([2.0 * wear.seed_noise**2 * (c.age is None) for c in contrasts])
        stale = np.array([wear.drift**2 * max(cycle - c.cycle, 0) for c in contrasts])
        self._noise = error + cold + shares**2 * stale
        self._design = shares[:, :, None] * signs
        self._gaps = np.array([c.gap for c in contrasts])
        spread = np.array([scale[p] ** 2 for p in self._points])
        independent = Prior(np.zeros(len(self._points)), np.diag(spread))
        logs = self._condition(independent)[2]
        weights = np.exp(logs - logs.max())
        self.weights: Matrix = weights / weights.sum()

    def carry_over(self, quantile: float) -> float:
        """Quantile of rho."""
        return CARRY_OVERS[int(np.searchsorted(np.cumsum(self.weights), quantile))]

    def _condition(self, prior: Prior) -> tuple[Matrix, Matrix, Matrix]:
        """Posterior means (rho, point), covariances (rho, point, point), log marginal likelihoods (rho)."""
        precision = np.linalg.inv(prior.covariance)
        scaled = self._design / self._noise[:, :, None]
        posterior = precision + np.einsum("rcp,rcq->rpq", scaled, self._design)
        residual = self._gaps - self._design @ prior.mean
        pull = np.einsum("rcp,rc->rp", scaled, residual)
        covariance = np.linalg.inv(posterior)
        shift = np.einsum("rpq,rq->rp", covariance, pull)
        quadratic = (residual**2 / self._noise).sum(axis=1) - (pull * shift).sum(axis=1)
        logdet = (
            np.log(self._noise).sum(axis=1)
            + np.linalg.slogdet(prior.covariance)[1]
            + np.linalg.slogdet(posterior)[1]
        )
        return prior.mean + shift, covariance, -0.5 * (quadratic + logdet)

    def beliefs(self, points: Sequence[Point], prior: Prior) -> dict[Point, Belief]:
        """Posterior of each point's distance, its mean and standard deviation over all of rho.

        Points without a contrast follow through the prior's covariance (eq. 2.25-26 of the same book).
        Measured points that are not among ``points`` are left out: they must not be in the contrasts.
        """
        known = [points.index(p) for p in self._points]
        inner = Prior(prior.mean[known], prior.covariance[np.ix_(known, known)])
        means, covariances, _ = self._condition(inner)
        carry = np.linalg.solve(inner.covariance, prior.covariance[known]).T
        mean = prior.mean + (means - inner.mean) @ carry.T
        removed = inner.covariance - covariances
        variance = np.diag(prior.covariance) - np.einsum("ik,rkl,il->ri", carry, removed, carry)
        overall = self.weights @ mean
        spread = self.weights @ (np.maximum(variance, 0.0) + (mean - overall) ** 2)
        found = {p: Belief(float(overall[i]), sqrt(float(spread[i]))) for i, p in enumerate(points)}
        return {**found, self._reference: Belief(0.0, 0.0)}
