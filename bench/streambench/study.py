"""One stream under all arms: which lives there are, in the order in which they are worth running."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dataefficient.contract import Policy
from dataefficient.planner.knobs import Point
from streambench import figures, lives
from streambench.execute import NotRunError, RunFailedError, Runner
from streambench.figures import Seeded
from streambench.lives import Life
from streambench.requests import Unit
from streambench.ruler import Ruler, Score
from streambench.settings import Settings
from streambench.streams import Found
from streambench.tuning import Tuned, tune

QUARTER = 0.25


class Arm(enum.StrEnum):
    """What is compared."""

    LARGEST = "largest control"
    RIGHT_SIZED = "right-sized control"
    OPERATOR = "operator"
    UNIFORM = "uniform quarter"
    NEGATIVES = "negatives quarter"
    ORACLE = "oracle"


FIRST = (Arm.LARGEST, Arm.RIGHT_SIZED, Arm.OPERATOR, Arm.NEGATIVES, Arm.UNIFORM)
"""Arms that need no search of the grid, in the order in which they are run."""


@dataclass(frozen=True)
class Chosen:
    """The oracle's choice and what it was made from."""

    point: Point
    grid_seconds: float
    """Device-seconds of the whole grid under one seed."""
    points: int


@dataclass(frozen=True)
class Study:
    """A stream with everything that can be asked of it."""

    settings: Settings
    found: Found
    runner: Runner
    works: Path
    """For the operator's work folders."""
    planner: str
    """Digest of what decides."""

    def unit(self, seed: int) -> Unit:
        """The stream under ``seed``, at the trainer's own learning rate."""
        return Unit(self.found, seed, self.settings.tolerance, self.settings.cycles)

    def tuned(self) -> Tuned:
        """Learning rates and right size, from the history under the first choosing seed.

        Raises:
            NotRunError, RunFailedError: as the runner.
        """
        return tune(self.unit(self.settings.choose_seeds[0]), self.runner)

    def life(self, arm: Arm, seed: int, tuned: Tuned) -> Life:
        """The arm's life under ``seed``; errors as :meth:`tuned`."""
        unit = replace(self.unit(seed), learning_rate=tuned.base)
        largest = Point(Policy.UNIFORM, 1.0, unit.sizes[-1])
        if arm is Arm.OPERATOR:
            return lives.operator(unit, self.runner, self.works, self.planner)
        if arm is Arm.RIGHT_SIZED:
            point = replace(largest, size=tuned.right_size)
            return lives.fixed(unit, self.runner, point, tuned.rates[tuned.right_size])
        points: dict[Arm, Callable[[], Point]] = {
            Arm.LARGEST: lambda: largest,
            Arm.UNIFORM: lambda: replace(largest, rate=QUARTER),
            Arm.NEGATIVES: lambda: replace(largest, rate=QUARTER, policy=Policy.NEGATIVES),
            Arm.ORACLE: lambda: self.chosen(tuned).point,
        }
        return lives.fixed(unit, self.runner, points[arm](), tuned.base)

    def scored(self, lives: Mapping[int, Sequence[Life]], *, first: int = 1) -> list[list[Seeded]]:
        """The lives of each seed with the scores of what served in them; errors as :meth:`tuned`."""
        found = []
        for seed, lived in lives.items():
            scores = Ruler(self.unit(seed), self.runner).scores(lived, first=first)
            found.append([Seeded(seed, life, _of(life, scores)) for life in lived])
        return found

    # The oracle

    def grid(self) -> tuple[Point, ...]:
        """Every policy, rate and size, full data at the largest size first."""
        sizes = tuple(reversed(self.settings.grid_sizes(self.unit(0).sizes)))
        full, *rates = self.settings.rates()
        return (
            *(Point(Policy.UNIFORM, full, size) for size in sizes),
            *(
                Point(policy, rate, size)
                for size in sizes
                for policy in (Policy.NEGATIVES, Policy.UNIFORM)
                for rate in rates
            ),
        )

    def chosen(self, tuned: Tuned) -> Chosen:
        """The cheapest point within limits in the steady state, on the choosing seeds.

        Cheapest without start-up, which is the same for all points and would only add noise.

        Raises:
            NotRunError, RunFailedError: as the runner; also where the whole grid has not been run.
        """
        seeds = self.settings.choose_seeds
        made = {seed: [self._at(point, seed, tuned) for point in self.grid()] for seed in seeds}
        scored = self.scored(made, first=figures.STEADY_FROM)
        lived = dict(zip(self.grid(), zip(*scored, strict=True), strict=True))
        largest = lived[self.grid()[0]]
        cost = {point: figures.working(seeded, figures.STEADY_FROM) for point, seeded in lived.items()}
        within = [p for p, s in lived.items() if figures.within(figures.compare(s, largest))]
        best = min(within or [self.grid()[0]], key=lambda point: cost[point])
        whole = sum(c.total.seconds for seeded in lived.values() for s in seeded for c in s.life.cycles)
        return Chosen(best, whole / len(seeds), len(lived))

    def _at(self, point: Point, seed: int, tuned: Tuned) -> Life:
        unit = replace(self.unit(seed), learning_rate=tuned.base)
        return lives.fixed(unit, self.runner, point, tuned.base)

    # Everything, one after another

    def live(self, arm: Arm, seed: int) -> Seeded:
        """The arm under ``seed``, scored; errors as :meth:`tuned`."""
        return self.scored({seed: [self.life(arm, seed, self.tuned())]})[0][0]

    def fill(self, *, oracle: bool) -> None:
        """Run what has not been run, until the time is up: the oracle, or everything else."""
        with contextlib.suppress(NotRunError):
            for seed in self.settings.read_seeds:
                lived = []
                for arm in (Arm.ORACLE,) if oracle else FIRST:
                    try:
                        lived.append(self.life(arm, seed, self.tuned()))
                    except RunFailedError as error:
                        self.runner.say(f"{self.found.stream.name}: {arm.value}: {error}")
                self.scored({seed: lived})


def _of(life: Life, scores: Mapping[tuple[int, str], Score]) -> dict[int, Score]:
    served = {c.cycle: c.served.digest for c in life.cycles if c.served is not None}
    return {cycle: scores[cycle, digest] for cycle, digest in served.items() if (cycle, digest) in scores}
