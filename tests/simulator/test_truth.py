from dataclasses import replace
from math import log

import pytest

from dataefficient.contract import Policy
from dataefficient.planner.knobs import Point
from dataefficient.simulator.scenario import (
    LOWEST_RATE,
    SCENARIOS,
    SIZES,
    TOLERANCE,
    Break,
    converged,
    nothing_pays,
    power_law,
    stops_paying,
)
from dataefficient.simulator.truth import CONVERSION_LOSS, REPLAY_HARM, Knowledge, Truth

FULL = Point(Policy.UNIFORM, 1.0, SIZES[-1])
QUARTER = Point(Policy.NEGATIVES, 0.25, SIZES[-1])


def quiet(seed=0, **changes):
    """A scenario without luck, so that gaps are exact."""
    return replace(power_law(seed), seed_sd=0.0, **changes)


def reference(truth: Truth) -> Knowledge:
    return truth.cold(FULL, 0.0, float(truth.scenario.history), seed=0)


def test_an_untrained_model_has_the_untrained_gap_and_one_cycle_the_stated_one():
    truth = Truth(power_law(3))
    assert truth.cold_loss(0.0) == pytest.approx(truth.scenario.untrained)
    assert truth.cold_loss(1.0) == pytest.approx(truth.scenario.after_one_cycle)


def test_the_cold_curve_falls_as_a_power_of_the_examples():
    truth = Truth(power_law(3))
    slope = log(truth.cold_loss(2e6) / truth.cold_loss(1e6)) / log(2.0)
    assert slope == pytest.approx(-truth.scenario.cold_exponent, rel=1e-3)


def test_old_rows_count_less_and_their_number_tends_to_a_limit():
    truth = Truth(power_law(1))
    rho = truth.scenario.carry_over
    one, two = truth.examples(0.0, 1.0), truth.examples(0.0, 2.0)
    assert two == pytest.approx(one + rho * one)
    assert truth.examples(0.0, 1000.0) == pytest.approx(1.0 / log(1.0 / rho))


def test_the_reference_has_no_gap_to_itself():
    truth = Truth(power_law(5))
    truth.set_reference(7)
    model = truth.cold(FULL, 0.0, float(truth.scenario.history), seed=7)
    for cycle in range(truth.scenario.history, truth.scenario.history + 5):
        assert truth.gap(model) == pytest.approx(0.0, abs=1e-12)
        model = truth.warm(model, FULL, float(cycle), cycle + 1.0)


def test_the_harm_of_sampling_is_approached_geometrically():
    scenario = quiet()
    truth = Truth(scenario)
    model, start = reference(truth), float(scenario.history)
    tends_to = scenario.sampling_harm(Policy.NEGATIVES, 0.25)
    for n in range(1, 6):
        model = truth.warm(model, QUARTER, start + n - 1.0, start + n)
        assert truth.gap(model) == pytest.approx(tends_to * (1.0 - scenario.carry_over**n))


def test_what_sampling_lost_fades_under_full_data():
    scenario = quiet()
    truth = Truth(scenario)
    start = float(scenario.history)
    harmed = truth.warm(reference(truth), QUARTER, start, start + 3.0)
    healed = truth.warm(harmed, FULL, start + 3.0, start + 5.0)
    assert truth.gap(healed) == pytest.approx(scenario.carry_over**2 * truth.gap(harmed))


def test_a_branch_trained_in_one_go_ends_where_one_trained_cycle_by_cycle_does():
    truth = Truth(replace(quiet(), harm_drift=0.1))
    start = float(truth.scenario.history)
    once = truth.warm(reference(truth), QUARTER, start, start + 3.0)
    steps = reference(truth)
    for n in range(3):
        steps = truth.warm(steps, QUARTER, start + n, start + n + 1.0)
    assert truth.gap(once) == pytest.approx(truth.gap(steps))


def test_the_gap_while_learning_ends_at_the_checkpoints():
    truth = Truth(quiet())
    start = float(truth.scenario.history)
    before = reference(truth)
    after = truth.warm(before, QUARTER, start, start + 1.0)
    along = truth.along(before, QUARTER, start, [start, start + 0.3, start + 1.0])
    assert along[0] == pytest.approx(0.0, abs=1e-12)
    assert along == sorted(along)
    assert along[-1] == pytest.approx(truth.gap(after))


def test_luck_fades_and_another_seed_has_other_luck():
    truth = Truth(replace(power_law(0), seed_sd=0.001))
    start = float(truth.scenario.history)
    first, second = truth.cold(FULL, 0.0, start, seed=1), truth.cold(FULL, 0.0, start, seed=2)
    difference = truth.gap(first) - truth.gap(second)
    assert difference == pytest.approx(first.luck - second.luck)
    assert difference != 0.0
    later = [truth.warm(m, FULL, start, start + 2.0) for m in (first, second)]
    faded = truth.gap(later[0]) - truth.gap(later[1])
    assert faded == pytest.approx(truth.scenario.carry_over**2 * difference)


