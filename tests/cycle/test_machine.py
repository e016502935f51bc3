"""The cycle by examples: what follows from how runs end."""

from datetime import timedelta
from itertools import pairwise
from math import log2
from random import Random

import pytest

from cycle.playing import (
    LONG_AFTER,
    START,
    WEEK,
    Player,
    failing,
    failure,
    replace,
    resource,
    schedule,
    success,
    worse,
)
from dataefficient.api.spec import Mode
from dataefficient.contract import Policy, Role
from dataefficient.cycle.machine import advance, begin, continued, resume
from dataefficient.cycle.model import FailureKind, Observation, Step
from dataefficient.planner.knobs import Point

FULL = Point(Policy.UNIFORM, 1.0, 32)


def in_cycle(cycle, step=Step.TRAINING):
    return lambda memory: memory.cycle == cycle and memory.step is step


def sampling_costs(loss):
    """Any plan but full data at the largest size loses so much."""
    return worse(lambda point: 0.0 if point == FULL else loss)


# The path


def test_the_first_cycle_measures_on_the_history_and_then_trains_a_candidate():
    player = Player(resource(exploration={"share": "1"}))
    player.play(lambda memory: memory.cycle == 1)
    history = [p for p in player.launches if p.request.cycle == 0]
    runs = [p.request.run for p in history]
    assert runs[0] == "c000-pilot"
    assert runs[-1] == "c000-candidate"
    assert sum("-rung-" in run for run in runs) >= 3
    assert {p.request.role for p in history[:-1]} == {Role.PROBE}
    assert player.memory.champion.cycle == 0
    assert player.memory.champion.position == START


def test_no_run_of_cycle_0_sees_anything_later_than_the_history():
    player = Player(resource(exploration={"share": "1"}))
    player.play(lambda memory: memory.cycle == 1)
    for plan in (p for p in player.launches if p.request.cycle == 0):
        assert plan.request.train.end <= START
        assert plan.request.evaluation.end <= START


def test_a_start_in_the_past_catches_up_interval_by_interval_without_waiting():
    player = Player(resource(cycles=4))
    player.play()
    assert player.memory.step is Step.FINISHED
    assert [r.cycle for r in player.memory.history] == [0, 1, 2, 3, 4]
    assert player.now == LONG_AFTER
    ends = [r.end for r in player.memory.history]
    assert ends == [START + i * WEEK for i in range(5)]


def test_every_candidate_goes_on_where_the_champion_ended():
    player = Player(resource(cycles=4))
    player.play()
    candidates = [p.request for p in player.launches if p.request.role is Role.CANDIDATE]
    for before, after in pairwise(candidates):
        assert after.train.start == before.train.end
        assert after.start.uri == before.output


def test_a_cycle_waits_until_its_interval_is_over_and_its_labels_are_complete():
    delay = 7200
    spec = resource(cycles=2, schedule=schedule(2, labelDelaySeconds=delay))
    player = Player(spec, now=START)
    decision = player.ask()
    assert decision.wait_until == START + timedelta(seconds=delay)
    assert decision.start == ()
    player.now = decision.wait_until
    assert player.ask().start
    player.play(in_cycle(1, Step.WAITING))
    assert player.decisions[-1].wait_until == START + WEEK + timedelta(seconds=delay)


def test_a_suspended_resource_starts_nothing_new_and_goes_on_afterwards():
    spec = resource(cycles=3)
    suspended = spec.model_copy(update={"suspend": True})
    assert advance(suspended, begin("default/x"), Observation(LONG_AFTER)).start == ()
    player = Player(spec)
    player.play(in_cycle(1))
    player.spec = suspended
    player.play()
    assert player.memory.cycle == 2
    assert player.memory.running == ()
    player.spec = spec
    player.play()
    assert player.memory.step is Step.FINISHED


def test_suspending_while_the_history_is_measured_lets_what_runs_end_and_starts_no_more():
    player = Player(resource())
    player.ask()
    player.spec = player.spec.model_copy(update={"suspend": True})
    decision = player.turn()
    assert decision.start == ()
    assert decision.memory.running == ()


# Publishing


