"""How much is run: a full benchmark that takes hours and resumes, and a quick one of twenty minutes."""

from __future__ import annotations

from dataclasses import dataclass

TOLERANCE = "0.001"
"""What the operator may lose against full data: the limit by which the benchmark judges it."""
SMALLEST_RATE = 0.05
"""The resource's default bound, which holds for the oracle too."""


@dataclass(frozen=True)
class Settings:
    """What is run, the same for every stream."""

    name: str
    read_seeds: tuple[int, ...]
    """Seeds on which every arm is judged."""
    choose_seeds: tuple[int, ...]
    """Seeds on which the oracle is chosen, and the learning rate; none of them is a read seed."""
    cycles: int
    """Cycles after the history, as far as a stream has them."""
    cycle_rows: int
    """Rows of a generated stream's cycle."""
    notch: float
    """Ratio of neighbouring rates in the oracle's grid."""
    all_sizes: bool
    """Whether the grid has all sizes, or only the smallest and the largest."""
    streams: tuple[str, ...] = ()
    """Names; empty: all."""
    tolerance: str = TOLERANCE

    def __post_init__(self) -> None:
        assert not set(self.read_seeds) & set(self.choose_seeds), "an oracle is not read where it was chosen"

    def rates(self) -> tuple[float, ...]:
        """The grid's rates, descending from 1."""
        rates = [1.0]
        while rates[-1] / self.notch >= SMALLEST_RATE * (1 - 1e-9):
            rates.append(rates[-1] / self.notch)
        return tuple(rates)

    def grid_sizes(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The grid's sizes out of a stream's, ascending."""
        return sizes if self.all_sizes else tuple(sorted({sizes[0], sizes[-1]}))


FULL = Settings(
    name="full",
    read_seeds=(1, 2, 3),
    choose_seeds=(101, 102),
    cycles=20,
    cycle_rows=400_000,
    notch=2**0.5,
    all_sizes=True,
)
QUICK = Settings(
    name="quick",
    read_seeds=(1,),
    choose_seeds=(101,),
    cycles=6,
    cycle_rows=200_000,
    notch=4.0,
    all_sizes=False,
    streams=("flights", "drift", "noise", "saturated"),
)
