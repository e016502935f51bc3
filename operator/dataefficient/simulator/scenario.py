"""Scenarios: everything that is true of one simulated stream, model family and machine, drawn by seed.

A scenario is only numbers. Its ranges describe what streams and trainers do (a study of sampling and size
on one real stream gave their order of magnitude), and no planner is read while they are drawn, so that
nothing here can be tuned to what is being tested. How the numbers become losses and seconds is in
``truth`` and ``stream``.

All losses, gaps and harms are relative to the reference's log loss; all times are in cycles since the
history began, unless a name says otherwise.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import exp, log
from random import Random

from dataefficient.contract import Policy
from dataefficient.contract.sampling import class_probabilities
from dataefficient.planner.knobs import ladder

SIZES = (8, 16, 32)
"""Model sizes of every scenario; the last is the reference's."""
TOLERANCE = 0.002
"""Tolerance of the simulated resource. ``nothing_pays`` is defined by it; no other draw looks at it."""
ROWS_PER_DAY = (1e6, 2e7)
"""Public click logs have 4 (Avazu) to 180 million rows a day (Criteo, one terabyte)."""
SMALL_STREAM = (2e4, 2e5)
"""Rows per day where five cycles scored at 5 % of the cost do not resolve a third of the tolerance."""
LOWEST_RATE = 0.0625
"""Lowest rate of the simulated resource's ladder."""
MILDEST_RATE = ladder(LOWEST_RATE, 1.0)[1]
"""The first step down on it."""


@dataclass(frozen=True)
class Break:
    """A regime break: at ``cycle`` the level of all models is multiplied by 1 + ``level``; what was learned
    before counts ``1 - void`` of what it did, for the reference, the lineages and their gaps alike; the harm
    of sampling is multiplied by 1 + ``harm`` at first, and the excess halves every ``half_life`` cycles."""

    cycle: int
    level: float
    void: float
    harm: float
    half_life: float


@dataclass(frozen=True)
class Ramp:
    """Savings vanish: from ``cycle`` on the harm of sampling and of size grows by equal steps over ``cycles``
    cycles until even the mildest step down costs ``final``."""

    cycle: int
    cycles: int
    final: float


@dataclass(frozen=True)
class Faults:
    """Probabilities per attempt."""

    crash: float = 0.0
    """Killed on the way; the next attempt goes on from its snapshot."""
    garbage: float = 0.0
    """Paid in full, the report unreadable."""
    not_ready: float = 0.0


@dataclass(frozen=True)
class Budget:
    """Caps as shares of what the reference costs in a cycle; None: no cap."""

    per_cycle: float | None = None
    total_cycles: float | None = None


@dataclass(frozen=True)
class Scenario:
    """The truth that one simulated resource lives in."""

    name: str
    seed: int
    # the stream
    cycle_days: int
    history: int
    """Cycles of history before the first interval."""
    rows_per_day: float
    weekly: float
    """Amplitude of the weekly variation of the number of rows."""
    base_rate: float
    level: float
    """Log loss of the reference in nats, before drift."""
    walk: float
    """Standard deviation per cycle of the random walk of the level."""
    season: float
    """Amplitude of the yearly season of the level."""
    cell_noise: float
    """Standard deviation of what moves all models on the rows of a 48th of a cycle."""
    row_noise: float
    """Standard deviation of one row's loss over its mean: sampling noise that all models share."""
    pair_noise: float
    """Standard deviation, for one row, of the difference of two unlike models over the loss; the study
    has 0.04 to 0.08 % between different arms on 2.1 million rows."""
    staleness: float
    """Loss that a frozen model gains in the long run, and ``staleness_cycles``, its time constant."""
    staleness_cycles: float
    # learning
    carry_over: float
    """rho: share of a gap that is left after one more cycle."""
    untrained: float
    """Gap of an untrained model."""
    after_one_cycle: float
    """Gap of a cold start on one cycle's rows to unlimited data, if nothing were forgotten."""
    cold_exponent: float
    seed_sd: float
    harm_at_quarter: Mapping[Policy, float]
    """Steady gap of a sample of each policy that is as good as a uniform quarter."""
    harm_exponent: float
    size_harm: tuple[float, ...]
    """Steady gap of each of ``SIZES``; the last is 0."""
    harm_drift: float
    """Standard deviation per cycle of the random walk of the harm's logarithm; it reverts by 1 % a cycle."""
    divergence_lost: float
    """Share of the divergence of two models' predictions that the poorer one loses."""
    lag: float
    """Loss that the fuller model has by following the stream late, of which the poorer one has more."""
    divergence_sd: float
    """Standard deviation between looks of the logarithm of a divergence."""
    # the machine
    startup_seconds: float
    read_seconds: float
    """Per row read."""
    train_seconds: tuple[float, ...]
    """Per row trained on, by size."""
    score_seconds: tuple[float, ...]
    """Per row and model scored, by size."""
    cost_noise: float
    """Standard deviation of the logarithm of a run's seconds."""
    slow_probability: float
    """Probability of a run that takes half as long again."""
    regime: Break | None = None
    ramp: Ramp | None = None
    faults: Faults = field(default_factory=Faults)
    budget: Budget = field(default_factory=Budget)

    @property
    def rows_per_cycle(self) -> float:
        """Mean rows of one cycle."""
        return self.rows_per_day * self.cycle_days

    def sampling_harm(self, policy: Policy, rate: float) -> float:
        """Steady gap of sampling before drift: proportional to v^beta - 1.

        v is by how much the sample inflates the variance of what is learned (Fithian and Hastie 2014).
        """
        return self.harm_at_quarter[policy] * self.sampling_law(policy, rate)

    def sampling_law(self, policy: Policy, rate: float) -> float:
        """(v^beta - 1) / (4^beta - 1); 1 for a uniform quarter, 0 for all rows."""
        inflation = 1.0 / rate
        if policy is not Policy.UNIFORM:
            positive, negative = class_probabilities(rate, self.base_rate)
            inflation = self.base_rate / negative + (1.0 - self.base_rate) / positive
        return float((inflation**self.harm_exponent - 1.0) / (4.0**self.harm_exponent - 1.0))


