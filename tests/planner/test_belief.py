"""Beliefs of plans' distances, against conditioning a normal distribution by the textbook."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from dataefficient.contract import Policy
from dataefficient.planner.belief import (
    CARRY_OVERS,
    Belief,
    Evidence,
    Prior,
    Wear,
    growth,
    informative_prior,
    vague_prior,
)
from dataefficient.planner.evidence import Contrast
from dataefficient.planner.knobs import Knobs, Point, ladder

TOLERANCE = 0.002
KNOBS = Knobs(ladder(0.2, 1.0), (8, 32), (Policy.UNIFORM, Policy.NEGATIVES))
REFERENCE, *POINTS = KNOBS.points()
HALF, QUARTER = Point(Policy.UNIFORM, 0.5, 32), Point(Policy.UNIFORM, 0.25, 32)
NEGATIVES, SMALL = Point(Policy.NEGATIVES, 0.5, 32), Point(Policy.UNIFORM, 1.0, 8)
CALM = Wear(0.0, 0.0)
WEAR = Wear(0.0001, 0.0006)
SCALE = dict.fromkeys(POINTS, TOLERANCE)
VAGUE, INFORMED = vague_prior(POINTS, TOLERANCE), informative_prior(POINTS, KNOBS, TOLERANCE)

CONTRAST = st.builds(
    lambda pair, cycle, age, gap, se: Contrast(*pair, cycle, age, gap, se),
    st.permutations([REFERENCE, *POINTS]).map(lambda order: (order[0], order[1])),
    st.integers(0, 9),
    st.none() | st.integers(1, 12),
    st.floats(-0.02, 0.02),
    st.floats(1e-4, 1e-2),
)
CONTRASTS = st.lists(CONTRAST, max_size=8)


def evidence(contrasts, *, cycle=10, wear=CALM):
    return Evidence(contrasts, REFERENCE, cycle=cycle, wear=wear, scale=SCALE)


def beliefs(contrasts, prior=VAGUE, **more):
    return evidence(contrasts, **more).beliefs(POINTS, prior)


def looks(point, gap, *, se=1e-4, ages=(None,), cycle=10, against=REFERENCE):
    return [Contrast(point, against, cycle, age, gap, se) for age in ages]


def textbook(contrasts, rho, prior, cycle, wear):
    """Mean and covariance of all distances given the contrasts, at one rho; and the marginal's covariance."""
    design = np.zeros((len(contrasts), len(POINTS)))
    noise = np.zeros(len(contrasts))
    for i, c in enumerate(contrasts):
        share = growth(rho, c.age)
        for point, sign in ((c.point, 1.0), (c.against, -1.0)):
            if point != REFERENCE:
                design[i, POINTS.index(point)] += sign * share
        noise[i] = c.standard_error**2 + share**2 * wear.drift**2 * max(cycle - c.cycle, 0)
        noise[i] += 2.0 * wear.seed_noise**2 if c.age is None else 0.0
    marginal = design @ prior.covariance @ design.T + np.diag(noise)
    gain = prior.covariance @ design.T @ np.linalg.inv(marginal)
    gaps = np.array([c.gap for c in contrasts])
    mean = prior.mean + gain @ (gaps - design @ prior.mean)
    return mean, prior.covariance - gain @ design @ prior.covariance, marginal


@pytest.mark.parametrize("prior", [VAGUE, INFORMED], ids=["vague", "informative"])
@settings(max_examples=40)
@given(contrasts=CONTRASTS.filter(bool))
def test_beliefs_are_the_normal_distribution_conditioned_on_the_contrasts(contrasts, prior):
    found = evidence(contrasts, wear=WEAR)
    parts = [textbook(contrasts, rho, prior, 10, WEAR) for rho in CARRY_OVERS]
    mean = sum(w * m for w, (m, _, _) in zip(found.weights, parts, strict=True))
    square = sum(w * (np.diag(c) + m**2) for w, (m, c, _) in zip(found.weights, parts, strict=True))
    sd = np.sqrt(np.maximum(square - mean**2, 0.0))
    for i, point in enumerate(POINTS):
        belief = found.beliefs(POINTS, prior)[point]
        assert belief.mean == pytest.approx(mean[i], abs=1e-6)
        assert belief.sd == pytest.approx(sd[i], rel=1e-3, abs=1e-6)


