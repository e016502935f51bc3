"""Beliefs of a lineage's distance: what contrasts tell of it, now and some cycles ahead."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataefficient.contract import Policy
from dataefficient.planner.belief import (
    CONVERTED,
    OWN_SPREAD,
    POLICY_HARM,
    PRIOR_SPREAD,
    SEEN_AFTER,
    UNEXPLAINED,
    Evidence,
    Life,
    Wear,
    conversion_loss,
    growth,
)
from dataefficient.planner.contrasts import LONGEST_PAST, Contrast, Spell, after, before, part_of
from dataefficient.planner.knobs import Knobs, Point, ladder
from dataefficient.planner.law import DEVIATION, Law

TOLERANCE = 0.002
KNOBS = Knobs(ladder(0.2, 1.0), (8, 32), (Policy.UNIFORM, Policy.NEGATIVES))
REFERENCE, *POINTS = KNOBS.points()
HALF, QUARTER = Point(Policy.UNIFORM, 0.5, 32), Point(Policy.UNIFORM, 0.25, 32)
NEGATIVES, SMALL = Point(Policy.NEGATIVES, 0.5, 32), Point(Policy.UNIFORM, 1.0, 8)
CALM, WEAR = Wear(0.0, 0.0), Wear(0.05, 0.0006)
FOR_EVER = float("inf")
FULL = Life((Spell(REFERENCE, 1.0),))


def evidence(contrasts, *, cycle=10, wear=CALM):
    return Evidence(contrasts, KNOBS, tolerance=TOLERANCE, cycle=cycle, wear=wear)


def look(point, gap, *, age=None, se=1e-4, cycle=10, against=REFERENCE, cold="", cold_age=0.0):
    mine, other = (Spell(point, age or 1.0),), (Spell(against, age or 1.0),)
    return Contrast(mine, other, cycle, age, gap, se, cold, cold_age)


def growing(rho, distance, point=QUARTER, ages=(1, 2, 3, 4, 6, 8, 10, 12, 16), se=5e-5):
    return [look(point, distance * growth(rho, age), age=age, se=se) for age in ages]


def believed(contrasts, point, *, life=FULL, ahead=FOR_EVER, **more):
    return evidence(contrasts, **more).ahead(life, (point,), ahead).beliefs()[0]


PAST = st.lists(
    st.builds(Spell, st.sampled_from([REFERENCE, *POINTS]), st.integers(1, 6)), min_size=1, max_size=3
)
CONTRAST = st.builds(
    lambda mine, against, cycle, age, gap, se: Contrast(tuple(mine), tuple(against), cycle, age, gap, se),
    PAST,
    PAST,
    st.integers(0, 9),
    st.none() | st.integers(1, 12),
    st.floats(-0.02, 0.02),
    st.floats(1e-4, 1e-2),
)
CONTRASTS = st.lists(CONTRAST, max_size=6)


def test_bounds_hold_as_often_as_they_say_where_the_model_is_true():
    """Distances drawn from the prior, looks from the distances: simulation-based calibration."""
    draws = np.random.default_rng(1)
    inside = []
    for _ in range(300):
        rho = draws.choice([0.5, 0.75, 0.89, 0.96])
        later = 1.0 / (1.0 - rho**SEEN_AFTER)
        mean = POLICY_HARM[Policy.UNIFORM] * TOLERANCE * later
        harm = mean * (1.0 + PRIOR_SPREAD * draws.normal() + OWN_SPREAD * draws.normal())
        own = (DEVIATION * abs(harm) + UNEXPLAINED * TOLERANCE) * draws.normal()
        distance = harm + own  # a quarter of the rows: the law is 1 there
        looks = [
            look(QUARTER, distance * growth(rho, age) + 3e-4 * draws.normal(), age=age, se=3e-4)
            for age in (2, 4, 6, 8, 10)
        ]
        shown = distance * growth(rho, 8)
        bound = evidence(looks).ahead(FULL, (QUARTER,), 8.0).quantiles(0.8)[0]
        inside.append(shown <= bound)
    assert 0.72 <= np.mean(inside) <= 0.88


@settings(max_examples=40)
@given(CONTRASTS)
def test_full_data_for_ever_has_no_distance_to_itself(contrasts):
    found = evidence(contrasts, wear=WEAR).ahead(Life(()), (REFERENCE,), FOR_EVER)
    assert found.beliefs()[0].mean == pytest.approx(0.0, abs=1e-12)
    assert found.beliefs()[0].sd < 1e-8


@settings(max_examples=40)
@given(CONTRASTS, st.randoms(use_true_random=False))
def test_the_order_of_the_contrasts_does_not_matter(contrasts, random):
    mixed = random.sample(contrasts, len(contrasts))
    first, second = (evidence(c, wear=WEAR).ahead(FULL, POINTS, 5.0).beliefs() for c in (contrasts, mixed))
    for one, other in zip(first, second, strict=True):
        assert other.mean == pytest.approx(one.mean, abs=1e-8)
        assert other.sd == pytest.approx(one.sd, rel=1e-4, abs=1e-7)


@settings(max_examples=40)
@given(CONTRASTS)
def test_a_contrast_turned_round_says_the_same(contrasts):
    turned = [replace(c, mine=c.against, against=c.mine, gap=-c.gap) for c in contrasts]
    first, second = (evidence(c).ahead(FULL, POINTS, FOR_EVER).beliefs() for c in (contrasts, turned))
    for one, other in zip(first, second, strict=True):
        assert other.mean == pytest.approx(one.mean, abs=1e-8)


def test_what_was_never_measured_is_neither_promised_nor_ruled_out():
    inside = evidence([]).ahead(FULL, (QUARTER, SMALL), 8.0).below(TOLERANCE)
    assert all(0.2 < chance < 0.95 for chance in inside)


def test_gaps_that_level_off_tell_the_distance_and_that_forgetting_is_fast():
    contrasts = growing(0.5, 0.001)
    belief = believed(contrasts, QUARTER)
    assert belief.mean == pytest.approx(0.001, abs=1e-4)
    assert belief.sd < 2e-4
    assert evidence(contrasts).carry_over(0.5) <= 0.65


def test_gaps_that_keep_growing_speak_for_slow_forgetting():
    slow, fast = evidence(growing(0.96, 0.004)), evidence(growing(0.5, 0.004))
    assert slow.carry_over(0.5) > evidence([]).carry_over(0.5) > fast.carry_over(0.5)


def test_some_cycles_ahead_are_surer_than_eternity_while_forgetting_may_be_slow():
    young = evidence([look(QUARTER, 0.0003, age=age, se=2e-4) for age in (2, 3, 4)])
    soon, ever = (young.ahead(FULL, (QUARTER,), cycles).quantiles(0.95)[0] for cycles in (8.0, FOR_EVER))
    assert soon < 0.6 * ever


def test_a_lineage_under_a_plan_comes_to_its_distance_as_knowledge_fades():
    known = evidence(growing(0.5, 0.002))
    started = [known.ahead(FULL, (QUARTER,), cycles).beliefs()[0].mean for cycles in (0.0, 1.0, 2.0, 8.0)]
    assert started[0] == pytest.approx(0.0, abs=1e-12)
    assert started == sorted(started)
    assert started[-1] == pytest.approx(0.002, rel=0.05)


def test_full_data_heals_a_lineage_as_knowledge_fades():
    harmed = Life((Spell(REFERENCE, 1.0), Spell(QUARTER, 20.0)))
    known = evidence(growing(0.5, 0.002))
    means = [known.ahead(harmed, (REFERENCE,), cycles).beliefs()[0].mean for cycles in (0.0, 1.0, 3.0, 10.0)]
    assert means[0] == pytest.approx(0.002, rel=0.05)
    assert means == sorted(means, reverse=True)
    assert means[-1] < 1e-4


def test_a_branch_that_did_what_the_lineage_did_tells_nothing():
    same = Contrast((Spell(HALF, 4.0),), (Spell(REFERENCE, 9.0), Spell(HALF, 4.0)), 9, 4.0, 0.003, 1e-4)
    assert believed([same], HALF).mean == pytest.approx(believed([], HALF).mean, rel=0.05)


def test_a_branch_is_compared_with_all_that_the_lineage_did_meanwhile():
    """Full data for half of the time hides half of a gap that shows at once."""
    lineage = (Spell(HALF, 1.0), Spell(REFERENCE, 1.0), Spell(HALF, 30.0))
    contrasts = [
        Contrast((Spell(QUARTER, 30.0),), lineage, 10, 30.0, 0.001, 1e-5),
        *growing(0.3, 0.0005, HALF),
    ]
    assert believed(contrasts, QUARTER).mean == pytest.approx(0.0015, abs=2e-4)


def test_a_harsher_plan_speaks_for_a_milder_one_of_its_policy():
    good, bad = (believed(growing(0.5, distance), HALF) for distance in (0.0005, 0.02))
    assert good.mean < bad.mean
    least, most = (rate**-0.5 - 1.0 for rate in (0.5, 0.25))
    assert bad.mean < 1.2 * 0.02 * least / most


def test_how_far_a_plan_may_lie_from_the_law_goes_with_its_harm():
    small, large = (believed(growing(0.5, distance), HALF).sd for distance in (0.0005, 0.02))
    assert large > 5.0 * small


@pytest.mark.parametrize("count", [1, 2, 4])
def test_more_measurements_narrow_a_belief(count):
    fewer, more = (believed(growing(0.5, 0.001, se=1e-3) * n, QUARTER).sd for n in (count, 2 * count))
    assert more < fewer


def test_what_was_measured_long_ago_is_less_sure_up_to_a_point():
    contrasts = growing(0.5, 0.002)
    sds = [believed(contrasts, QUARTER, cycle=cycle, wear=WEAR).sd for cycle in (10, 12, 20, 40, 400)]
    assert sds == sorted(sds)
    assert sds[0] < sds[2]
    assert sds[-1] == pytest.approx(sds[-2])


def test_how_fast_harm_showed_is_known_as_well_when_it_is_long_ago():
    """The looks are out of date together: how the gap grew from one to the next is not."""
    looks = [replace(c, cycle=int(c.age)) for c in growing(0.5, 0.003, ages=(1, 2, 3, 4, 5, 6))]
    soon, late = (evidence(looks, cycle=cycle, wear=WEAR) for cycle in (7, 60))
    assert late.carry_over(0.9) == soon.carry_over(0.9)


def test_looks_of_one_cycle_are_as_far_out_of_date_together_as_one():
    one, two = ([look(QUARTER, 0.003, se=1e-6)] * n for n in (1, 2))
    assert believed(two, QUARTER, cycle=40, wear=WEAR).sd == pytest.approx(
        believed(one, QUARTER, cycle=40, wear=WEAR).sd, rel=0.01
    )


def test_looks_without_noise_are_believed_however_far_they_are_out_of_date():
    for gap in (0.0, 0.3):
        looks = [look(QUARTER, gap, age=age, se=1e-9, cycle=5) for age in (1.0, 2.0)] * 3
        assert believed(looks, QUARTER, cycle=60, wear=WEAR).mean == pytest.approx(gap, rel=0.3, abs=1e-3)


def test_looks_at_one_cold_start_share_its_luck():
    noisy = Wear(0.0, 0.001)
    one = [look(SMALL, 0.001, cold="a", cold_age=5.0 + i, se=1e-4) for i in range(4)]
    several = [look(SMALL, 0.001, cold=name, cold_age=5.0, se=1e-4) for name in "abcd"]
    assert believed(one, SMALL, wear=noisy).sd > believed(several, SMALL, wear=noisy).sd


def test_the_luck_of_a_cold_start_fades_as_it_goes_on():
    fast = growing(0.5, 0.0005)
    cold = Life((Spell(SMALL, 1.0),), "a", 5.0)
    contrasts = [*fast, *(look(SMALL, 0.001, cold="a", cold_age=5.0 + i) for i in range(4))]
    sds = [believed(contrasts, SMALL, life=cold, ahead=cycles).sd for cycles in (0.0, 4.0, 12.0)]
    stranger = believed(contrasts, SMALL, life=replace(cold, cold="b", cold_age=0.0), ahead=0.0).sd
    assert stranger > max(sds)


def test_a_birth_on_a_part_of_the_history_leaves_a_doubt_that_fades():
    born = Life((Spell(REFERENCE, 1.0),), "birth", 0.0)
    sds = [believed([], REFERENCE, life=born, ahead=cycles).sd for cycles in (0.0, 5.0, 50.0)]
    assert sds == sorted(sds, reverse=True)
    assert sds[0] >= TOLERANCE / 2.0


@settings(max_examples=40)
@given(CONTRASTS, st.floats(0.05, 0.99), st.floats(0.05, 0.99))
def test_quantiles_are_what_probabilities_say_and_in_order(contrasts, low, high):
    low, high = sorted((low, high))
    found = evidence(contrasts, wear=WEAR).ahead(FULL, POINTS, 8.0)
    below, above = found.quantiles(low), found.quantiles(high)
    assert (below <= above + 1e-12).all()
    assert found.below(float(below[0]))[0] == pytest.approx(low, abs=1e-3)


@settings(max_examples=40)
@given(CONTRASTS, st.floats(0.01, 0.98), st.floats(0.01, 0.98))
def test_weights_are_a_distribution_and_its_quantiles_are_in_order(contrasts, low, high):
    found = evidence(contrasts, wear=WEAR)
    low, high = sorted((low, high))
    assert sum(found.weights) == pytest.approx(1.0)
    assert all(0.0 <= w <= 1.0 for w in found.weights)
    assert found.carry_over(low) <= found.carry_over(high)


def test_harm_by_orders_of_magnitude_above_what_was_expected_is_believed():
    """The milder plan follows the law of what was seen, and not what was thought before."""
    few = replace(KNOBS, positives=0.02)
    harshest, half = replace(NEGATIVES, rate=0.25), NEGATIVES
    looks = [look(harshest, 50 * TOLERANCE, se=TOLERANCE / 5) for _ in range(2)]
    found = Evidence(looks, few, tolerance=TOLERANCE, cycle=10, wear=CALM)
    share = Law.of(few).share(half, harshest)
    belief = found.ahead(FULL, (half,), FOR_EVER).beliefs()[0]
    assert 0.5 * share * 50 * TOLERANCE < belief.mean < 2.0 * share * 50 * TOLERANCE


def test_harm_that_proved_large_is_believed_as_large_when_it_is_out_of_date():
    """It may have grown or shrunk since, but does not come back to what was thought before any data."""
    looks = [look(QUARTER, 50 * TOLERANCE, se=TOLERANCE / 5) for _ in range(2)]
    new, old = (believed(looks, QUARTER, cycle=cycle, wear=WEAR) for cycle in (10, 40))
    assert old.mean == pytest.approx(new.mean, rel=0.2)
    assert old.sd > 2.0 * new.sd


def test_what_a_look_will_show_is_foreseen_with_its_noise():
    contrasts = growing(0.5, 0.002)
    seen = evidence(contrasts, wear=Wear(0.0, 0.0, cycles=0.0002))
    for error in (1e-4, 1e-3):
        foreseen = seen.foreseen(look(QUARTER, 0.0, age=20, se=error))
        belief = foreseen.beliefs()[0]
        assert belief.mean == pytest.approx(0.002, rel=0.1)
        assert belief.sd > max(error, 0.0002)
        assert float(foreseen.below(belief.mean + 5.0 * belief.sd)[0]) > 0.9999
    other, same = (seen.foreseen(look(point, 0.0, age=20)).beliefs()[0] for point in (NEGATIVES, QUARTER))
    assert other.sd > same.sd


def test_what_one_policy_costs_tells_of_another_whose_sample_is_as_good():
    before = evidence([]).ahead(FULL, (NEGATIVES,), FOR_EVER).beliefs()[0]
    seen = believed([look(HALF, 4 * TOLERANCE)], NEGATIVES)
    assert seen.sd < before.sd
    assert seen.mean == pytest.approx(4 * TOLERANCE, rel=0.3)


def test_the_share_that_shows_grows_with_the_age_and_a_cold_start_shows_all():
    shares = [growth(0.8, age) for age in (0, 1, 2, 5, 50)]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[1] == pytest.approx(0.2)
    assert shares[-1] == pytest.approx(1.0, abs=1e-4)
    assert growth(0.8, None) == 1.0


def test_a_past_grows_by_spells_and_forgets_what_lies_too_far_back():
    past = after((Spell(REFERENCE, 3.0),), REFERENCE, 1.0)
    assert past == (Spell(REFERENCE, 4.0),)
    for i in range(2 * LONGEST_PAST):
        past = after(past, (HALF, QUARTER)[i % 2], 1.0)
    assert len(past) == LONGEST_PAST
    assert past[-1] == Spell(QUARTER, 1.0)


def converted(gap, age, *, se=1e-5):
    return look(SMALL, gap, age=age, se=se, cold="c003-trial", cold_age=age)


def test_a_model_that_was_converted_without_a_loss_soon_tells_that_its_size_is_free():
    few, more = ([converted(0.0, float(age)) for age in range(1, last)] for last in (3, 9))
    unsure, sure = (believed(seen, SMALL, ahead=8.0) for seen in (few, more))
    assert sure.sd < unsure.sd
    assert sure.mean + 2.0 * sure.sd < 0.5 * TOLERANCE


def test_what_a_conversion_seems_to_have_lost_makes_its_size_less_certain():
    assert conversion_loss(TOLERANCE) == pytest.approx(CONVERTED * TOLERANCE)
    assert conversion_loss(TOLERANCE, [0.7 * TOLERANCE, -TOLERANCE]) == pytest.approx(0.7 * TOLERANCE)
    assert conversion_loss(TOLERANCE, [5.0 * TOLERANCE]) == TOLERANCE
    ages = (1.0, 2.0, 3.0, 4.0)
    kept = believed([converted(0.0, age) for age in ages], SMALL)
    lost = believed([converted(0.9 * TOLERANCE * 0.5**age, age) for age in ages], SMALL)
    assert lost.sd > kept.sd
    assert lost.mean > kept.mean, "that it falls fast is no sign that the smaller size is the better one"


def test_how_a_converted_model_changes_says_nothing_of_how_fast_harm_builds_up():
    seen = [look(QUARTER, 0.001, age=2.0), look(QUARTER, 0.0015, age=4.0)]
    alone = evidence(seen)
    beside = evidence([*seen, converted(3.0 * TOLERANCE, 1.0), converted(3.0 * TOLERANCE, 2.0)])
    np.testing.assert_allclose(beside.weights, alone.weights, rtol=1e-9)
    assert beside.carry_over(0.5) == alone.carry_over(0.5)
    assert believed([*seen, converted(3.0 * TOLERANCE, 1.0)], SMALL).mean > believed(seen, SMALL).mean


def test_a_lineage_that_was_converted_has_what_is_left_of_its_loss():
    seen = [converted(0.8 * TOLERANCE, 1.0)]
    young, old = (Life((Spell(SMALL, 1.0),), "c003-trial", age) for age in (1.0, 40.0))
    unsure = [believed(seen, SMALL, life=life, ahead=1.0).sd for life in (young, old)]
    assert unsure[0] > unsure[1]


@pytest.mark.parametrize(
    ("cycles", "left"),
    [
        (0.0, (Spell(REFERENCE, 1.0), Spell(HALF, 3.0))),
        (2.0, (Spell(REFERENCE, 1.0), Spell(HALF, 1.0))),
        (3.0, (Spell(REFERENCE, 1.0),)),
        (9.0, (Spell(REFERENCE, 1.0),)),
    ],
)
def test_a_past_without_its_last_cycles_ends_earlier_and_never_before_its_first_spell(cycles, left):
    assert before((Spell(REFERENCE, 1.0), Spell(HALF, 3.0)), cycles) == left


def apart(contrasts, divergence):
    return [replace(c, divergence=divergence) for c in contrasts]


NOISY = [look(QUARTER, 0.2 * TOLERANCE, age=age, se=TOLERANCE) for age in (4, 5)]


def test_predictions_that_hardly_lie_apart_certify_what_labels_cannot_tell():
    near, far = (evidence(apart(NOISY, share * TOLERANCE)) for share in (0.2, 1.5))
    alone = evidence(NOISY).ahead(FULL, (QUARTER,), 8.0).quantiles(0.95)[0]
    assert alone > TOLERANCE
    assert near.ahead(FULL, (QUARTER,), 8.0).quantiles(0.95)[0] < 0.6 * TOLERANCE
    assert far.ahead(FULL, (QUARTER,), 8.0).quantiles(0.95)[0] > 0.9 * TOLERANCE


def test_labels_that_surely_deny_what_predictions_tell_are_believed():
    measured = [look(QUARTER, 3.0 * TOLERANCE, age=age, se=0.1 * TOLERANCE) for age in (4, 5)]
    found = believed(apart(measured, 0.1 * TOLERANCE), QUARTER, ahead=8.0)
    assert found.mean == pytest.approx(believed(measured, QUARTER, ahead=8.0).mean, rel=0.05)


def test_how_much_of_a_divergence_is_lost_is_learned_from_what_labels_tell_of_it():
    """Two looks that labels tell well, at one plan; another plan is told by its divergence alone."""
    other = apart([look(HALF, 0.0, age=age, se=10.0 * TOLERANCE) for age in (4, 5)], TOLERANCE)
    half = {}
    for lost in (0.2, 1.4):
        well = [look(QUARTER, lost * 2.0 * TOLERANCE, age=age, se=0.02 * TOLERANCE) for age in (4, 5)]
        half[lost] = believed([*apart(well, 2.0 * TOLERANCE), *other], HALF, ahead=8.0).mean
    assert half[0.2] < 0.75 * half[1.4]


def test_a_divergence_tells_in_either_direction():
    turned = [replace(c, mine=c.against, against=c.mine, gap=-c.gap) for c in NOISY]
    found, same = (believed(apart(looks, 0.5 * TOLERANCE), QUARTER) for looks in (NOISY, turned))
    assert found.mean == pytest.approx(same.mean, rel=1e-6)
    assert found.sd == pytest.approx(same.sd, rel=1e-6)


@pytest.mark.parametrize(
    "looks",
    [
        [look(HALF, 0.001, age=3, se=0.002, against=NEGATIVES)],
        [look(HALF, 0.001, age=None, se=0.002)],
        [look(HALF, 0.001, se=0.002, cold="c003-trial", cold_age=2.0)],
        [look(SMALL, 0.001, age=3, se=0.002, against=HALF)],
    ],
    ids=["unlike samples", "no common start", "a cold start", "fewer parameters and more rows"],
)
def test_a_divergence_tells_nothing_where_neither_model_saw_a_part_of_the_other_ones_rows(looks):
    assert [c.poorer for c in looks] == [0]
    assert believed(apart(looks, 0.001), HALF) == believed(looks, HALF)


def test_samples_are_nested_by_rate_within_a_policy_and_all_in_full_data():
    assert part_of(HALF, REFERENCE)
    assert part_of(NEGATIVES, REFERENCE)
    assert part_of(QUARTER, HALF)
    assert part_of(HALF, HALF)
    assert not part_of(HALF, QUARTER)
    assert not part_of(QUARTER, NEGATIVES)
    assert part_of(SMALL, REFERENCE)
    assert not part_of(SMALL, HALF)
    assert not part_of(REFERENCE, SMALL)


def test_a_smaller_model_is_told_by_its_divergence_too_once_what_its_conversion_lost_has_faded():
    old, young = (
        [look(SMALL, 0.2 * TOLERANCE, age=age, se=TOLERANCE, cold="c003-trial")] * 2 for age in (20, 1)
    )
    bounds = {}
    for name, looks in (("old", old), ("young", young)):
        for told in (looks, apart(looks, 0.2 * TOLERANCE)):
            found = evidence(told).ahead(FULL, (SMALL,), 8.0).quantiles(0.95)[0]
            bounds.setdefault(name, []).append(found)
    assert bounds["old"][1] < 0.5 * bounds["old"][0]
    assert bounds["old"][1] < bounds["young"][1]


def test_only_plans_since_the_models_parted_count():
    past = (Spell(NEGATIVES, 3.0), Spell(HALF, 2.0))
    young = Contrast((Spell(QUARTER, 2.0),), past, 10, 2.0, 0.0, 0.001)
    assert young.poorer == 1
    assert replace(young, mine=past, against=young.mine).poorer == -1
    assert replace(young, age=4.0).poorer == 0


def test_what_predictions_tell_leaves_a_doubt_that_grows_with_the_divergence():
    found = evidence([])
    assert 0.0 < found.doubt(0.1 * TOLERANCE) < found.doubt(0.5 * TOLERANCE) < 0.5 * TOLERANCE
    well = apart([look(QUARTER, TOLERANCE, age=9, se=0.02 * TOLERANCE)], TOLERANCE)
    assert evidence(well).doubt(TOLERANCE) < 0.9 * found.doubt(TOLERANCE)
