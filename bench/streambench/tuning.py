"""Learning rates and the right size, chosen on the history alone, by one rule for all streams.

For each size the learning rate climbs in steps of three from the trainer's own until the log loss on the
history's end gets no better. The largest size's is given to all arms; the right-sized control has its own
size's. The linear model is tuned in the same way, and stands beside as the least that a control must beat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dataefficient.contract import Evaluated
from dataefficient.local.control import TIE_SHARE
from dataefficient.planner.evidence import Paired, paired
from streambench.execute import RunFailedError, Runner
from streambench.requests import Unit, on_history

FACTOR = 3.0
FARTHEST = 3
"""Steps from the trainer's own rate at which climbing ends."""
LINEAR = 1
"""The trainer's size without embeddings."""


@dataclass(frozen=True)
class Tuned:
    """What the history told of one stream."""

    rates: Mapping[int, float]
    """Best learning rate by size."""
    right_size: int
    gap: Paired | None
    """Of the right size over the largest, each at its best rate."""
    linear: Paired | None
    """Of the largest size over the linear model: negative is better. None: it could not be told."""

    @property
    def base(self) -> float:
        """The rate that all arms are given."""
        return self.rates[max(size for size in self.rates)]


def tune(unit: Unit, runner: Runner) -> Tuned:
    """Choose rates and size.

    Raises:
        NotRunError: not all runs have been made, and the time is up.
        RunFailedError: the trainer's own rate fails.
    """

    def scored(size: int, step: int) -> Evaluated:
        report = runner.run(on_history(unit, size, FACTOR**step)).report
        assert report is not None
        assert report.evaluated is not None
        return report.evaluated

    best: dict[int, tuple[int, Evaluated]] = {}
    for size in sorted({LINEAR, *unit.sizes}):
        best[size] = climb(lambda step, size=size: scored(size, step))  # type: ignore[misc]
    largest = best[unit.sizes[-1]][1]
    right, gap = unit.sizes[-1], None
    allowed = float(unit.tolerance) * TIE_SHARE
    for size in unit.sizes:
        found = difference(best[size][1], largest)
        if found is not None and found.gap <= allowed:
            right, gap = size, found
            break
    linear = None if unit.sizes[-1] == LINEAR else difference(largest, best[LINEAR][1])
    return Tuned({s: FACTOR ** best[s][0] for s in unit.sizes}, right, gap, linear)


def climb(scored: Callable[[int], Evaluated]) -> tuple[int, Evaluated]:
    """The step with the least loss in the neighbourhood of 0, and its scores."""
    step, best = 0, scored(0)
    for direction in (-1, 1):
        while abs(step + direction) <= FARTHEST:
            try:
                beside = scored(step + direction)
            except RunFailedError:  # a rate that diverges
                break
            if loss(beside) >= loss(best):
                break
            step, best = step + direction, beside
        if step != 0:
            break
    return step, best


def loss(evaluated: Evaluated) -> float:
    """Log loss of the run's own model, summed."""
    return sum(evaluated.models["self"].loss)


def difference(a: Evaluated, b: Evaluated) -> Paired | None:
    """Relative log loss of ``a`` over ``b``; None where their rows differ or the blocks are too few."""
    if a.digest != b.digest:
        return None
    return paired(a.models["self"].loss, b.models["self"].loss, a.n)