@settings(max_examples=30)
@given(CONTRASTS.filter(bool))
def test_the_weights_of_rho_follow_the_likelihood_of_the_contrasts(contrasts):
    found = evidence(contrasts, wear=WEAR)
    alone = Prior(np.zeros(len(POINTS)), np.diag([SCALE[p] ** 2 for p in POINTS]))
    gaps = [c.gap for c in contrasts]
    logs = np.array(
        [
            multivariate_normal(cov=textbook(contrasts, rho, alone, 10, WEAR)[2]).logpdf(gaps)
            for rho in CARRY_OVERS
        ]
    )
    weights = np.exp(logs - logs.max())
    assert found.weights == pytest.approx(weights / weights.sum(), abs=1e-6)


def test_without_contrasts_a_belief_is_its_prior():
    found = beliefs([], INFORMED)
    for i, point in enumerate(POINTS):
        assert found[point].mean == pytest.approx(INFORMED.mean[i])
        assert found[point].sd == pytest.approx(np.sqrt(INFORMED.covariance[i, i]))


@given(CONTRASTS, st.sampled_from([VAGUE, INFORMED]))
def test_the_reference_has_no_distance_to_itself(contrasts, prior):
    assert beliefs(contrasts, prior)[REFERENCE] == Belief(0.0, 0.0)


@settings(max_examples=40)
@given(CONTRASTS, st.randoms(use_true_random=False))
def test_the_order_of_the_contrasts_does_not_matter(contrasts, random):
    mixed = random.sample(contrasts, len(contrasts))
    first, second = beliefs(contrasts, INFORMED, wear=WEAR), beliefs(mixed, INFORMED, wear=WEAR)
    for point in POINTS:
        assert second[point].mean == pytest.approx(first[point].mean, abs=1e-9)
        assert second[point].sd == pytest.approx(first[point].sd, abs=1e-7)


@settings(max_examples=40)
@given(CONTRASTS)
def test_a_contrast_turned_round_says_the_same(contrasts):
    turned = [replace(c, point=c.against, against=c.point, gap=-c.gap) for c in contrasts]
    first, second = beliefs(contrasts, INFORMED), beliefs(turned, INFORMED)
    for point in POINTS:
        assert second[point].mean == pytest.approx(first[point].mean, abs=1e-9)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_more_measurements_narrow_a_belief_and_move_it_to_what_was_measured(count):
    fewer, more = (beliefs(looks(HALF, 0.001, se=0.001) * n)[HALF] for n in (count, 2 * count))
    assert more.sd < fewer.sd
    assert more.mean == pytest.approx(0.001, abs=1e-4)


@given(st.floats(-0.01, 0.01), st.floats(1e-4, 1e-2))
def test_a_single_cold_measurement_under_a_vague_prior_is_believed_as_it_is(gap, se):
    belief = beliefs(looks(HALF, gap, se=se))[HALF]
    assert belief.mean == pytest.approx(gap, abs=0.05 * se + 1e-6)
    assert belief.sd == pytest.approx(se, rel=0.01)


def test_a_vague_prior_learns_nothing_of_one_plan_from_another():
    before, after = beliefs([]), beliefs(looks(QUARTER, 0.01))
    assert after[NEGATIVES].mean == pytest.approx(before[NEGATIVES].mean)
    assert after[NEGATIVES].sd == pytest.approx(before[NEGATIVES].sd)


def test_an_informative_prior_learns_of_a_plan_from_its_neighbours():
    good, bad = (beliefs(looks(QUARTER, gap), INFORMED)[HALF] for gap in (0.0, 0.02))
    assert good.mean < bad.mean
    assert good.sd < beliefs([], INFORMED)[HALF].sd