def _loguniform(random: Random, low: float, high: float) -> float:
    return exp(random.uniform(log(low), log(high)))


def _size_harms(random: Random, smallest: float) -> tuple[float, ...]:
    """A power law in size that is ``smallest`` at the smallest size; in 3 draws of 10 the middle ties."""
    exponent = random.uniform(0.5, 1.5)
    raw = [(size / SIZES[-1]) ** -exponent - 1.0 for size in SIZES]
    harms = [smallest * r / raw[0] for r in raw]
    if random.random() < 0.3:
        harms[1] = 0.0
    return tuple(harms)


def _harms(random: Random, uniform: float) -> dict[Policy, float]:
    """Policies whose samples are as good lose alike, within a factor of less than two."""
    negatives = uniform * _loguniform(random, 0.6, 1.7)
    return {
        Policy.UNIFORM: uniform,
        Policy.NEGATIVES: negatives,
        Policy.SCORED_NEGATIVES: negatives * random.uniform(0.6, 0.9),
    }


def _common(name: str, seed: int, random: Random) -> Scenario:
    rows = _loguniform(random, *ROWS_PER_DAY)
    train = 600.0 * _loguniform(random, 0.5, 4.0) / rows / 7.0
    smallest = random.uniform(0.3, 0.7)
    sizes = (smallest, smallest + (1.0 - smallest) / 3.0, 1.0)
    per_size = tuple(train * s for s in sizes)
    score = random.uniform(0.15, 0.35)
    apart = Random(zlib.crc32(f"{name}|{seed}|apart".encode()))
    return Scenario(
        name=name,
        seed=seed,
        cycle_days=7,
        history=random.randint(4, 8),
        rows_per_day=rows,
        weekly=random.uniform(0.0, 0.2),
        base_rate=_loguniform(random, 0.01, 0.045),
        level=random.uniform(0.08, 0.2),
        walk=random.uniform(0.003, 0.01),
        season=random.uniform(0.0, 0.03),
        cell_noise=random.uniform(0.005, 0.03),
        row_noise=random.uniform(3.0, 6.0),
        pair_noise=random.uniform(0.58, 1.16),
        staleness=random.uniform(0.005, 0.02),
        staleness_cycles=random.uniform(0.5, 2.0),
        carry_over=random.uniform(0.5, 0.9),
        untrained=random.uniform(0.05, 0.3),
        after_one_cycle=_loguniform(random, 0.001, 0.015),
        cold_exponent=random.uniform(0.3, 0.8),
        seed_sd=random.uniform(3e-4, 1e-3),
        harm_at_quarter=_harms(random, _loguniform(random, 1e-3, 2e-2)),
        harm_exponent=random.uniform(0.05, 0.9),
        size_harm=_size_harms(random, _loguniform(random, 5e-4, 8e-3)),
        harm_drift=0.0,
        divergence_lost=apart.uniform(0.35, 1.1),
        lag=_loguniform(apart, 1e-7, 1e-3),
        divergence_sd=apart.uniform(0.1, 0.4),
        startup_seconds=train * rows * 7.0 * random.uniform(0.005, 0.03),
        read_seconds=train * random.uniform(0.02, 0.06),
        train_seconds=per_size,
        score_seconds=tuple(score * t for t in per_size),
        cost_noise=random.uniform(0.03, 0.05),
        slow_probability=0.02,
    )


def _start(name: str, seed: int) -> tuple[Scenario, Random]:
    random = Random(zlib.crc32(f"{name}|{seed}".encode()))
    return _common(name, seed, random), random


