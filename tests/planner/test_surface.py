from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataefficient.planner.costs import SIX_N_D, CostPerExample
from dataefficient.planner.surface import PARAMETERS, fit_surface

SIZES = np.array([8e3, 3.2e4, 1.28e5, 5.12e5])
DATA = np.geomspace(1e5, 1e7, 6)
TRUTH = {"E": 0.4, "A": 2.0, "B": 20.0, "alpha": 0.4, "beta": 0.5}


def loss(n, d, t=TRUTH):
    return t["E"] + t["A"] * n ** -t["alpha"] + t["B"] * d ** -t["beta"]


def runs(noise=1e-3, seed=0, sizes=SIZES, data=DATA, truth=TRUTH):
    n, d = (v.ravel() for v in np.meshgrid(sizes, data))
    y = loss(n, d, truth) * np.exp(noise * np.random.default_rng(seed).standard_normal(n.size))
    return n, d, y


def test_a_clean_surface_is_recovered():
    fit = fit_surface(*runs(noise=0), bootstraps=0, seed=1)
    assert dict(zip(PARAMETERS, fit.best, strict=True)) == pytest.approx(TRUTH, rel=1e-4)


def test_intervals_of_95_percent_hold_in_most_simulations():
    hits = {name: [] for name in PARAMETERS}
    for seed in range(60):
        fit = fit_surface(*runs(seed=seed), bootstraps=200, seed=seed)
        for name, p in fit.parameters.items():
            hits[name].append(p.low <= TRUTH[name] <= p.high)
    assert min(np.mean(h) for h in hits.values()) >= 0.83


def test_gross_outliers_hardly_move_the_exponents():
    n, d, y = runs()
    y[[3, 17]] *= (1.2, 0.8)
    fit = fit_surface(n, d, y, bootstraps=0, seed=1)
    assert fit.parameters["alpha"].value == pytest.approx(0.4, rel=0.15)
    assert fit.parameters["beta"].value == pytest.approx(0.5, rel=0.15)


def test_a_thousand_refits_of_250_runs_take_less_than_five_seconds():
    n, d, y = runs(sizes=np.geomspace(8e3, 5e5, 10), data=np.geomspace(1e5, 1e7, 25))
    begin = time.process_time()
    fit_surface(n, d, y, bootstraps=1000, seed=1)
    assert time.process_time() - begin < 5


