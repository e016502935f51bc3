"""What to try next: worth its cost, inside the purse, or nothing."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataefficient.contract import Policy
from dataefficient.planner.belief import Belief
from dataefficient.planner.explore import (
    Pace,
    Spread,
    Terms,
    Trial,
    best_probe,
    best_trial,
    chance,
    plausible,
    wait_after,
)
from dataefficient.planner.knobs import Point
from dataefficient.planner.law import Law

HALF, QUARTER = Point(Policy.UNIFORM, 0.5, 32), Point(Policy.UNIFORM, 0.25, 32)
NEGATIVES, SMALL = Point(Policy.NEGATIVES, 0.25, 32), Point(Policy.UNIFORM, 1.0, 8)
POINTS = (HALF, QUARTER, NEGATIVES, SMALL)
TERMS = Terms(
    tolerance=0.01, se_cycle=0.001, z=2.2, carry_over=0.6, ahead=8.0, horizon=20, wrong=0.05, rollback=300.0
)
PACE = Pace(first=2, stride=2)
HARMLESS = dict.fromkeys(POINTS, Belief(0.0, 0.001))
SAVING = {HALF: 50.0, QUARTER: 75.0, NEGATIVES: 75.0, SMALL: 40.0}
PROBED = {"spread": dict.fromkeys(POINTS, TERMS.se_cycle), "size": 32}


def cost(point, age, looks):
    return 20.0 * age + looks


def trial(
    beliefs=HARMLESS,
    *,
    saving=SAVING,
    terms=TERMS,
    purse=1e9,
    costs=cost,
    points=POINTS,
    speaks=lambda point: True,
    purses=None,
):
    return best_trial(
        points,
        beliefs,
        Law(),
        terms,
        saving=saving,
        cost=costs,
        spread=lambda point, looks: terms.warm_spread(looks, 0.0),
        speaks=speaks,
        size=32,
        pace=PACE,
        purse=purses or (lambda age: purse),
    )


def test_a_plan_that_is_likely_to_hold_and_saves_is_tried():
    found = trial()
    assert found.point in POINTS
    assert found.value > 0.0
    assert 0.5 < found.chance <= 1.0
    assert found.cost == cost(found.point, found.age, len(PACE.looks(found.age)))


def test_of_two_plans_that_hold_alike_the_one_that_saves_more_is_tried():
    assert trial(saving={**SAVING, NEGATIVES: 90.0}).point == NEGATIVES
    assert trial(saving={**SAVING, SMALL: 99.0}).point == SMALL


def test_a_plan_that_cannot_hold_is_not_tried():
    assert trial(dict.fromkeys(POINTS, Belief(0.05, 0.001))) is None


def test_where_nothing_saves_nothing_is_tried():
    assert trial(saving=dict.fromkeys(POINTS, 0.0)) is None
    assert trial(saving=dict.fromkeys(POINTS, -5.0)) is None


def test_an_empty_purse_tries_nothing():
    assert trial(purse=0.0) is None


def test_a_trial_that_costs_more_than_it_can_save_is_not_begun():
    assert trial(costs=lambda point, age, looks: 1e5) is None


def test_a_trial_saves_in_those_cycles_of_the_horizon_that_are_left_when_it_has_told():
    found = trial()
    assert found.cycles == found.age - PACE.first + 1
    for horizon in (0, 2, 3):
        assert trial(terms=replace(TERMS, horizon=horizon), costs=lambda *_: 0.0) is None
    assert trial(terms=replace(TERMS, horizon=4), costs=lambda *_: 0.0).cycles == 3


def test_trials_are_ordered_by_what_they_are_worth_a_cycle():
    long = Trial(SMALL, SMALL, value=100.0, cost=1.0, chance=0.5, age=10, cycles=10)
    assert replace(long, value=30.0, cycles=2).yields > long.yields


BELIEFS = st.fixed_dictionaries(
    {p: st.builds(Belief, st.floats(-0.01, 0.05), st.floats(0.0, 0.02)) for p in POINTS}
)
SAVINGS = st.fixed_dictionaries({p: st.floats(-100.0, 500.0) for p in POINTS})


@settings(max_examples=60)
@given(BELIEFS, SAVINGS, st.floats(0.0, 1000.0), st.floats(0.1, 100.0), st.floats(0.3, 0.98))
def test_a_trial_never_takes_more_than_the_purse_and_always_saves(beliefs, saving, purse, price, carry_over):
    found = trial(
        beliefs,
        saving=saving,
        purse=purse,
        terms=replace(TERMS, carry_over=carry_over),
        costs=lambda point, age, looks: price * age + looks,
    )
    if found is not None:
        assert found.cost <= purse
        assert saving[found.point] > 0.0
        assert found.value > 0.0
        assert 0.0 < found.chance <= 1.0


@settings(max_examples=60)
@given(BELIEFS, SAVINGS, st.floats(0.0, 500.0), st.floats(1.0, 4.0))
def test_a_fuller_purse_never_finds_a_worse_trial(beliefs, saving, purse, more):
    poor, rich = trial(beliefs, saving=saving, purse=purse), trial(beliefs, saving=saving, purse=purse * more)
    if poor is not None:
        assert rich.value >= poor.value


def test_a_purse_that_differs_by_age_is_asked_for_the_age_of_the_trial():
    def purse(age):
        return 0.0 if age < 6 else 1e9

    assert trial(purses=purse).age >= 6


def test_a_trial_may_be_for_a_milder_plan_that_its_own_speaks_for():
    doubtful = {**HARMLESS, QUARTER: Belief(0.02, 0.001)}
    dear = {HALF: 90.0, QUARTER: 1.0, NEGATIVES: 1e9, SMALL: 1e9}
    found = trial(doubtful, costs=lambda point, age, looks: dear[point] * age)
    assert (found.point, found.target) == (QUARTER, HALF)
    own = trial(doubtful, costs=lambda point, age, looks: dear[point] * age, speaks=lambda point: False)
    assert own is None or own.target == own.point


def test_late_looks_carry_more_than_early_ones():
    slow = replace(TERMS, carry_over=0.95)
    assert slow.warm_spread([10, 12], 0.001) < slow.warm_spread([1, 2], 0.001)
    assert slow.warm_spread([1, 2, 3], 0.001) < slow.warm_spread([1, 2], 0.001)


def test_where_predictions_tell_looks_are_sharper_and_labels_alone_tell_what_all_of_them_share():
    told = replace(TERMS, apart=lambda distance: (0.5 * distance, 0.3 * distance))
    for looks in ((1, 2), (2, 4, 6), tuple(range(1, 21))):
        labels, both = (terms.warm_spread(looks, 0.001) for terms in (TERMS, told))
        assert both.error < labels.error
        assert 0.0 < both.stays < labels.error
        assert labels.stays == 0.0
    blind = replace(told, se_cycle=1.0).warm_spread(range(1, 201), 0.001)
    assert blind.error < 0.0001
    assert blind.stays == pytest.approx(0.0003, rel=0.01)
    assert told.warm_spread((1, 2), 0.002).error > told.warm_spread((1, 2), 0.001).error


def test_more_of_the_same_makes_nothing_certain_that_stays_doubtful():
    """A belief as wide as what stays is known as well as it ever will be, one twice as wide is not."""
    near, far = (Belief(0.009, sd) for sd in (0.001, 0.002))
    told = Spread(0.0001, 0.001)
    assert chance(near, TERMS, told) == 0.0
    assert chance(far, TERMS, told) > 0.2
    assert chance(Belief(0.005, 0.001), TERMS, told) == 1.0


def test_the_luck_of_a_cold_start_blurs_its_looks_until_it_has_faded():
    young, old = (TERMS.cold_spread(looks, 0.002) for looks in ([1, 2], [11, 12]))
    assert young > old
    assert old.error == pytest.approx(TERMS.cold_spread([1, 2], 0.0).error, rel=0.01)


@given(st.floats(-0.01, 0.03), st.floats(0.0, 0.02), st.floats(1e-4, 0.01))
def test_chances_are_chances_and_fall_with_the_distance(mean, sd, spread):
    near, far = (chance(Belief(m, sd), TERMS, Spread(spread)) for m in (mean, mean + 0.005))
    assert 0.0 <= far <= near <= 1.0


def test_a_sharper_measurement_makes_it_likelier_that_a_harmless_plan_is_certified():
    blurred, sharp = (chance(Belief(0.004, 0.01), TERMS, Spread(spread)) for spread in (0.005, 0.0005))
    assert sharp > blurred


def test_a_tighter_tolerance_makes_every_trial_less_promising():
    wide, tight = trial(), trial(terms=replace(TERMS, tolerance=0.004))
    assert tight is None or tight.value < wide.value


def test_each_refusal_doubles_the_wait():
    waits = [wait_after(count) for count in range(1, 12)]
    assert waits[0] >= 1
    assert all(after == 2 * before for before, after in itertools.pairwise(waits))


def test_looks_begin_at_the_first_age_and_follow_at_the_stride():
    assert list(Pace(3, 2).looks(8)) == [3, 5, 7]
    assert list(Pace(3, 2).looks(2)) == []


def test_the_probe_that_is_worth_most_is_taken():
    prices = dict.fromkeys(POINTS, 10.0)
    found = best_probe(
        POINTS, HARMLESS, TERMS, saving={**SAVING, SMALL: 200.0}, cost=prices, account=50.0, **PROBED
    )
    assert found == SMALL


@settings(max_examples=60)
@given(
    BELIEFS, SAVINGS, st.fixed_dictionaries({p: st.floats(0.1, 100.0) for p in POINTS}), st.floats(0.0, 120.0)
)
def test_a_probe_is_always_paid_for_and_always_of_a_plan_that_saves(beliefs, saving, prices, account):
    found = best_probe(POINTS, beliefs, TERMS, saving=saving, cost=prices, account=account, **PROBED)
    if found is not None:
        assert prices[found] <= account
        assert saving[found] > 0.0


@pytest.mark.parametrize("account", [0.0, 9.99])
def test_an_account_that_pays_for_no_probe_buys_none(account):
    prices = dict.fromkeys(POINTS, 10.0)
    assert best_probe(POINTS, HARMLESS, TERMS, saving=SAVING, cost=prices, account=account, **PROBED) is None


WIDE = Belief(0.03, 0.045)
"""Nearly nothing is known, and a quarter of the belief lies below 0."""


def test_that_fewer_rows_would_help_is_no_chance():
    truth = plausible({HALF: WIDE, SMALL: WIDE}, 32)[HALF]
    assert truth.mean > WIDE.mean
    assert truth.sd < WIDE.sd
    assert chance(WIDE, TERMS, Spread(0.001), truth=truth) < chance(WIDE, TERMS, Spread(0.001))


def test_a_smaller_size_may_help_beside_what_its_sample_loses():
    small_half = replace(HALF, size=8)
    alone = plausible({HALF: WIDE, small_half: WIDE, SMALL: Belief(-0.01, 0.001)}, 32)
    assert alone[SMALL] == Belief(-0.01, 0.001), "it trains on all rows"
    better = plausible({HALF: WIDE, small_half: Belief(0.02, 0.05), SMALL: WIDE}, 32)
    assert better[small_half].mean == pytest.approx(better[HALF].mean - 0.01)
    assert better[small_half].sd > better[HALF].sd


@given(st.floats(-0.5, 0.1), st.floats(1e-4, 0.1))
def test_what_is_plausible_of_a_sample_is_a_distance_above_nothing(mean, sd):
    found = plausible({HALF: Belief(mean, sd), SMALL: WIDE}, 32)[HALF]
    assert found.mean > 0.0
    assert 0.0 < found.sd <= sd * 1.001


def test_what_is_known_well_already_needs_no_sharp_measurement():
    assert chance(Belief(0.002, 0.002), TERMS, Spread(0.05)) > 0.95
    assert chance(Belief(0.03, 0.002), TERMS, Spread(0.05)) < 0.05


def test_what_a_conversion_lost_hides_a_distance_until_it_has_faded():
    looks = {age: TERMS.converted_spread((age,), 0.005) for age in (1, 3, 8)}
    assert looks[1] > looks[3] > looks[8]
    assert looks[8].error == pytest.approx(TERMS.warm_spread((8,), 0.001).error, rel=0.05)
    assert TERMS.converted_spread((3,), 0.0) == TERMS.warm_spread((3,), 0.001)
