"""What training costs: seconds of a run from its rows and model size, and the cost of one example by size.

Why: plans are compared by what they will cost before they run, and rows alone mislead (start-up, reading
and evaluation do not shrink with the sampling rate; a row costs more on a larger model). Ratios are
medians, so one stalled run does not move them, weighted by rows, since what a short run takes is mostly not
for its rows. Money and budgets are not here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from statistics import median_low

import numpy as np
from scipy.optimize import nnls

from dataefficient.planner.families import Array


@dataclass(frozen=True)
class CostPerExample:
    """Cost of training on one example, affine in the model's size: ``fixed + per_size * size``."""

    fixed: float
    per_size: float
    unit: str
    """Unit of the cost, for people."""
    measured: bool
    """False for the 6*N*D rule, which is an assumption."""
    relative_error: float | None = None
    """Typical relative residual of the fit; None where it cannot be known."""

    def at(self, size: float) -> float:
        """Cost of one example at ``size``."""
        return self.fixed + self.per_size * size


_REWEIGHTINGS = 60
_SETTLED = 1e-9
"""Change of the solution, in units of the median cost, below which re-weighting ends."""
_EXACT = 1e-4
"""Relative error below which a run counts as fitted exactly."""

SIX_N_D = CostPerExample(0.0, 6.0, "floating-point operations", measured=False)
"""Six operations per parameter and example (Kaplan et al., arXiv 2001.08361, section 2.1); sizes must then
count parameters."""


def fit_cost_per_example(sizes: object, examples: object, costs: object) -> CostPerExample:
    """Cost per example, affine in the size, by non-negative least absolute relative errors.

    With one distinct size the cost is taken as independent of the size.

    Raises:
        ValueError: no run, different lengths, or a value that is not finite and positive.
    """
    n, d, c = (np.atleast_1d(np.asarray(v, float)) for v in (sizes, examples, costs))
    if n.size == 0 or n.shape != d.shape or n.shape != c.shape:
        raise ValueError("sizes, examples and costs must be sequences of one length, at least 1")
    if not all(np.isfinite(v).all() and v.min() > 0 for v in (n, d, c)):
        raise ValueError("sizes, examples and costs must be finite and positive")
    fixed, per_size = _affine(n, c / d)
    error = np.abs(c / d / (fixed + per_size * n) - 1.0)
    typical = float(np.median(error)) if n.size > 2 else None
    return CostPerExample(
        fixed, per_size, "in the unit of the given costs", measured=True, relative_error=typical
    )


def _affine(sizes: Array, cost: Array) -> tuple[float, float]:
    """Fixed and per-size part, both at least 0; a run far off counts little (iterated re-weighting)."""
    if np.unique(sizes).size < 2:
        return float(np.median(cost)), 0.0
    largest, unit = float(sizes.max()), float(np.median(cost))
    design = np.stack([np.ones(sizes.shape), sizes / largest], axis=1)
    target, fitted, weight = cost / unit, np.ones(sizes.shape), np.ones(sizes.shape)
    solution = np.ones(2)
    for _ in range(_REWEIGHTINGS):
        scale, before = weight / fitted, solution
        solution, _ = nnls(design * scale[:, None], target * scale)
        if np.abs(solution - before).max() <= _SETTLED:
            break
        fitted = np.maximum(design @ solution, 1e-12)
        weight = np.maximum(np.abs(np.log(target / fitted)), _EXACT) ** -0.5
    return float(solution[0]) * unit, float(solution[1]) * unit / largest


@dataclass(frozen=True)
class MeasuredRun:
    """What one run took. Rows are counts, times wall-clock seconds of one device group."""

    size: float
    rows_read: float
    rows_trained: float
    rows_evaluated: float
    startup: float | None
    """Seconds outside reading, training and evaluation; None: it was part of another run's process."""
    read: float
    train: float
    evaluate: float
    carry: float = 0.0
    """Seconds in which a part of another run's process loaded and saved its model."""