def rejecting(*cycles, otherwise=success):
    """Candidates of these cycles lose five per cent while they are trained; nothing else does."""

    def answer(plan):
        bad = plan.request.cycle in cycles and plan.request.role is Role.CANDIDATE
        return success(plan, harm=lambda _: 0.05) if bad else otherwise(plan)

    return answer


def test_a_rejected_candidate_leaves_the_champion_and_its_rows_are_trained_next_time():
    player = Player(resource(cycles=4), rejecting(2))
    player.play(in_cycle(2))
    champion = player.memory.champion
    player.play(in_cycle(3, Step.TRAINING))
    assert player.memory.champion == champion
    assert player.memory.rejections == 1
    assert "Rejected" in player.codes(2)
    candidate = next(p for p in player.memory.running if p.request.role is Role.CANDIDATE)
    assert candidate.request.start == champion.checkpoint
    assert candidate.request.train.start == champion.position
    assert candidate.request.train.end == START + 3 * WEEK
    player.play(in_cycle(4, Step.TRAINING))
    assert player.memory.rejections == 0
    assert player.memory.champion.position == START + 3 * WEEK


def economising(player, cycles=30):
    """Plays until a plan with less data than the reference is in force."""
    player.play(lambda m: m.plan is not None and m.plan.point.rate < 1.0 and m.step is Step.TRAINING)
    assert player.memory.plan is not None
    assert player.memory.plan.point.rate < 1.0, "the trial was never adopted"
    return player.memory


def test_two_rejections_in_a_row_train_more_rows():
    player = Player(resource(cycles=40, sizes=(32,)))
    memory = economising(player)
    rate, cycle = memory.plan.point.rate, memory.cycle
    player.answer = rejecting(cycle, cycle + 1)
    player.play(in_cycle(cycle + 2))
    assert player.memory.plan.code == "RejectedTwice"
    assert player.memory.plan.point.rate > rate


def test_candidates_that_are_never_published_stop_the_resource_in_the_end():
    player = Player(resource(cycles=20), rejecting(*range(1, 20)))
    player.play()
    assert player.memory.step is Step.STOPPED
    assert player.memory.stopped.code == "RejectedTooOften"
    assert player.memory.champion.cycle == 0


def test_a_candidate_whose_loss_is_not_finite_is_not_published_and_the_cycle_is_over():
    player = Player(resource(cycles=3), failing(("002-candidate", FailureKind.NOT_FINITE, 9)))
    player.play()
    assert player.memory.step is Step.FINISHED
    record = player.memory.history[2]
    assert {r.run: r.outcome for r in record.runs}["c002-candidate"] == "NotFinite"
    assert record.champion == player.memory.history[1].champion


def test_the_mode_recommend_never_changes_the_plan_and_records_what_it_would_do():
    """Rows of a third of the history do no harm in any probe: with leave, the plan would change."""
    spec = resource(cycles=8, exploration={"share": "1"}, mode="Recommend", kpi={"tolerance": "0.05"})
    player = Player(spec)
    player.play()
    assert player.memory.step is Step.FINISHED
    assert {r.plan.point for r in player.memory.history} == {FULL}
    assert {p.request.role for p in player.launches if p.request.cycle > 0} == {Role.CANDIDATE}
    assert any(note.startswith("Recommended: ") for r in player.memory.history for note in r.notes)
    enforcing = Player(spec.model_copy(update={"mode": Mode.ENFORCE}))
    enforcing.play()
    assert {r.plan.point for r in enforcing.memory.history} != {FULL}


# Branches


def test_the_plan_of_an_accepted_trial_is_what_the_next_cycles_run():
    player = Player(resource(cycles=40))
    memory = economising(player)
    assert [r.cycle for r in memory.history if "TrialAccepted" in r.codes][-1] == memory.cycle - 1
    trials = {p.point for p in player.launches if p.request.role is Role.TRIAL}
    assert memory.plan.point in trials
    cycle = memory.cycle
    player.play(lambda m: m.cycle == cycle + 2)
    assert [r.plan.point for r in player.memory.history[-2:]] == [memory.plan.point] * 2


