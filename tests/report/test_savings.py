from dataclasses import replace

import numpy as np
import pytest

from dataefficient.contract import Role
from dataefficient.report import build_statement
from dataefficient.report.savings import NOT_RUN
from dataefficient.report.statement import Basis, Lineage
from report import made_up

PRICE = 0.04 / 3600


def state(runs=None, controls=None, memory=None, resource=None):
    return build_statement(
        resource or made_up.resource(),
        memory or made_up.memory(),
        made_up.ours() if runs is None else runs,
        made_up.controls() if controls is None else controls,
    )


@pytest.fixture(scope="module")
def statement():
    return state()


def largest(first, later, level=0.4598):
    return [made_up.control(Lineage.LARGEST, 16, first, later, level)]


def test_whole_life_counts_history_and_trials(statement):
    whole = statement.comparisons[0].whole
    assert whole.ours.seconds == pytest.approx(100 + 8 * 20 + 10)
    assert whole.theirs.seconds == pytest.approx(100 + 8 * 50)
    assert whole.compute.value == pytest.approx(1 - 270 / 500)


def test_cycles_that_the_history_forgot_still_count():
    memory = made_up.memory()
    whole = state(memory=replace(memory, history=memory.history[5:])).comparisons[0].whole
    assert whole.cycles == tuple(range(9))
    assert whole.ours.seconds == pytest.approx(270)


def test_start_up_is_told_apart(statement):
    whole = statement.comparisons[0].whole
    assert whole.ours.startup == pytest.approx(20 + 8 * 4 + 4)
    assert whole.working.value == pytest.approx(1 - (80 + 8 * 16 + 6) / (80 + 8 * 46))


def test_seconds_before_and_after_the_trainer_count_as_start_up():
    slow = made_up.run(
        "c001-candidate", Role.CANDIDATE, 1, made_up.HALF, 20.0, 4.0, None, device_seconds=27.0
    )
    runs = [r for r in made_up.ours() if r[0].run != "c001-candidate"] + [slow]
    whole = state(runs).comparisons[0].whole
    assert whole.ours.startup == pytest.approx(20 + 8 * 4 + 4 + 7)


def test_steady_state_is_the_cycles_under_the_last_plan(statement):
    steady = statement.comparisons[0].steady
    assert steady.cycles == (4, 5, 6, 7, 8)
    drift = sum(made_up.SPREAD[4:])
    assert steady.compute.value == pytest.approx(1 - (100 + drift) / (250 + drift))


def test_candidates_alone_leave_experiments_out():
    runs = [*made_up.ours(), made_up.run("c006-trial", Role.TRIAL, 6, made_up.QUARTER, 10.0, 4.0, None)]
    first = state(runs).comparisons[0]
    assert first.steady.ours.seconds - first.candidates.ours.seconds == pytest.approx(10.0)


def test_money_is_seconds_times_price(statement):
    assert statement.comparisons[0].whole.money.value == pytest.approx(230 * PRICE)
    assert statement.comparisons[1].whole.money.value == pytest.approx(30 * PRICE)


def test_without_a_price_no_money_is_stated():
    free = made_up.resource(made_up.YAML.replace(', pricePerDeviceHour: "0.04"', ""))
    assert state(resource=free).comparisons[0].whole.money is None


def test_quality_is_paired_over_all_blocks_of_all_cycles(statement):
    cycles, blocks = range(1, made_up.CYCLES), range(made_up.BLOCKS)
    a, b = (
        np.array([level + made_up.wiggle(k, i) + made_up.jitter(k, i, seed) for k in cycles for i in blocks])
        for level, seed in ((0.460, 1), (0.4598, 2))
    )
    gap = a.sum() / b.sum() - 1
    residual = a - (1 + gap) * b
    count = a.size
    error = np.sqrt(count / (count - 1) * (residual**2).sum()) / b.sum()
    kpi = statement.comparisons[0].kpi
    assert kpi.value.value == pytest.approx(gap)
    assert kpi.standard_error == pytest.approx(error)
    assert (kpi.blocks, kpi.rows, kpi.cycles) == (128, 128_000, tuple(cycles))


def test_auc_and_calibration_are_compared_too(statement):
    assert statement.comparisons[0].auc.value.value == pytest.approx(-0.002)
    assert statement.comparisons[0].calibration.value.value == pytest.approx(0.02)
    assert statement.calibration.value == pytest.approx(1.02)


def test_cycles_with_other_evaluation_rows_are_left_out_and_said():
    control = made_up.controls()[0]
    runs = []
    for request, outcome in control.runs:
        report = outcome.report
        if request.cycle == 3:
            report = replace(report, evaluated=replace(report.evaluated, digest="other rows"))
        runs.append((request, replace(outcome, report=report)))
    found = state(controls=[replace(control, runs=tuple(runs))]).comparisons[0]
    assert found.kpi.cycles == (1, 2, 4, 5, 6, 7, 8)
    assert "1 cycle left out: other evaluation rows" in found.kpi_reason
    assert found.cycles[3].gap is None


