"""Which experiments, in which order, within the minutes allowed.

An arm is a way of training; an experiment is an arm with a seed. The order is fixed in advance and
each step asks only what is known by then, so that the time ends the list and never bends it. This
module is pure: no process, no clock, no file.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dataefficient.contract import Policy

SIZES = (1, 8, 16, 32)
"""Model sizes on the trainer's scale, ascending; 1 is the linear model."""
DEFAULT_SIZE = 16
RUNGS = (0.5, 0.25, 0.125, 0.0625)
NEGATIVE_RATES = (0.5, 0.25, 0.1)
UNIFORM_RATES = (0.5, 0.25)
PACES = (0.5, 2.0)
"""Multipliers of the learning rate that are tried before anything is compared."""
MAX_SEEDS = 8
MUST = 6.0
"""Runs over the whole history that a useful estimate takes, tuning and rungs included, seeds apart."""
_MARGIN = 1.15


@dataclass(frozen=True)
class Arm:
    """One way of training: what part of the history, which rows of it, how large a model."""

    history: float = 1.0
    """Share of the history's rows, the latest ones."""
    policy: Policy = Policy.UNIFORM
    rate: float = 1.0
    size: int = DEFAULT_SIZE
    pace: float = 1.0
    """Multiplier of the trainer's learning rate."""

    @property
    def name(self) -> str:
        """Short and unique, fit for a run's name."""
        return f"h{self.history:g}-{self.policy.value.lower()}{self.rate:g}-s{self.size}-p{self.pace:g}"


@dataclass(frozen=True)
class Experiment:
    """One run of an arm."""

    arm: Arm
    seed: int = 0

    @property
    def name(self) -> str:
        """Short and unique."""
        return f"{self.arm.name}-{self.seed}"


@dataclass(frozen=True)
class Costs:
    """Seconds of one process: fixed, per row read, per row trained at the default size, per row scored."""

    startup: float
    per_row_read: float
    per_row_trained: float
    per_row_scored: float

    def seconds(self, arm: Arm, history_rows: int, scored_rows: int) -> float:
        """Expected wall-clock seconds of one run of ``arm``."""
        read = arm.history * history_rows
        size = 0.5 + 0.5 * arm.size / DEFAULT_SIZE
        smaller_batches = min(2.0, math.sqrt(1 / arm.rate))
        train = read * arm.rate * self.per_row_trained * size * smaller_batches
        return self.startup + read * self.per_row_read + train + scored_rows * self.per_row_scored * size


def history_that_fits(costs: Costs, rows: int, scored_share: float, seconds: float, workers: int) -> int:
    """Rows of the log, the latest, over which the useful experiments fit into ``seconds``.

    Returns:
        ``rows`` where all fit.
    """
    fixed = 12 * costs.startup
    train, scored = 1 - scored_share, scored_share
    per_row = MUST * train * (costs.per_row_read + costs.per_row_trained) + 14 * scored * costs.per_row_scored
    # Where starting up takes most of the time, fewer rows would not help.
    affordable = max(seconds * workers - fixed, 0.2 * seconds * workers) / per_row
    return rows if affordable >= rows else max(0, int(affordable))


@dataclass(frozen=True)
class Knowledge:
    """What has been decided so far; the strategy asks for more where it is None."""

    positives: float
    """Share of positives in the log."""
    served: bool
    pace: float | None = None
    """The learning rate that was best for full data; None: not tuned yet."""
    edge: Arm | None = None
    """A further learning rate to try before the tuning is done."""
    refused: frozenset[Arm] = frozenset()
    """Arms that certainly cost more than the tolerance."""
    open: tuple[Arm, ...] = ()
    """Arms that more seeds could still decide, most promising first."""
    passed: tuple[Arm, ...] = ()
    """Arms inside the tolerance."""


def reference(pace: float) -> Arm:
    """Full data at the default size: what everything is compared with."""
    return Arm(pace=pace)


