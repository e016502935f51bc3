from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from dataefficient.planner.rates import _pooled, fit_rates

RATES = np.array([0.1, 0.25, 0.5])


def gap(rate, scale=5e-4, exponent=0.7):
    return scale * (np.asarray(rate) ** -exponent - 1)


def test_full_data_has_no_gap():
    fit = fit_rates(RATES, gap(RATES), np.full(3, 1e-4), seed=1)
    assert fit.predict(1.0).high == 0.0


def test_a_clean_rate_curve_is_recovered():
    fit = fit_rates(RATES, gap(RATES), np.full(3, 1e-7), seed=1)
    assert fit.predict(0.25).mean == pytest.approx(gap(0.25), rel=0.02)
    assert fit.predict(0.05).mean == pytest.approx(gap(0.05), rel=0.1)


def test_80_percent_intervals_hold_for_about_80_percent_of_simulated_curves():
    hits = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        truth = {"scale": random.uniform(1e-4, 2e-3), "exponent": random.uniform(0.2, 1.5)}
        measured = gap(RATES, **truth) + 2e-4 * random.standard_normal(3)
        forecast = fit_rates(RATES, measured, np.full(3, 2e-4), seed=seed).predict(0.2)
        hits.append(forecast.low <= gap(0.2, **truth) <= forecast.high)
    assert 0.7 <= np.mean(hits) <= 0.92


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.01, 1.0), st.floats(-0.05, 0.05), st.floats(0.0, 0.01)), min_size=1, max_size=8
    )
)
def test_gaps_are_never_negative_and_never_grow_with_the_rate(points):
    rates, gaps, se = (np.array(column) for column in zip(*points, strict=True))
    if rates.min() >= 1:
        rates[0] = 0.5
    fit = fit_rates(rates, gaps, se, seed=1)
    forecasts = [fit.predict(rate) for rate in (0.02, 0.1, 0.3, 0.7, 1.0)]
    for ends in ([f.low for f in forecasts], [f.mean for f in forecasts], [f.high for f in forecasts]):
        assert all(later <= earlier + 1e-12 for earlier, later in pairwise(ends))
        assert min(ends) >= 0


def test_gaps_that_no_power_law_explains_fall_back_to_a_monotone_curve():
    rates = np.array([0.1, 0.2, 0.4, 0.6, 0.8])
    step = np.array([0.02, 0.02, 0.02, 0.0, 0.0])
    fit = fit_rates(rates, step, np.full(5, 1e-4), seed=1)
    assert fit.monotone is not None
    assert fit.predict(0.3).mean == pytest.approx(0.02, abs=1e-3)
    assert fit.predict(0.7).mean == pytest.approx(0.0, abs=1e-3)


def test_the_monotone_curve_knows_nothing_below_the_smallest_rate():
    rates = np.array([0.1, 0.2, 0.4, 0.6, 0.8])
    fit = fit_rates(rates, np.array([0.02, 0.02, 0.02, 0.0, 0.0]), np.full(5, 1e-4), seed=1)
    assert fit.predict(0.05).high == np.inf
    assert fit.smallest_rate(0.5) >= 0.1


def test_the_smallest_rate_keeps_the_upper_bound_inside_the_tolerance():
    fit = fit_rates(RATES, gap(RATES), np.full(3, 1e-5), seed=1)
    rate = fit.smallest_rate(0.001)
    assert np.quantile(fit.gaps(rate), 0.95) <= 0.001
    assert rate == pytest.approx(3 ** (-1 / 0.7), rel=0.1)


def test_a_tolerance_that_noise_hides_keeps_full_data():
    fit = fit_rates([0.5], [0.0], [0.01], seed=1)
    assert fit.smallest_rate(0.0005) > 0.9


@pytest.mark.parametrize(
    ("rates", "gaps", "se", "words"),
    [
        ([1.0], [0.0], [0.1], "below 1"),
        ([], [], [], "below 1"),
        ([0.5, 0.2], [0.1], [0.1], "one length"),
        ([0.0], [0.1], [0.1], "must lie in"),
        ([0.5], [np.nan], [0.1], "finite"),
    ],
)
def test_numbers_that_cannot_be_a_rate_curve_are_refused(rates, gaps, se, words):
    with pytest.raises(ValueError, match=words):
        fit_rates(rates, gaps, se, seed=1)


def test_a_rate_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="sampling rate"):
        fit_rates(RATES, gap(RATES), np.full(3, 1e-4), seed=1).predict(1.5)


def test_pooling_agrees_with_an_independent_isotonic_regression():
    random = np.random.default_rng(0)
    values, weight = random.standard_normal((5, 7)), random.uniform(0.5, 2.0, 7)
    for row, pooled in zip(values, _pooled(values, weight), strict=True):
        expected = isotonic_regression(row, weights=weight, increasing=False).x
        np.testing.assert_allclose(pooled, np.maximum(expected, 0.0), atol=1e-12)
