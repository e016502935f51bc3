"""Families of learning curves: how expected loss falls with the number of training examples.

Why: every question about data ("how much is enough", "what would twice as much give") needs a curve
through a few noisy points. The families are those of LCDB (Mohr, Viering, Loog, van Rijn: "LCDB 1.0",
ECML 2022), rewritten for a loss: ``loss(n) = floor + amplitude * basis(n; theta)`` with a basis that
falls from 1 at the smallest measured ``n`` towards 0. For given ``theta`` the rest is linear, so a family
is a bounded grid of ``theta`` plus a closed form (variable projection). Fitting is ``curves``; this
module knows no data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

TYPICAL_EXPONENT = 0.5
"""Prior median of the exponents; learning curves of practice lie mostly between 0.1 and 1.5."""
EXPONENT_SPREAD = 0.7
"""Prior standard deviation of the logarithm of an exponent."""


_CLOSEST = 0.02
"""Least distance to the pole of a shifted power law, as a share of that at x = 1."""

Box = tuple[float, float, float, float]
"""Bounds of the two grid coordinates: (low, high) of log exponent, then of the second coordinate."""


@dataclass(frozen=True, eq=False)
class Family:
    """A curve family over the dimensionless ``x = examples / smallest measured examples``."""

    name: str
    formula: str
    """For people; ``E`` the floor, ``A`` the amplitude, ``n`` the examples."""
    prior: float
    """Weight before any data; the priors of :data:`FAMILIES` add up to 1."""
    box: Box
    """Largest grid. An axis without extent holds one value."""
    offset: float
    """The second parameter is ``exp(second coordinate) - offset``."""
    basis: Callable[[Array, Array], Array]
    """``basis(theta (..., 2), x (...))``, broadcast; positive, falling in x, 1 at x = 1."""
    inverse: Callable[[Array, Array], Array]
    """``inverse(theta (..., 2), value (...))``: the x of this basis; inf for values <= 0."""

    def grid(self, box: Box) -> Grid:
        """A regular grid over ``box``, each cell with the prior mass that it stands for."""
        both = box[3] > box[2]
        first, width = _axis(box[0], box[1], 32 if both else 64)
        second, height = _axis(box[2], box[3], 16)
        coordinates = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
        exponent = np.exp(coordinates[:, 0])
        log_prior = np.full(exponent.shape, math.log(self.prior))
        if width > 0:
            low, high, z = (
                (v - math.log(TYPICAL_EXPONENT)) / EXPONENT_SPREAD
                for v in (self.box[0], self.box[1], coordinates[:, 0])
            )
            inside = float(ndtr(high) - ndtr(low)) * EXPONENT_SPREAD * math.sqrt(2 * math.pi)
            log_prior += math.log(width / inside) - 0.5 * z * z
        if height > 0:
            log_prior += math.log(height / (self.box[3] - self.box[2]))
        theta = np.stack([exponent, np.exp(coordinates[:, 1]) - self.offset], axis=-1)
        return Grid(coordinates, theta, log_prior, width, height)


@dataclass(frozen=True, eq=False)
class Grid:
    """Cells of one family; arrays of shape (cells, 2), (cells, 2) and (cells,)."""

    coordinates: Array
    theta: Array
    """Exponent and second parameter (a shift or a scale, in units of x; 0 where there is none)."""
    log_prior: Array
    width: float
    height: float

    def around(self, relevant: NDArray[np.bool_], box: Box) -> Box:
        """The box that holds the relevant cells and their neighbours, within ``box``."""
        low = self.coordinates[relevant].min(axis=0)
        high = self.coordinates[relevant].max(axis=0)
        return (
            max(box[0], float(low[0]) - self.width),
            min(box[1], float(high[0]) + self.width),
            max(box[2], float(low[1]) - self.height),
            min(box[3], float(high[1]) + self.height),
        )


def _axis(low: float, high: float, cells: int) -> tuple[Array, float]:
    """Centres of equal cells and their width; one cell of no width where the axis has no extent."""
    if high <= low:
        return np.array([low]), 0.0
    width = (high - low) / cells
    return np.linspace(low + width / 2, high - width / 2, cells), width


def _pow_basis(theta: Array, x: Array) -> Array:
    exponent, shift = theta[..., 0], theta[..., 1]
    # Below the smallest measured x a negative shift would pass a pole: the curve is cut off before it.
    out: Array = np.maximum((x + shift) / (1.0 + shift), _CLOSEST) ** -exponent
    return out


def _pow_inverse(theta: Array, value: Array) -> Array:
    exponent, shift = theta[..., 0], theta[..., 1]
    log_ratio = -_safe_log(value) / exponent
    out: Array = (1.0 + shift) * np.exp(np.minimum(log_ratio, 690.0)) - shift
    return np.where(value > 0.0, out, np.inf)


def _mmf_basis(theta: Array, x: Array) -> Array:
    exponent, scale = theta[..., 0], theta[..., 1]
    out: Array = (1.0 + scale**-exponent) / (1.0 + (x / scale) ** exponent)
    return out


def _mmf_inverse(theta: Array, value: Array) -> Array:
    exponent, scale = theta[..., 0], theta[..., 1]
    odds = np.maximum((1.0 + scale**-exponent) / np.maximum(value, 1e-300) - 1.0, 0.0)
    out: Array = scale * np.exp(np.minimum(_safe_log(odds) / exponent, 690.0))
    return np.where(value > 0.0, out, np.inf)


def _wbl_basis(theta: Array, x: Array) -> Array:
    exponent, scale = theta[..., 0], theta[..., 1]
    out: Array = np.exp(scale**-exponent - (x / scale) ** exponent)
    return out


def _wbl_inverse(theta: Array, value: Array) -> Array:
    exponent, scale = theta[..., 0], theta[..., 1]
    depth = np.maximum(scale**-exponent - _safe_log(value), 0.0)
    out: Array = scale * depth ** (1.0 / exponent)
    return np.where(value > 0.0, out, np.inf)


def _last_basis(theta: Array, x: Array) -> Array:
    return np.zeros(np.broadcast_shapes(theta.shape[:-1], x.shape))


def _last_inverse(theta: Array, value: Array) -> Array:
    return np.zeros(np.broadcast_shapes(theta.shape[:-1], value.shape))


def _safe_log(value: Array) -> Array:
    out: Array = np.log(np.maximum(value, 1e-300))
    return out


def _box(exponents: tuple[float, float], seconds: tuple[float, float]) -> Box:
    return math.log(exponents[0]), math.log(exponents[1]), math.log(seconds[0]), math.log(seconds[1])


_FALLING = 0.2375
"""Prior of each family that falls: all alike. The marginal likelihood already counts a further parameter
against a family, so a prior that leans to the simplest would count it twice."""

FAMILIES: tuple[Family, ...] = (
    Family("pow3", "E + A n^-b", _FALLING, _box((0.03, 3.0), (1.0, 1.0)), 1.0, _pow_basis, _pow_inverse),
    Family(
        "pow4", "E + A (n + d)^-b", _FALLING, _box((0.05, 3.0), (0.2, 50.0)), 1.0, _pow_basis, _pow_inverse
    ),
    Family(
        "mmf4",
        "E + A / (1 + (n/d)^b)",
        _FALLING,
        _box((0.1, 4.0), (0.3, 300.0)),
        0.0,
        _mmf_basis,
        _mmf_inverse,
    ),
    Family(
        "wbl4",
        "E + A exp(-(n/d)^b)",
        _FALLING,
        _box((0.1, 2.0), (0.03, 300.0)),
        0.0,
        _wbl_basis,
        _wbl_inverse,
    ),
    Family(
        "last", "the last value stands", 0.05, _box((1.0, 1.0), (1.0, 1.0)), 1.0, _last_basis, _last_inverse
    ),
)
"""Tried together by every fit."""