def tuning() -> tuple[Arm, ...]:
    """Learning rates, tried on a quarter of the history."""
    return tuple(Arm(history=0.25, pace=p) for p in (1.0, *PACES))


def beyond(pace: float) -> Arm | None:
    """One further learning rate where the best one lies at the edge of those tried."""
    return Arm(history=0.25, pace=pace * pace) if pace in PACES else None


def wishes(known: Knowledge) -> Iterator[Experiment]:
    """All that is worth running, most useful first; the caller skips what was done or does not fit."""
    if known.pace is None:
        yield from (Experiment(arm) for arm in tuning())
        if known.edge is not None:
            yield Experiment(known.edge)
        return
    full = reference(known.pace)
    yield Experiment(full)
    yield from (Experiment(dataclasses.replace(full, history=h)) for h in RUNGS)
    negatives = [dataclasses.replace(full, policy=Policy.NEGATIVES, rate=r) for r in NEGATIVE_RATES]
    uniform = [dataclasses.replace(full, policy=Policy.UNIFORM, rate=r) for r in UNIFORM_RATES]
    scored = [dataclasses.replace(full, policy=Policy.SCORED_NEGATIVES, rate=r) for r in NEGATIVE_RATES[1:]]
    smaller = [dataclasses.replace(full, size=s) for s in reversed(SIZES) if s < DEFAULT_SIZE]
    larger = [dataclasses.replace(full, size=s) for s in SIZES if s > DEFAULT_SIZE]
    yield Experiment(negatives[0])
    yield Experiment(full, 1)
    yield Experiment(smaller[0])
    yield from _descend(negatives[:2], known)
    yield Experiment(negatives[0], 1)
    yield Experiment(dataclasses.replace(full, history=0.5), 1)
    yield Experiment(full, 2)
    yield Experiment(uniform[0])
    if known.served:
        yield Experiment(scored[0])
    yield from _descend(negatives, known)
    yield Experiment(larger[0])
    yield from (Experiment(dataclasses.replace(full, history=h), 1) for h in RUNGS)
    for arm in (*known.open, *known.passed):
        yield Experiment(arm, 1)
    if len(known.passed) > 1 and (both := combined(known)) is not None:
        yield Experiment(both)
        yield Experiment(both, 1)
    yield from _descend(smaller, known)
    yield from _descend(uniform, known)
    if known.served:
        yield from _descend(scored, known)
    for arm in (negatives[0], smaller[0]):
        if arm in known.refused:
            yield Experiment(faster(arm))
    for seed in range(2, MAX_SEEDS):
        for arm in known.open:
            yield Experiment(full, seed)
            yield Experiment(arm, seed)


def _descend(arms: Sequence[Arm], known: Knowledge) -> Iterator[Experiment]:
    """The next step down only while the step before it is not refused."""
    for arm in arms:
        yield Experiment(arm)
        if arm in known.refused:
            return


def faster(arm: Arm) -> Arm:
    """The same arm at twice its learning rate: what was refused gets this chance."""
    return dataclasses.replace(arm, pace=2 * arm.pace)


def combined(known: Knowledge) -> Arm | None:
    """The strongest sampling that passed together with the smallest size that passed."""
    rates = [a for a in known.passed if a.rate < 1 and a.size == DEFAULT_SIZE]
    sizes = [a for a in known.passed if a.rate == 1 and a.size < DEFAULT_SIZE]
    if not rates or not sizes:
        return None
    return dataclasses.replace(min(rates, key=lambda a: a.rate), size=min(a.size for a in sizes))


def next_experiment(
    known: Knowledge,
    started: frozenset[Experiment],
    seconds: Callable[[Experiment], float],
    seconds_left: float,
) -> Experiment | None:
    """The most useful experiment not started yet that fits.

    Args:
        known: what was decided so far.
        started: experiments that run or have run.
        seconds: expected duration of an experiment.
        seconds_left: wall clock left for experiments.
    """
    for wish in wishes(known):
        if wish not in started and seconds(wish) * _MARGIN <= seconds_left:
            return wish
    return None
