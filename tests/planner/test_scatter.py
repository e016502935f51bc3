"""What a cycle adds of its own to a comparison, from looks at one branch."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataefficient.contract import Policy
from dataefficient.planner.belief import Evidence, Life, Wear
from dataefficient.planner.contrasts import Contrast, Spell
from dataefficient.planner.knobs import Knobs, Point
from dataefficient.planner.scatter import DIFFERENT, SIMILAR, of_cycles, of_rows

FULL = Point(Policy.UNIFORM, 1.0, 16)
QUARTER = Point(Policy.NEGATIVES, 0.25, 16)
ERROR, TOLERANCE = 0.0003, 0.002


def look(cycle, gap, point=QUARTER, error=ERROR, **more):
    mine, against = (Spell(point, float(cycle)),), (Spell(FULL, 1.0),)
    return Contrast(mine, against, cycle, float(cycle), gap, error, **more)


def looks(own, count, seed):
    random = Random(seed)
    gaps = (0.001 + random.gauss(0.0, own) + random.gauss(0.0, ERROR) for _ in range(count))
    return [look(cycle, gap) for cycle, gap in enumerate(gaps, start=1)]


def test_before_any_look_nothing_is_added():
    probe = Contrast((Spell(QUARTER, 1.0),), (Spell(FULL, 1.0),), 0, None, 0.01, ERROR)
    assert of_cycles([], TOLERANCE) == of_cycles([probe], TOLERANCE) == 0.0


def test_a_single_look_is_taken_to_be_as_far_off_by_its_cycle_as_by_its_rows():
    assert of_cycles([look(1, 0.0)], TOLERANCE) == pytest.approx(ERROR)


@pytest.mark.parametrize("own", [0.0, 0.0006, 0.0015])
def test_many_looks_tell_the_cycles_own_effect(own):
    found = [of_cycles(looks(own, 40, seed), TOLERANCE) for seed in range(20)]
    assert sum(f**2 for f in found) / 20 == pytest.approx(own**2, rel=0.3, abs=(0.4 * ERROR) ** 2)


def test_looks_that_agree_take_the_prior_away():
    agreeing = [look(cycle, 0.001) for cycle in range(1, 6)]
    assert of_cycles(agreeing, TOLERANCE) == 0.0
    assert of_cycles(agreeing[:2], TOLERANCE) < ERROR


def test_looks_at_different_branches_are_not_held_against_each_other():
    other = Point(Policy.UNIFORM, 0.5, 16)
    mixed = [look(1, 0.001), look(2, 0.05, point=other), look(3, 0.001), look(4, 0.05, point=other)]
    assert of_cycles(mixed, TOLERANCE) < ERROR


def test_a_slow_growth_of_harm_hardly_counts():
    growing = [look(cycle, 0.0001 * cycle) for cycle in range(1, 12)]
    assert of_cycles(growing, TOLERANCE) < ERROR / 3


def test_a_branch_that_grows_older_may_show_more_of_its_harm_and_that_is_no_scatter():
    young, older = look(1, 0.02), look(4, 0.055)
    assert of_cycles([young, older], TOLERANCE) < ERROR
    assert of_cycles([young, look(4, 0.1)], TOLERANCE) > 2 * ERROR
    assert of_cycles([young, look(4, 0.01)], TOLERANCE) > 2 * ERROR


def test_the_larger_a_gap_the_more_of_its_movement_is_its_own():
    small = [look(cycle, 0.002 * (-1) ** cycle) for cycle in range(20, 30)]
    large = [look(cycle, 0.06 + 0.002 * (-1) ** cycle) for cycle in range(20, 30)]
    assert of_cycles(large, TOLERANCE) < of_cycles(small, TOLERANCE) / 3


def test_that_a_converted_model_makes_up_for_what_it_lost_is_no_scatter():
    falling = [look(cycle, 0.02 * 0.5**cycle, cold="c003-trial") for cycle in range(1, 6)]
    assert of_cycles(falling, TOLERANCE) <= ERROR
    assert of_cycles([*looks(0.0, 6, 0), *falling], TOLERANCE) < 1.5 * ERROR


@given(
    st.lists(st.tuples(st.floats(-0.1, 0.1), st.floats(1e-5, 0.01)), min_size=1, max_size=12),
    st.floats(0.5, 2.0),
)
def test_it_has_the_unit_of_the_gaps(pairs, unit):
    plain = [look(i, gap, error=error) for i, (gap, error) in enumerate(pairs, start=1)]
    scaled = [look(i, unit * gap, error=unit * error) for i, (gap, error) in enumerate(pairs, start=1)]
    expected = unit * of_cycles(plain, TOLERANCE)
    assert of_cycles(scaled, unit * TOLERANCE) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_what_cycles_add_makes_a_belief_from_looks_wider_and_one_from_a_probe_not():
    knobs = Knobs((1.0, 0.5, 0.25), (16,), (Policy.NEGATIVES,))

    def spread(contrast, cycles):
        wear = Wear(0.02, 0.0006, cycles)
        evidence = Evidence([contrast], knobs, tolerance=0.001, cycle=9, wear=wear)
        return evidence.ahead(Life(()), [QUARTER], float("inf")).beliefs()[0].sd

    aged = look(8, 0.0005)
    probe = Contrast((Spell(QUARTER, 1.0),), (Spell(FULL, 1.0),), 0, None, 0.0005, ERROR)
    assert spread(aged, 0.001) > spread(aged, 0.0)
    assert spread(probe, 0.001) == spread(probe, 0.0)


@pytest.mark.parametrize(("shift", "found"), [(SIMILAR, 0.2), (DIFFERENT, 0.4)])
def test_rows_scatter_as_was_found_at_two_in_a_hundred(shift, found):
    assert of_rows(0.024, shift) == of_rows(None, shift) == pytest.approx(found, rel=0.05)


@given(st.floats(1e-5, 0.4), st.floats(1.1, 5.0))
def test_the_rarer_positives_are_the_more_rows_scatter(positives, rarer):
    assert of_rows(positives / rarer, SIMILAR) > of_rows(positives, SIMILAR) > 0.0


@pytest.mark.parametrize("positives", [0.0, 1.0])
def test_a_stream_of_one_label_alone_has_a_scatter_too(positives):
    assert 0.0 < of_rows(positives, SIMILAR) < float("inf")