def test_rows_trained_twice_do_harm():
    truth = Truth(quiet())
    end = float(truth.scenario.history)
    again = truth.warm(reference(truth), FULL, end - 1.0, end)
    assert truth.gap(again) == pytest.approx(REPLAY_HARM)


def test_a_break_voids_gaps_and_raises_the_harm_of_sampling_for_a_while():
    regime = Break(cycle=10, level=0.05, void=0.4, harm=0.5, half_life=2.0)
    truth, calm = Truth(quiet(regime=regime, history=8)), Truth(quiet(history=8))
    assert truth.steady(QUARTER, 9) == pytest.approx(calm.steady(QUARTER, 9))
    assert truth.steady(QUARTER, 10) == pytest.approx(1.5 * calm.steady(QUARTER, 10))
    assert truth.steady(QUARTER, 12) == pytest.approx(1.25 * calm.steady(QUARTER, 12))
    harmed = truth.warm(reference(truth), QUARTER, 8.0, 10.0)
    after = truth.warm(harmed, FULL, 10.0, 11.0)
    assert truth.gap(after) == pytest.approx(0.6 * truth.scenario.carry_over * truth.gap(harmed))


def test_the_convergence_point_is_where_the_gap_meets_the_tolerance():
    truth = Truth(quiet(2))
    end = float(truth.scenario.history)
    cycles = truth.convergence(TOLERANCE)
    gap = truth.gap(truth.cold(FULL, end - cycles, end, seed=0))
    assert 0.0 < cycles < end
    assert gap == pytest.approx(TOLERANCE, rel=1e-2)


def test_a_trajectory_is_what_a_lineage_goes_through():
    truth = Truth(quiet(harm_drift=0.05))
    first = truth.scenario.history
    model, gaps = reference(truth), []
    for cycle in range(first, first + 6):
        model = truth.warm(model, QUARTER, float(cycle), cycle + 1.0)
        gaps.append(truth.gap(model))
    assert truth.trajectory(QUARTER, first, first + 5) == pytest.approx(gaps)


@pytest.mark.parametrize("name", SCENARIOS)
def test_harm_never_falls_when_rows_or_size_fall(name):
    for seed in range(20):
        truth = Truth(SCENARIOS[name](seed))
        for cycle in (8, 60, 120):
            rates = [truth.steady(Point(Policy.NEGATIVES, r, SIZES[-1]), cycle) for r in (1.0, 0.5, 0.25)]
            sizes = [truth.size_harm(size, cycle) for size in reversed(SIZES)]
            assert rates == sorted(rates)
            assert rates[0] == sizes[0] == 0.0
            assert sizes == sorted(sizes)


@pytest.mark.parametrize("seed", range(20))
def test_scenarios_are_what_their_names_say(seed):
    mild = [Point(policy, 0.5, SIZES[-1]) for policy in Policy] + [Point(Policy.UNIFORM, 1.0, SIZES[1])]
    lowest = Point(Policy.UNIFORM, LOWEST_RATE, SIZES[0])
    assert min(Truth(nothing_pays(seed)).steady(p, 50) for p in mild) >= 1.5 * TOLERANCE - 1e-12
    assert Truth(converged(seed)).steady(lowest, 50) <= 0.1 * TOLERANCE + 1e-12
    late = Truth(stops_paying(seed))
    assert late.scenario.ramp is not None
    end = late.scenario.ramp.cycle + late.scenario.ramp.cycles
    assert min(late.steady(p, end) for p in mild) >= 1.5 * TOLERANCE - 1e-12
    assert late.steady(mild[0], late.scenario.ramp.cycle - 1) == late.scenario.sampling_harm(
        Policy.UNIFORM, 0.5
    )


def test_a_seed_always_draws_the_same_scenario_and_another_seed_another():
    assert power_law(4) == power_law(4)
    assert power_law(4) != power_law(5)


def test_a_grown_model_is_what_it_was_and_comes_to_know_what_its_size_can():
    truth = Truth(quiet(3))
    small = truth.cold(replace(FULL, size=SIZES[0]), 0.0, 8.0, seed=0)
    grown = truth.converted(small, SIZES[-1], 8.0)
    assert truth.gap(grown) == pytest.approx(truth.gap(small))
    later = truth.warm(grown, FULL, 8.0, 200.0)
    assert truth.gap(later) == pytest.approx(0.0, abs=1e-6)


def test_a_shrunk_model_has_the_harm_of_its_size_and_for_a_while_what_its_conversion_lost():
    truth = Truth(quiet(3))
    model, point = reference(truth), replace(FULL, size=SIZES[0])
    start = float(truth.scenario.history)
    shrunk = truth.converted(model, SIZES[0], start)
    low, high = CONVERSION_LOSS
    harm = truth.size_harm(SIZES[0], truth.scenario.history)
    assert low <= truth.gap(shrunk) - truth.gap(model) - harm <= high
    later = truth.warm(shrunk, point, start, start + 300.0)
    assert truth.gap(later) == pytest.approx(truth.size_harm(SIZES[0], int(start) + 299), abs=1e-6)
    assert truth.converted(model, model.size, start) is model
