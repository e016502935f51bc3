"""The choice among plans: certain first, then cheap, never over the budget."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dataefficient.contract import Policy
from dataefficient.planner.choice import STAY, Situation, Stake, choose, spent_alpha
from dataefficient.planner.knobs import Knobs, Point, ladder

KNOBS = Knobs(ladder(0.1, 1.0), (8, 32), (Policy.UNIFORM, Policy.NEGATIVES))
POINTS = KNOBS.points()
REFERENCE = KNOBS.reference
HALF, QUARTER = Point(Policy.UNIFORM, 0.5, 32), Point(Policy.UNIFORM, 0.25, 32)
COSTS = {p: 100.0 * p.rate * (1.0 + p.size / 32.0) for p in POINTS}
EXPECTED = {p: (1.0 - p.rate) * (0.5 if p.policy is Policy.NEGATIVES else 1.0) + 1.0 / p.size for p in POINTS}
UNKNOWN = {p: Stake(None, None) for p in POINTS} | {REFERENCE: Stake(0.0, 0.0)}
TOLERANCE, LIMIT = 0.01, 0.008

STAKE = st.just(Stake(None, None)) | st.builds(
    lambda gap, more: Stake(gap, max(gap + more, 0.0)), st.floats(-0.01, 0.05), st.floats(0.0, 0.02)
)
STAKES = st.fixed_dictionaries(dict.fromkeys(POINTS[1:], STAKE)).map(
    lambda stakes: {REFERENCE: Stake(0.0, 0.0), **stakes}
)
ANY_COSTS = st.fixed_dictionaries({p: st.floats(1.0, 1000.0) for p in POINTS})
SITUATIONS = st.builds(
    Situation,
    tolerance=st.just(TOLERANCE),
    limit=st.just(LIMIT),
    target=st.none() | st.floats(0.3, 0.6),
    level=st.none() | st.floats(0.3, 0.6),
    distance=st.floats(0.0, 0.01),
    affordable=st.none() | st.floats(0.0, 1000.0),
    unresolved=st.none() | st.just("nothing can be told on this stream"),
)


def situation(**given_fields):
    return Situation(tolerance=TOLERANCE, limit=LIMIT, **given_fields)


def known(**bounds):
    """Stakes where points have these bounds, by rate; the gap is half of it."""
    stakes = dict(UNKNOWN)
    for point, bound in ((HALF, bounds.get("half")), (QUARTER, bounds.get("quarter"))):
        if bound is not None:
            stakes[point] = Stake(bound / 2.0, bound)
    return stakes


def chosen(stakes, where=None, in_force=None, costs=COSTS, points=POINTS, expected=EXPECTED):
    where = where or situation()
    return choose(points, REFERENCE, stakes, costs, where, expected=expected, in_force=in_force)


def test_where_nothing_was_measured_all_rows_are_trained():
    choice = chosen(UNKNOWN)
    assert choice.point == REFERENCE
    assert choice.code == "NothingCheaperCertified"


def test_the_cheapest_plan_inside_the_tolerance_is_chosen():
    choice = chosen(known(half=0.001, quarter=0.007))
    assert choice.point == QUARTER
    assert choice.code == "CheapestInsideTolerance"


def test_a_plan_whose_bound_is_outside_is_refused_however_cheap_it_is():
    choice = chosen(known(half=0.001, quarter=0.009))
    assert choice.point == HALF
    refused = next(o for o in choice.options if o.point == QUARTER)
    assert "0.90%" in refused.verdict


def test_what_may_be_in_the_mean_but_not_at_the_bound_is_not_enough():
    stakes = {**UNKNOWN, HALF: Stake(0.0, LIMIT * 1.01)}
    assert chosen(stakes).point == REFERENCE


def test_of_plans_that_cost_about_the_same_the_one_in_force_stays_and_else_the_one_that_loses_least():
    stakes = known(half=0.001, quarter=0.001)
    near = {**COSTS, QUARTER: COSTS[HALF] / (1.0 + STAY / 2.0)}
    far = {**COSTS, QUARTER: COSTS[HALF] / (1.0 + STAY * 2.0)}
    assert chosen(stakes, costs=near, in_force=HALF).point == HALF
    assert chosen(stakes, costs=near).point == HALF
    assert chosen(stakes, costs=near, expected={**EXPECTED, QUARTER: 0.0}).point == QUARTER
    assert chosen(stakes, costs=far, in_force=HALF).point == QUARTER


def test_a_plan_in_force_that_is_no_longer_certain_is_left():
    assert chosen(known(half=0.02), in_force=HALF).point == REFERENCE


def test_a_cheaper_plan_that_would_miss_the_target_is_not_taken():
    stakes = known(half=0.004)
    tight, loose = situation(target=0.4004, level=0.4), situation(target=0.41, level=0.4)
    assert chosen(stakes, tight).point == REFERENCE
    assert chosen(stakes, loose).point == HALF


def test_a_target_that_no_plan_reaches_gets_all_the_rows_and_says_so():
    choice = chosen(known(half=0.001), situation(target=0.3, level=0.4))
    assert choice.point == REFERENCE
    assert choice.code == "TargetOutOfReach"
    assert "0.30000" in choice.reason


def test_a_stream_that_cannot_tell_the_tolerance_gets_all_its_rows_and_says_so():
    choice = chosen(UNKNOWN, situation(unresolved="nothing can be told on this stream"))
    assert choice.point == REFERENCE
    assert choice.code == "NotResolvable"
    assert choice.reason == "Full data: nothing can be told on this stream"


def test_a_budget_below_the_certain_plans_gets_the_plan_that_is_expected_to_lose_the_least():
    choice = chosen(UNKNOWN, situation(affordable=COSTS[HALF]))
    assert choice.code == "BudgetBinds"
    paid = [p for p in POINTS if COSTS[p] <= COSTS[HALF]]
    assert EXPECTED[choice.point] == min(EXPECTED[p] for p in paid)
    assert choice.point.policy is Policy.NEGATIVES


def test_where_even_the_cheapest_plan_is_too_dear_none_is_chosen_and_both_numbers_are_said():
    choice = chosen(UNKNOWN, situation(affordable=1.0))
    assert choice.point is None
    assert choice.code == "BudgetTooSmall"
    assert f"{min(COSTS.values()):.0f} device-seconds" in choice.reason
    assert "1 are left" in choice.reason


def inside(point, stakes, where):
    bound = stakes[point].bound
    return bound is not None and bound <= where.limit


def affordable(point, costs, where):
    return where.affordable is None or costs[point] <= where.affordable


@given(STAKES, ANY_COSTS, SITUATIONS, st.none() | st.sampled_from(POINTS))
def test_no_plan_above_the_tolerance_is_ever_chosen_but_where_the_budget_forces_it(
    stakes, costs, where, in_force
):
    choice = chosen(stakes, where, in_force, costs)
    if choice.point not in {None, REFERENCE} and not inside(choice.point, stakes, where):
        assert choice.code == "BudgetBinds" or not affordable(REFERENCE, costs, where)


@given(STAKES, ANY_COSTS, SITUATIONS, st.none() | st.sampled_from(POINTS))
def test_no_plan_over_the_budget_is_ever_chosen(stakes, costs, where, in_force):
    choice = chosen(stakes, where, in_force, costs)
    if choice.point is None:
        assert not any(affordable(p, costs, where) for p in POINTS)
    else:
        assert affordable(choice.point, costs, where)


@given(STAKES, ANY_COSTS, SITUATIONS, st.none() | st.sampled_from(POINTS))
def test_no_certain_plan_is_cheaper_than_the_chosen_one_by_more_than_staying_is_worth(
    stakes, costs, where, in_force
):
    assume(where.target is None)
    choice = chosen(stakes, where, in_force, costs)
    certain = [p for p in POINTS if inside(p, stakes, where) and affordable(p, costs, where)]
    if certain:
        cheap = min(costs[p] for p in certain) * (1.0 + STAY)
        assert costs[choice.point] <= cheap
        least = min(EXPECTED[p] for p in certain if costs[p] <= cheap)
        assert choice.point == in_force or EXPECTED[choice.point] == least


@given(STAKES, ANY_COSTS, SITUATIONS)
def test_a_larger_budget_never_turns_a_choice_into_none(stakes, costs, where):
    assume(where.affordable is not None)
    richer = Situation(**{**vars(where), "affordable": where.affordable * 2.0})
    if chosen(stakes, where, costs=costs).point is not None:
        assert chosen(stakes, richer, costs=costs).point is not None


@given(STAKES, ANY_COSTS, SITUATIONS, st.none() | st.sampled_from(POINTS))
def test_reasons_and_verdicts_are_sentences_without_gaps(stakes, costs, where, in_force):
    choice = chosen(stakes, where, in_force, costs)
    assert [o.point for o in choice.options] == list(POINTS)
    assert [o.point for o in choice.options if o.verdict == "Chosen"] == [choice.point] * (
        choice.point is not None
    )
    for text in (choice.reason, *(o.verdict for o in choice.options)):
        assert text[0].isupper()
        assert not re.search(r"\b(nan|None|inf)\b", text)


@given(STAKES, ANY_COSTS, SITUATIONS)
def test_a_lineage_of_a_small_size_is_offered_plans_of_its_size_alone(stakes, costs, where):
    small = [p for p in POINTS if p.size == 8]
    choice = chosen(stakes, where, costs=costs, points=small)
    assert choice.point is None or choice.point.size == 8


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_the_chances_of_all_adoptions_together_stay_below_what_the_confidence_leaves(confidence):
    spent = sum(spent_alpha(confidence, look) for look in range(1, 3000))
    assert 0.99 * (1.0 - confidence) < spent <= 1.0 - confidence


def test_each_further_adoption_may_be_wrong_less_often_than_the_one_before():
    chances = [spent_alpha(0.95, look) for look in range(1, 20)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] < 0.05
