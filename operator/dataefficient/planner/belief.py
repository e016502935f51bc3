"""What is believed of a lineage's distance to the reference, now and some cycles ahead.

Every contrast that was measured enters one linear Gaussian system, which answers one question: how far
from the reference will the lineage be so many cycles from now, if it goes on under this plan? The
reference is zero by definition. Nothing is decided here.

The unknowns are what plans cost a lineage that runs them for ever: for each policy a scale times the law of
its sample (``law``), for each step of size a constant, and for each plan that was measured its own deviation
from that law. Knowledge decays geometrically: a share rho of every distance is left after a cycle, so that a
branch of age m shows 1 - rho^m of it. A cold start has luck of its own, which fades the same way. So does
what a model loses as it is converted to another size, but by no law that is known: it is noise of each look,
which falls with age, so that from how fast it falls nothing follows. rho and b
are summed over on a grid; each pair is one component of the answer.

rho decides how much is still to come, and young branches hardly tell it. But where it is close to 1, what
is to come takes long: a question some cycles ahead can be answered long before one about eternity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import ndtr

from dataefficient.contract import Policy
from dataefficient.planner.conditioning import Looks, Matrix, condition, wandered
from dataefficient.planner.contrasts import Contrast, Past
from dataefficient.planner.knobs import Knobs, Point
from dataefficient.planner.law import DEVIATION, EXPONENTS, Law
from dataefficient.planner.scatter import weight

CARRY_OVERS = (0.3, 0.5, 0.65, 0.75, 0.83, 0.89, 0.93, 0.96, 0.98)
"""Grid of rho; without evidence each is as likely as the others."""
POLICY_HARM = {Policy.UNIFORM: 3.0, Policy.NEGATIVES: 3.0, Policy.SCORED_NEGATIVES: 2.4}
"""Prior mean of each policy's scale, in tolerances: what a sample as good as a uniform quarter loses. The law
says how good a sample is, by a formula that is exact for the first two; scores keep the better negatives."""
PRIOR_SPREAD = 1.5
"""Prior standard deviation of what policies share, relative to its mean: nearly nothing is known."""
OWN_SPREAD = 0.3
"""Prior standard deviation of a policy's own part, relative to its mean."""
SIZE_STEP = 0.5
"""Prior mean of what one step of size costs, in tolerances; its standard deviation is one tolerance."""
EXPECTED = sqrt(1.0 + PRIOR_SPREAD**2 + OWN_SPREAD**2)
"""Root mean square of a policy's scale before any data, relative to its mean."""
UNEXPLAINED = 0.15
"""Standard deviation of what sampling may cost beyond any law, in tolerances: trainers differ in how well
they follow a changed rate."""
WORN_OUT = 30
"""Cycles after which a measurement is as far out of date as it will be: harms wander about their mean."""
BISECTIONS = 26
"""Of a range of some dozen standard deviations: exact to a millionth of one."""
CONVERTED = 0.25
"""Standard deviation of what a model loses as it is converted to another size, in tolerances, at first."""
EXPECTED_LOSS = 0.35
"""What it will seem to have lost, in tolerances, as far as that is to be planned with."""
TOLD, TOLD_SPREAD = 0.7, 0.3
"""Mean and standard deviation of the part of a divergence that is lost. On four real and made streams it was
0.35, 0.55, 0.75 and 1 (record 103)."""
LAG = 0.3
"""Standard deviation of what a model loses beside that because it follows the stream more slowly, in
tolerances, where the divergence is one. It grows with the root of the divergence."""
EACH, LEAST = 0.4, 0.02
"""Standard deviation between looks of what one look's divergence tells, relative to it; in tolerances at
least."""
DENIED = 2.0
"""Standard errors by which labels may deny a divergence before it counts less."""
SEEN_AFTER = 5.0
"""Prior harm is what shows after so many cycles, not what may come: else a slow rho would be favoured by the
prior alone, since it makes any small gap likely."""


@dataclass(frozen=True)
class Belief:
    """Mean and standard deviation of a relative distance."""

    mean: float
    sd: float


