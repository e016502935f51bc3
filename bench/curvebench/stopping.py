"""Convergence points from the first fifth of a curve, held against the truth.

Why: where the point is wrong, either quality is lost or rows are bought for nothing. A run stops at the
point, or takes the whole history where the answer is "not within this data", as cycle 0 does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curvebench.truths import END, SHAPES, Measured, Truth, draw, measure
from dataefficient.planner.convergence import WITHIN, converge
from dataefficient.planner.curves import fit_curve


@dataclass(frozen=True)
class Stop:
    """What the planner said of one curve, and what was true."""

    shape: str
    fitted: bool
    lost: float
    """Relative loss over that of the whole curve where the run stops, in tolerances."""
    bought: float
    """Examples where it stops, by the true amount."""
    covered: bool
    """Whether the 80 % interval holds the true point."""
    ahead: bool
    """Whether the 80 % interval of the loss at the curve's end holds the true loss."""
    answered: bool
    """A point was named; else the answer was "not within this data"."""
    within: bool
    """The true point does lie within this data."""


def stop(truth: Truth, measured: Measured) -> Stop:
    """Fit the rungs, stop where the planner says, and look at what that cost."""
    fit = fit_curve(measured.examples, measured.loss, measured.error, seed=0)
    found = converge(fit, tolerance_relative=truth.tolerance, longest=END)
    point, ahead = truth.point(), fit.predict(END, with_noise=False)
    end = END if found.point is None else found.point
    return Stop(
        truth.shape,
        truth.fitted,
        truth.gap(end) / truth.tolerance,
        end / point,
        # The true point is read from a grid whose steps are 0.03 %.
        found.low * 0.999 <= point <= found.high * 1.001,
        ahead.low <= float(truth.loss(np.array(END))) <= ahead.high,
        found.point is not None,
        point <= WITHIN * END,
    )


def simulate(each: int) -> list[Stop]:
    """The answers on ``each`` curves of every shape."""
    return [stop(t, measure(t, r)) for s in range(len(SHAPES)) for t, r in (draw(s, i) for i in range(each))]


@dataclass(frozen=True)
class Summary:
    """Figures of a group of curves."""

    group: str
    curves: int
    lost: float
    lost_90: float
    bought: float
    bought_90: float
    covered: float
    ahead: float
    point_right: int
    """A point was named, and the curve does converge within the data."""
    point_wrong: int
    none_right: int
    none_wrong: int
    """No point was named, though the curve converges within the data."""


def summary(group: str, stops: Sequence[Stop]) -> Summary:
    """Medians, 90 % quantiles, coverage and verdicts of a group."""
    lost, bought = np.array([s.lost for s in stops]), np.array([s.bought for s in stops])
    return Summary(
        group,
        len(stops),
        float(np.median(lost)),
        float(np.quantile(lost, 0.9)),
        float(np.median(bought)),
        float(np.quantile(bought, 0.9)),
        float(np.mean([s.covered for s in stops])),
        float(np.mean([s.ahead for s in stops])),
        sum(s.answered and s.within for s in stops),
        sum(s.answered and not s.within for s in stops),
        sum(not s.answered and not s.within for s in stops),
        sum(not s.answered and s.within for s in stops),
    )


def summaries(stops: Sequence[Stop]) -> list[Summary]:
    """All curves, those of the planner's families and the others, those with a point, and each shape."""
    groups = {
        "all": list(stops),
        "of a family that is fitted": [s for s in stops if s.fitted],
        "of no family that is fitted": [s for s in stops if not s.fitted],
        "that converge within the data": [s for s in stops if s.within],
        "where a point is named": [s for s in stops if s.answered],
    }
    groups |= {name: [s for s in stops if s.shape == name] for name, _, _ in SHAPES}
    return [summary(name, group) for name, group in groups.items() if group]