def test_a_trial_that_loses_is_never_adopted():
    player = Player(
        resource(cycles=12), worse(lambda point: 0.2 * (point.rate < 1.0) + 0.2 * (point.size < 32))
    )
    player.play()
    assert any(p.request.role is Role.TRIAL for p in player.launches)
    assert {r.plan.point.rate for r in player.memory.history} == {1.0}


def test_a_plan_whose_candidate_was_too_bad_to_publish_is_not_taken_up_again():
    """The looks at another size say that the size alone loses, which is wrong here: only the gate tells."""
    player = Player(resource(cycles=16), sampling_costs(0.03))
    player.play()
    rejected = [r.plan.point for r in player.memory.history if "Rejected" in r.codes]
    assert rejected, "no plan was taken up wrongly: this world says nothing any more"
    assert len(rejected) == len(set(rejected))
    assert player.memory.champion.point.rate == 1.0


def test_each_trial_is_paid_for_and_listed_with_its_cycle():
    player = Player(resource(cycles=12))
    player.play()
    for record in player.memory.history:
        listed = sum(run.device_seconds for run in record.runs)
        assert record.spent_seconds == pytest.approx(listed)
    assert sum(r.spent_seconds for r in player.memory.history) == pytest.approx(player.memory.ledger.settled)


def test_a_control_takes_over_where_the_lineage_has_fallen_behind_by_more_than_the_tolerance():
    player = Player(resource(cycles=60, sizes=(32,), kpi={"tolerance": "0.02", "maxRegression": "0.5"}))
    economising(player)
    player.answer = sampling_costs(0.2)
    player.play(lambda m: any("ControlPromoted" in r.codes for r in m.history))
    assert "ControlPromoted" in player.codes()
    promoted = player.memory.history[-1].cycle
    control = next(p for p in reversed(player.launches) if p.request.role is Role.CONTROL)
    player.play(in_cycle(promoted + 1))
    candidate = next(p for p in player.memory.running if p.request.role is Role.CANDIDATE)
    assert candidate.request.start.uri == control.request.output
    assert candidate.request.train.start == control.request.train.end
    assert candidate.point == FULL


def test_a_control_that_cannot_be_sure_takes_over_and_the_plan_stays():
    player = Player(resource(cycles=60, sizes=(32,)))
    economising(player)
    tolerance = float(player.spec.kpi.tolerance)

    def scattered(plan):
        """An answer: the control is better by a little more than the tolerance, and by chance."""
        outcome = success(plan)
        rows = outcome.report.evaluated
        if rows is None or "control" not in rows.models:
            return outcome
        served = rows.models["start"]
        better = [tolerance * (1.3 + (4.0 if i % 2 else -4.0)) for i in range(len(rows.n))]
        loss = tuple(x * (1.0 - part) for x, part in zip(served.loss, better, strict=True))
        models = {**rows.models, "control": replace(rows.models["control"], loss=loss)}
        return replace(outcome, report=replace(outcome.report, evaluated=replace(rows, models=models)))

    player.answer = scattered
    player.play(lambda m: any("ControlPromoted" in r.codes for r in m.history))
    point = player.memory.plan.point
    assert point.rate < 1.0
    control = next(p for p in reversed(player.launches) if p.request.role is Role.CONTROL)
    assert len(player.memory.contrasts) > 1
    assert any("may be chance" in note for note in player.memory.history[-1].notes)
    player.play(in_cycle(player.memory.cycle))
    candidate = next(p for p in player.memory.running if p.request.role is Role.CANDIDATE)
    assert candidate.request.start.uri == control.request.output
    assert candidate.point == point


def test_a_control_that_finds_no_loss_confirms_the_lineage():
    player = Player(resource(cycles=60, sizes=(32,)))
    economising(player)
    point = player.memory.plan.point
    player.play(lambda m: any("ControlConfirmed" in r.codes for r in m.history))
    assert "ControlConfirmed" in player.codes()
    assert player.memory.history[-1].plan.point == point


