"""The ladder of rates and the points on it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataefficient.contract import Policy
from dataefficient.planner.knobs import Knobs, Point, ladder

POLICIES = st.lists(st.sampled_from(list(Policy)), min_size=1, unique=True).map(tuple)
SIZES = st.lists(st.integers(1, 1000), min_size=1, max_size=5, unique=True).map(lambda s: tuple(sorted(s)))
BOUNDS = st.tuples(st.floats(0.001, 1.0), st.floats(0.001, 1.0)).map(lambda pair: tuple(sorted(pair)))


def test_rates_are_halvings_and_one_between_each_two_down_to_the_lowest_that_is_allowed():
    assert ladder(0.05, 1.0) == (1.0, 0.71, 0.5, 0.35, 0.25, 0.18, 0.125, 0.088, 0.0625)
    assert ladder(0.25, 0.5) == (0.5, 0.35, 0.25)
    assert ladder(0.4, 0.5) == (0.5,)
    assert ladder(1.0, 1.0) == (1.0,)


@given(BOUNDS)
def test_rates_descend_from_the_highest_and_stay_inside_their_bounds(bounds):
    low, high = bounds
    rates = ladder(low, high)
    assert rates[0] == high
    assert all(low <= rate <= high for rate in rates)
    assert list(rates) == sorted(set(rates), reverse=True)
    assert all(half == rate / 2 for rate, half in itertools.pairwise(rates[::2]))
    assert rates[-1] / 1.5 < low


@given(BOUNDS, SIZES, POLICIES)
def test_the_reference_comes_first_and_has_the_most_data_and_the_largest_size(bounds, sizes, policies):
    knobs = Knobs(ladder(*bounds), sizes, policies)
    points = knobs.points()
    assert points[0] == knobs.reference
    assert all(p.rate <= knobs.reference.rate and p.size <= knobs.reference.size for p in points)
    assert len(set(points)) == len(points)
    assert len(points) == len(sizes) * (1 + len(policies) * (len(knobs.rates) - 1))


@given(BOUNDS, SIZES, POLICIES)
def test_at_the_full_rate_all_policies_are_one(bounds, sizes, policies):
    knobs = Knobs(ladder(*bounds), sizes, policies)
    full = [p for p in knobs.points() if p.rate == knobs.rates[0]]
    assert {p.policy for p in full} == {Policy.UNIFORM}


@pytest.mark.parametrize(
    ("point", "text"),
    [
        (Point(Policy.UNIFORM, 1.0, 8), "all rows, size 8"),
        (Point(Policy.NEGATIVES, 0.25, 16), "0.25 of the rows (Negatives), size 16"),
    ],
)
def test_a_point_says_what_it_is(point, text):
    assert str(point) == text
