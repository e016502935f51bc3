"""The knobs and their notches: which plans there are to choose from.

A :class:`Point` is one setting of policy, rate and size. Rates form a ladder whose neighbours need not be
told apart: what was measured of one tells of those above it (``law``). Nothing here knows what a point costs
or loses.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, count, takewhile
from math import sqrt

from dataefficient.contract import Policy


@dataclass(frozen=True, order=True)
class Point:
    """Sampling policy, sampling rate in (0, 1] and model size on the trainer's scale."""

    policy: Policy
    rate: float
    size: int

    def __str__(self) -> str:
        rows = "all rows" if self.rate == 1.0 else f"{self.rate:.3g} of the rows ({self.policy.value})"
        return f"{rows}, size {self.size}"


@dataclass(frozen=True)
class Knobs:
    """What may be chosen: rates descending from ``max``, sizes ascending, policies in order of preference."""

    rates: tuple[float, ...]
    sizes: tuple[int, ...]
    policies: tuple[Policy, ...]
    positives: float | None = None
    """Share of positives in the stream, which tells what policies differ in; None: not known yet."""

    @property
    def reference(self) -> Point:
        """The most data at the largest size."""
        return Point(Policy.UNIFORM, self.rates[0], self.sizes[-1])

    def points(self) -> tuple[Point, ...]:
        """Every point, the reference first. At the full rate the policies are one and the same."""
        full = [Point(Policy.UNIFORM, self.rates[0], size) for size in reversed(self.sizes)]
        sampled = [
            Point(policy, rate, size)
            for size in reversed(self.sizes)
            for policy in self.policies
            for rate in self.rates[1:]
        ]
        return (*full, *sampled)


def ladder(low: float, high: float) -> tuple[float, ...]:
    """``high`` and its halvings, with one rate between each two, rounded to two digits; none below ``low``.

    >>> ladder(0.2, 1.0)
    (1.0, 0.71, 0.5, 0.35, 0.25)
    """
    halvings = (high / 2**i for i in count())
    rates = chain.from_iterable((half, float(f"{half / sqrt(2.0):.2g}")) for half in halvings)
    return tuple(takewhile(lambda rate: rate >= low, rates))