def test_a_smaller_size_that_costs_nothing_takes_over_with_the_weights_of_its_trial():
    player = Player(resource(cycles=30))
    player.play(lambda m: m.champion is not None and m.champion.point.size == 8)
    assert player.memory.champion.point.size == 8
    first = next(p for p in player.launches if p.request.role is Role.CANDIDATE and p.point.size == 8)
    before = player.launches[: player.launches.index(first)]
    trial = next(p for p in reversed(before) if p.request.role is Role.TRIAL and p.point.size == 8)
    assert first.request.start.uri == trial.request.output
    assert first.request.train.start == trial.request.train.end
    assert player.memory.champion.cold, "its distance knows of the cold start that it goes back to"
    assert player.memory.looks >= 1, "alpha is spent on it"


def test_a_smaller_size_that_costs_quality_is_tried_and_refused():
    player = Player(resource(cycles=40), worse(lambda point: 0.1 * (point.size == 8)))
    player.play()
    assert any("TrialRefused" in r.codes for r in player.memory.history)
    assert all(r.plan.point.size == 32 for r in player.memory.history)


def by_the_logarithm(point):
    """Each halving of the rows loses alike; half of them uses much of a tolerance of 0.02."""
    return 0.012 * log2(1.0 / point.rate)


def test_a_plan_that_uses_much_of_the_tolerance_is_watched():
    player = Player(resource(cycles=60, sizes=(32,)), worse(by_the_logarithm))
    player.play()
    watches = [r.cycle for r in player.memory.history if "WatchStarted" in r.codes]
    assert watches
    watching = [p for p in player.launches if p.request.role is Role.TRIAL and p.request.cycle <= watches[0]][
        -1
    ]
    assert watching.point != player.memory.history[watches[0]].plan.point


def test_a_trial_that_has_told_what_it_was_for_goes_on_as_a_watch_of_that_plan():
    def lossy(point):
        return 0.01 * (1.0 / point.rate - 1.0)

    knobs = {"samplingRate": {"min": "0.25", "max": "0.5"}, "modelSize": {"values": [32]}}
    player = Player(resource(cycles=60, knobs=knobs), worse(lossy))
    told = next(r for r in player.play().history if {"TrialAccepted", "WatchStarted"} <= set(r.codes))
    runs = [p for p in player.launches if p.request.role is Role.TRIAL]
    before = [p for p in runs if p.request.cycle <= told.cycle][-1]
    after = next(p for p in runs if p.request.cycle > told.cycle)
    assert after.request.start.uri == before.request.output


# Failures


def test_a_crash_is_tried_again_later_with_the_next_attempt():
    player = Player(resource(cycles=2))
    player.play(in_cycle(1))
    plan = next(p for p in player.memory.running if p.request.role is Role.CANDIDATE)
    decision = player.ask(failure(plan, FailureKind.CRASHED))
    again = next(p for p in decision.start if p.request.run == plan.request.run)
    assert again.attempt == 2
    assert again.not_before > player.now
    assert decision.wait_until == again.not_before or len(decision.memory.running) > 1
    assert replace(again.request, deadline_seconds=None) == replace(plan.request, deadline_seconds=None)


@pytest.mark.parametrize("kind", [FailureKind.GARBAGE, FailureKind.NO_REPORT, FailureKind.CRASHED])
def test_a_candidate_is_tried_as_often_as_allowed_and_then_a_person_is_asked(kind):
    player = Player(resource(cycles=3), failing(("001-candidate", kind, 99)))
    player.play()
    assert player.memory.step is Step.STOPPED
    assert player.memory.stopped.code == kind
    assert "c001-candidate, attempt 3" in player.memory.stopped.message
    assert "the trainer's own words" in player.memory.stopped.message
    assert "See its log" in player.memory.stopped.message
    assert [p.attempt for p in player.launches if p.request.run == "c001-candidate"] == [1, 2, 3]


def test_an_error_that_trying_again_cannot_mend_stops_at_once():
    player = Player(resource(cycles=3), failing(("-pilot", FailureKind.DATA_ERROR, 1)))
    player.play()
    assert player.memory.stopped.code == "DataError"
    assert [p.request.run for p in player.launches] == ["c000-pilot"]


