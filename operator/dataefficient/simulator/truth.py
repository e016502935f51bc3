"""What training really does to a model: the formulas that the simulated runs obey.

A model is its size, what it knows and how it came to know it. Its gap is its log loss over the
reference's, minus 1, where the reference is the lineage that trained all rows at the largest size since
the history began, from the seed of the resource's own first candidate:

    gap = C(D) - C(D_reference) + h + S(size) + z - z_reference

- C(D) = U (1 + D/d0)^-b, the power law of a cold start on D cycles' rows; old rows count rho per cycle of
  age, so D tends to 1 / ln(1/rho) and two lineages come together geometrically.
- h, the harm of sampling: rho^n h + (1 - rho^n) G(policy, rate) after n cycles under a plan, and for a cold
  start G C(D)/C(D_infinity), at most 4 G: the fewer rows, the more the missing ones are missed.
- S(size), what the size cannot express.
- z, the luck of a cold start, N(0, seed_sd^2), which fades as rho^n. A model that is converted to another
  size has more of it: grown, what it could not express before; shrunk, what its conversion lost.

Nothing here is random except by seed, and nothing knows of reports.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, floor, log, sqrt
from random import Random

from dataefficient.contract import Policy
from dataefficient.planner.knobs import Point
from dataefficient.simulator.scenario import MILDEST_RATE, SIZES, Scenario

COLD_HARM_LIMIT = 4.0
"""A cold start suffers from sampling at most so many times what a long lineage does."""
CONVERSION_LOSS = (1e-4, 4e-3)
"""What a smaller model loses when it is made out of a larger one: of four conversions on three streams, 0.01
to 0.2 % were left after half a cycle."""
REPLAY_HARM = 0.005
"""Gap for each cycle's worth of rows that a lineage trains on twice."""
REVERSION = 0.01
IDENTITY = 4
"""Dimensions of the part of a model's fingerprint that is its own."""


@dataclass(frozen=True)
class Knowledge:
    """A model. Times are in cycles since the history began.

    ``fingerprint`` places the model among others: the noise of a difference grows with the distance of
    two fingerprints, 1 for models of different size, rate and past.
    """

    size: int
    born: float
    position: float
    harm: float
    luck: float
    fingerprint: tuple[float, ...]


_POLICIES = tuple(Policy)


def _random(*key: object) -> Random:
    return Random(zlib.crc32("|".join(map(str, key)).encode()))


