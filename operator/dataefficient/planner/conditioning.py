"""Linear Gaussian algebra: what looks make of a prior, for several components at once.

What is unknown, and how looks depend on it, is in ``belief``; here are only matrices. Looks are scaled so
that their noise is white before anything is solved, whether they are independent or go out of date together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataefficient.planner.knobs import Point

Matrix = NDArray[np.float64]

ALONE = 1e-9
"""Part of a look's variance that it shares with no other one, at least: of equal models it has no noise."""


@dataclass(frozen=True)
class Looks:
    """What was measured, scaled so that its noise is white: of variance one, and independent.

    Attributes:
        design: how it depends on the unknowns, (components, looks, unknowns).
        gaps: (components, looks).
        logdet: logarithm of the determinant of the noise's covariance before that, (components,).
    """

    design: Matrix
    gaps: Matrix
    logdet: Matrix

    @classmethod
    def apart(cls, design: Matrix, gaps: Matrix, noise: Matrix) -> Looks:
        """Of independent looks with gaps (looks,) and variances ``noise`` (components, looks)."""
        scale = np.sqrt(noise)
        return cls(design / scale[:, :, None], gaps / scale, np.log(noise).sum(axis=1))

    @classmethod
    def together(cls, design: Matrix, gaps: Matrix, noise: Matrix) -> Looks:
        """Of looks with gaps (looks,) whose noise has the covariance ``noise`` (components, looks, looks)."""
        root = np.linalg.cholesky(noise * (1.0 + ALONE * np.eye(len(gaps))))
        columns = np.broadcast_to(gaps[:, None], (len(noise), len(gaps), 1))
        white = np.linalg.solve(root, np.concatenate([design, columns], axis=2))
        diagonal = np.diagonal(root, axis1=1, axis2=2)
        return cls(white[:, :, :-1], white[:, :, -1], 2.0 * np.log(diagonal).sum(axis=1))


def condition(looks: Looks, mean: Matrix, variance: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """Posterior of a normal prior (Rasmussen and Williams 2006, equations 2.8 and 2.30).

    Args:
        mean: the prior's, (components, unknowns).
        variance: its covariance, (components, unknowns, unknowns).

    Returns:
        Mean and covariance as above, and the weights of the components by their marginal likelihood.
    """
    design, across = looks.design, np.swapaxes(looks.design, 1, 2)
    precision = np.linalg.inv(variance) + across @ design
    residual = looks.gaps - (design @ mean[:, :, None])[:, :, 0]
    pull = (across @ residual[:, :, None])[:, :, 0]
    covariance = np.asarray(np.linalg.inv(precision), float)
    shift = (covariance @ pull[:, :, None])[:, :, 0]
    quadratic = (residual**2).sum(axis=1) - (pull * shift).sum(axis=1)
    logdet = looks.logdet + np.linalg.slogdet(variance)[1] + np.linalg.slogdet(precision)[1]
    logs = -0.5 * (quadratic + logdet)
    weights = np.exp(logs - logs.max())
    return mean + shift, covariance, np.asarray(weights / weights.sum())


def wandered(steps: Matrix, stale: Matrix, plans: Sequence[Point]) -> Matrix:
    """Covariance (components, looks, looks) of how far distances went since they were looked at.

    The distance of one plan went together for all looks at it: those of one cycle are out of date as one, and
    how it grew from age to age is known as well as ever.

    Args:
        steps: standard deviations of a cycle's step, (components, looks), with the sign of the distance.
        stale: cycles since each look, (looks,).
        plans: each look's plan.
    """
    alike = np.array([one == other for one in plans for other in plans]).reshape(2 * (len(plans),))
    common = np.minimum(stale[:, None], stale) * alike
    return np.asarray(steps[:, :, None] * steps[:, None, :] * common)