@dataclass(frozen=True)
class Wear:
    """How what was measured goes out of date, and how it is blurred.

    Attributes:
        drift: standard deviation per cycle of the random walk of a distance, relative to the distance, and to
            the tolerance at least.
        seed_noise: standard deviation between two cold starts that differ in their seed, relative loss.
        cycles: standard deviation of what a cycle adds of its own to a look at plans that hardly differ
            (``scatter``).
    """

    drift: float
    seed_noise: float
    cycles: float = 0.0


def growth(carry_over: float, age: float | None) -> float:
    """Share of a distance that shows after ``age`` cycles apart: 1 - rho^age; all after a cold start."""
    return 1.0 if age is None else 1.0 - float(carry_over**age)


def cold_luck(seed_noise: float, tolerance: float) -> float:
    """Standard deviation of a cold start's luck, and of what it has yet to catch up with."""
    return sqrt(2.0 * seed_noise**2 + (0.5 * tolerance) ** 2)


def conversion_loss(tolerance: float, gaps: Sequence[float] = ()) -> float:
    """Standard deviation of what a model lost as it was converted to another size, after looks at it.

    It hardly ever gains by that, so little is assumed: what is gained at first would hide what the size
    costs. Where it seems to have lost more, that is thought possible too, up to a tolerance, and what the
    size costs is less certain; beyond that it is rather the size.
    """
    return min(max([CONVERTED * tolerance, *gaps]), tolerance)


@dataclass(frozen=True, eq=False)
class Mixture:
    """Distribution of several distances: a mixture of normals, one component for each (rho, b)."""

    weights: Matrix
    """(components,)"""
    mean: Matrix
    """(distances, components)"""
    sd: Matrix
    """(distances, components)"""

    def beliefs(self) -> list[Belief]:
        """Mean and standard deviation of each distance."""
        overall = self.mean @ self.weights
        spread = np.sqrt((self.sd**2 + (self.mean - overall[:, None]) ** 2) @ self.weights)
        return [Belief(float(m), float(s)) for m, s in zip(overall, spread, strict=True)]

    def below(self, limit: float) -> Matrix:
        """Probability that each distance is at most ``limit``, shape (distances,)."""
        return np.asarray(ndtr((limit - self.mean) / self.sd) @ self.weights)

    def quantiles(self, probability: float) -> Matrix:
        """Bound that each distance is below with this probability, shape (distances,); by bisection."""
        low = (self.mean - 9.0 * self.sd).min(axis=1)
        high = (self.mean + 9.0 * self.sd).max(axis=1)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2.0
            inside = ndtr((middle[:, None] - self.mean) / self.sd) @ self.weights >= probability
            low, high = np.where(inside, low, middle), np.where(inside, middle, high)
        return np.asarray(high)


@dataclass(frozen=True)
class Life:
    """What a lineage trained under, and the cold start that it goes back to."""

    past: Past
    cold: str = ""
    cold_age: float = 0.0