class Truth:
    """The formulas with one scenario's numbers."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._reference_luck = 0.0
        self._rate = log(1.0 / scenario.carry_over)
        self._walk: list[float] = [0.0]

    @cached_property
    def _offset(self) -> float:
        """d0, from the gap of a cold start on one cycle's rows."""
        s = self.scenario
        return float(1.0 / ((s.untrained / s.after_one_cycle) ** (1.0 / s.cold_exponent) - 1.0))

    def cold_loss(self, examples: float) -> float:
        """C(D): gap to unlimited data after D cycles' rows."""
        return float(
            self.scenario.untrained * (1.0 + examples / self._offset) ** -self.scenario.cold_exponent
        )

    def examples(self, born: float, position: float) -> float:
        """D: rows since ``born``, in cycles' worth, discounted by their age; a break discounts older ones."""
        regime = self.scenario.regime
        if regime is None or not born < regime.cycle < position:
            return self._discounted(position - born)
        old = self._discounted(regime.cycle - born) * self.kept(position - regime.cycle) * (1.0 - regime.void)
        return old + self._discounted(position - regime.cycle)

    def _discounted(self, cycles: float) -> float:
        return (1.0 - exp(-self._rate * cycles)) / self._rate

    def kept(self, cycles: float) -> float:
        """rho^n."""
        return exp(-self._rate * cycles)

    def _voided(self, start: float, end: float) -> float:
        regime = self.scenario.regime
        return 1.0 - regime.void if regime is not None and start <= regime.cycle < end else 1.0

    def _wander(self, cycle: int) -> float:
        while len(self._walk) <= cycle:
            step = _random(self.scenario.seed, "harm", len(self._walk)).gauss(0.0, self.scenario.harm_drift)
            self._walk.append((1.0 - REVERSION) * self._walk[-1] + step)
        return exp(self._walk[cycle]) if self.scenario.harm_drift else 1.0

    def _ramp(self, cycle: int) -> tuple[float, float]:
        """Factor on the harm of sampling and addition to the harm of smaller sizes."""
        ramp = self.scenario.ramp
        if ramp is None or cycle < ramp.cycle:
            return 1.0, 0.0
        part = min(1.0, (cycle - ramp.cycle + 1) / ramp.cycles)
        mildest = min(self.scenario.sampling_harm(policy, MILDEST_RATE) for policy in _POLICIES)
        factor = 1.0 + part * max(0.0, ramp.final / mildest - 1.0)
        return factor, part * max(0.0, ramp.final - min(self.scenario.size_harm[:-1]))

    def _sampling(self, policy: Policy, rate: float, cycle: int) -> float:
        if rate >= 1.0:
            return 0.0
        factor = self._wander(cycle) * self._ramp(cycle)[0]
        regime = self.scenario.regime
        if regime is not None and cycle >= regime.cycle:
            factor *= 1.0 + regime.harm * 0.5 ** ((cycle - regime.cycle) / regime.half_life)
        return factor * self.scenario.sampling_harm(policy, rate)

    def size_harm(self, size: int, cycle: int) -> float:
        """S(size) in a cycle."""
        if size == SIZES[-1]:
            return 0.0
        return self._wander(cycle) * self.scenario.size_harm[SIZES.index(size)] + self._ramp(cycle)[1]

    def steady(self, point: Point, cycle: int) -> float:
        """Gap that a lineage under ``point`` tends to in ``cycle``, if nothing changed any more."""
        return self._sampling(point.policy, point.rate, cycle) + self.size_harm(point.size, cycle)

    def trajectory(self, point: Point, first: int, last: int) -> list[float]:
        """Gap after each cycle first..last of a lineage without gap that runs ``point`` from ``first`` on.

        A smaller size is taken as caught up.
        """
        harm, gaps = 0.0, []
        for cycle in range(first, last + 1):
            harm = self._learn(harm, point, float(cycle), cycle + 1.0)
            gaps.append(harm + self.size_harm(point.size, cycle))
        return gaps

    def _learn(self, harm: float, point: Point, start: float, end: float) -> float:
        """h after training under ``point`` from ``start`` to ``end``, cycle by cycle."""
        while start < end - 1e-9:
            cycle = floor(start + 1e-9)
            stop = min(cycle + 1.0, end)
            kept = self.kept(stop - start)
            harm = kept * harm * self._voided(start, stop) + (1.0 - kept) * self._sampling(
                point.policy, point.rate, cycle
            )
            start = stop
        return harm

    def _cold_harm(self, point: Point, born: float, position: float) -> float:
        limit = self.cold_loss(1.0 / self._rate)
        factor = min(COLD_HARM_LIMIT, self.cold_loss(self.examples(born, position)) / limit)
        return factor * self._sampling(point.policy, point.rate, floor(max(position - 1e-9, 0.0)))

    def luck(self, seed: int, point: Point, start: float) -> float:
        """z of a cold start; the same run draws the same luck."""
        key = (
            self.scenario.seed,
            "luck",
            seed,
            point.policy.value,
            round(point.rate, 6),
            point.size,
            round(start, 6),
        )
        return _random(*key).gauss(0.0, self.scenario.seed_sd)

    def cold(self, point: Point, start: float, end: float, seed: int) -> Knowledge:
        """A model trained from nothing on [start, end)."""
        identity = _random(self.scenario.seed, "identity", seed, point, round(start, 6))
        own = [identity.gauss(0.0, 0.1) for _ in range(IDENTITY)]
        sizes = [0.4 * (point.size == size) for size in SIZES]
        return Knowledge(
            size=point.size,
            born=start,
            position=end,
            harm=self._cold_harm(point, start, end),
            luck=self.luck(seed, point, start),
            fingerprint=(*sizes, *_exposure(point), *own),
        )

    def converted(self, model: Knowledge, size: int, start: float) -> Knowledge:
        """``model`` as one of another size, before it has trained on anything from ``start`` on."""
        if model.size == size:
            return model
        cycle = floor(start + 1e-9)
        change = self.size_harm(model.size, cycle) - self.size_harm(size, cycle)
        least, most = (log(loss) for loss in CONVERSION_LOSS)
        lost = exp(_random(self.scenario.seed, "conversion", size).uniform(least, most))
        sizes = (0.4 * (size == other) for other in SIZES)
        return replace(
            model,
            size=size,
            luck=model.luck + (change if size > model.size else lost),
            fingerprint=(*sizes, *model.fingerprint[len(SIZES) :]),
        )

    def warm(self, model: Knowledge, point: Point, start: float, end: float) -> Knowledge:
        """``model`` after training on [start, end); rows seen twice harm it, rows skipped it never knew."""
        learned = max(0.0, end - max(start, model.position))
        kept = self.kept(learned)
        twice = max(0.0, min(model.position, end) - start)
        fresh = _random(self.scenario.seed, "branch", point, round(start, 6), round(end, 6))
        sizes, n = len(SIZES), len(SIZES) + len(_POLICIES)
        old = model.fingerprint
        exposure = (kept * a + (1.0 - kept) * b for a, b in zip(old[sizes:n], _exposure(point), strict=True))
        own = (kept * a + sqrt(1.0 - kept * kept) * fresh.gauss(0.0, 0.1) for a in old[n:])
        return replace(
            model,
            born=model.born + max(0.0, start - model.position),
            position=max(end, model.position),
            harm=self._learn(model.harm, point, max(start, model.position), end) + REPLAY_HARM * twice,
            luck=model.luck * self._faded(model.position, end),
            fingerprint=(*old[:sizes], *exposure, *own),
        )

    def _faded(self, start: float, end: float) -> float:
        return self.kept(max(0.0, end - start)) * self._voided(start, end)

    def along(self, model: Knowledge, point: Point, start: float, times: Sequence[float]) -> list[float]:
        """Gaps of ``model`` as it trains under ``point`` from ``start`` on, at ascending ``times``."""
        gaps, harm, at = [], model.harm, max(start, model.position)
        begun = at
        for time in times:
            if time > at:
                harm, at = self._learn(harm, point, at, time), time
            luck = model.luck * self._faded(begun, at)
            gaps.append(self._gap(model.size, model.born, at, harm, luck))
        return gaps

    def along_cold(self, model: Knowledge, point: Point, times: Sequence[float]) -> list[float]:
        """Gaps of the cold start that ended as ``model``, at ``times`` within its training."""
        return [
            self._gap(model.size, model.born, at, self._cold_harm(point, model.born, at), model.luck)
            for at in (max(time, model.born) for time in times)
        ]

    def gap(self, model: Knowledge) -> float:
        """Relative distance of a model to the reference, both at the model's position."""
        return self._gap(model.size, model.born, model.position, model.harm, model.luck)

    def _gap(self, size: int, born: float, at: float, harm: float, luck: float) -> float:
        cold = self.cold_loss(self.examples(born, at)) - self.cold_loss(self.examples(0.0, at))
        cycle = floor(max(at - 1e-9, 0.0))
        reference_luck = self._reference_luck * self._faded(float(self.scenario.history), at)
        return cold + harm + self.size_harm(size, cycle) + luck - reference_luck

    def set_reference(self, seed: int) -> None:
        """Say which seed the reference's cold start has; until then it has no luck."""
        self._reference_luck = self.luck(seed, Point(Policy.UNIFORM, 1.0, SIZES[-1]), 0.0)

    def stale(self, cycles: float) -> float:
        """Relative loss that a frozen model gains in ``cycles`` after its position."""
        s = self.scenario
        return s.staleness * (1.0 - exp(-max(cycles, 0.0) / s.staleness_cycles))

    def convergence(self, tolerance: float) -> float:
        """Cycles of the shortest history whose cold start is within ``tolerance`` of the whole history's."""
        end = float(self.scenario.history)
        whole = self.cold_loss(self.examples(0.0, end))
        low, high = 0.0, end
        while high - low > 1e-4:
            middle = (low + high) / 2.0
            gap = self.cold_loss(self.examples(end - middle, end)) - whole
            low, high = (middle, high) if gap > tolerance else (low, middle)
        return high


def _exposure(point: Point) -> tuple[float, ...]:
    """How far sampling of each policy moves a model from its full-data twin: 0.25 for each halving."""
    return tuple(0.25 * log(1.0 / point.rate, 2.0) * (policy is point.policy) for policy in _POLICIES)
