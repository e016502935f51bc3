"""Learning rates and the right size, chosen on the history alone, by one rule for all streams.

For each size the learning rate climbs in steps of three from the trainer's own until the log loss on the two
hold-outs at the history's end gets no better. The largest size's is given to all arms; the right-sized
control has its own size's. The linear model is tuned in the same way, and stands beside as the least that a
control must beat. A size ties the largest where its loss lies at most one standard error above it (Breiman,
Friedman, Olshen and Stone, Classification and Regression Trees, 1984, section 3.4.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dataefficient.contract import CheckpointRef
from dataefficient.planner.evidence import Paired, paired
from streambench.execute import RunFailedError, Runner
from streambench.requests import Unit, on_history

FACTOR = 3.0
FARTHEST = 3
"""Steps from the trainer's own rate at which climbing ends."""
LINEAR = 1
"""The trainer's size without embeddings."""


@dataclass(frozen=True)
class HeldOut:
    """Finished models on both hold-outs: rows and summed log loss by time block."""

    n: tuple[int, ...]
    loss: tuple[float, ...]
    rows: tuple[str, ...]
    """Digests of the rows."""

    @property
    def total(self) -> float:
        """Log loss, summed."""
        return sum(self.loss)

    def over(self, other: HeldOut) -> Paired | None:
        """Relative log loss over another's; None where rows differ or blocks are too few."""
        return paired(self.loss, other.loss, self.n) if self.rows == other.rows else None


@dataclass(frozen=True)
class Tuned:
    """What the history told of one stream."""

    rates: Mapping[int, float]
    """Best learning rate by size."""
    right_size: int
    gap: Paired | None
    """Of the right size over the largest, each at its best rate; None where they are one."""
    linear: Paired | None
    """Of the largest size over the linear model: negative is better. None: it could not be told."""

    @property
    def base(self) -> float:
        """The rate that all arms are given."""
        return self.rates[max(self.rates)]


def tune(unit: Unit, runner: Runner) -> Tuned:
    """Choose rates and size.

    Raises:
        NotRunError: not all runs have been made, and the time is up.
        RunFailedError: the trainer's own rate fails.
    """
    best: dict[int, tuple[int, HeldOut]] = {}
    for size in sorted({LINEAR, *unit.sizes}):
        best[size] = climb(lambda step, size=size: _scored(unit, runner, size, step))  # type: ignore[misc]
    *smaller, top = unit.sizes
    largest = best[top][1]
    right, gap = top, None
    for size in smaller:
        found = best[size][1].over(largest)
        if found is not None and found.gap <= found.standard_error:
            right, gap = size, found
            break
    linear = None if top == LINEAR else largest.over(best[LINEAR][1])
    return Tuned({s: FACTOR ** best[s][0] for s in unit.sizes}, right, gap, linear)


def _scored(unit: Unit, runner: Runner, size: int, step: int) -> HeldOut:
    n: list[int] = []
    loss: list[float] = []
    rows: list[str] = []
    before: CheckpointRef | None = None
    for _ in unit.holdouts():
        report = runner.run(on_history(unit, size, FACTOR**step, before)).report
        assert report is not None
        assert report.evaluated is not None
        n += report.evaluated.n
        loss += report.evaluated.models["self"].loss
        rows.append(report.evaluated.digest)
        before = report.checkpoint
    return HeldOut(tuple(n), tuple(loss), tuple(rows))


def climb(scored: Callable[[int], HeldOut]) -> tuple[int, HeldOut]:
    """The step to which the loss falls from 0 in one direction, and its scores."""
    step, best = 0, scored(0)
    for direction in (-1, 1):
        while abs(step + direction) <= FARTHEST:
            try:
                beside = scored(step + direction)
            except RunFailedError:  # a rate that diverges
                break
            if beside.total >= best.total:
                break
            step, best = step + direction, beside
        if step != 0:
            break
    return step, best
