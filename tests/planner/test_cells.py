from __future__ import annotations

import numpy as np
import pytest

from dataefficient.planner.cells import Points, solve_family
from dataefficient.planner.families import FAMILIES

X = np.array([1.0, 3.0, 9.0, 27.0])
NOISE = 0.02
POW3 = FAMILIES[0]


def by_quadrature(exponent, losses):
    """Marginal likelihood of one exponent, integrated over both ends of the curve and the noise."""
    first, last = np.meshgrid(np.linspace(0.0, 1.3, 651), np.linspace(0.0, 1.3, 651), indexing="ij")
    phi = X**-exponent
    amplitude = (first - last) / (phi[0] - phi[-1])
    floor = first - amplitude * phi[0]
    allowed = (amplitude >= 0) & (floor >= 0)
    square = sum((y - floor - amplitude * p) ** 2 for y, p in zip(losses, phi, strict=True))
    trust = 8.0
    # The noise is integrated in closed form: inverse gamma against a normal likelihood.
    density = (trust * NOISE**2 + square) ** (-(trust + X.size) / 2)
    return float((density * allowed).sum())


@pytest.mark.parametrize(
    ("losses", "error"),
    [((1.0, 0.98, 0.955, 0.95), 0.1), ((0.97, 1.0, 0.99, 1.01), 0.1), ((0.6, 0.41, 0.2, 0.04), 0.6)],
    ids=["falling", "not falling", "towards a floor below zero"],
)
def test_the_weights_of_cells_are_their_marginal_likelihoods(losses, error):
    cells = solve_family(POW3, Points(X, np.array(losses), np.ones(4), NOISE, 8.0))
    exponents = cells.grid.theta[:, 0]
    few = [int(np.argmin(np.abs(exponents - value))) for value in (0.3, 0.6, 1.2, 2.4)]
    ours = cells.log_weight[few] - cells.grid.log_prior[few]
    theirs = np.log([by_quadrature(exponents[i], losses) for i in few])
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], atol=error)


def test_a_slow_exponent_that_needs_a_negative_floor_counts_for_little():
    y = 1.0 - 0.1 * np.log(np.array([1.0, 10.0, 100.0, 1000.0]))
    cells = solve_family(POW3, Points(np.array([1.0, 10.0, 100.0, 1000.0]), y, np.ones(4), 1e-3, 8.0))
    assert (cells.mean - np.clip(cells.best, 0, cells.most) * cells.centre >= -1e-12).all()


@pytest.mark.parametrize("loss", [0.0, -1.0])
def test_a_loss_that_is_not_positive_sets_no_lowest_floor(loss):
    cells = solve_family(POW3, Points(X, np.full(4, loss), np.ones(4), NOISE, 8.0))
    assert np.isinf(cells.most).all()
