"""What is remembered of a comparison: which pasts were compared, and what the difference was.

Plain data, apart from how it is measured (``evidence``) and what is believed from it (``belief``): who only
keeps or shows a memory loads no library that fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dataefficient.planner.knobs import Point


@dataclass(frozen=True)
class Spell:
    """Consecutive cycles that a model trained under one plan."""

    point: Point
    cycles: float


Past = tuple[Spell, ...]
"""What a model trained under, oldest first. The first spell counts as having lasted for ever before."""
LONGEST_PAST = 12


def after(past: Past, point: Point, cycles: float) -> Past:
    """``past`` with ``cycles`` more under ``point``; what lies too far back is forgotten."""
    if past and past[-1].point == point:
        return (*past[:-1], Spell(point, past[-1].cycles + cycles))
    return (*past, Spell(point, cycles))[-LONGEST_PAST:]


def before(past: Past, cycles: float) -> Past:
    """``past`` as it was so many cycles earlier; the first spell has no beginning."""
    while len(past) > 1 and past[-1].cycles <= cycles:
        past, cycles = past[:-1], cycles - past[-1].cycles
    if len(past) < 2 or not cycles:
        return past
    return (*past[:-1], Spell(past[-1].point, past[-1].cycles - cycles))


def recent(past: Past, cycles: float) -> tuple[Point, ...]:
    """Plans of the last so many cycles."""
    found: list[Point] = []
    for i in range(len(past) - 1, -1, -1):
        found.append(past[i].point)
        cycles -= past[i].cycles
        if cycles <= 0.0:
            break
    return tuple(found)


def part_of(poorer: Point, fuller: Point) -> bool:
    """Whether all rows of a plan are rows of another that is no smaller: samples are nested by their rate."""
    nested = fuller.rate >= 1.0 or poorer.policy == fuller.policy
    return poorer.size <= fuller.size and nested and poorer.rate <= fuller.rate


@dataclass(frozen=True)
class Contrast:
    """One measured difference between two models: what beliefs are made of.

    ``gap`` is the relative loss of the model that trained as ``mine`` over that of ``against``.
    """

    mine: Past
    against: Past
    cycle: int
    """Cycle on whose rows it was measured."""
    age: float | None
    """Cycles since both left a common start; None: they have none, and their whole lives are compared."""
    gap: float
    standard_error: float
    cold: str = ""
    """The cold start whose luck is in ``mine``; empty: both go back to the same one."""
    cold_age: float = 0.0
    """Cycles' worth of rows that it has trained on since."""
    earlier: bool = False
    """Whether another trainer was measured: part of what is believed, but no measurement of a new plan."""
    divergence: float | None = None
    """How far the models' predictions lie apart, whatever came of it: half their Jeffreys divergence,
    relative to the loss. None: not told."""

    changed: bool = False
    """Whether it told of a change of the stream, or its branch lived through one: it recovers slowly, and
    shows more than its plan costs later."""

    @property
    def converted(self) -> bool:
        """Whether ``mine`` left the common start at another size; ``cold`` names then what that lost."""
        return bool(self.cold) and self.age is not None

    @property
    def poorer(self) -> int:
        """1 where ``mine`` had a part of what ``against`` had since they parted, of rows and of parameters,
        -1 where it was the other way round; 0: neither, or they never had a common start."""
        if self.age is None:
            return 0
        mine, other = recent(self.mine, self.age), recent(self.against, self.age)
        if all(part_of(a, b) for a in mine for b in other):
            return 1
        return -1 if all(part_of(b, a) for a in mine for b in other) else 0

    @property
    def points(self) -> frozenset[Point]:
        """Plans that it speaks of."""
        return frozenset(spell.point for spell in (*self.mine, *self.against))


def settled(contrasts: Sequence[Contrast]) -> tuple[Contrast, ...]:
    """Those that were not measured in a change of the stream."""
    return tuple(c for c in contrasts if not c.changed)