@dataclass(frozen=True)
class CostModel:
    """``seconds = startup + read * rows + train(size) * rows + evaluate(size) * rows``."""

    startup: float
    """Seconds."""
    read: float | None
    """Seconds per row read; None where no run read any."""
    train: CostPerExample | None
    """Seconds per row trained on; None where no run trained."""
    evaluate: CostPerExample | None
    """Seconds per row scored; None where no run scored."""
    carry: CostPerExample | None
    """Seconds to load and to save one more model in a process; None where no process had two."""
    smallest: float
    largest: float
    """Sizes that were measured."""
    runs: int

    @classmethod
    def fit(cls, runs: Sequence[MeasuredRun]) -> CostModel:
        """Fit the model to measured runs; one run is enough.

        Raises:
            ValueError: no run, none that was started, or a size, count or duration that is negative or not
                finite.
        """
        if not runs:
            raise ValueError("a cost model needs at least one measured run")
        for run in runs:
            known = [v for v in astuple(run) if v is not None]
            if not all(math.isfinite(v) and v >= 0 for v in known) or run.size <= 0:
                raise ValueError(f"a measured run has a negative or non-finite number: {run}")
        sizes = [r.size for r in runs]
        reads = [(r.read / r.rows_read, r.rows_read) for r in runs if r.rows_read > 0]
        startups = [r.startup for r in runs if r.startup is not None]
        if not startups:
            raise ValueError("a cost model needs at least one run with a process of its own")
        return cls(
            # The first process of all finds nothing in memory yet: of two runs the faster one tells.
            startup=median_low(startups),
            read=_weighted_median(reads) if reads else None,
            train=_seconds_per_row([(r.size, r.train, r.rows_trained) for r in runs]),
            evaluate=_seconds_per_row([(r.size, r.evaluate, r.rows_evaluated) for r in runs]),
            carry=_seconds_per_row([(r.size, r.carry, 1.0) for r in runs]),
            smallest=min(sizes),
            largest=max(sizes),
            runs=len(runs),
        )

    def predict(self, size: float, rows_read: float, rows_trained: float, rows_evaluated: float) -> float:
        """Seconds of a run.

        Raises:
            ValueError: a part that the run needs was never measured (it is not taken as free).
        """
        seconds = self.startup
        if rows_read > 0:
            if self.read is None:
                raise ValueError("no measured run read rows, so the time of reading is not known")
            seconds += self.read * rows_read
        for what, rate, rows in (
            ("trained", self.train, rows_trained),
            ("evaluated", self.evaluate, rows_evaluated),
        ):
            if rows > 0:
                if rate is None:
                    raise ValueError(f"no measured run {what} on rows, so the time of it is not known")
                seconds += rate.at(size) * rows
        return seconds

    def carrying(self, size: float) -> float:
        """Seconds to load and to save one more model; 0 as long as that was never measured."""
        return 0.0 if self.carry is None else self.carry.at(size)


def _seconds_per_row(measured: Sequence[tuple[float, float, float]]) -> CostPerExample | None:
    """Median seconds per row of each size, then affine in the size."""
    by_size: dict[float, list[tuple[float, float]]] = {}
    for size, seconds, rows in measured:
        if rows > 0 and seconds > 0:
            by_size.setdefault(size, []).append((seconds / rows, rows))
    if not by_size:
        return None
    sizes = np.array(sorted(by_size))
    fixed, per_size = _affine(sizes, np.array([_weighted_median(by_size[s]) for s in sizes]))
    return CostPerExample(fixed, per_size, "seconds", measured=True)


def _weighted_median(weighed: Sequence[tuple[float, float]]) -> float:
    """Median of values with weights; the middle of two where half of the weight lies on each side."""
    ordered = sorted(weighed)
    values = np.array([value for value, _ in ordered])
    below = np.cumsum([weight for _, weight in ordered])
    half = below[-1] / 2.0
    return float((values[np.searchsorted(below, half)] + values[np.searchsorted(below, half, "right")]) / 2.0)
