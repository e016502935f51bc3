"""Streams whose truth is known, because it is made here: the same bytes for the same recipe, always.

A row is a time, a number, six categorical fields and a label drawn from a logistic model: an effect for each
value of each field, and one for each pair of values of two fields through a low-rank product, which a linear
model cannot learn. What differs between recipes is only what the recipe says. They are models of
a click log, not click logs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

START = datetime(2020, 1, 1, tzinfo=UTC)
CYCLE = timedelta(days=1)
HISTORY_CYCLES = 4
VALUES = (2_000, 500, 100, 24, 7, 4_000)
"""Values of each field, the frequent ones far more frequent (Zipf)."""
FEW_VALUES = (3, 2)
RANK = 4
PAIRS = 0.6
"""Standard deviation of the effects of pairs, in that of all fields' effects together."""
ROW_GROUP = 65_536

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Recipe:
    """How a stream comes about."""

    positives: float
    """Share of positives."""
    values: tuple[int, ...] = VALUES
    pair: tuple[int, int] = (2, 3)
    """The two fields whose pairs of values have effects of their own."""
    signal: float = 1.0
    """Standard deviation of the true logits' field effects; 0: the label has nothing to do with the row."""
    flipped: float = 0.0
    """Share of rows whose label is drawn anew, without a look at the row."""
    change: int | None = None
    """Cycle at whose beginning all effects are drawn anew."""
    rows: float = 1.0
    """Rows of a cycle in multiples of what the benchmark asks for."""


@dataclass(frozen=True)
class Truth:
    """Effects of each value, and the vectors whose products are the effects of pairs."""

    effects: tuple[Floats, ...]
    left: Floats
    right: Floats
    pair: tuple[int, int]

    def logits(self, codes: list[Codes]) -> Floats:
        """Logits without intercept of rows given by their codes, one array a field."""
        total = np.sum([effect[code] for effect, code in zip(self.effects, codes, strict=True)], axis=0)
        first, second = self.pair
        pairs = (self.left[codes[first]] * self.right[codes[second]]).sum(axis=1)
        return np.asarray(total + pairs, np.float64)


def truth(recipe: Recipe, random: np.random.Generator) -> Truth:
    """One draw of all effects."""
    scale = recipe.signal / np.sqrt(len(recipe.values))
    effects = tuple(random.normal(0.0, scale, count) for count in recipe.values)
    spread = np.sqrt(PAIRS * recipe.signal / np.sqrt(RANK))
    left, right = (random.normal(0.0, spread, (recipe.values[field], RANK)) for field in recipe.pair)
    return Truth(effects, left, right, recipe.pair)


def write(recipe: Recipe, path: Path, *, cycle_rows: int, cycles: int) -> None:
    """Write the stream: a history of four cycles' rows, then ``cycles`` cycles.

    Args:
        cycle_rows: rows of a cycle before ``recipe.rows``.
    """
    random = np.random.default_rng(20_200_101)
    worlds = [truth(recipe, random), truth(recipe, random)]
    intercept = _intercept(recipe, worlds[0])
    rows = round(cycle_rows * recipe.rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")
    with pq.ParquetWriter(beside, _schema(recipe), compression="zstd") as writer:
        for part in range(HISTORY_CYCLES + cycles):
            cycle = part - HISTORY_CYCLES + 1
            world = worlds[recipe.change is not None and cycle >= recipe.change]
            # Each cycle has random numbers of its own: more cycles change nothing of the earlier ones.
            own = np.random.default_rng((20_200_101, part))
            writer.write_table(_cycle(recipe, world, own, (intercept, part * rows, rows)), ROW_GROUP)
    beside.replace(path)


def _schema(recipe: Recipe) -> pa.Schema:
    fields = [pa.field(f"f{i}", pa.int32()) for i in range(len(recipe.values))]
    return pa.schema(
        [
            pa.field("time", pa.timestamp("us", tz="UTC")),
            pa.field("row", pa.int64()),
            *fields,
            pa.field("label", pa.int8()),
        ]
    )


def _codes(recipe: Recipe, random: np.random.Generator, rows: int) -> list[Codes]:
    codes = []
    for count in recipe.values:
        weight = 1.0 / np.arange(1.0, count + 1.0)
        codes.append(random.choice(count, rows, p=weight / weight.sum()).astype(np.int64))
    return codes


def _intercept(recipe: Recipe, world: Truth) -> float:
    """The intercept with which the share of positives is what the recipe asks for, by bisection."""
    logits = world.logits(_codes(recipe, np.random.default_rng(1), 50_000))
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        share = float((1.0 / (1.0 + np.exp(-(logits + middle)))).mean())
        low, high = (middle, high) if share < recipe.positives else (low, middle)
    return low


def _cycle(recipe: Recipe, world: Truth, random: np.random.Generator, at: tuple[float, int, int]) -> pa.Table:
    intercept, before, rows = at
    codes = _codes(recipe, random, rows)
    probability = 1.0 / (1.0 + np.exp(-(world.logits(codes) + intercept)))
    flipped = random.random(rows) < recipe.flipped
    probability = np.where(flipped, recipe.positives, probability)
    label = (random.random(rows) < probability).astype(np.int8)
    step = CYCLE.total_seconds() * 1e6 / rows
    start = int(START.timestamp() * 1e6) + round(before * step)
    times = start + (np.arange(rows) * step).astype(np.int64)
    columns = [pa.array(times, pa.timestamp("us", tz="UTC")), pa.array(np.arange(before, before + rows))]
    columns += [pa.array(code, pa.int32()) for code in codes]
    return pa.Table.from_arrays([*columns, pa.array(label)], schema=_schema(recipe))


def version(recipe: Recipe) -> str:
    """Short digest of what a stream's rows follow from: the recipe, and this module."""
    return hashlib.sha256(Path(__file__).read_bytes() + repr(recipe).encode()).hexdigest()[:8]


def schedule(cycles: int) -> dict[str, object]:
    """The resource's schedule of a stream of ``cycles`` cycles."""
    start = START + HISTORY_CYCLES * CYCLE
    return {
        "historyFrom": _text(START),
        "startTime": _text(start),
        "everySeconds": int(CYCLE.total_seconds()),
        "endTime": _text(start + cycles * CYCLE),
    }


def _text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