def test_what_runs_beside_a_failed_candidate_ends_and_is_paid_before_the_stop():
    player = Player(resource(cycles=20))
    player.play(lambda m: len(m.running) == 2 and m.cycle > 0)
    cycle = player.memory.cycle
    candidate, branch = player.memory.running
    before = player.memory.ledger.settled
    decision = player.ask(failure(candidate, FailureKind.USER_ERROR, 5.0))
    assert decision.memory.step is Step.TRAINING
    ended = success(branch)
    player.ask(ended)
    assert player.memory.step is Step.STOPPED
    assert player.memory.cycle == cycle
    assert player.memory.ledger.settled == pytest.approx(before + 5.0 + ended.device_seconds)


def test_after_a_stop_the_failed_cycle_is_planned_anew_with_higher_attempts():
    player = Player(resource(cycles=3), failing(("001-candidate", FailureKind.GARBAGE, 3)))
    player.play()
    assert player.memory.step is Step.STOPPED
    player.memory = resume(player.memory)
    player.play()
    assert player.memory.step is Step.FINISHED
    assert [p.attempt for p in player.launches if p.request.run == "c001-candidate"] == [1, 2, 3, 4]
    assert [r.cycle for r in player.memory.history] == [0, 1, 2, 3]


def test_after_a_stop_in_the_history_what_was_measured_is_not_measured_again():
    player = Player(resource(cycles=2), failing(("000-candidate", FailureKind.USER_ERROR, 1)))
    player.play()
    player.memory = resume(player.memory)
    player.play()
    assert player.memory.step is Step.FINISHED
    names = [p.request.run for p in player.launches if p.request.run != "c000-candidate"]
    assert len(names) == len(set(names))


def test_a_stop_that_nobody_acted_on_stays():
    player = Player(resource(cycles=2), failing(("-pilot", FailureKind.USER_ERROR, 1)))
    player.play()
    stopped = player.memory
    assert player.ask() == replace(player.decisions[-1], memory=stopped, start=(), events=())
    assert resume(begin("default/x")) == begin("default/x")


def test_an_outcome_that_comes_twice_is_charged_once_even_where_it_stops_the_resource():
    player = Player(resource(cycles=2))
    player.ask()
    (pilot,) = player.memory.running
    outcome = failure(pilot, FailureKind.USER_ERROR, 7.0)
    player.ask(outcome, outcome)
    player.ask(outcome)
    assert player.memory.ledger.settled == 7.0


def test_a_failed_probe_stops_nothing():
    answer = failing(("pilot-small", FailureKind.USER_ERROR, 9), ("-replica", FailureKind.DATA_ERROR, 9))
    player = Player(resource(cycles=2, exploration={"share": "1"}), answer)
    player.play()
    assert player.memory.step is Step.FINISHED


@pytest.mark.parametrize("part", [32, 16, 8, 4])
def test_a_part_of_the_history_that_cannot_be_measured_stops_nothing(part):
    answer = failing((f"-rung-{part}", FailureKind.NOT_FINITE, 9))
    player = Player(resource(cycles=2, exploration={"share": "1"}), answer)
    player.play()
    assert player.memory.step is Step.FINISHED


def test_a_failed_branch_stops_nothing():
    answer = failing(("-trial", FailureKind.CRASHED, 99), ("-control", FailureKind.USER_ERROR, 99))
    player = Player(resource(cycles=8), answer)
    player.play()
    assert player.memory.step is Step.FINISHED
    assert any(r.outcome == "Crashed" for record in player.memory.history for r in record.runs)


def test_a_missing_checkpoint_goes_back_to_the_champion_before_it():
    player = Player(resource(cycles=4), failing(("003-candidate", FailureKind.CHECKPOINT_MISSING, 1)))
    player.play(in_cycle(3))
    newest, older = player.memory.champion, player.memory.previous_champions[0]
    player.play(lambda m: m.champion != newest)
    assert player.memory.champion == older
    candidate = next(p for p in player.memory.running if p.request.role is Role.CANDIDATE)
    assert candidate.attempt == 2
    assert candidate.request.start == older.checkpoint
    assert candidate.request.train.start == older.position
    player.play()
    assert player.memory.step is Step.FINISHED


def test_without_an_older_champion_a_missing_checkpoint_stops():
    player = Player(resource(cycles=4), failing(("001-candidate", FailureKind.CHECKPOINT_MISSING, 99)))
    player.play()
    assert player.memory.stopped.code == "CheckpointMissing"


