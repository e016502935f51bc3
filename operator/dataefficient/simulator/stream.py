"""The simulated stream: how many rows there are, how hard they are, and the noise of being scored on them.

Time is cut into cells, 48 a cycle. Each cell draws, once and for all, what moves every model on its rows and
a direction in the space of model fingerprints: two models differ on a cell by the distance of their
fingerprints along that direction, so that the same rows give the same answer however they are cut into
blocks, and models that are alike differ little. A cell's draws depend on the seed and its cycle alone:
what comes later changes nothing.

It knows no trainer and no plan.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil, pi, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from dataefficient.contract import Evaluation, Policy
from dataefficient.planner import stratified
from dataefficient.simulator.scenario import SIZES, Scenario
from dataefficient.simulator.truth import IDENTITY

Matrix = NDArray[np.float64]

HISTORY_FROM = datetime(2001, 1, 1, tzinfo=UTC)
CELLS = 48
DIMENSIONS = len(SIZES) + len(Policy) + IDENTITY
YEAR_DAYS = 365.25


@dataclass(frozen=True)
class Cycle:
    """One cycle's draws: level by cell in nats, before sampling noise; (48,) and (48, dimensions) normals."""

    level: Matrix
    common: Matrix
    directions: Matrix


@dataclass(frozen=True)
class Blocks:
    """Evaluation rows by block: counts, expected loss per row of a model without gap, times, directions.

    ``noise`` (blocks x dimensions) times a fingerprint is the relative loss that this model owes to chance.
    """

    n: tuple[int, ...]
    positives: tuple[int, ...]
    predicted: tuple[float, ...]
    level: tuple[float, ...]
    middles: tuple[float, ...]
    noise: Matrix
    digest: str


class Stream:
    """Rows, levels and noise of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.length = timedelta(days=scenario.cycle_days)
        self._cycles: list[Cycle] = []
        self._walk = 0.0
        self._blocks: dict[object, Blocks] = {}

    def at(self, time: datetime) -> float:
        """Time in cycles since the history began."""
        return (time - HISTORY_FROM) / self.length

    def rows(self, start: float, end: float) -> float:
        """Rows with a time in [start, end), in cycles; their number varies over the week."""
        s = self.scenario
        a, b = start * s.cycle_days, max(end, start) * s.cycle_days
        week = 7.0 / (2.0 * pi)
        return s.rows_per_day * (b - a + s.weekly * week * (sin(b / week) - sin(a / week)))

    def cycle(self, number: int) -> Cycle:
        """Draws of a cycle."""
        while len(self._cycles) <= number:
            self._cycles.append(self._draw(len(self._cycles)))
        return self._cycles[number]

    def _draw(self, number: int) -> Cycle:
        s = self.scenario
        draws = np.random.Generator(np.random.Philox(key=[s.seed, zlib.crc32(s.name.encode()) + number]))
        end = self._walk + s.walk * draws.standard_normal()
        walk = np.linspace(self._walk, end, CELLS, endpoint=False)
        self._walk = float(end)
        days = (number + np.arange(CELLS) / CELLS) * s.cycle_days
        season = s.season * np.sin(2.0 * pi * days / YEAR_DAYS)
        jump = s.regime.level if s.regime is not None and number >= s.regime.cycle else 0.0
        noise = s.cell_noise * draws.standard_normal(CELLS)
        level = s.level * np.exp(walk + season + noise) * (1.0 + jump)
        return Cycle(level, draws.standard_normal(CELLS), draws.standard_normal((CELLS, DIMENSIONS)))

    def blocks(self, asked: Evaluation) -> Blocks:
        """The evaluation rows by block."""
        key = (asked.start, tuple(asked.boundaries), asked.share, asked.salt, asked.negatives)
        if key not in self._blocks:
            if len(self._blocks) >= 8:
                self._blocks.pop(next(iter(self._blocks)))
            ends = [self.at(b) for b in asked.boundaries]
            noise = stratified.variance(self.scenario.base_rate, asked.negatives)
            self._blocks[key] = self._score(self.at(asked.start), ends, asked.share, noise, repr(key))
        return self._blocks[key]

    def _score(self, start: float, ends: Sequence[float], share: float, noise: float, key: str) -> Blocks:
        """``noise``: variance of a row's loss over that of a row among all."""
        s = self.scenario
        edges = [start, *ends]
        first, last = int(start + 1e-9), ceil(ends[-1] - 1e-9)
        cycles = [self.cycle(number) for number in range(first, max(last, first + 1))]
        level, common = np.concatenate([c.level for c in cycles]), np.concatenate([c.common for c in cycles])
        directions = np.concatenate([c.directions for c in cycles])
        lower = first + np.arange(len(level)) / CELLS
        overlap = np.minimum(np.array(ends)[:, None], lower + 1.0 / CELLS) - np.maximum(
            np.array(edges[:-1])[:, None], lower
        )
        weights = np.maximum(overlap, 0.0)
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
        digest = zlib.crc32(f"{s.seed}|{key}".encode())
        draws = np.random.Generator(np.random.Philox(key=[s.seed, digest]))
        expected = np.array([share * self.rows(a, b) for a, b in zip(edges[:-1], ends, strict=True)])
        n = np.maximum(draws.poisson(expected), 1 * (expected > 0.5))
        positives = np.minimum(draws.poisson(n * s.base_rate), n)
        per_cell = np.maximum(share * s.rows_per_cycle / CELLS / noise, 1.0)
        noisy = level * np.maximum(1.0 + s.row_noise / sqrt(per_cell) * common, 0.1)
        calibration = 1.0 + 0.05 * np.cos(2.0 * pi * np.array(ends) / 20.0)
        return Blocks(
            n=tuple(n.tolist()),
            positives=tuple(positives.tolist()),
            predicted=tuple(np.minimum(n * s.base_rate * calibration, n).tolist()),
            level=tuple((weights @ noisy).tolist()),
            middles=tuple((a + b) / 2.0 for a, b in zip(edges[:-1], ends, strict=True)),
            noise=weights @ directions * (s.pair_noise / sqrt(per_cell)),
            digest=f"{digest:08x}",
        )

    def level(self, start: float, end: float) -> float:
        """Mean level of the reference on [start, end) without sampling noise, in nats."""
        first, last = int(start + 1e-9), ceil(end - 1e-9)
        return float(np.mean(np.concatenate([self.cycle(k).level for k in range(first, last)])))