def test_fewer_than_eight_common_blocks_give_no_difference():
    control = replace(made_up.controls()[0], runs=made_up.controls()[0].runs[:1])
    found = state(controls=[control]).comparisons[0]
    assert found.whole is not None
    assert found.kpi is None
    assert "fewer than 6 common time blocks" in found.kpi_reason


@pytest.mark.parametrize("which", [0, 1])
def test_a_control_that_was_not_run_gives_no_number(which):
    only = [made_up.controls()[1 - which]]
    found = state(controls=only).comparisons[which]
    assert found.reason == NOT_RUN == "not measured: run with --control"
    assert not found.measured
    assert (found.whole, found.steady, found.kpi, found.auc, found.break_even) == (None,) * 5


def test_a_control_whose_run_has_not_ended_gives_no_number():
    control = made_up.controls()[0]
    unfinished = replace(control, runs=((control.runs[0][0], None),))
    assert state(controls=[unfinished]).comparisons[0].reason == NOT_RUN


def test_only_the_cycles_that_the_control_ran_are_compared():
    control = replace(made_up.controls()[0], runs=made_up.controls()[0].runs[:5], failure="no space left")
    found = state(controls=[control]).comparisons[0]
    assert found.whole.cycles == (0, 1, 2, 3, 4)
    assert found.whole.ours.seconds == pytest.approx(190 + sum(made_up.SPREAD[:5]))
    assert "not run in cycles 5–8" in found.reason
    assert "no space left" in found.reason


def test_spend_that_only_the_ledger_knows_counts_against_us():
    memory = made_up.memory()
    history = list(memory.history)
    history[5] = replace(history[5], spent_seconds=history[5].spent_seconds + 40)
    memory = replace(
        memory, history=tuple(history), ledger=replace(memory.ledger, settled=memory.ledger.settled + 40)
    )
    found = state(memory=memory)
    assert found.comparisons[0].whole.ours.seconds == pytest.approx(270 + 40)
    assert {p.role: p.seconds for p in found.by_role}["Failed attempts"] == pytest.approx(40)
    assert found.spent == pytest.approx(310)


def test_break_even_is_the_cycle_from_which_on_less_was_spent(statement):
    found = statement.comparisons[0].break_even
    assert (found.cycle, found.basis) == (1, Basis.MEASURED)


def test_break_even_beyond_the_data_is_extrapolated_from_the_steady_state():
    found = state(controls=largest(30.0, 22.0)).comparisons[0].break_even
    assert (found.cycle, found.basis) == (8 + (70 + 10 - 16) // 2, Basis.EXTRAPOLATED)


def test_a_saving_that_timing_cannot_tell_from_nothing_gives_no_break_even():
    found = state(controls=largest(30.0, 20.01))
    assert found.comparisons[0].break_even.cycle is None
    assert "may be nothing" in found.comparisons[0].break_even.reason
    assert "it is about as much" in found.detail


def test_without_a_saving_no_break_even_is_foreseen():
    found = state(controls=largest(50.0, 15.0)).comparisons[0].break_even
    assert found.cycle is None
    assert "not foreseeable" in found.reason


def test_the_interval_of_a_saving_follows_the_spread_of_seconds_per_row(statement):
    narrow = statement.comparisons[0].whole.working
    assert narrow.low < narrow.value < narrow.high
    assert narrow.high - narrow.low < 0.01


def test_trials_that_ride_in_another_process_do_not_widen_the_spread_of_start_up():
    eighth = replace(made_up.QUARTER, rate=0.125)
    riders = [
        made_up.run(f"c{k:03d}-trial", Role.TRIAL, k, eighth, 6.0, 0.01 * (1 + k % 2), None)
        for k in range(1, made_up.CYCLES)
    ]
    alone = state(made_up.ours()).comparisons[0].whole.compute
    ridden = state([*made_up.ours(), *riders]).comparisons[0].whole.compute
    assert ridden.high - ridden.low < 2.0 * (alone.high - alone.low)


def test_no_more_than_everything_is_saved_however_little_timing_tells():
    wild = [
        made_up.run(q.run, q.role, q.cycle, made_up.point_of(q.cycle), 4.0 + 86.0 * (k % 2), 1.0, None)
        for k, (q, _) in enumerate(made_up.ours())
    ]
    found = state(wild, controls=largest(30.0, 41.0)).comparisons[0].whole.compute
    assert found.low < -1.0
    assert found.high == 1.0


def test_with_too_few_runs_a_saving_has_no_interval():
    runs = [r for r in made_up.ours() if r[0].cycle < 2]
    memory = made_up.memory()
    memory = replace(memory, history=memory.history[:2])
    control = made_up.controls()[0]
    found = state(runs, [replace(control, runs=control.runs[:2])], memory).comparisons[0].whole.compute
    assert found.value == pytest.approx(1 - 120.1 / 150.1)
    assert (found.low, found.high) == (None, None)


def test_costing_more_than_the_control_is_said_as_such():
    found = state(controls=largest(50.0, 15.0))
    assert found.comparisons[0].whole.compute.value < 0
    assert "59 % more compute" in found.headline
