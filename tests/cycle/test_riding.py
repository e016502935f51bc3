"""Runs that ride in the process of another: who rides, and how one outcome becomes several."""

from dataclasses import replace
from random import Random

import pytest

from cycle.playing import (
    START,
    WEEK,
    Player,
    carrying,
    failure,
    made_up_report,
    resource,
    success,
    with_riders,
)
from dataefficient.contract import MAX_RIDERS, CheckpointRef, Policy, Role, parse_request, to_json
from dataefficient.cycle import riding
from dataefficient.cycle.launch import Wanted, plan_run
from dataefficient.cycle.machine import begin
from dataefficient.cycle.model import FailureKind, RunOutcome, Step
from dataefficient.planner.knobs import Point

FULL = Point(Policy.UNIFORM, 1.0, 32)
QUARTER = Point(Policy.NEGATIVES, 0.25, 32)
SPAN = (START - 4 * WEEK, START)
LAST = (START - WEEK, START)
TRAINER = {"template": {"spec": {"containers": [{"name": "trainer", "command": ["train"]}]}}}


def wanted(run="c000-candidate", point=FULL, role=Role.CANDIDATE, train=SPAN, **more):
    return Wanted(run, role, point, train, LAST, forecast_seconds=10.0, **more)


def trial(run="c000-trial", **more):
    return wanted(run, QUARTER, Role.TRIAL, (START - 2 * WEEK, START), rides=True, fork=True, **more)


@pytest.fixture
def plan():
    return plan_run(resource(), begin("default/made-up"), wanted(riders=(trial(),)), 60.0)


def outcome(plan, seconds=30.0):
    return RunOutcome(plan.request.run, plan.attempt, seconds, with_riders(plan, Random(1)))


# Who rides


def test_a_request_with_riders_keeps_the_contract(plan):
    assert parse_request(to_json(plan.request)) == plan.request
    (rider,) = plan.request.riders
    assert (rider.run, rider.fork, rider.train.rate) == ("c000-trial", True, 0.25)
    assert rider.evaluation == plan.request.evaluation
    assert rider.output != plan.request.output


def test_cold_starts_share_processes_and_the_longest_of_each_leads():
    parts = [wanted(f"rung-{i}", train=(START - i * WEEK, START)) for i in range(1, 7)]
    processes = riding.carpool(parts)
    assert [1 + len(p.riders) for p in processes] == [MAX_RIDERS + 1, 2]
    for process in processes:
        assert all(process.train[0] <= rider.train[0] for rider in process.riders)
    names = {w.name for p in processes for w in (p, *p.riders)}
    assert names == {w.name for w in parts}


def test_only_those_that_are_to_ride_sit_with_the_candidate():
    beside = wanted("c000-control", role=Role.CONTROL)
    first, second = riding.seated([wanted(), beside, trial()])
    assert [r.name for r in first.riders] == ["c000-trial"]
    assert second == beside


def test_where_many_models_are_scored_fewer_runs_ride():
    frozen = {title: CheckpointRef(title, title) for title in ("control", "trial")}
    others = [trial("one"), trial("two")]
    first, *rest = riding.seated([wanted(frozen=frozen), *others])
    assert [r.name for r in first.riders] == ["one"]
    assert [w.name for w in rest] == ["two"]


# What becomes of the outcome


def test_an_outcome_without_riders_stays_as_it_is(plan):
    alone = replace(plan.request, riders=())
    ended = RunOutcome(alone.run, 1, 5.0)
    assert riding.apart(alone, ended) == ((alone, ended),)


def test_what_a_process_cost_is_split_among_its_runs_without_rest(plan):
    ended = outcome(plan)
    parts = riding.apart(plan.request, ended)
    assert [p.run for _, p in parts] == ["c000-candidate", "c000-trial"]
    assert sum(p.device_seconds for _, p in parts) == pytest.approx(30.0)
    total, rider = ended.report.seconds.total, ended.report.riders[0].seconds.total
    assert parts[1][1].device_seconds == pytest.approx(30.0 * rider / total)


def test_each_part_reads_as_the_report_of_a_run_of_its_own(plan):
    (leader_request, leader), (rider_request, rider) = riding.apart(plan.request, outcome(plan))
    assert set(leader.report.evaluated.models) == {"self"}
    assert set(rider.report.evaluated.models) == {"self"}
    assert rider.report.evaluated.digest == leader.report.evaluated.digest
    assert leader.report.riders == ()
    for request, part in ((leader_request, leader), (rider_request, rider)):
        alone = made_up_report(replace(plan, request=request, riders=()), Random(1))
        assert part.report.rows.kept == alone.rows.kept
    seconds = leader.report.seconds
    assert seconds.total == pytest.approx(
        seconds.startup + seconds.read + seconds.train + seconds.evaluate, rel=0.1
    )


