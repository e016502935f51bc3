"""Another size as a branch of the lineage, where the trainer starts a model from one of another size."""

from dataclasses import replace

from cycle.playing import Player, converting, resource, worse
from dataefficient.contract import Policy, Role
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.planning import later_cycle
from dataefficient.planner.belief import Life
from dataefficient.planner.contrasts import Contrast, Spell
from dataefficient.planner.knobs import Point

LARGE, SMALL = Point(Policy.UNIFORM, 1.0, 32), Point(Policy.UNIFORM, 1.0, 8)
ALL_ROWS = {"samplingRate": {"min": "1", "max": "1"}, "modelSize": {"values": [8, 32]}}


def of_size(player, role, size):
    return [
        request
        for plan in player.launches
        for request in (plan.request, *plan.request.riders)
        if request.role is role and request.size == size
    ]


def shrunk(cycles=40, by=lambda point: 0.0, **spec):
    """Played until a smaller size serves."""
    player = Player(resource(cycles=cycles, knobs=ALL_ROWS, **spec), converting(by))
    player.play(lambda m: m.champion is not None and m.champion.point.size == 8)
    return player


def test_a_smaller_size_goes_on_from_the_lineage_and_takes_over_with_what_became_of_it():
    player = shrunk()
    assert player.memory.champion.point.size == 8
    trials = of_size(player, Role.TRIAL, 8)
    assert all(run.fork or run.start is not None for run in trials), "nothing started cold"
    first = of_size(player, Role.CANDIDATE, 8)[0]
    assert first.start.uri == trials[-1].output
    assert first.train.start == trials[-1].train.end
    assert player.memory.champion.cold, "its distance knows of what its conversion lost"
    assert player.memory.looks >= 1, "alpha is spent on it"


def test_a_trial_of_another_size_begins_with_the_champion_and_reads_no_row_that_the_candidate_does_not():
    player = Player(resource(cycles=12, knobs=ALL_ROWS), converting())
    player.play(lambda m: m.cycle == 1)
    memory = replace(player.memory, cycle=4, trial=None, contrasts=(), refusals=(), account=1e6)
    planned = later_cycle(Knowledge(player.spec, memory, player.now), memory.champion)
    candidate, trial = planned.wanted
    assert (trial.role, trial.point) == (Role.TRIAL, SMALL)
    assert planned.memory.trial.converted
    assert trial.start == candidate.start == memory.champion.checkpoint
    assert trial.train == candidate.train


def test_no_other_size_is_born_with_the_lineage():
    player = Player(resource(cycles=4, knobs=ALL_ROWS), converting())
    player.play(lambda m: m.cycle == 1)
    assert all(run.cycle > 0 for run in of_size(player, Role.TRIAL, 8))


def test_looks_at_another_size_do_not_say_that_the_stream_cannot_tell_the_tolerance():
    player = Player(resource(cycles=12, knobs=ALL_ROWS), converting())
    player.play(lambda m: m.cycle == 2)
    looks = [
        Contrast((Spell(SMALL, age),), (Spell(LARGE, 1.0),), 1, age, 0.0, 0.05, "c001-trial", age)
        for age in (1.0, 2.0)
    ]
    for contrasts in ((), looks):
        memory = replace(player.memory, contrasts=tuple(contrasts))
        assert Knowledge(player.spec, memory, player.now).resolvable


def test_a_smaller_size_that_costs_quality_is_refused():
    player = Player(resource(cycles=40, knobs=ALL_ROWS), converting(lambda point: 0.1 * (point.size == 8)))
    player.play()
    assert of_size(player, Role.TRIAL, 8)
    assert player.memory.refusals
    assert all(r.plan.point.size == 32 for r in player.memory.history)


def test_the_larger_size_is_open_to_a_lineage_of_a_smaller_one_and_the_smaller_only_by_a_trial():
    player = shrunk()
    k = Knowledge(player.spec, player.memory, player.now)
    assert k.open_to(LARGE, SMALL)
    assert not k.open_to(SMALL, LARGE)
    assert not replace(k, memory=replace(k.memory, converts_sizes=False)).open_to(LARGE, SMALL)


def test_a_lineage_that_is_rejected_twice_grows_at_once():
    player = shrunk()
    k = Knowledge(player.spec, replace(player.memory, rejections=2), player.now)
    planned = later_cycle(k, k.memory.champion)
    assert planned.plan.point == LARGE
    assert planned.plan.code == "RejectedTwice"
    candidate = planned.wanted[0]
    assert candidate.start == k.memory.champion.checkpoint, "from what it is, not from nothing"


def test_a_control_of_a_smaller_lineage_is_grown_from_a_champion():
    player = shrunk()
    player.play(lambda m: m.champion.point.size == 8 and m.cycle >= m.champion.cycle + 1 and m.cycle > 30)
    memory = replace(player.memory, last_control=-1000, trial=None)
    planned = later_cycle(Knowledge(player.spec, memory, player.now), memory.champion)
    control = next(w for w in planned.wanted if w.role is Role.CONTROL)
    champions = [memory.champion, *memory.previous_champions]
    assert control.point == LARGE
    assert control.start in [champion.checkpoint for champion in champions]
    assert not planned.memory.control.cold, "it differs from the lineage by its rows and its size alone"


def test_a_trial_whose_next_look_cannot_be_paid_counts_as_refused():
    player = Player(resource(cycles=30, knobs=ALL_ROWS), converting())
    player.play(lambda m: m.trial is not None and m.trial.converted and m.trial.looks > 0)
    late = player.memory.trial.began + player.memory.trial.age + 8
    memory = replace(player.memory, account=0.0, cycle=late, refusals=())
    k = Knowledge(player.spec, memory, player.now)
    planned = later_cycle(k, k.memory.champion)
    assert planned.memory.trial is None
    assert [r.point for r in planned.memory.refusals] == [k.memory.trial.point]


def test_a_trainer_that_does_not_convert_still_starts_another_size_cold():
    player = Player(resource(cycles=30, knobs=ALL_ROWS), worse(lambda point: 0.0))
    player.play(lambda m: m.champion is not None and m.champion.point.size == 8)
    assert of_size(player, Role.TRIAL, 8)[0].start is None
    assert all(not (plan.request.fork and plan.request.size == 8) for plan in player.launches)


def test_a_converted_trial_goes_back_to_what_the_lineage_was_when_it_left():
    player = Player(resource(cycles=12, knobs=ALL_ROWS), converting())
    player.play(lambda m: m.trial is not None and m.trial.converted and m.trial.age >= 2)
    k = Knowledge(player.spec, player.memory, player.now)
    age = float(k.memory.trial.age)
    life = k.life_of(k.memory.trial)
    assert [spell.point for spell in life.past] == [LARGE, SMALL]
    assert (life.past[-1].cycles, life.cold, life.cold_age) == (age, "c001-trial", age)
    cold = replace(k.memory.trial, converted=False, cold_age=5.0)
    assert k.life_of(cold) == Life((Spell(SMALL, 1.0),), "c001-trial", 5.0 + age)
