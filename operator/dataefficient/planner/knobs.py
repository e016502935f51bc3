"""The knobs and their notches: which plans there are to choose from.

A :class:`Point` is one setting of policy, rate and size. Rates form a ladder of halvings, since a
finer one could not be told apart on the streams that this is for (``docs/adr``). Nothing here
knows what a point costs or loses.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """Halvings of ``high`` down to ``low``; ``low`` itself ends it when the next halving would fall below.

    >>> ladder(0.05, 1.0)
    (1.0, 0.5, 0.25, 0.125, 0.0625)
    """
    rates = [high]
    while rates[-1] / 2 >= low:
        rates.append(rates[-1] / 2)
    return tuple(rates)
