"""Convergence points on measured curves, shown beside the simulated ones and judged of nothing.

A measured curve has noise at its end too, so what is called true here is only what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curvebench.extrapolation import FEWEST, known_anchors
from curvebench.measured import Curve
from curvebench.truths import MEASURED
from dataefficient.planner.convergence import converge
from dataefficient.planner.curves import fit_curve

TOLERANCE = 0.02
"""Relative; the noise of a few splits hides what is smaller."""


@dataclass(frozen=True)
class RealStop:
    """Where one measured curve was told to stop, and what was measured there."""

    data: str
    classifier: str
    anchors: int
    """Anchors given, all within a fifth of the largest."""
    stopped: float
    """Rows at which training stops; the largest anchor where no point is named."""
    answered: bool
    point: float
    """First anchor from which on no measured loss leaves the tolerance."""
    lost: float
    """Relative loss over the largest anchor's, in tolerances, interpolated in the logarithm of the rows."""
    held: bool
    """Whether the 80 % interval holds that point, to an anchor."""


def real_stop(curve: Curve) -> RealStop | None:
    """The answer from a fifth of a curve; None where that is fewer than four anchors."""
    known = known_anchors(curve.rows, MEASURED)
    if known < FEWEST:
        return None
    end, last = float(curve.rows[-1]), float(curve.loss[-1])
    fit = fit_curve(curve.rows[:known], curve.loss[:known], curve.error[:known], seed=0)
    found = converge(fit, tolerance_relative=TOLERANCE, longest=end)
    stopped = end if found.point is None else found.point
    outside = np.flatnonzero(curve.loss / last - 1.0 > TOLERANCE)
    first = 0 if outside.size == 0 else int(outside[-1]) + 1
    at = float(np.interp(np.log(stopped), np.log(curve.rows), curve.loss))
    before, point = float(curve.rows[max(first - 1, 0)]), float(curve.rows[first])
    lost = (at / last - 1.0) / TOLERANCE
    held = found.low <= point and found.high >= before
    return RealStop(curve.data, curve.classifier, known, stopped, found.point is not None, point, lost, held)


def real_stops(curves: Sequence[Curve]) -> list[RealStop]:
    """The answers on all curves of the log loss that are long enough."""
    found = [real_stop(c) for c in curves if c.metric == "log loss"]
    return [f for f in found if f is not None]
