"""A trial that is born with the lineage, within the run on the history."""

from dataclasses import replace

import pytest

from cycle.playing import HISTORY, START, WEEK, Player, agreeing, carrying, resource, success
from dataefficient.contract import Policy, Role
from dataefficient.cycle.births import OLDEST, OLDEST_CYCLES
from dataefficient.cycle.branches import next_task
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.model import Step
from dataefficient.planner.explore import PLANNED_AGE
from dataefficient.planner.knobs import Point
from dataefficient.planner.law import Law

SPEC = {"sizes": (32,)}


def after_cycle(player, cycle):
    player.play(lambda memory: memory.cycle == cycle + 1)
    return player.memory


def of_candidate(player):
    (plan,) = [p for p in player.launches if p.request.run == "c000-candidate"]
    return plan.request


def trial_in(player):
    return next(r for r in of_candidate(player).riders if r.role is Role.TRIAL)


def test_a_trial_forks_from_the_first_candidate_in_mid_history():
    player = Player(resource(**SPEC), carrying())
    memory = after_cycle(player, 0)
    rider, leader = trial_in(player), of_candidate(player)
    assert rider.fork
    assert rider.start is None
    assert leader.train.start < rider.train.start < rider.train.end == leader.train.end
    assert rider.train.rate < 1.0
    share = (rider.train.end - rider.train.start) / (leader.train.end - leader.train.start)
    assert share <= OLDEST
    assert memory.trial.age == (rider.train.end - rider.train.start) / WEEK <= OLDEST_CYCLES
    assert memory.trial.position == START


def test_its_first_look_is_taken_as_it_learns_and_counts_its_age_at_the_middle_of_the_rows():
    player = Player(resource(**SPEC), carrying(lambda point: 0.004 * (point.rate < 1.0)))
    memory = after_cycle(player, 0)
    rider = trial_in(player)
    (look,) = [c for c in memory.contrasts if c.age is not None]
    scored = rider.evaluation
    middle = scored.start + (scored.end - scored.start) / 2
    assert look.age == pytest.approx((middle - rider.train.start) / WEEK)
    assert look.cycle == 0
    assert abs(look.gap - 0.004) < 4 * look.standard_error
    assert memory.trial.looks == 1


def test_it_is_accepted_after_its_second_look_and_the_plan_changes_in_the_cycle_after():
    player = Player(resource(cycles=4, **SPEC), carrying())
    memory = after_cycle(player, 2)
    plans = [r.plan.point for r in memory.history]
    assert plans[0].rate == plans[1].rate == 1.0
    assert plans[2].rate < 1.0
    assert "TrialAccepted" in player.codes(1)


def test_a_trial_that_shows_much_harm_certifies_nothing():
    player = Player(resource(cycles=6, **SPEC), carrying(lambda point: 0.1 * (point.rate < 1.0)))
    player.play()
    assert all(r.plan.point.rate == 1.0 for r in player.memory.history)
    assert {"TrialRefused", "TrialUndecided"} & set(player.codes(1))
    assert player.memory.refusals


def test_what_it_costs_is_taken_from_the_account_that_experiments_are_paid_from():
    quiet = after_cycle(Player(resource(**SPEC), success), 0)
    player = Player(resource(**SPEC), carrying())
    memory = after_cycle(player, 0)
    trial = next(r for r in memory.history[0].runs if r.role is Role.TRIAL)
    assert trial.device_seconds > 0.0
    assert memory.account < quiet.account + sum(
        r.device_seconds for r in quiet.history[0].runs if r.role is Role.PROBE
    )


def test_a_harsh_trial_speaks_for_a_milder_plan_whose_own_run_the_account_could_not_pay():
    player = Player(resource(exploration={"share": "0.03"}, **SPEC), carrying())
    memory = after_cycle(player, 0)
    k, trial = Knowledge(player.spec, memory, player.now), memory.trial
    # What exploration began with: its share of the history and of five cycles.
    account = (HISTORY + 5) * k.accrual
    own, milder = (k.added_cost(p, trial.age * k.cycle_rows) for p in (trial.point, trial.target))
    assert own < account < milder


def test_nothing_is_tried_at_birth_where_only_people_may_begin_a_trial():
    player = Player(resource(mode="Recommend", **SPEC), carrying(), word=agreeing())
    after_cycle(player, 0)
    assert not any(r.role is Role.TRIAL for r in of_candidate(player).riders)


def test_a_history_of_one_cycle_has_no_room_for_a_fork():
    spec = resource(
        cycles=3,
        schedule={
            "historyFrom": "2001-02-19T00:00:00Z",
            "startTime": "2001-02-26T00:00:00Z",
            "everySeconds": int(WEEK.total_seconds()),
            "endTime": "2001-03-19T00:00:00Z",
        },
        **SPEC,
    )
    player = Player(spec, carrying())
    player.play()
    assert player.memory.step is Step.FINISHED
    assert not any(r.role is Role.TRIAL for r in of_candidate(player).riders)


def test_the_size_that_was_not_measured_apart_is_measured_in_the_first_candidates_process():
    dear = resource(sizes=(8, 32), exploration={"share": "0.05"})
    player = Player(dear, carrying())
    memory = after_cycle(player, 0)
    launched = [p.request.run for p in player.launches]
    assert "c000-pilot-small" not in launched
    ran = {r.run: r.point for r in memory.history[0].runs}
    assert ran["c000-pilot-small"] == Point(Policy.UNIFORM, 1.0, 8)
    assert {m.size for m in memory.measured} == {8, 32}


def test_where_a_fork_is_worth_its_cost_no_other_size_is_born_beside_the_lineage():
    """A fork tells of all plans of its size; another size saves more here, and tells of itself alone."""
    player = Player(resource(sizes=(8, 32)), carrying())
    after_cycle(player, 0)
    rider = trial_in(player)
    assert rider.fork
    assert rider.size == 32


def test_a_trial_that_the_plan_in_force_has_overtaken_goes_on_for_what_saves_more():
    player = Player(resource(cycles=6, **SPEC), carrying())
    memory = after_cycle(player, 2)
    in_force, trial = memory.history[-1].plan.point, memory.trial
    assert trial.point.rate < in_force.rate < 1.0
    # As if it had been for the plan in force, which was certified between two of its looks.
    player.memory = replace(memory, trial=replace(trial, target=in_force))
    memory = after_cycle(player, 3)
    assert "TrialEnded" not in memory.history[-1].codes
    assert memory.trial.point == trial.point
    assert memory.trial.age > trial.age


def test_the_next_task_is_cheaper_and_spoken_for_and_nothing_that_is_told_already_has_one():
    player = Player(resource(cycles=6, **SPEC), carrying())
    memory = after_cycle(player, 2)
    k, trial = Knowledge(player.spec, memory, player.now), memory.trial
    milder = [p for p in k.points if Law.of(k.knobs).share(p, trial.point) and p != trial.point]
    for told in milder:
        task = next_task(k, trial, told)
        assert task.watch or k.cycle_cost(task.target) < k.cycle_cost(told)
        assert task.watch or Law.of(k.knobs).share(task.target, trial.point)
    unlike = next(p for p in k.points if p.policy is not trial.point.policy and p.rate < 1.0)
    for other, told in (
        (trial, trial.point),
        (trial, unlike),
        (replace(trial, watch=True), milder[0]),
        (replace(trial, cold="c001-trial"), milder[0]),
        (replace(trial, age=PLANNED_AGE), milder[0]),
    ):
        assert next_task(k, other, told) is None