def power_law(seed: int) -> Scenario:
    """Harm of sampling and size follow power laws and stay; only the level wanders."""
    return _start("power-law", seed)[0]


def accumulating(seed: int) -> Scenario:
    """Knowledge hardly fades, so the harm of sampling builds up over dozens of cycles."""
    scenario, random = _start("accumulating", seed)
    return replace(scenario, carry_over=random.uniform(0.95, 0.985))


def drift(seed: int) -> Scenario:
    """Level and harm wander."""
    scenario, random = _start("drift", seed)
    return replace(scenario, walk=random.uniform(0.01, 0.03), harm_drift=random.uniform(0.02, 0.05))


def regime_break(seed: int) -> Scenario:
    """One break between cycle 10 and cycle 150; see :class:`Break`."""
    scenario, random = _start("regime-break", seed)
    return replace(
        scenario,
        regime=Break(
            cycle=scenario.history + random.randint(10, 150),
            level=random.choice((-1.0, 1.0)) * random.uniform(0.03, 0.1),
            void=random.uniform(0.3, 0.7),
            harm=random.uniform(0.0, 0.5),
            half_life=random.uniform(1.0, 4.0),
        ),
    )


def seed_noise(seed: int) -> Scenario:
    """Two cold starts that differ in their seed differ by up to a tolerance."""
    scenario, random = _start("seed-noise", seed)
    return replace(scenario, seed_sd=random.uniform(1e-3, 2e-3))


def stops_paying(seed: int) -> Scenario:
    """Between cycle 20 and 80 the savings begin to vanish, and ten cycles later nothing pays any more."""
    scenario, random = _start("stops-paying", seed)
    return replace(
        scenario,
        ramp=Ramp(
            cycle=scenario.history + random.randint(20, 80),
            cycles=10,
            final=TOLERANCE * random.uniform(1.5, 3.0),
        ),
    )


def nothing_pays(seed: int) -> Scenario:
    """Every step down costs at least one and a half tolerances."""
    scenario, random = _start("nothing-pays", seed)
    mildest = TOLERANCE * random.uniform(1.5, 4.0)
    dearer = {
        Policy.UNIFORM: random.uniform(3.0, 6.0),
        Policy.NEGATIVES: random.uniform(1.1, 1.6),
        Policy.SCORED_NEGATIVES: 1.0,
    }
    middle = TOLERANCE * random.uniform(1.5, 4.0)
    return replace(
        scenario,
        harm_at_quarter={p: mildest * dearer[p] / scenario.sampling_law(p, MILDEST_RATE) for p in dearer},
        size_harm=(middle * random.uniform(1.5, 3.0), middle, 0.0),
    )


def converged(seed: int) -> Scenario:
    """The lowest rate and the smallest size together cost less than a tenth of the tolerance."""
    scenario, random = _start("converged", seed)
    share = scenario.sampling_law(Policy.UNIFORM, LOWEST_RATE)
    lowest = TOLERANCE * random.uniform(0.01, 0.08)
    return replace(
        scenario,
        after_one_cycle=_loguniform(random, 1e-4, 1e-3),
        harm_at_quarter=dict.fromkeys(Policy, lowest / share),
        size_harm=_size_harms(random, TOLERANCE * random.uniform(0.0, 0.02)),
    )


def tight_budget(seed: int) -> Scenario:
    """As the power law, with a cap per cycle at or below the reference's cost and one on the whole."""
    scenario, random = _start("tight-budget", seed)
    return replace(scenario, budget=Budget(random.uniform(0.4, 1.05), random.uniform(40.0, 150.0)))


def small_stream(seed: int) -> Scenario:
    """As the power law on so few rows that the tolerance cannot be resolved; a cycle costs as much."""
    scenario, random = _start("small-stream", seed)
    rows = _loguniform(random, *SMALL_STREAM)
    dearer = scenario.rows_per_day / rows
    return replace(
        scenario,
        rows_per_day=rows,
        read_seconds=scenario.read_seconds * dearer,
        train_seconds=tuple(dearer * t for t in scenario.train_seconds),
        score_seconds=tuple(dearer * t for t in scenario.score_seconds),
    )


def faulty(seed: int) -> Scenario:
    """As the power law, with runs that crash, report garbage or find their data incomplete."""
    scenario, random = _start("faults", seed)
    return replace(scenario, faults=Faults(random.uniform(0.0, 0.1), random.uniform(0.0, 0.02), 0.02))


SCENARIOS: Mapping[str, Callable[[int], Scenario]] = {
    "power-law": power_law,
    "accumulating": accumulating,
    "drift": drift,
    "regime-break": regime_break,
    "seed-noise": seed_noise,
    "stops-paying": stops_paying,
    "nothing-pays": nothing_pays,
    "converged": converged,
    "small-stream": small_stream,
    "tight-budget": tight_budget,
    "faults": faulty,
}
"""Constructors by name, each from a seed."""
