from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataefficient.planner.curves import fit_curve

N = np.geomspace(1_000, 100_000, 10)


def power(n, floor=0.4, drop=0.08, exponent=0.6):
    return floor + drop * (np.asarray(n) / 1_000) ** -exponent


def noisy(seed, relative=3e-4, n=N, **truth):
    y = power(n, **truth)
    return y * (1 + relative * np.random.default_rng(seed).standard_normal(n.size)), relative * y


def test_a_clean_power_law_is_recovered():
    fit = fit_curve(N, power(N), np.full(N.size, 1e-6), seed=1)
    best = fit.families[0]
    assert best.name == "pow3"
    assert best.exponent == pytest.approx(0.6, rel=1e-3)
    assert best.floor == pytest.approx(0.4, rel=1e-4)
    assert fit.predict(1e7).mean == pytest.approx(power(1e7), rel=1e-4)


def test_the_weights_of_the_families_add_up_to_one():
    fit = fit_curve(N, *noisy(3), seed=1)
    assert sum(f.weight for f in fit.families) == pytest.approx(1.0)


def test_equal_inputs_give_equal_fits_whatever_the_order_of_the_points():
    y, se = noisy(4)
    shuffled = np.random.default_rng(0).permutation(N.size)
    first, second = fit_curve(N, y, se, seed=7), fit_curve(N[shuffled], y[shuffled], se[shuffled], seed=7)
    assert first.predict(3e6) == second.predict(3e6)


def test_intervals_of_80_percent_hold_for_about_80_percent_of_simulated_curves():
    hits = []
    for seed in range(120):
        random = np.random.default_rng(1000 + seed)
        truth = {"exponent": random.uniform(0.2, 1.0), "drop": random.uniform(0.01, 0.2)}
        fit = fit_curve(N, *noisy(seed, **truth), seed=seed)
        forecast = fit.predict(5e5, with_noise=False)
        hits.append(forecast.low <= power(5e5, **truth) <= forecast.high)
    assert 0.68 <= np.mean(hits) <= 0.92


def test_the_interval_widens_with_the_distance_of_the_extrapolation():
    fit = fit_curve(N, *noisy(5), seed=1)
    widths = [fit.predict(n, with_noise=False) for n in (1e5, 1e6, 1e8)]
    spans = [f.high - f.low for f in widths]
    assert spans[0] < spans[1] < spans[2]


def test_the_interval_of_a_measurement_is_wider_than_that_of_the_expected_loss():
    fit = fit_curve(N, *noisy(5), seed=1)
    with_noise, without = fit.predict(1e5), fit.predict(1e5, with_noise=False)
    assert with_noise.high - with_noise.low > without.high - without.low


def test_one_gross_outlier_hardly_moves_the_forecast():
    y, se = noisy(6)
    clean = fit_curve(N, y, se, seed=1).predict(1e6).mean
    y = y.copy()
    y[4] *= 1.05
    spoiled = fit_curve(N, y, se, seed=1).predict(1e6)
    assert spoiled.mean == pytest.approx(clean, rel=0.004)


def test_a_stated_error_that_is_too_small_is_corrected_by_the_residuals():
    y, _ = noisy(8, relative=3e-3)
    honest, bold = (fit_curve(N, y, np.full(N.size, s), seed=1).predict(1e6) for s in (1.2e-3, 1.2e-4))
    assert bold.high - bold.low > 0.2 * (honest.high - honest.low)


def test_a_flat_curve_stays_flat():
    y = 0.5 + 1e-4 * np.random.default_rng(0).standard_normal(N.size)
    forecast = fit_curve(N, y, np.full(N.size, 1e-4), seed=1).predict(1e6)
    assert forecast.mean == pytest.approx(0.5, abs=5e-4)
    assert forecast.low > 0.49


def test_a_rising_curve_is_not_extrapolated_upwards():
    forecast = fit_curve(N, 0.4 + 0.01 * np.log(N / N[0]), None, seed=1).predict(1e7)
    assert forecast.mean <= 0.45 + 1e-9


