"""The difference to be expected while the share of positives moves: what is taken out, and what is not."""

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataefficient.contract import Scored
from dataefficient.planner.evidence import paired, paired_ahead

ROWS = 1_000
WANDERING = (0.15, 0.25, 0.18, 0.22, 0.12, 0.28, 0.21, 0.19)
"""Shares of positives by block; 0.2 on average."""


def constant(prediction, shares, *, factor=1.0):
    """A model that predicts the same for every row, on blocks with these shares of positives."""
    loss = [-ROWS * (s * log(prediction) + (1.0 - s) * log(1.0 - prediction)) for s in shares]
    return Scored(tuple(factor * x for x in loss), (prediction * ROWS,) * len(shares))


def ahead(a, b, shares):
    return paired_ahead(a, b, [ROWS] * len(shares), [round(s * ROWS) for s in shares])


def measured(a, b):
    return paired(a.loss, b.loss, [ROWS] * len(a.loss))


def test_a_shift_whose_cost_only_follows_the_share_of_positives_is_known_better():
    a, b = constant(0.21, WANDERING), constant(0.2, WANDERING)
    result, plain = ahead(a, b, WANDERING), measured(a, b)
    assert result.standard_error < 0.75 * plain.standard_error
    assert result.blocks == 8


def test_what_a_model_loses_by_its_own_shift_is_not_taken_out():
    a, b = constant(0.3, WANDERING), constant(0.2, WANDERING)
    # The reference is right on average: the expected harm is the divergence of 0.3 from 0.2.
    harm = 0.2 * log(0.2 / 0.3) + 0.8 * log(0.8 / 0.7)
    level = -(0.2 * log(0.2) + 0.8 * log(0.8))
    assert ahead(a, b, WANDERING).gap == pytest.approx(harm / level, rel=1e-6)


def test_of_what_a_window_out_of_balance_shows_half_is_taken_out_and_the_error_reaches_both_ends():
    shares = [s + 0.06 for s in WANDERING]
    a, b = constant(0.25, shares), constant(0.2, shares)
    result, plain = ahead(a, b, shares), measured(a, b)
    shift = (0.25 - 0.2) / (0.2 * 0.8)
    balanced = [x - shift * ROWS * (0.2 - s) for x, s in zip(a.loss, shares, strict=True)]
    adjusted = paired(balanced, b.loss, [ROWS] * 8)
    assert plain.gap < 0.0 < adjusted.gap
    assert result.gap == pytest.approx((plain.gap + adjusted.gap) / 2.0)
    assert result.standard_error == pytest.approx((adjusted.gap - plain.gap) / 2.0)


def test_otherwise_the_error_has_the_mean_of_both_variances():
    a, b = constant(0.21, WANDERING, factor=1.01), constant(0.2, WANDERING)
    shift = (0.21 - 0.2) / (0.2 * 0.8)
    balanced = [x - shift * ROWS * (0.2 - s) for x, s in zip(a.loss, WANDERING, strict=True)]
    plain, adjusted = measured(a, b), paired(balanced, b.loss, [ROWS] * 8)
    variance = (plain.standard_error**2 + adjusted.standard_error**2) / 2.0
    assert ahead(a, b, WANDERING).standard_error == pytest.approx(sqrt(variance))


def test_noise_that_has_nothing_to_do_with_the_share_of_positives_leaves_what_was_measured():
    b = constant(0.2, WANDERING)
    noisy = tuple(x * (1.0 + e) for x, e in zip(b.loss, [0.1, 0.1, -0.1, -0.1] * 2, strict=True))
    a = Scored(noisy, (0.21 * ROWS,) * 8)
    assert ahead(a, b, WANDERING) == measured(a, b)


@pytest.mark.parametrize("missing", [0.0, float(ROWS)])
@pytest.mark.parametrize("whose", [0, 1])
def test_a_block_without_predictions_leaves_what_was_measured(missing, whose):
    models = [constant(0.21, WANDERING), constant(0.2, WANDERING)]
    spoiled = models[whose]
    models[whose] = Scored(spoiled.loss, (missing, *spoiled.predicted[1:]))
    assert ahead(*models, WANDERING) == measured(*models)


