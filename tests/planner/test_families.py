from __future__ import annotations

import numpy as np
import pytest

from dataefficient.planner.families import FAMILIES, Family

FALLING = [f for f in FAMILIES if f.name != "last"]


def test_the_prior_weights_of_the_families_add_up_to_one():
    assert sum(f.prior for f in FAMILIES) == pytest.approx(1.0)


def test_before_any_data_no_family_that_falls_is_believed_more_than_another():
    assert len({f.prior for f in FALLING}) == 1


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_a_grid_over_the_whole_box_stands_for_the_whole_prior(family: Family):
    assert np.exp(family.grid(family.box).log_prior).sum() == pytest.approx(family.prior, rel=0.01)


@pytest.mark.parametrize("family", FALLING, ids=lambda f: f.name)
def test_a_basis_starts_at_one_and_falls_towards_zero(family: Family):
    theta = family.grid(family.box).theta
    x = np.geomspace(1.0, 1e5, 30)
    values = family.basis(theta[:, None, :], x[None, :])
    np.testing.assert_allclose(values[:, 0], 1.0, rtol=1e-9)
    assert (np.diff(values, axis=1) <= 0).all()
    assert (values >= 0).all()


@pytest.mark.parametrize("family", FALLING, ids=lambda f: f.name)
def test_the_inverse_undoes_the_basis(family: Family):
    theta = family.grid(family.box).theta
    values = family.basis(theta, np.full(theta.shape[0], 7.0))
    usable = values > 1e-12
    np.testing.assert_allclose(family.inverse(theta[usable], values[usable]), 7.0, rtol=1e-5)


@pytest.mark.parametrize("family", FALLING, ids=lambda f: f.name)
def test_a_falling_curve_never_reaches_zero(family: Family):
    theta = family.grid(family.box).theta[:3]
    assert np.isinf(family.inverse(theta, np.zeros(3))).all()


def test_a_narrowed_grid_keeps_the_density_of_the_prior():
    family = FAMILIES[0]
    whole = family.grid(family.box)
    relevant = np.zeros(whole.theta.shape[0], bool)
    relevant[20:30] = True
    narrow = family.grid(whole.around(relevant, family.box))
    inside = np.exp(whole.log_prior[19:31])
    assert np.exp(narrow.log_prior).sum() == pytest.approx(inside.sum(), rel=0.1)
    assert narrow.width < whole.width
