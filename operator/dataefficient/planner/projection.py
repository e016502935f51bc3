"""Variable projection for ``E + A n^-alpha + B d^-beta``, batched over targets.

Why: a bootstrap of a thousand refits must take seconds. For given exponents E, A and B follow from a
closed form (the best of seven active sets solves the non-negative problem exactly), so a fit is a search
over two exponents: a shared grid gives each target its start, damped Gauss-Newton steps refine all targets
at once. What the parameters mean and how sure they are is ``surface``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataefficient.planner.families import Array

_SETS = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
_GRID = 20
_STEPS = 25


@dataclass(frozen=True)
class Bounds:
    """Range of each exponent; equal ends fix it. An axis that is not ``used`` has no term at all."""

    alpha: tuple[float, float]
    beta: tuple[float, float]
    use_size: bool = True
    use_data: bool = True

    @property
    def assumed(self) -> frozenset[str]:
        """Parameters that no run decides: exponents that are fixed and terms that are not used."""
        names = {"alpha": self.alpha[0] == self.alpha[1], "beta": self.beta[0] == self.beta[1]}
        names |= {"A": not self.use_size, "B": not self.use_data}
        return frozenset(name for name, held in names.items() if held)


@dataclass(frozen=True, eq=False)
class Design:
    """Where the points lie; arrays of shape (points,)."""

    log_n: Array
    """Logarithm of the size, centred for conditioning."""
    log_d: Array
    """Logarithm of the examples, centred."""
    weight: Array
    """Weights of the squared residuals."""
    bounds: Bounds


@dataclass(frozen=True, eq=False)
class Solution:
    """One row per target: ``linear`` (targets, 3) holds E, A, B; ``exponents`` (targets, 2) alpha, beta."""

    linear: Array
    exponents: Array
    objective: Array
    """Weighted sum of squares, shape (targets,)."""


def _non_negative(gram: Array, right: Array, allowed: tuple[bool, bool, bool]) -> tuple[Array, Array]:
    """Exact non-negative least squares in three unknowns.

    Args:
        gram: (..., 3, 3) normal matrices.
        right: (..., 3) right-hand sides.
        allowed: which unknowns may differ from 0.

    Returns:
        The solutions (..., 3) and the explained sum of squares (...,).
    """
    shape = np.broadcast_shapes(gram.shape[:-2], right.shape[:-1])
    best, gain = np.zeros((*shape, 3)), np.full(shape, -np.inf)
    for chosen in _SETS:
        if not all(allowed[i] for i in chosen):
            continue
        parts = _solve_small(gram, right, chosen)
        explained = sum(part * right[..., i] for part, i in zip(parts, chosen, strict=True))
        ok = (explained > gain) & np.all([part >= 0 for part in parts], axis=0)
        gain = np.where(ok, explained, gain)
        for i in range(3):
            value = parts[chosen.index(i)] if i in chosen else 0.0
            best[..., i] = np.where(ok, value, best[..., i])
    return best, np.where(np.isfinite(gain), gain, 0.0)


def _solve_small(gram: Array, right: Array, chosen: tuple[int, ...]) -> list[Array]:
    """Solve the normal equations of one active set by elimination; a singular set gives -1 (infeasible)."""
    diagonal = np.stack([gram[..., i, i] for i in range(3)])
    rows = [[gram[..., i, j] for j in chosen] + [right[..., i]] for i in chosen]
    singular = np.zeros(right.shape[:-1], bool)
    for k in range(len(chosen)):
        pivot = rows[k][k]
        tiny = pivot <= 1e-11 * diagonal[chosen[k]]
        singular = singular | tiny
        safe = np.where(tiny, 1.0, pivot)
        for i in range(k + 1, len(chosen)):
            factor = rows[i][k] / safe
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
        rows[k] = [a / safe for a in rows[k]]
    parts: list[Array] = [np.zeros(())] * len(chosen)
    for k in reversed(range(len(chosen))):
        value = rows[k][-1]
        for j in range(k + 1, len(chosen)):
            value = value - rows[k][j] * parts[j]
        parts[k] = value
    return [np.where(singular, -1.0, part) for part in parts]


def _axis(bounds: tuple[float, float]) -> Array:
    low, high = bounds
    return np.geomspace(low, high, _GRID) if high > low else np.array([low])


def _grid_start(design: Design, targets: Array) -> Array:
    """Best cell of the exponent grid for each target, shape (targets, 2)."""
    weight, bounds = design.weight, design.bounds
    alpha, beta = _axis(bounds.alpha), _axis(bounds.beta)
    u, v = np.exp(-np.outer(alpha, design.log_n)), np.exp(-np.outer(beta, design.log_d))
    shape = (alpha.size, beta.size)
    gram = np.empty((*shape, 3, 3))
    gram[..., 0, 0] = weight.sum()
    gram[..., 0, 1] = gram[..., 1, 0] = (u @ weight)[:, None]
    gram[..., 0, 2] = gram[..., 2, 0] = (v @ weight)[None, :]
    gram[..., 1, 1] = (u**2 @ weight)[:, None]
    gram[..., 2, 2] = (v**2 @ weight)[None, :]
    gram[..., 1, 2] = gram[..., 2, 1] = (u * weight) @ v.T
    weighted = targets * weight
    right = np.empty((targets.shape[0], *shape, 3))
    right[..., 0] = weighted.sum(axis=1)[:, None, None]
    right[..., 1] = (weighted @ u.T)[:, :, None]
    right[..., 2] = (weighted @ v.T)[:, None, :]
    _, gain = _non_negative(gram, right, (True, bounds.use_size, bounds.use_data))
    cell = gain.reshape(targets.shape[0], -1).argmax(axis=1)
    return np.stack([alpha[cell // beta.size], beta[cell % beta.size]], axis=1)


def _linear_part(design: Design, targets: Array, exponents: Array) -> tuple[Array, Array, Array, Array]:
    """Best E, A, B at each target's exponents, its objective, residuals, columns (targets, 3, points)."""
    columns = np.ones((exponents.shape[0], 3, design.log_n.size))
    columns[:, 1] = np.exp(-exponents[:, :1] * design.log_n)
    columns[:, 2] = np.exp(-exponents[:, 1:] * design.log_d)
    weighted = columns * design.weight
    gram = weighted @ columns.transpose(0, 2, 1)
    right = (weighted @ targets[:, :, None])[..., 0]
    linear, _ = _non_negative(gram, right, (True, design.bounds.use_size, design.bounds.use_data))
    residual = targets - np.einsum("bk,bkp->bp", linear, columns)
    objective = (residual**2 * design.weight).sum(axis=1)
    return linear, objective, residual, columns