@pytest.mark.parametrize(
    ("examples", "loss"),
    [
        ([1000], [0.5]),
        ([1000, 1000, 1000], [0.5, 0.51, 0.49]),
        ([1000, 2000], [0.5, 0.45]),
        ([1000, 2000], [0.45, 0.5]),
        ([1000, 2000, 4000], [0.5, 0.5, 0.5]),
        ([1, 10, 100, 1000, 1e4, 1e5], [0.7, 0.4, 0.65, 0.3, 0.6, 0.2]),
        ([1000, 2000, 4000], [0.0, 0.0, 0.0]),
        ([1000, 2000, 4000], [-1.0, -2.0, -2.5]),
        ([1e-3, 1e12], [1e9, 1e-9]),
    ],
)
@pytest.mark.parametrize("with_se", [False, True])
def test_ill_behaved_curves_give_a_finite_ordered_forecast(examples, loss, with_se):
    se = np.full(len(loss), 1e-3) if with_se else None
    forecast = fit_curve(examples, loss, se, seed=1).predict(max(examples) * 10)
    assert np.isfinite([forecast.mean, forecast.low, forecast.high]).all()
    assert forecast.low <= forecast.mean <= forecast.high


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(1.0, 1e9), st.floats(-10.0, 10.0), st.floats(0.0, 1.0)), min_size=1, max_size=12
    ),
    st.booleans(),
)
def test_any_finite_curve_is_fitted(points, with_se):
    n, y, s = (np.array(column) for column in zip(*points, strict=True))
    fit = fit_curve(n, y, s if with_se else None, seed=3)
    forecast = fit.predict(2 * n.max())
    assert np.isfinite([forecast.mean, forecast.low, forecast.high]).all()
    assert (
        fit.predict(2 * n.max(), with_noise=False).mean <= fit.predict(n.min(), with_noise=False).mean + 1e-9
    )


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(1e-2, 1e4))
def test_the_units_of_loss_and_examples_do_not_matter(loss_unit, data_unit):
    y, se = noisy(9)
    base = fit_curve(N, y, se, seed=1).predict(1e6).mean
    other = fit_curve(N * data_unit, y * loss_unit, se * loss_unit, seed=1).predict(1e6 * data_unit).mean
    assert other == pytest.approx(base * loss_unit, rel=1e-4)


@pytest.mark.parametrize(
    ("examples", "loss", "se", "words"),
    [
        ([], [], None, "no point"),
        ([1, 2], [0.5], None, "one length"),
        ([1, 2, 3], [0.5, np.nan, 0.4], None, "finite"),
        ([1, np.inf], [0.5, 0.4], None, "finite"),
        ([0, 1], [0.5, 0.4], None, "positive, found 0"),
        ([1, 2], [0.5, 0.4], [0.1, -0.1], "negative, found -0.1"),
    ],
)
def test_numbers_that_cannot_be_a_curve_are_refused_with_the_reason(examples, loss, se, words):
    with pytest.raises(ValueError, match=words):
        fit_curve(examples, loss, se, seed=1)


def test_a_forecast_for_no_examples_is_refused():
    with pytest.raises(ValueError, match="examples > 0"):
        fit_curve(N, power(N), None, seed=1).predict(0)


def test_a_forecast_for_less_data_than_was_measured_is_finite_and_higher():
    y, se = noisy(2)
    fit = fit_curve(N, y, se, seed=1)
    forecast = fit.predict(N[0] / 50)
    assert np.isfinite([forecast.mean, forecast.low, forecast.high]).all()
    assert np.isfinite(fit.curves(N[0] / 50)).all()
    assert forecast.mean > fit.predict(N[0]).mean


@pytest.mark.parametrize("given", [True, False])
def test_the_noise_of_a_further_measurement_is_that_of_the_points(given):
    n = np.geomspace(1_000, 100_000, 40)
    y, se = noisy(3, relative=1e-3, n=n)
    fit = fit_curve(n, y, se if given else None, seed=1)
    assert np.std(fit.noise) == pytest.approx(np.median(se), rel=0.25)
    assert np.std(fit.curves(n[20])) < 0.5 * np.std(fit.noise)
    assert np.std(fit.curves(n[20])) > 0.1 * np.std(fit.noise)