def test_an_empty_interval_is_skipped_and_recorded():
    player = Player(resource(cycles=4), failing(("002-candidate", FailureKind.EMPTY_INTERVAL, 9)))
    player.play()
    assert player.memory.step is Step.FINISHED
    record = player.memory.history[2]
    assert record.codes == ("EmptyInterval",)
    assert record.plan is None
    assert record.spent_seconds > 0.0
    assert record.champion == player.memory.history[1].champion
    candidate = next(p for p in player.launches if p.request.run == "c003-candidate")
    assert candidate.request.train.start == START + WEEK


def test_a_schedule_that_ends_before_its_first_cycle_trains_the_history_and_is_done():
    player = Player(resource(schedule=schedule(0.5), exploration={"share": "1"}))
    player.play()
    assert player.memory.step is Step.FINISHED
    assert [r.cycle for r in player.memory.history] == [0]
    assert player.memory.champion is not None


def test_a_cycle_that_waits_for_rows_is_left_when_the_schedule_ends_before_it():
    answer = failing(("c002-candidate", FailureKind.DATA_NOT_READY, 99))
    player = Player(resource(cycles=4), answer)
    player.play(lambda memory: any(r.attempt > 2 for r in memory.running))
    player.spec = resource(cycles=1)
    player.ask()
    assert player.memory.step is Step.FINISHED
    assert not player.memory.running
    assert [r.cycle for r in player.memory.history] == [0, 1]
    longer = resource(cycles=4)
    player.spec, player.answer = longer, success
    player.memory = continued(longer, player.memory)
    player.play()
    assert [r.cycle for r in player.memory.history] == [0, 1, 2, 3, 4]


def test_a_run_that_may_have_begun_again_is_not_left_when_the_schedule_ends_before_it():
    player = Player(resource(cycles=4), failing(("c002-candidate", FailureKind.DATA_NOT_READY, 99)))
    player.play(lambda memory: any(r.attempt > 2 for r in memory.running))
    (waiting,) = player.memory.running
    player.spec, player.now = resource(cycles=1), waiting.not_before
    player.ask()
    assert player.memory.running == (waiting,)


def test_an_empty_history_stops_with_the_fields_that_say_where_it_lies():
    player = Player(resource(), failing(("-pilot", FailureKind.EMPTY_INTERVAL, 9)))
    player.play()
    assert player.memory.stopped.code == "EmptyInterval"
    assert "historyFrom" in player.memory.stopped.message


def without_rows(outcome, what):
    """The outcome of a run that found no row to train on, or none to score."""
    report = outcome.report
    rows, seconds, evaluated = report.rows, report.seconds, report.evaluated
    if what == "trained on":
        rows = replace(rows, kept=0, kept_positives=0, effective=0.0)
        seconds = replace(seconds, train=0.0)
    else:
        none = tuple(0 for _ in evaluated.n)
        models = {k: replace(v, loss=none, predicted=none) for k, v in evaluated.models.items()}
        evaluated = replace(evaluated, n=none, positives=none, models=models)
        rows, seconds = replace(rows, evaluated=0), replace(seconds, evaluate=0.0)
    return replace(outcome, report=replace(report, rows=rows, seconds=seconds, evaluated=evaluated))


@pytest.mark.parametrize("what", ["trained on", "scored"])
def test_first_runs_that_find_no_row_stop_with_the_fields_and_run_again_afterwards(what):
    player = Player(resource(cycles=2), lambda plan: without_rows(success(plan), what))
    player.play()
    assert player.memory.stopped.code == "DataError"
    assert f"No row was {what}" in player.memory.stopped.message
    assert "data.uri" in player.memory.stopped.message
    player.memory, player.answer = resume(player.memory), success
    player.play()
    assert player.memory.step is Step.FINISHED


@pytest.mark.parametrize("what", ["trained on", "scored"])
def test_a_later_cycle_that_finds_no_row_to_train_on_or_to_score_stops_nothing(what):
    def answer(plan):
        return without_rows(success(plan), what) if plan.request.run == "c002-candidate" else success(plan)

    player = Player(resource(cycles=4), answer)
    player.play()
    assert player.memory.step is Step.FINISHED


