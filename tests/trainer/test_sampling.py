import dataclasses
import itertools

import numpy as np
import pytest

from dataefficient.contract import Policy, Scales
from dataefficient.contract.sampling import class_probabilities
from dataefficient_trainer.rules import MIN_BATCH, MIN_WORK, pace, widths
from dataefficient_trainer.sampling import Shares, negative_scores, sample

N = 200_000


def drawn(policy, rate, positive=0.1, seed=0):
    random = np.random.default_rng(seed)
    labels = (random.random(N) < positive).astype(np.int8)
    scores = negative_scores(random.beta(1, 9, N))
    negatives = scores[labels == 0]
    shares = Shares(1e6, positive * 1e6, float(negatives.sum()), len(negatives))
    return labels, sample(
        policy, rate, np.random.default_rng(5).random(N), labels=labels, shares=shares, scores=scores
    )


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("positive", [0.02, 0.21, 0.7])
@pytest.mark.parametrize("rate", [0.05, 0.3, 1.0])
def test_the_share_of_rows_kept_is_the_rate(policy, positive, rate):
    _, kept = drawn(policy, rate, positive)
    assert kept.keep.mean() == pytest.approx(rate, rel=0.06)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("positive", [0.02, 0.21, 0.7])
def test_a_higher_rate_keeps_every_row_of_a_lower_one(policy, positive):
    kept = [drawn(policy, rate, positive)[1].keep for rate in (0.05, 0.2, 0.45, 0.8, 1.0)]
    for lower, higher in itertools.pairwise(kept):
        assert not (lower & ~higher).any()


def test_negatives_keeps_every_positive_while_they_are_at_most_half():
    labels, kept = drawn(Policy.NEGATIVES, 0.25, 0.1)
    assert kept.keep[labels == 1].all()
    assert class_probabilities(0.25, 0.1) == pytest.approx((1.0, 0.15 / 0.9))


def test_positives_are_halved_with_the_negatives_where_the_rate_is_too_low_for_all():
    assert class_probabilities(0.1, 0.2) == pytest.approx((0.25, 0.05 / 0.8))


def test_before_any_row_was_seen_both_classes_are_kept_alike():
    assert class_probabilities(0.3, None) == (0.3, 0.3)


@pytest.mark.parametrize("policy", [Policy.NEGATIVES, Policy.SCORED_NEGATIVES])
def test_weights_by_the_kept_probability_restore_the_stream(policy):
    labels, kept = drawn(policy, 0.2)
    weights = 1 / kept.probability[kept.keep]
    assert weights.sum() == pytest.approx(N, rel=0.02)
    assert (weights * labels[kept.keep]).sum() == pytest.approx(labels.sum(), rel=0.02)


def test_the_offset_is_the_log_ratio_of_keeping_a_positive_and_a_negative():
    labels, kept = drawn(Policy.NEGATIVES, 0.2)
    positive = labels[kept.keep].mean()
    log_odds = np.log(positive / (1 - positive)) - np.log(labels.mean() / (1 - labels.mean()))
    assert log_odds == pytest.approx(kept.offset[0], abs=0.03)


def at(rate, *, size=32, batch_size=1024, **scales):
    return pace(size=size, rate=rate, scales=Scales(**scales), batch_size=batch_size, learning_rate=1.0)


def test_the_batch_falls_with_the_rate_and_then_the_dense_learning_rate_rises():
    assert at(0.75).batch == 768
    assert at(0.75) == dataclasses.replace(at(1.0), batch=768)
    low = at(MIN_BATCH / 1024 / 4)
    assert low.batch == MIN_BATCH
    assert low.dense == pytest.approx(2 * at(1.0).dense)
    assert low.sparse == at(1.0).sparse, "rare rows of a table are met once in a batch of any size"


def test_the_batch_of_a_small_model_does_not_fall_where_a_step_would_have_too_little_to_do():
    assert at(0.25, size=16).batch == at(0.25, size=4).batch == 1024
    assert at(0.25, size=16).dense == pytest.approx(2 * at(1.0, size=16).dense)
    assert at(0.75, size=20).batch == MIN_WORK // 20
    assert at(0.25, size=4, batch_size=16_384).batch == 4096
    assert at(0.25, size=4, batch_size=256).batch == 256


def test_scales_that_are_asked_for_are_taken_at_any_size():
    assert at(1.0, learning_rate=3.0).sparse == pytest.approx(3 * at(1.0).sparse)
    assert at(1.0, size=4, batch=0.5) == dataclasses.replace(at(1.0, size=4), batch=512)


def test_size_one_is_the_linear_model():
    assert widths(1).embedding == 0
    assert widths(8).hidden == (32, 16)
