"""Intervals of the next level and cost."""

import itertools
from math import exp, inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataefficient.planner.forecast import COVERAGE, next_cost, next_level

LEVELS = st.lists(st.floats(0.01, 2.0), min_size=1, max_size=30)


def test_without_any_level_nothing_is_forecast():
    assert next_level([], 0.01) is None


def test_the_first_forecast_is_the_first_level_and_the_given_spread():
    mean, low, high = next_level([0.4], 0.01)
    assert mean == 0.4
    assert mean - low == pytest.approx(high - mean)
    assert 0.01 < high - mean < 0.03


def test_a_constant_level_is_forecast_again():
    mean, low, high = next_level([0.4] * 10, 0.01)
    assert mean == low == high == 0.4


@given(LEVELS, st.floats(0.0, 0.1))
def test_the_forecast_lies_between_the_levels_that_were_and_inside_its_interval(levels, spread):
    mean, low, high = next_level(levels, spread)
    assert low <= mean <= high
    assert min(levels) - 1e-12 <= mean <= max(levels) + 1e-12


@given(LEVELS, st.floats(0.5, 3.0))
def test_the_unit_of_the_level_does_not_matter(levels, unit):
    first = next_level(levels, 0.01)
    second = next_level([unit * x for x in levels], unit * 0.01)
    assert second == pytest.approx([unit * x for x in first])


def test_a_calm_past_narrows_the_interval_and_a_wild_one_widens_it():
    random = Random(1)
    calm = next_level([0.4 + 0.001 * random.gauss(0, 1) for _ in range(15)], 0.01)
    wild = next_level([0.4 + 0.03 * random.gauss(0, 1) for _ in range(15)], 0.01)
    assert calm[2] - calm[1] < wild[2] - wild[1]


def test_intervals_of_a_noisy_level_hold_as_often_as_they_say():
    """Two thousand forecasts; errors of one series are alike, so that four standard errors are allowed."""
    random, held, total = Random(5), 0, 0
    for _ in range(200):
        levels = [0.5 + 0.01 * random.gauss(0, 1) for _ in range(25)]
        for now in range(15, 25):
            _, low, high = next_level(levels[:now], 0.01)
            held += low <= levels[now] <= high
            total += 1
    assert held / total == pytest.approx(COVERAGE, abs=0.04)


def test_intervals_of_the_cost_hold_as_often_as_they_say():
    random, held = Random(6), 0
    for _ in range(1000):
        past = [(10.0, 10.0 * exp(0.2 * random.gauss(0, 1))) for _ in range(8)]
        _, low, high = next_cost(50.0, past)
        held += low <= 50.0 * exp(0.2 * random.gauss(0, 1)) <= high
    assert held / 1000 == pytest.approx(COVERAGE, abs=0.05)


def test_the_cost_s_mean_is_what_the_cost_model_says():
    assert next_cost(50.0, [(10.0, 20.0)] * 9)[0] == 50.0


PAIRS = st.lists(st.tuples(st.floats(0.0, 1e5), st.floats(0.0, 1e5)), max_size=30)


@given(
    st.floats(0.1, 1e6),
    PAIRS.map(lambda past: [(f, a) for f, a in past if f == 0 or a == 0 or 0.01 < f / a < 100]),
)
def test_the_cost_s_interval_is_positive_finite_and_holds_the_mean(expected, past):
    mean, low, high = next_cost(expected, past)
    assert 0.0 < low <= mean <= high < inf


def test_runs_without_a_cost_tell_nothing():
    assert next_cost(50.0, [(0.0, 5.0), (5.0, 0.0)]) == next_cost(50.0, [])


def test_only_the_recent_past_counts():
    recent = [(10.0, 11.0)] * 20
    assert next_cost(5.0, [(10.0, 1000.0)] * 5 + recent) == next_cost(5.0, recent)


def test_forecasts_grow_with_what_is_expected():
    past = [(10.0, 12.0)] * 5
    highs = [next_cost(x, past)[2] for x in (1.0, 2.0, 3.0)]
    assert all(a < b for a, b in itertools.pairwise(highs))