def test_a_rider_that_is_missing_from_a_good_report_has_failed_and_cost_nothing(plan):
    ended = outcome(plan)
    report = ended.report
    models = {"self": report.evaluated.models["self"]}
    report = replace(report, riders=(), evaluated=replace(report.evaluated, models=models))
    _, (_, rider) = riding.apart(plan.request, replace(ended, report=report))
    assert rider.failure.kind is FailureKind.NO_REPORT
    assert rider.device_seconds == 0.0


def test_a_failure_is_the_leaders_with_its_cost_and_takes_its_riders_along(plan):
    failed = failure(plan, FailureKind.CRASHED, seconds=7.0)
    (_, leader), (_, rider) = riding.apart(plan.request, failed)
    assert leader == failed
    assert (rider.failure, rider.device_seconds) == (failed.failure, 0.0)


# In the machine


def test_the_ledger_holds_every_run_of_a_process_under_its_own_role():
    player = Player(resource(exploration={"share": "1"}), carrying())
    player.play(lambda memory: memory.cycle == 1)
    memory = player.memory
    shared = [e for e in memory.ledger.entries if e.rode_in]
    assert {e.role for e in shared} >= {Role.PROBE}
    assert sum(e.seconds for e in memory.ledger.entries) == pytest.approx(memory.ledger.settled)
    assert sum(memory.ledger.by_role.values()) == pytest.approx(memory.ledger.settled)
    launched = {p.request.run for p in player.launches}
    assert {e.rode_in for e in shared} <= launched
    assert not {e.run for e in shared} & launched


def test_a_trainer_that_does_not_take_riders_is_never_asked_to():
    player = Player(resource(exploration={"share": "1"}))
    player.play(lambda memory: memory.cycle == 3)
    assert not any(plan.request.riders for plan in player.launches)


def test_small_runs_take_fewer_processes_where_they_may_share_them():
    def probes(answer):
        player = Player(resource(exploration={"share": "1"}), answer)
        player.play(lambda memory: memory.cycle == 1)
        runs = {o.run for r in player.memory.history for o in r.runs}
        return sum("-rung-" in p.request.run for p in player.launches), sum("-rung-" in r for r in runs)

    alone, made_alone = probes(success)
    shared, made_together = probes(carrying())
    assert alone == made_alone
    assert shared < made_together
    assert made_together > 2


def test_a_rider_that_the_budget_does_not_carry_is_left_out_and_the_candidate_runs():
    spec = resource(cycles=3)
    player = Player(spec, carrying())
    player.play(lambda memory: memory.cycle == 1 and memory.step is Step.TRAINING)
    (plan,) = [p for p in player.memory.running if p.request.role is Role.CANDIDATE]
    assert plan.forecast_seconds is not None
    cost = plan.forecast_seconds
    tight = resource(cycles=3, budget={"perCycle": {"deviceHours": f"{1.2 * cost / 3600:.6f}"}})
    player = Player(tight, carrying())
    player.play(lambda memory: memory.cycle == 2)
    assert all(r.spent_seconds <= 1.2 * cost + 1e-6 for r in player.memory.history if r.cycle)
    assert player.memory.champion.cycle == 1


def failing_first(kind):
    def answer(plan):
        fails = plan.request.run == "c000-candidate" and plan.attempt == 1
        return failure(plan, kind) if fails else carrying()(plan)

    return answer


def test_a_run_that_was_preempted_comes_again_with_its_riders():
    player = Player(resource(), failing_first(FailureKind.PREEMPTED))
    player.play(lambda memory: memory.cycle == 1)
    first, second = [p for p in player.launches if p.request.run == "c000-candidate"]
    assert first.request.riders == second.request.riders != ()


@pytest.mark.parametrize("kind", [FailureKind.CRASHED, FailureKind.GARBAGE, FailureKind.DEADLINE])
def test_a_process_that_broke_with_riders_is_tried_without_and_none_rides_any_more(kind):
    player = Player(resource(cycles=8), failing_first(kind))
    player.play()
    first, *later = [p for p in player.launches if p.request.role is Role.CANDIDATE]
    assert first.request.riders
    assert later[0].request.run == first.request.run
    assert not any(p.request.riders for p in later)
    assert player.memory.step is Step.FINISHED
    dropped = [r for r in player.memory.history[0].runs if r.role is Role.TRIAL]
    assert [r.outcome for r in dropped] == [kind.value]


def test_another_trainer_is_asked_anew():
    player = Player(resource(cycles=8), failing_first(FailureKind.CRASHED))
    player.play(lambda memory: memory.cycle == 2)
    assert player.memory.crashed_with_riders
    player.spec = resource(cycles=8, trainer={**TRAINER, "comparabilityKey": "mended"})
    player.play(lambda memory: memory.cycle == 4)
    assert player.memory.takes_riders


def test_a_candidate_that_fails_for_good_undoes_the_trial_that_rode_with_it():
    def answer(plan):
        broken = plan.request.run == "c000-candidate"
        return failure(plan, FailureKind.DATA_ERROR) if broken else carrying()(plan)

    player = Player(resource(), answer)
    player.play()
    assert player.memory.step is Step.STOPPED
    assert player.memory.trial is None
    assert not player.memory.running