def _step(design: Design, state: tuple[Array, Array, Array], damping: Array) -> Array:
    """Damped Gauss-Newton step of the exponents (the others are projected out)."""
    linear, residual, columns = state
    slopes = (
        np.stack([design.log_n * columns[:, 1], design.log_d * columns[:, 2]], axis=1) * linear[:, 1:, None]
    )
    jacobian = np.concatenate([columns, slopes], axis=1)
    weighted = jacobian * design.weight
    normal = weighted @ jacobian.transpose(0, 2, 1)
    right = -(weighted @ residual[:, :, None])
    inactive = np.concatenate([linear == 0, linear[:, 1:] == 0], axis=1)
    keep = ~inactive
    normal = normal * keep[:, :, None] * keep[:, None, :]
    diagonal = np.diagonal(normal, axis1=1, axis2=2).copy()
    extra = diagonal * 1e-12 + inactive
    extra[:, 3:] += damping[:, None] * diagonal[:, 3:]
    index = np.arange(5)
    normal[:, index, index] += extra
    scale = np.sqrt(normal[:, index, index])
    scaled = normal / scale[:, :, None] / scale[:, None, :]
    scaled[:, index, index] += 1e-13
    out: Array = np.linalg.solve(scaled, right * keep[:, :, None] / scale[:, :, None])[..., 0] / scale
    return out[:, 3:]


def project(
    design: Design, targets: Array, *, start: Array | None = None, held: Array | None = None
) -> Solution:
    """Fit each row of ``targets`` by weighted least squares.

    Args:
        design: of the points that all targets share.
        targets: losses to fit, shape (targets, points).
        start: exponents to start from, shape (targets, 2); the best cell of a grid where None.
        held: exponents that a target keeps, NaN where it is free, shape (targets, 2).
    """
    exponents = _grid_start(design, targets) if start is None else start.copy()
    low = np.broadcast_to([design.bounds.alpha[0], design.bounds.beta[0]], exponents.shape)
    high = np.broadcast_to([design.bounds.alpha[1], design.bounds.beta[1]], exponents.shape)
    if held is not None:
        exponents = np.where(np.isnan(held), exponents, held)
        low, high = np.where(np.isnan(held), low, held), np.where(np.isnan(held), high, held)
    linear, objective, residual, columns = _linear_part(design, targets, exponents)
    damping = np.full(objective.shape, 1e-2)
    live = np.arange(objective.size)
    for _ in range(_STEPS):
        state = (linear[live], residual[live], columns[live])
        # The Jacobian is with respect to the exponents; a step in logarithms keeps them positive.
        move = _step(design, state, damping[live]) / exponents[live]
        tried = np.clip(exponents[live] * np.exp(np.clip(move, -0.7, 0.7)), low[live], high[live])
        new = _linear_part(design, targets[live], tried)
        better = new[1] < objective[live]
        gained = objective[live] - new[1]
        done = better & (gained <= 1e-9 * objective[live]) | (damping[live] > 1e8)
        damping[live] = np.where(better, damping[live] * 0.2, damping[live] * 8)
        taken = live[better]
        exponents[taken], objective[taken] = tried[better], new[1][better]
        linear[taken], residual[taken], columns[taken] = new[0][better], new[2][better], new[3][better]
        live = live[~done]
        if live.size == 0:
            break
    return Solution(linear, exponents, objective)
