"""Paired differences: what block sums say about two models."""

from math import sqrt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import t as student

from dataefficient.planner.evidence import paired

LOSSES = st.lists(st.floats(1.0, 1e6), min_size=8, max_size=16)


def test_the_gap_is_the_ratio_of_the_sums_and_its_error_comes_from_the_blocks():
    b = [10.0] * 8
    a = [11.0, 9.0] * 4
    result = paired(a, b, [100] * 8)
    assert result.gap == pytest.approx(0.0)
    # Residuals are +1 and -1: sqrt(8/7 * 8) / 80.
    assert result.standard_error == pytest.approx(sqrt(8.0 / 7.0 * 8.0) / 80.0)
    assert result.blocks == 8


def test_a_difference_that_is_the_same_in_every_block_is_known_exactly():
    b = [float(i) for i in range(1, 11)]
    result = paired([1.02 * x for x in b], b, [5] * 10)
    assert result.gap == pytest.approx(0.02)
    assert result.standard_error == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("blocks", [0, 1, 5])
def test_fewer_than_six_blocks_decide_nothing(blocks):
    assert paired([1.0] * blocks, [1.0] * blocks, [1] * blocks) is None


def test_blocks_without_rows_do_not_count():
    a, b = [1.0] * 8 + [0.0] * 8, [1.0] * 8 + [0.0] * 8
    assert paired(a, b, [3] * 8 + [0] * 8).blocks == 8
    assert paired(a, b, [3] * 5 + [0] * 11) is None


def test_a_comparator_without_any_loss_decides_nothing():
    assert paired([1.0] * 8, [0.0] * 8, [1] * 8) is None


def test_only_the_blocks_that_are_asked_for_count():
    a, b = [2.0] * 8 + [1.0] * 8, [1.0] * 16
    assert paired(a, b, [1] * 16, blocks=slice(8, 16)).gap == 0.0
    assert paired(a, b, [1] * 16, blocks=slice(0, 8)).gap == 1.0
    assert paired(a, b, [1] * 16, blocks=slice(0, 4)) is None


@given(LOSSES, st.floats(0.9, 1.1), st.randoms(use_true_random=False))
def test_exchanging_the_models_turns_the_gap_round(b, factor, random):
    a = [factor * x * random.uniform(0.99, 1.01) for x in b]
    n = [1] * len(b)
    there, back = paired(a, b, n), paired(b, a, n)
    assert 1.0 + there.gap == pytest.approx(1.0 / (1.0 + back.gap))
    assert there.standard_error * sum(b) / sum(a) == pytest.approx(
        back.standard_error * sum(a) / sum(b), rel=1e-6, abs=1e-12
    )


@given(LOSSES, st.permutations(range(8)), st.floats(1e-3, 1e3), st.randoms(use_true_random=False))
def test_neither_the_order_of_the_blocks_nor_the_unit_of_the_loss_matters(b, order, unit, random):
    b = b[:8]
    a = [x * random.uniform(0.9, 1.1) for x in b]
    first = paired(a, b, [1] * 8)
    second = paired([unit * a[i] for i in order], [unit * b[i] for i in order], [9] * 8)
    assert second.gap == pytest.approx(first.gap, abs=1e-9)
    assert second.standard_error == pytest.approx(first.standard_error, rel=1e-6, abs=1e-9)


@given(LOSSES)
def test_a_model_does_not_differ_from_itself(b):
    result = paired(b, b, [1] * len(b))
    assert result.gap == 0.0
    assert result.standard_error == 0.0


@given(LOSSES, st.floats(0.6, 0.99), st.randoms(use_true_random=False))
def test_bounds_are_student_s_and_lie_on_both_sides(b, confidence, random):
    a = [x * random.uniform(0.9, 1.1) for x in b]
    result = paired(a, b, [1] * len(b))
    assume(result.standard_error > 1e-9)
    reach = float(student.ppf(confidence, len(b) - 1)) * result.standard_error
    assert result.upper(confidence) == pytest.approx(result.gap + reach)
    assert result.lower(confidence) == pytest.approx(result.gap - reach)