def test_data_that_are_not_ready_are_waited_for_without_using_up_the_attempts():
    player = Player(resource(cycles=2), failing(("001-candidate", FailureKind.DATA_NOT_READY, 1200)))
    waits = []
    player.play(in_cycle(1))
    for _ in range(1200):
        before = player.now
        player.turn()
        waits.append((player.memory.running[0].not_before - player.now).total_seconds())
        assert player.now >= before
    assert waits == sorted(waits)
    assert waits[0] < waits[-1] <= 3600.0
    (plan,) = [p for p in player.memory.running if p.request.role is Role.CANDIDATE]
    player.now = plan.not_before
    assert player.ask(failure(plan, FailureKind.CRASHED)).memory.step is Step.TRAINING
    player.play()
    assert player.memory.step is Step.FINISHED


def test_an_outcome_of_an_earlier_attempt_or_of_an_unknown_run_changes_nothing():
    player = Player(resource(cycles=2))
    player.play(in_cycle(1))
    plan = player.memory.running[0]
    player.ask(failure(plan, FailureKind.CRASHED))
    memory = player.memory
    player.ask(success(plan), failure(replace(plan, request=replace(plan.request, run="c009-x")), "Crashed"))
    assert player.memory == memory


# Budget


def test_a_budget_too_small_for_the_first_run_stops_and_names_the_part():
    player = Player(resource(budget={"total": {"deviceHours": "0.0001"}}))
    player.play()
    assert player.memory.stopped.code == "BudgetExhausted"
    assert "budget.total.deviceHours" in player.memory.stopped.message
    assert player.launches == []


def test_a_budget_that_is_spent_stops_names_the_part_and_goes_on_once_it_is_raised():
    unbound = Player(resource(cycles=6, sizes=(32,)))
    unbound.play()
    half = unbound.memory.ledger.settled / 3600.0 / 2.0
    spec = resource(cycles=6, sizes=(32,), budget={"total": {"money": f"{2 * half:.6f}"}})
    player = Player(spec)
    player.play()
    assert player.memory.stopped.code == "BudgetExhausted"
    assert "budget.total.money" in player.memory.stopped.message
    assert "Raise" in player.memory.stopped.message
    assert player.memory.ledger.settled <= half * 3600.0
    player.memory, player.spec = resume(player.memory), resource(cycles=6, sizes=(32,))
    player.play()
    assert player.memory.step is Step.FINISHED


def test_a_spent_window_is_waited_out():
    unbound = Player(resource(cycles=4))
    unbound.play(in_cycle(1, Step.WAITING))
    enough = 1.2 * unbound.memory.ledger.settled / 3600.0
    window = {"period": "Day", "timeZone": "Europe/Berlin", "deviceHours": f"{enough:.6f}"}
    player = Player(resource(cycles=60, budget={"window": window}))
    player.play(lambda m: player.decisions and player.decisions[-1].wait_until)
    wait = player.decisions[-1].wait_until
    assert LONG_AFTER < wait <= LONG_AFTER + timedelta(days=1)
    assert wait.hour in (22, 23), "midnight in Berlin"
    cycle = player.memory.cycle
    player.play(lambda m: m.cycle > cycle)
    assert player.memory.cycle > cycle


def test_a_window_too_small_for_any_run_stops_and_is_not_waited_for_again_and_again():
    window = {"period": "Day", "deviceHours": "0.0001"}
    player = Player(resource(budget={"window": window}))
    player.play()
    assert player.memory.stopped.code == "BudgetExhausted"
    assert "budget.window" in player.memory.stopped.message


def test_a_retry_may_take_only_what_the_failed_attempt_left():
    player = Player(resource(cycles=2, budget={"total": {"deviceHours": "0.01"}}))
    player.ask()
    (pilot,) = player.memory.running
    assert pilot.reserved_seconds == pytest.approx(36.0)
    player.ask(failure(pilot, FailureKind.CRASHED, 30.0))
    (again,) = player.memory.running
    assert again.reserved_seconds == pytest.approx(6.0)
    assert again.request.deadline_seconds == pytest.approx(6.0)
    player.ask(failure(again, FailureKind.DEADLINE, 6.0))
    assert player.memory.step is Step.STOPPED
    assert player.memory.stopped.code == "BudgetExhausted"
    assert "budget.total.deviceHours" in player.memory.stopped.message