def test_fewer_than_six_blocks_decide_nothing():
    shares = WANDERING[:5]
    assert ahead(constant(0.21, shares), constant(0.2, shares), shares) is None


def test_blocks_without_rows_do_not_count():
    a, b = constant(0.21, WANDERING), constant(0.2, WANDERING)
    longer = [Scored((*m.loss, 0.0), (*m.predicted, 0.0)) for m in (a, b)]
    counts = [ROWS] * 8 + [0], [round(s * ROWS) for s in WANDERING] + [0]
    assert paired_ahead(*longer, *counts) == ahead(a, b, WANDERING)


def test_over_many_windows_of_a_wandering_stream_errors_are_smaller_and_as_large_as_stated():
    random = np.random.default_rng(1)
    truth = ahead(constant(0.21, WANDERING), constant(0.2, WANDERING), WANDERING).gap
    stated, errors, plain_errors = [], [], []
    for _ in range(200):
        shares = np.clip(random.normal(0.2, 0.04, 16), 0.02, 0.98).round(3)
        a, b = constant(0.21, shares), constant(0.2, shares)
        result = ahead(a, b, shares)
        stated.append(result.standard_error)
        errors.append(result.gap - truth)
        plain_errors.append(measured(a, b).gap - truth)
    error, plain = (sqrt(np.mean(np.square(e))) for e in (errors, plain_errors))
    assert error < 0.6 * plain
    assert error <= sqrt(np.mean(np.square(stated)))


BLOCK = st.tuples(
    st.integers(50, 5_000),
    st.floats(0.02, 0.98),
    st.floats(0.02, 0.98),
    st.floats(0.02, 0.98),
    st.floats(0.9, 1.1),
)
"""Rows, share of positives, both predictions, and what else makes the first model's loss differ."""


def scored(blocks):
    """Both models' sums, rows and positives."""
    n = [rows for rows, *_ in blocks]
    positives = [round(rows * share) for rows, share, *_ in blocks]
    b = [
        -y * log(q) - (rows - y) * log(1.0 - q)
        for (rows, _, _, q, _), y in zip(blocks, positives, strict=True)
    ]
    a = [loss * factor for loss, (*_, factor) in zip(b, blocks, strict=True)]
    return (
        Scored(tuple(a), tuple(rows * p for rows, _, p, _, _ in blocks)),
        Scored(tuple(b), tuple(rows * q for rows, _, _, q, _ in blocks)),
        n,
        positives,
    )


@given(st.lists(BLOCK, min_size=8, max_size=16))
def test_the_error_is_never_smaller_than_the_way_to_what_was_measured_nor_than_half_its_variance(blocks):
    a, b, n, positives = scored(blocks)
    plain, result = paired(a.loss, b.loss, n), paired_ahead(a, b, n, positives)
    assert abs(result.gap - plain.gap) <= result.standard_error * (1 + 1e-9)
    assert result.standard_error >= plain.standard_error / sqrt(2.0) * (1 - 1e-9)


@given(st.lists(BLOCK, min_size=8, max_size=16))
def test_models_that_predict_alike_are_compared_as_measured(blocks):
    a, b, n, positives = scored(blocks)
    assert paired_ahead(Scored(a.loss, b.predicted), b, n, positives) == paired(a.loss, b.loss, n)


@given(st.lists(BLOCK, min_size=8, max_size=16), st.integers(2, 100))
def test_the_unit_of_the_loss_and_of_the_rows_cancels(blocks, times):
    a, b, n, positives = scored(blocks)
    first = paired_ahead(a, b, n, positives)
    larger = [Scored(tuple(times * x for x in m.loss), tuple(times * x for x in m.predicted)) for m in (a, b)]
    second = paired_ahead(*larger, [times * x for x in n], [times * x for x in positives])
    assert second.gap == pytest.approx(first.gap, rel=1e-6, abs=1e-9)
    assert second.standard_error == pytest.approx(first.standard_error, rel=1e-6, abs=1e-9)
