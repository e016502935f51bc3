from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataefficient.planner.costs import SIX_N_D, CostModel, MeasuredRun, fit_cost_per_example


def run(size, rows=100_000, slow=1.0):
    return MeasuredRun(
        size=size,
        rows_read=2 * rows,
        rows_trained=rows,
        rows_evaluated=rows // 10,
        startup=3.0,
        read=2 * rows * 1e-6,
        train=rows * (5e-6 + 2e-7 * size) * slow,
        evaluate=rows // 10 * (1e-6 + 1e-7 * size),
    )


def seconds(size, read, trained, evaluated):
    return 3.0 + read * 1e-6 + trained * (5e-6 + 2e-7 * size) + evaluated * (1e-6 + 1e-7 * size)


def test_seconds_follow_rows_and_size():
    model = CostModel.fit([run(8), run(16), run(32)])
    assert model.predict(24, 5e5, 3e5, 2e4) == pytest.approx(seconds(24, 5e5, 3e5, 2e4))


def test_one_more_model_in_a_process_costs_what_such_models_took_to_load_and_to_save():
    def rider(size, carry):
        return replace(run(size), startup=None, read=0.0, rows_read=0, carry=carry)

    assert CostModel.fit([run(8)]).carrying(8) == 0.0
    assert CostModel.fit([run(8), rider(8, 0.0)]).carrying(8) == 0.0
    small, large = [rider(8, s) for s in (0.5, 0.6)], [rider(32, s) for s in (1.3, 99.0, 1.2)]
    model = CostModel.fit([run(8), *small, *large])
    assert model.carrying(8) == pytest.approx(0.55)
    assert model.carrying(32) == pytest.approx(1.3)


def test_one_stalled_run_does_not_move_the_forecast():
    model = CostModel.fit([run(8), run(8), run(8, slow=20), run(32), run(32), run(32)])
    assert model.predict(8, 0, 1e6, 0) == pytest.approx(seconds(8, 0, 1e6, 0))


def test_one_size_gives_a_cost_that_does_not_depend_on_the_size():
    model = CostModel.fit([run(8), run(8, rows=50_000)])
    assert model.predict(8, 1e5, 1e5, 1e4) == pytest.approx(seconds(8, 1e5, 1e5, 1e4))
    assert model.predict(16, 0, 1e5, 0) == model.predict(8, 0, 1e5, 0)
    assert (model.smallest, model.largest) == (8, 8)


@pytest.mark.parametrize(
    ("missing", "rows", "words"),
    [
        ({"rows_trained": 0, "train": 0}, (0, 1, 0), "trained"),
        ({"rows_evaluated": 0, "evaluate": 0}, (0, 0, 1), "evaluated"),
        ({"rows_read": 0, "read": 0}, (1, 0, 0), "reading"),
    ],
)
def test_a_part_that_was_never_measured_is_refused_and_not_free(missing, rows, words):
    model = CostModel.fit([replace(run(8), **missing)])
    with pytest.raises(ValueError, match=words):
        model.predict(8, *rows)


@pytest.mark.parametrize("bad", [{"train": -1.0}, {"size": 0}, {"read": float("nan")}])
def test_a_run_with_impossible_numbers_is_refused(bad):
    with pytest.raises(ValueError, match="measured run"):
        CostModel.fit([replace(run(8), **bad)])


def test_no_run_is_no_cost_model():
    with pytest.raises(ValueError, match="at least one"):
        CostModel.fit([])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 64), st.floats(0.5, 2.0)), min_size=1, max_size=6))
def test_more_rows_and_larger_models_never_cost_less(runs):
    model = CostModel.fit([run(size, slow=slow) for size, slow in runs])
    assert model.predict(8, 0, 2e5, 0) >= model.predict(8, 0, 1e5, 0)
    assert model.predict(64, 0, 1e5, 0) >= model.predict(8, 0, 1e5, 0) * (1 - 1e-9)


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_the_cost_of_an_example_is_affine_in_the_size_and_ignores_one_outlier(factor):
    sizes = np.repeat([8.0, 16.0, 32.0], 3)
    examples = np.full(9, 1e6)
    costs = examples * (2e-6 + 1e-7 * sizes) * (1 + 0.01 * np.random.default_rng(0).standard_normal(9))
    costs[4] *= factor
    cost = fit_cost_per_example(sizes, examples, costs)
    assert cost.at(24) == pytest.approx(2e-6 + 24e-7, rel=0.03)
    assert cost.relative_error == pytest.approx(0.01, abs=0.02)


def test_sizes_that_all_differ_still_outvote_an_outlier():
    sizes = np.array([4.0, 8.0, 12.0, 20.0, 28.0, 40.0, 64.0])
    costs = 1e6 * (2e-6 + 1e-7 * sizes)
    costs[2] *= 0.1
    cost = fit_cost_per_example(sizes, np.full(7, 1e6), costs)
    assert cost.at(30) == pytest.approx(5e-6, rel=0.03)


def test_costs_that_are_not_positive_are_refused():
    with pytest.raises(ValueError, match="positive"):
        fit_cost_per_example([1.0], [1.0], [0.0])


def test_without_costs_six_operations_per_parameter_and_example_are_assumed():
    assert SIX_N_D.at(1e6) == 6e6
    assert not SIX_N_D.measured


def test_a_short_run_that_hardly_worked_for_its_rows_does_not_move_the_forecast():
    short = [run(8, rows=1_000, slow=30.0) for _ in range(5)]
    model = CostModel.fit([*short, run(8), run(8)])
    assert model.predict(8, 0, 1e6, 0) == pytest.approx(seconds(8, 0, 1e6, 0))
