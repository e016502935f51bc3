"""Streams whose times are whole days: short parts hold no row, and few time blocks of a cycle have any."""

from dataclasses import replace
from random import Random

import pytest

from cycle.playing import (
    HISTORY_FROM,
    START,
    WEEK,
    Player,
    failing,
    made_up_report,
    resource,
    schedule,
    success,
)
from dataefficient.api.measure import GuardrailMetric
from dataefficient.contract import MIN_PAIRED_BLOCKS, Role, Scored
from dataefficient.cycle.machine import resume
from dataefficient.cycle.model import FailureKind, RunOutcome, Step

CALIBRATION = {"metric": GuardrailMetric.CALIBRATION.value, "max": "1.2"}


def filled(every, *, predicted=1.0):
    """An answer: only every so many of the time blocks have rows; mean predictions are off by a factor."""

    def answer(plan):
        report = made_up_report(plan, Random(plan.request.run))
        scored = report.evaluated
        if scored is None:
            return success(plan)
        here = [i % every == every - 1 for i in range(len(scored.n))]

        def cut(values):
            return tuple(v if has else type(v)(0) for v, has in zip(values, here, strict=True))

        models = {
            name: Scored(cut(m.loss), cut(tuple(predicted * p for p in m.predicted)), m.auc)
            for name, m in scored.models.items()
        }
        scored = replace(scored, n=cut(scored.n), positives=cut(scored.positives), models=models)
        rows = report.rows if any(scored.n) else replace(report.rows, evaluated=0)
        report = replace(report, evaluated=scored, rows=rows)
        return RunOutcome(plan.request.run, plan.attempt, report.seconds.total, report=report)

    return answer


def pilots(player):
    return [p.request for p in player.launches if p.request.run.endswith("-pilot")]


def test_where_a_short_part_of_the_history_is_empty_the_pilot_takes_a_longer_one():
    player = Player(resource(cycles=1), failing(("000-pilot", FailureKind.EMPTY_INTERVAL, 9)))
    player.play()
    assert player.memory.step is Step.FINISHED
    first, second = pilots(player)
    assert second.run == "c000-part-16-pilot"
    assert second.train.end == first.train.end
    assert second.train.end - second.train.start == 4 * (first.train.end - first.train.start)
    assert any("The last 1/64 of the history holds nothing" in told for told in player.events)


def test_no_run_on_the_history_is_shorter_than_the_pilot_that_found_rows():
    player = Player(
        resource(cycles=1, exploration={"share": "1"}), failing(("000-pilot", FailureKind.EMPTY_INTERVAL, 9))
    )
    player.play()
    found = pilots(player)[-1].train
    others = [p.request for p in player.launches if p.request.role is Role.PROBE][2:]
    assert {p.run for p in others} >= {"c000-pilot-small", "c000-rung-8"}
    assert all(p.train.start <= found.start for p in others)


def test_the_row_rate_is_that_of_the_pilot_that_found_rows():
    exact, longer = (
        Player(resource(cycles=1), failing(*rules))
        for rules in ((), [("000-pilot", FailureKind.EMPTY_INTERVAL, 9)])
    )
    for player in (exact, longer):
        player.play(lambda memory: memory.row_rate is not None)
    assert longer.memory.row_rate == pytest.approx(exact.memory.row_rate, rel=0.01)


def test_the_whole_history_is_tried_before_it_is_called_empty():
    player = Player(resource(), failing(("-pilot", FailureKind.EMPTY_INTERVAL, 9)))
    player.play()
    assert player.memory.stopped.code == "EmptyInterval"
    assert [p.train.start for p in pilots(player)][-1] == HISTORY_FROM
    assert len(pilots(player)) == 4


def without_rows(player, plan):
    """Nothing is scored while the window at the history's end is as long as a cycle."""
    evaluation = plan.request.evaluation
    if plan.request.cycle == 0 and evaluation.end - evaluation.start == WEEK:
        return filled(every=99)(plan)
    return success(plan)


def test_where_the_last_cycle_of_the_history_is_empty_runs_are_scored_on_a_longer_window():
    player = Player(resource(cycles=2, exploration={"share": "1"}))
    player.answer = lambda plan: without_rows(player, plan)
    player.play()
    assert player.memory.step is Step.FINISHED
    _, second = pilots(player)
    assert second.run == "c000-window-4-pilot"
    assert second.evaluation.end - second.evaluation.start == (START - HISTORY_FROM) / 4
    assert second.train.end == second.evaluation.start
    windows = {p.request.evaluation.start for p in player.launches[2:] if p.request.role is Role.PROBE}
    assert windows == {second.evaluation.start}


def test_what_stopped_for_want_of_rows_begins_anew_when_it_is_mended():
    player = Player(resource(cycles=1), filled(every=99))
    player.play()
    assert player.memory.stopped.code == "DataError"
    assert "No row was scored" in player.memory.stopped.message
    player.memory, player.answer = resume(player.memory), success
    launched = len(player.launches)
    player.play()
    assert player.memory.step is Step.FINISHED
    assert player.launches[launched].request.run == "c000-pilot"


def test_where_too_few_time_blocks_have_rows_full_data_stays_and_the_reason_says_what_to_do():
    player = Player(resource(cycles=3), filled(every=4))
    player.play()
    assert {p.request.role for p in player.launches} == {Role.PROBE, Role.CANDIDATE}
    for record in player.memory.history:
        assert "NotResolvable" in record.codes
        assert "only 4 of the 16 time blocks" in record.plan.reason
        assert "schedule.everySeconds" in record.plan.reason


def test_a_shorter_window_of_the_history_says_nothing_of_a_cycle():
    """A quarter of the history is shorter than the cycle here."""
    long_cycles = schedule(2, everySeconds=int((START - HISTORY_FROM).total_seconds()) // 2)
    player = Player(resource(schedule=long_cycles), filled(every=4))
    player.play(lambda memory: memory.row_rate is not None)
    assert player.memory.time_blocks is None


def test_whole_days_of_a_week_are_enough_to_compare():
    player = Player(resource(cycles=4), filled(every=2))
    player.play()
    assert player.memory.time_blocks == 8 >= MIN_PAIRED_BLOCKS
    assert "NotResolvable" not in player.codes()
    assert any(p.request.role is Role.TRIAL or p.request.riders for p in player.launches)


def test_where_the_last_third_has_too_few_blocks_the_gate_holds_against_all():
    player = Player(resource(cycles=2), filled(every=2))
    player.play()
    gate = player.memory.history[1].gate
    assert gate.gap is not None
    assert "unheld" not in gate.reason


def test_a_guardrail_holds_where_there_are_too_few_blocks_to_compare():
    spec = resource(cycles=2, guardrails=[CALIBRATION])
    kept, broken = (Player(spec, filled(every=4, predicted=factor)) for factor in (1.0, 1.5))
    for player in (kept, broken):
        player.play(lambda memory: memory.cycle > 1)
    assert kept.memory.history[1].gate.published
    assert "unheld" in kept.memory.history[1].gate.reason
    gate = broken.memory.history[1].gate
    assert not gate.published
    assert gate.reason.startswith("Guardrail calibration")