def test_measurements_that_contradict_each_other_meet_in_the_middle():
    belief = beliefs([*looks(HALF, 0.001), *looks(HALF, 0.003)])[HALF]
    assert belief.mean == pytest.approx(0.002, abs=1e-5)


def test_a_chain_of_contrasts_adds_up():
    contrasts = [*looks(HALF, 0.001), *looks(QUARTER, 0.002, against=HALF)]
    belief = beliefs(contrasts)
    assert belief[QUARTER].mean == pytest.approx(0.003, abs=1e-5)
    assert belief[QUARTER].sd > belief[HALF].sd


def test_what_was_measured_long_ago_is_less_sure():
    wear = Wear(0.001, 0.0)
    sds = [beliefs(looks(HALF, 0.001), cycle=cycle, wear=wear)[HALF].sd for cycle in (10, 11, 20)]
    assert sds == sorted(sds)
    assert sds[0] < sds[2]


def test_cold_starts_are_blurred_by_their_seeds():
    quiet, noisy = (beliefs(looks(HALF, 0.0), wear=Wear(0.0, noise))[HALF].sd for noise in (0.0, 0.001))
    assert noisy == pytest.approx(np.hypot(quiet, 0.001 * np.sqrt(2.0)), rel=0.01)


def test_the_share_that_shows_grows_with_the_age_and_a_cold_start_shows_all():
    shares = [growth(0.8, age) for age in (0, 1, 2, 5, 50)]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[1] == pytest.approx(0.2)
    assert shares[-1] == pytest.approx(1.0, abs=1e-4)
    assert growth(0.8, None) == 1.0


def test_a_young_branch_without_a_gap_says_less_than_an_old_one():
    young, old = (beliefs(looks(HALF, 0.0, ages=(age,)))[HALF] for age in (1, 12))
    assert young.sd > old.sd


def growing(rho, ages=(1, 2, 3, 4, 6, 8, 10, 12), distance=0.004):
    return [Contrast(HALF, REFERENCE, 10, age, distance * growth(rho, age), 5e-5) for age in ages]


def test_gaps_that_keep_growing_speak_for_slow_forgetting_and_those_that_level_off_for_fast():
    slow, fast = evidence(growing(0.93)), evidence(growing(0.5))
    middle = evidence([]).carry_over(0.5)
    assert slow.carry_over(0.5) > middle > fast.carry_over(0.5)
    assert slow.carry_over(0.5) == pytest.approx(0.93, abs=0.04)
    assert fast.carry_over(0.5) == pytest.approx(0.5, abs=0.11)


@settings(max_examples=40)
@given(CONTRASTS, st.floats(0.01, 0.98), st.floats(0.01, 0.98))
def test_weights_are_a_distribution_and_its_quantiles_are_in_order(contrasts, low, high):
    found = evidence(contrasts, wear=WEAR)
    low, high = sorted((low, high))
    assert sum(found.weights) == pytest.approx(1.0)
    assert all(0.0 <= w <= 1.0 for w in found.weights)
    assert found.carry_over(low) <= found.carry_over(high)


def test_a_slowly_forgetting_stream_makes_a_short_trial_say_less():
    """Equal looks at an untried plan; another plan's gaps have shown how slowly harm builds up."""
    short = looks(QUARTER, 0.0, ages=(1, 2))
    slow, fast = (beliefs([*growing(rho), *short])[QUARTER].sd for rho in (0.96, 0.5))
    assert slow > fast


def test_harm_grows_as_rows_and_size_shrink_in_the_informative_prior():
    mean = dict(zip(POINTS, INFORMED.mean, strict=True))
    assert 0.0 < mean[HALF] < mean[QUARTER]
    assert mean[NEGATIVES] < mean[HALF]
    assert 0.0 < mean[SMALL] < mean[replace(QUARTER, size=8)]
    assert np.linalg.eigvalsh(INFORMED.covariance).min() > 0.0


def test_a_bound_lies_above_the_mean_by_so_many_standard_deviations():
    assert Belief(0.001, 0.002).upper(2.0) == pytest.approx(0.005)
