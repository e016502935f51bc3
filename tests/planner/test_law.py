"""How harm goes with policy and rate: by what a sample still tells."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataefficient.contract import Policy
from dataefficient.contract.sampling import class_probabilities
from dataefficient.planner.knobs import Knobs, Point
from dataefficient.planner.law import DEVIATION, EXPONENTS, UNIT, Law

FULL = Point(Policy.UNIFORM, 1.0, 32)
HALF, QUARTER = Point(Policy.UNIFORM, 0.5, 32), Point(Policy.UNIFORM, 0.25, 32)
NEGATIVES = Point(Policy.NEGATIVES, 0.25, 32)
SHARES = st.floats(0.001, 0.999)
B = np.array(EXPONENTS)


@given(SHARES, st.floats(0.05, 0.95))
def test_a_formula_of_class_probabilities_is_the_inverse_of_what_a_sample_tells(positives, rate):
    """Against the Fisher information of an intercept, which is the harmonic mean of the classes' rows."""
    positive, negative = class_probabilities(rate, positives)
    kept = positives * positive, (1 - positives) * negative
    told = kept[0] * kept[1] / (kept[0] + kept[1])
    found = Law(positives=positives).inflation(Point(Policy.NEGATIVES, rate, 32))
    assert found == pytest.approx(positives * (1 - positives) / told)


@given(SHARES, st.sampled_from(list(Policy)))
def test_fewer_rows_never_tell_more(positives, policy):
    law = Law(positives=positives)
    inflated = [law.inflation(Point(policy, rate, 32)) for rate in (1.0, 0.5, 0.25, 0.125, 0.0625)]
    assert inflated[0] == pytest.approx(1.0)
    assert inflated == sorted(inflated)


def test_where_positives_are_rare_to_drop_negatives_costs_next_to_nothing():
    law = Law(positives=0.024)
    assert law.inflation(NEGATIVES) == pytest.approx(1.08, abs=0.005)
    assert law.inflation(QUARTER) == 4.0


def test_where_the_share_of_positives_is_not_known_every_policy_counts_as_uniform():
    assert Law().inflation(NEGATIVES) == Law().inflation(QUARTER)


def test_a_uniform_quarter_is_the_unit_and_all_rows_are_harmless():
    assert Law().inflation(QUARTER) == UNIT
    assert Law().harm(QUARTER, B) == pytest.approx([1.0] * len(B))
    assert Law().harm(FULL, B) == pytest.approx([0.0] * len(B))


def test_rates_count_relative_to_the_most_that_is_allowed():
    law = Law.of(Knobs((0.5, 0.25), (32,), (Policy.UNIFORM,)))
    assert law.inflation(HALF) == 1.0
    assert law.inflation(QUARTER) == 2.0


def test_a_milder_plan_has_a_part_of_the_distance_of_a_harsher_one_of_its_kind():
    law = Law()
    assert law.share(HALF, HALF) == 1.0
    share = law.share(HALF, QUARTER)
    assert share is not None
    assert 0.0 < share < 1.0
    assert law.share(QUARTER, HALF) is None
    assert law.share(HALF, NEGATIVES) is None
    assert law.share(HALF, replace(QUARTER, size=8)) is None


def test_the_further_a_plan_is_from_what_was_measured_the_less_it_is_told_of():
    law = Law()
    assert law.doubt(HALF, HALF) == 0.0
    assert DEVIATION < law.doubt(HALF, QUARTER) < law.doubt(HALF, replace(QUARTER, rate=0.0625))
