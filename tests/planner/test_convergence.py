from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataefficient.planner.convergence import converge, convergence_point
from dataefficient.planner.curves import fit_curve

N = np.geomspace(1_000, 1_000_000, 10)
SE = np.full(N.size, 1e-4)


def power(n, exponent=0.6, drop=0.08):
    return 0.4 + drop * (np.asarray(n) / 1_000) ** -exponent


def true_point(tolerance, longest, exponent=0.6, drop=0.08):
    end = power(longest, exponent, drop)
    return 1_000 * ((end * (1 + tolerance) - 0.4) / drop) ** (-1 / exponent)


def test_the_point_of_a_clean_curve_is_where_the_gap_equals_the_tolerance():
    found = convergence_point(N, power(N), SE / 100, tolerance_relative=0.01, seed=1)
    assert found.point == pytest.approx(true_point(0.01, 1e6), rel=0.01)
    assert found.low <= found.point
    assert not found.extrapolated


def test_more_confidence_never_names_an_earlier_point():
    y = power(N) + SE * np.random.default_rng(1).standard_normal(N.size)
    fit = fit_curve(N, y, SE, seed=1)
    uppers = [converge(fit, tolerance_relative=0.003, confidence=c).upper for c in (0.5, 0.8, 0.95)]
    assert uppers == sorted(uppers)


def test_more_noise_never_names_an_earlier_point():
    y = power(N) + SE * np.random.default_rng(2).standard_normal(N.size)
    small, large = (converge(fit_curve(N, y, SE * k, seed=1), tolerance_relative=0.01).upper for k in (1, 10))
    assert large > small


def test_a_curve_whose_last_doubling_pays_is_not_converged_and_the_need_is_extrapolated():
    found = convergence_point(N, power(N, exponent=0.3), SE / 10, tolerance_relative=0.003, seed=1)
    assert found.point is None
    assert "not within this data" in found.reason
    assert found.need is not None
    true_need = 1_000 * (0.003 * 0.4 / 0.08) ** (-1 / 0.3)
    assert found.need == pytest.approx(true_need, rel=0.35)
    assert found.upper <= 1e6


def test_noise_that_hides_the_tolerance_is_no_convergence():
    y = power(N) + 4e-3 * np.random.default_rng(3).standard_normal(N.size)
    found = convergence_point(N, y, np.full(N.size, 4e-3), tolerance_relative=0.001, seed=1)
    assert found.point is None
    assert found.need is None


def test_a_flat_curve_converges_at_its_first_point():
    y = 0.5 + 1e-5 * np.random.default_rng(0).standard_normal(N.size)
    found = convergence_point(N, y, np.full(N.size, 1e-5), tolerance_relative=0.005, seed=1)
    assert found.point == pytest.approx(N[0], rel=0.01)


def test_a_part_of_the_curve_names_a_point_beyond_it():
    part = N[N <= 2e5]
    found = convergence_point(
        part, power(part), SE[: part.size] / 10, tolerance_relative=0.003, longest=1e6, seed=1
    )
    assert found.extrapolated
    assert found.point == pytest.approx(true_point(0.003, 1e6), rel=0.1)


@pytest.mark.parametrize("points", [1, 2])
def test_too_few_histories_decide_nothing(points):
    found = convergence_point(N[:points], power(N[:points]), None, tolerance_relative=0.01, seed=1)
    assert found.point is None
    assert "at least 3" in found.reason


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 1.5), st.floats(0.005, 0.2), st.integers(0, 99))
def test_a_larger_tolerance_never_needs_more_data(exponent, drop, seed):
    y = power(N, exponent, drop) + 2e-4 * np.random.default_rng(seed).standard_normal(N.size)
    fit = fit_curve(N, y, np.full(N.size, 2e-4), seed=seed)
    uppers = [converge(fit, tolerance_relative=t).upper for t in (0.0005, 0.002, 0.01)]
    assert uppers == sorted(uppers, reverse=True)
    assert all(N[0] <= u <= N[-1] * (1 + 1e-12) for u in uppers)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tolerance_relative": 0.0}, "tolerance must be positive"),
        ({"tolerance_relative": 0.1, "confidence": 0.2}, "confidence"),
        ({"tolerance_relative": 0.1, "longest": 10.0}, "shorter"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        converge(fit_curve(N, power(N), SE, seed=1), **arguments)