def test_where_the_budget_is_tight_every_run_that_is_launched_has_its_forecast():
    for share in ("0.05", "0.08", "0.12", "0.2"):
        player = Player(resource(cycles=12, budget={"total": {"deviceHours": share}}))
        player.play()
        for plan in player.launches:
            assert plan.reserved_seconds >= (plan.forecast_seconds or 1.0) * (1.0 - 1e-9) or plan.attempt > 1
        assert player.memory.ledger.settled <= float(share) * 3600.0


def test_a_lineage_that_the_budget_made_small_goes_on_where_the_history_has_not_converged():
    player = Player(resource(cycles=6, budget={"initial": {"deviceHours": "0.03"}}))
    player.play()
    assert player.memory.champion.point.size == 8
    assert player.memory.step is Step.FINISHED


def test_the_same_resource_plays_the_same_life_twice():
    first, second = Player(resource(cycles=6)), Player(resource(cycles=6))
    assert first.play() == second.play()
    assert first.events == second.events


def test_random_noise_of_another_seed_changes_no_name_and_no_interval():
    """Names and intervals of candidates follow from the schedule alone."""
    other = Player(resource(cycles=4), lambda plan: success(plan, Random("x" + plan.request.run)))
    first = Player(resource(cycles=4))
    first.play(), other.play()

    def candidates(player):
        return [
            (p.request.run, p.request.train.start, p.request.train.end)
            for p in player.launches
            if p.request.role is Role.CANDIDATE and p.request.cycle > 0
        ]

    assert candidates(first) == candidates(other)


def test_a_preempted_run_is_paid_and_tried_again_as_often_as_it_takes():
    preemptions = 7
    player = Player(
        resource(cycles=2, limits={"maxAttempts": 2}),
        failing(("001-candidate", FailureKind.PREEMPTED, preemptions)),
    )
    memory = player.play()
    assert memory.step is Step.FINISHED
    entries = [e for e in memory.ledger.entries if e.run == "c001-candidate"]
    assert [e.attempt for e in entries] == list(range(1, preemptions + 2))
    assert all(e.seconds > 0 for e in entries)


def test_preemptions_do_not_use_up_the_attempts_of_a_run_that_then_crashes():
    player = Player(
        resource(cycles=2, limits={"maxAttempts": 2}),
        lambda plan: (
            failure(plan, FailureKind.PREEMPTED if plan.attempt <= 3 else FailureKind.CRASHED)
            if plan.request.run == "c001-candidate" and plan.attempt <= 4
            else success(plan)
        ),
    )
    assert player.play().step is Step.FINISHED


@pytest.mark.parametrize(
    "edit",
    [
        {"sampling": {"policies": ["Uniform"]}},
        {"knobs": {"samplingRate": {"min": "0.3", "max": "0.9"}, "modelSize": {"values": [8, 32]}}},
        {"knobs": {"samplingRate": {"min": "0.2", "max": "1"}, "modelSize": {"values": [16, 64]}}},
        {"mode": "Recommend", "knobs": {"samplingRate": {"min": "0.7"}, "modelSize": {"values": [32]}}},
    ],
    ids=str,
)
@pytest.mark.parametrize("at", [2, 8, 14])
def test_knobs_that_are_edited_in_the_middle_of_a_life_take_effect_without_losing_it(edit, at):
    player = Player(resource(cycles=24))
    player.play(in_cycle(at))
    player.spec = resource(cycles=24, **edit)
    player.play()
    assert player.memory.step is Step.FINISHED
    rates = player.spec.knobs.sampling_rate
    later = [r.plan.point for r in player.memory.history if r.cycle > at + 1]
    if player.spec.mode is Mode.ENFORCE:
        assert all(float(rates.min) <= p.rate <= float(rates.max) for p in later)
        assert all(p.policy in player.spec.sampling.policies or p.rate == 1.0 for p in later)
