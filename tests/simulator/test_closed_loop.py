"""A small closed loop: the bounds follow from its size; hack/simulate.py checks the promises themselves."""

from dataclasses import replace

import pytest

from dataefficient.contract import Policy
from dataefficient.cycle.figures import Forecast
from dataefficient.planner.knobs import Point
from dataefficient.simulator.harness import Coverage, simulate, simulate_scenario
from dataefficient.simulator.scenario import SCENARIOS, TOLERANCE, nothing_pays, power_law
from dataefficient.simulator.table import render, row

CYCLES, SEEDS = 10, 5


@pytest.fixture(scope="module")
def results():
    return {name: [simulate(name, seed, CYCLES) for seed in range(SEEDS)] for name in SCENARIOS}


def test_every_scenario_comes_to_its_end(results):
    for name, some in results.items():
        if name != "tight-budget":
            assert [r.stopped for r in some] == [None] * SEEDS
            assert [r.cycles for r in some] == [CYCLES] * SEEDS


def test_no_cap_is_overrun_and_the_ledger_is_exact(results):
    for some in results.values():
        assert [r.overruns for r in some] == [()] * SEEDS
        assert max(r.ledger_error for r in some) < 1e-9


def test_the_true_gap_stays_inside_the_tolerance(results):
    """At a chance of 5 % each, five or more of fifty seeds are outside with a chance of 10 %."""
    unbound = [r for name, some in results.items() for r in some if name != "tight-budget"]
    assert sum(r.exceeded for r in unbound) <= 4


def test_where_nothing_pays_little_is_spent_on_finding_out(results):
    """The promise of 10 %, and three standard deviations (0.7 %) of what slow runs do to the mean of five."""
    assert row(results["nothing-pays"]).overhead_5 <= 0.10 + 0.02
    assert row(results["nothing-pays"]).steady == pytest.approx(1.0, abs=0.1)


def test_a_simulation_is_the_same_for_the_same_seed():
    first, second = simulate("regime-break", 1, 4), simulate("regime-break", 1, 4)
    assert replace(first, seconds=0.0) == replace(second, seconds=0.0)


def test_what_comes_later_changes_no_cycle_before():
    """The stream ends after four cycles or goes on, with a break: the first four cycles are the same."""
    short, long = simulate_scenario(power_law(2), 4), simulate_scenario(power_law(2), 8)
    assert short.gaps == long.gaps[:4]
    assert short.points == long.points[:4]
    assert short.overhead_5 is None
    calm = simulate("regime-break", 3, 9)
    stormy = simulate_scenario(replace(SCENARIOS["regime-break"](3), regime=None), 9)
    assert calm.gaps == stormy.gaps


def test_the_best_fixed_plan_is_the_reference_where_nothing_pays():
    assert simulate("nothing-pays", 0, 2).best == Point(Policy.UNIFORM, 1.0, 32)


def test_a_plan_outside_the_tolerance_is_told_from_one_inside():
    result = simulate_scenario(nothing_pays(0), 2)
    assert not result.exceeded
    assert replace(result, gaps=(0.0, 1.01 * TOLERANCE)).exceeded


def test_coverage_counts_what_was_forecast_and_happened():
    forecast = Forecast(1.0, 0.5, 1.5)
    coverage = Coverage().add(forecast, 1.4).add(forecast, 2.0).add(None, 1.0).add(forecast, None)
    assert coverage == Coverage(1, 2)


def test_the_table_has_a_line_for_each_scenario(results):
    text = render([row(some) for some in results.values()])
    assert [line.split()[0] for line in text.splitlines()[2 : 2 + len(results)]] == list(SCENARIOS)