def test_equal_seeds_give_equal_fits():
    first, second = (fit_surface(*runs(), bootstraps=50, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.samples, second.samples)


def test_one_size_leaves_the_size_term_unidentified_and_still_predicts_along_the_data():
    fit = fit_surface(*runs(sizes=SIZES[:1]), bootstraps=200, seed=1)
    assert "only one size" in fit.parameters["alpha"].not_identified
    assert "only one size" in fit.parameters["A"].not_identified
    assert fit.parameters["alpha"].assumed
    assert fit.parameters["beta"].not_identified is None
    assert fit.predict(SIZES[0], 5e6).mean == pytest.approx(loss(SIZES[0], 5e6), rel=3e-3)
    with pytest.raises(ValueError, match="no effect of size"):
        fit.best_split(1e12, SIX_N_D)


def test_two_values_of_data_assume_the_exponent_and_say_so():
    fit = fit_surface(*runs(data=DATA[[0, 5]]), bootstraps=200, seed=1)
    assert "is assumed" in fit.parameters["beta"].not_identified
    assert "depends on the beta" in fit.parameters["E"].not_identified
    far, near = fit.predict(SIZES[1], 1e9), fit.predict(SIZES[1], 1e7)
    assert far.high - far.low > 3 * (near.high - near.low)


def test_size_and_data_that_grow_together_are_reported():
    n = np.geomspace(1e4, 1e6, 12)
    fit = fit_surface(n, 20 * n, loss(n, 20 * n), bootstraps=100, seed=1)
    assert "grow together" in fit.parameters["alpha"].not_identified


def test_a_term_that_has_no_effect_is_reported():
    truth = {**TRUTH, "A": 0.0}
    fit = fit_surface(*runs(truth=truth), bootstraps=200, seed=1)
    assert fit.parameters["alpha"].not_identified is not None
    assert fit.parameters["beta"].not_identified is None


def test_as_few_runs_as_parameters_do_not_give_exact_intervals():
    fit = fit_surface([1e4, 1e5, 1e4], [1e5, 1e5, 1e6], [0.6, 0.55, 0.5], bootstraps=200, seed=1)
    forecast = fit.predict(1e5, 1e6)
    assert forecast.high > forecast.low
    assert all(fit.parameters[name].not_identified for name in ("alpha", "beta", "E"))


def test_the_best_split_under_six_nd_is_the_closed_form():
    fit = fit_surface(*runs(noise=0), bootstraps=0, seed=1)
    compute = 6 * 1e5 * 2e6
    split = fit.best_split(compute, SIX_N_D)
    alpha, beta = 0.4, 0.5
    ratio = (alpha * 2.0 / (beta * 20.0)) ** (1 / (alpha + beta))
    assert split.size == pytest.approx(ratio * (compute / 6) ** (beta / (alpha + beta)), rel=0.03)
    assert 6 * split.size * split.examples == pytest.approx(compute)


def test_the_best_split_is_no_worse_than_any_listed_size():
    fit = fit_surface(*runs(), bootstraps=100, seed=1)
    cost = CostPerExample(2e-6, 3e-11, "s", measured=True)
    best = fit.best_split(50.0, cost)
    listed = fit.best_split(50.0, cost, sizes=SIZES)
    assert best.loss.mean <= listed.loss.mean + 1e-6
    assert listed.size in SIZES
    for size in SIZES:
        assert listed.loss.mean <= fit.predict(size, 50.0 / cost.at(size)).mean + 1e-12


def test_a_split_beyond_what_was_measured_is_marked():
    split = fit_surface(*runs(), bootstraps=50, seed=1).best_split(1e18, SIX_N_D)
    assert split.note is not None


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(1.0, 1e9), st.floats(1.0, 1e12), st.floats(1e-3, 1e3)), min_size=3, max_size=15
    )
)
@example(
    [
        (1.0, 325178.0, 1.0),
        (1.0, 1.0, 1.0),
        (2.0, 403957.0, 0.001),
        (14.0, 41087.0, 530.0),
        (20.0, 40895.0, 182.0),
        (20.0, 32928.0, 182.0),
    ]
)
def test_any_positive_runs_are_fitted_with_ordered_finite_intervals(points):
    n, d, y = (np.array(column) for column in zip(*points, strict=True))
    fit = fit_surface(n, d, y, bootstraps=20, seed=1)
    forecast = fit.predict(n[0], d[0])
    assert np.isfinite([forecast.mean, forecast.low, forecast.high]).all()
    assert (fit.samples >= 0).all()
    for p in fit.parameters.values():
        assert p.low <= p.value <= p.high


@settings(max_examples=15, deadline=None)
@given(st.floats(1e8, 1e16))
def test_more_compute_never_gives_a_worse_expected_loss(compute):
    fit = fit_surface(*runs(), bootstraps=0, seed=1)
    assert fit.best_split(2 * compute, SIX_N_D).loss.mean <= fit.best_split(compute, SIX_N_D).loss.mean


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1, 2], [1, 2], [0.5, 0.4]), "at least 3 runs"),
        (([1, 2, 3], [1, 2, 3], [0.5, 0.4, np.nan]), "every loss"),
        (([0, 2, 3], [1, 2, 3], [0.5, 0.4, 0.3]), "every size"),
        (([1, 2, 3], [1, 2], [0.5, 0.4, 0.3]), "one length"),
    ],
)
def test_runs_that_cannot_be_fitted_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        fit_surface(*arguments, seed=1)


@pytest.mark.parametrize("compute", [0.0, -1.0, np.inf])
def test_a_budget_that_is_not_a_positive_number_is_refused(compute):
    with pytest.raises(ValueError, match="budget"):
        fit_surface(*runs(), bootstraps=0, seed=1).best_split(compute, SIX_N_D)