class Evidence:
    """The contrasts as one linear Gaussian system for each rho and b, and how likely each pair is.

    Weights follow the marginal likelihood of the contrasts (Rasmussen and Williams 2006, eq. 2.30), the
    unknowns the normal distribution that is conditioned on them (eq. 2.8, weight space).
    """

    def __init__(
        self, contrasts: Sequence[Contrast], knobs: Knobs, *, tolerance: float, cycle: int, wear: Wear
    ) -> None:
        self._knobs, self._tolerance, self._wear = knobs, tolerance, wear
        grid = [(rho, b) for rho in CARRY_OVERS for b in EXPONENTS]
        self._rho, self._b = np.array(grid).T
        self._laws: dict[Point, Matrix] = {}
        mentioned = dict.fromkeys(p for c in contrasts for p in sorted(c.points) if p != knobs.reference)
        self._own = {p: i for i, p in enumerate(mentioned)}
        self._converted: dict[str, list[float]] = {}
        for c in contrasts:
            if c.converted:
                self._converted.setdefault(c.cold, []).append(c.gap)
        colds = dict.fromkeys(c.cold for c in contrasts if c.cold and not c.converted)
        self._colds = {name: i for i, name in enumerate(colds)}
        self._first_own = len(knobs.policies) + len(knobs.sizes) - 1
        self._first_cold = self._first_own + len(self._own)
        self._first_told = self._first_cold + len(self._colds)
        apart = [i for i, c in enumerate(contrasts) if c.divergence and c.poorer]
        self._width = self._first_told + 2
        rows = [self._row(c) for c in contrasts]
        design = np.stack(rows, axis=1) if rows else np.zeros((len(grid), 0, self._width))
        shares = np.array([[growth(rho, c.age) for c in contrasts] for rho in self._rho])
        gaps = np.array([c.gap for c in contrasts])
        noise = np.array([c.standard_error**2 for c in contrasts])
        stale = np.array([min(max(cycle - c.cycle, 0), WORN_OUT) for c in contrasts])
        moved = [0.0 if c.age is None and not c.cold else weight(c.gap, tolerance) for c in contrasts]
        own = np.array(moved) * wear.cycles
        lost = np.array([self._luck(c.cold) if c.converted else 0.0 for c in contrasts])
        faded = lost * self._rho[:, None] ** np.array([c.age or 0.0 for c in contrasts])
        noise = noise + own**2 + faded**2
        told = np.array([not c.converted for c in contrasts], bool)
        if apart:
            divergence = np.array([contrasts[i].divergence for i in apart], float)
            toward = np.array([contrasts[i].poorer for i in apart])
            design = np.concatenate(
                [design, self._apart(design[:, apart] * toward[:, None], divergence)], axis=1
            )
            doubt = self._denied(toward * gaps[apart], divergence, np.sqrt(noise[:, apart]))
            doubt = doubt + faded[:, apart] ** 2
            gaps = np.append(gaps, TOLD * divergence)
            noise = np.concatenate([noise, doubt], axis=1)
            stale, told = np.append(stale, stale[apart]), np.append(told, told[apart])
        self._scale = self._found = np.repeat(self._later()[:, None], len(knobs.policies), axis=1)
        self._condition(Looks.apart(design, gaps, noise))
        # How far plans and policies may lie from the law, and what is thought possible, go with how large the
        # harm proved to be: nobody knows its order of magnitude, and a normal prior would hold on to its own,
        # or come back to it as what was measured goes out of date.
        self._scale = self._found_scale()
        self._found = self._scale / EXPECTED
        # A harm wanders in proportion to itself: to what was found, as noise would make small gaps look sure.
        found = (design[:, : len(rows)] @ self._mean[:, :, None])[:, :, 0]
        steps = np.copysign(np.maximum(shares * tolerance, np.abs(found)), found) * wear.drift
        steps = np.concatenate([steps, np.abs(steps[:, apart])], axis=1)
        plans = [c.mine[-1].point for c in (*contrasts, *(contrasts[i] for i in apart))]
        worn = noise[:, :, None] * np.eye(len(gaps)) + wandered(steps, stale, plans)
        # How fast a converted model changes tells of its conversion, and not of how fast harm builds up.
        self.weights = self._condition(Looks.together(design[:, told], gaps[told], worn[:, told][:, :, told]))
        if not told.all():
            self._condition(Looks.together(design, gaps, worn))

    def _apart(self, rows: Matrix, divergence: Matrix) -> Matrix:
        """Rows [components, looks, unknowns] of what the divergence of predictions tells of distances.

        A model that was fitted to a part of what another one was lies apart from it by what that part left
        out: seen from the truth the two distances and the one between them are as the sides of a right-angled
        triangle (for maximum likelihood: Csiszar 1975; for squares and efficient estimates: Hausman 1978). So
        the loss between them is their divergence, which needs no labels and hardly any rows. Training is
        no maximum likelihood: the share of it that is lost is unknown, and so is what a model that
        lags behind the stream loses beside it, which goes with the difference and not with its square.
        """
        rows = rows.copy()
        rows[:, :, self._first_told] = -divergence
        rows[:, :, self._first_told + 1] = -np.sqrt(divergence * self._tolerance)
        return rows

    def _denied(self, gaps: Matrix, divergence: Matrix, error: Matrix) -> Matrix:
        """Variance of what each look's divergence tells: its own, and what the labels of its rows deny."""
        denied = np.maximum(np.abs(gaps - TOLD * divergence) - DENIED * error, 0.0)
        return np.asarray(self._one_look(divergence) ** 2 + denied**2)

    def _one_look(self, divergence: Matrix | float) -> Matrix:
        """Standard deviation of what one look's divergence tells of a distance."""
        return np.hypot(EACH * divergence, LEAST * self._tolerance)

    def apart(self, distance: float) -> tuple[float, float]:
        """Standard errors of what divergence tells of a plan at such a distance, in one look and in all."""
        divergence = max(distance, 0.0) / TOLD
        return float(self._one_look(divergence)), self.doubt(divergence)

    def doubt(self, divergence: float) -> float:
        """Standard deviation of what predictions that lie so far apart tell of a distance, however often."""
        row = np.zeros((len(self._rho), self._width))
        row[:, self._first_told] = divergence
        row[:, self._first_told + 1] = sqrt(divergence * self._tolerance)
        return float(np.sqrt(np.einsum("rk,rkl,rl->r", row, self._covariance, row) @ self.weights))

    def _found_scale(self) -> Matrix:
        """Root mean square of each policy's harm relative to its prior mean, (components, policies)."""
        harms = np.array([POLICY_HARM[policy] for policy in self._knobs.policies]) * self._tolerance
        policies = slice(0, len(harms))
        variance = np.diagonal(self._covariance, axis1=1, axis2=2)[:, policies]
        return np.asarray(np.sqrt(self._mean[:, policies] ** 2 + variance) / harms)

    def _condition(self, looks: Looks) -> Matrix:
        """Set what is believed after looks; returns the components' weights."""
        self._mean, self._covariance, weights = condition(looks, *self._prior())
        return weights

    def _later(self) -> Matrix:
        """How much harm is still to come beyond what shows after ``SEEN_AFTER`` cycles, as a factor."""
        return np.asarray(1.0 / (1.0 - self._rho**SEEN_AFTER))

    def _prior(self) -> tuple[Matrix, Matrix]:
        """Mean (components, unknowns) and covariance (components, unknowns, unknowns)."""
        count, knobs = len(self._rho), self._knobs
        mean = np.zeros((count, self._width))
        variance = np.zeros((count, self._width, self._width))
        harms = np.array([POLICY_HARM[policy] for policy in knobs.policies]) * self._tolerance
        mean[:, : len(harms)] = self._later()[:, None] * harms
        shared = np.maximum(self._later()[:, None], self._found) * harms
        own = OWN_SPREAD * self._found * harms
        variance[:, : len(harms), : len(harms)] = PRIOR_SPREAD**2 * shared[:, :, None] * shared[:, None, :]
        for j in range(len(harms)):
            variance[:, j, j] += own[:, j] ** 2
        for j in range(len(harms), self._first_own):
            mean[:, j], variance[:, j, j] = SIZE_STEP * self._tolerance, self._tolerance**2
        for point, i in self._own.items():
            j = self._first_own + i
            variance[:, j, j] = self._deviation(point)
        for i in self._colds.values():
            j = self._first_cold + i
            variance[:, j, j] = cold_luck(self._wear.seed_noise, self._tolerance) ** 2
        variance[:, self._first_told, self._first_told] = TOLD_SPREAD**2
        variance[:, self._first_told + 1, self._first_told + 1] = LAG**2
        return mean, variance

    def _luck(self, name: str) -> float:
        """Standard deviation of a cold start's luck, or of what a conversion lost."""
        if name in self._converted:
            return conversion_loss(self._tolerance, self._converted[name])
        return cold_luck(self._wear.seed_noise, self._tolerance)

    def _deviation(self, point: Point) -> Matrix:
        """Variance of a plan's own distance from the law, shape (components,)."""
        harm = np.zeros(len(self._rho))
        if point.rate < self._knobs.rates[0]:
            scale = self._scale[:, self._policy(point)]
            harm = POLICY_HARM[point.policy] * self._law(point) * scale
        steps = SIZE_STEP * sum(point.size < larger for larger in self._knobs.sizes[1:])
        floor = UNEXPLAINED if point.rate < self._knobs.rates[0] else 0.0
        relative = (DEVIATION * (harm + steps)) ** 2 + floor**2
        return np.asarray(self._tolerance**2 * relative + 1e-18)

    def _law(self, point: Point) -> Matrix:
        """The law of a plan's harm, shape (components,)."""
        if point not in self._laws:
            self._laws[point] = Law.of(self._knobs).harm(point, self._b)
        return self._laws[point]

    def _policy(self, point: Point) -> int:
        """Column of the point's policy; of the most harmful one where its own is no longer allowed."""
        policies = self._knobs.policies
        if point.policy in policies:
            return policies.index(point.policy)
        return max(range(len(policies)), key=lambda i: POLICY_HARM[policies[i]])

    def _loading(self, point: Point) -> Matrix:
        """How the unknowns make up the distance of ``point``, shape (components, unknowns)."""
        row = np.zeros((len(self._rho), self._width))
        if point.rate < self._knobs.rates[0]:
            row[:, self._policy(point)] = self._law(point)
        for j, larger in enumerate(self._knobs.sizes[1:]):
            row[:, len(self._knobs.policies) + j] = float(point.size < larger)
        if point in self._own:
            row[:, self._first_own + self._own[point]] = 1.0
        return row

    def _exposed(self, past: Past, age: float | None) -> Matrix:
        """Distance that a lineage gathered over its last ``age`` cycles, or over its life: a row as above."""
        row = np.zeros((len(self._rho), self._width))
        left, since = float("inf") if age is None else age, 0.0
        for i in range(len(past) - 1, -1, -1):
            spell = past[i]
            cycles = left if i == 0 else min(spell.cycles, left)
            share = self._rho**since * (1.0 - self._rho**cycles)
            if spell.point != self._knobs.reference:
                row += share[:, None] * self._loading(spell.point)
            since, left = since + cycles, left - cycles
            if left <= 0.0:
                break
        return row

    def _row(self, contrast: Contrast) -> Matrix:
        row = self._exposed(contrast.mine, contrast.age) - self._exposed(contrast.against, contrast.age)
        if contrast.cold in self._colds:
            row[:, self._first_cold + self._colds[contrast.cold]] += self._rho**contrast.cold_age
        return row

    def foreseen(self, contrast: Contrast) -> Mixture:
        """What was to be expected of a look before it was taken, with its noise and its cycle's effect."""
        row = self._row(contrast)
        mean = np.einsum("rk,rk->r", row, self._mean)
        variance = np.einsum("rk,rkl,rl->r", row, self._covariance, row)
        for point in contrast.points - self._own.keys() - {self._knobs.reference}:
            variance = variance + self._deviation(point)
        moves = np.array([weight(gap, self._tolerance) for gap in mean]) * self._wear.cycles
        variance = variance + contrast.standard_error**2 + moves**2
        return Mixture(self.weights, mean[None, :], np.sqrt(variance)[None, :])

    def carry_over(self, quantile: float) -> float:
        """Quantile of rho."""
        by_rho = self.weights.reshape(len(CARRY_OVERS), len(EXPONENTS)).sum(axis=1)
        return CARRY_OVERS[min(int(np.searchsorted(np.cumsum(by_rho), quantile)), len(CARRY_OVERS) - 1)]

    def ahead(self, life: Life, points: Iterable[Point], cycles: float) -> Mixture:
        """Distance of a lineage that goes on under each of ``points`` for so many cycles.

        With infinitely many it is the plan's own, whatever the lineage was.
        """
        gathered = self._exposed(life.past, None) if cycles < float("inf") else 0.0
        left = self._rho**cycles
        rows, extra = [], []
        for point in points:
            row = left[:, None] * gathered + (1.0 - left)[:, None] * self._loading(point)
            unseen = np.zeros(len(self._rho))
            if point not in self._own and point != self._knobs.reference:
                unseen = (1.0 - left) ** 2 * self._deviation(point)
            if life.cold:
                luck = self._rho ** (life.cold_age + cycles)
                if life.cold in self._colds:
                    row[:, self._first_cold + self._colds[life.cold]] += luck
                else:
                    unseen = unseen + luck**2 * self._luck(life.cold) ** 2
            rows.append(row)
            extra.append(unseen)
        stacked = np.stack(rows)
        mean = np.einsum("prk,rk->pr", stacked, self._mean)
        variance = np.einsum("prk,rkl,prl->pr", stacked, self._covariance, stacked) + np.stack(extra)
        return Mixture(self.weights, mean, np.sqrt(np.maximum(variance, 0.0) + 1e-18))
