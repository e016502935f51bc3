"""Another trainer: champion and money go on, what was measured becomes a prior."""

from dataclasses import replace

import pytest

from cycle.playing import Player, agreeing, failure, resource, success
from dataefficient.contract import Policy, Role
from dataefficient.cycle.comparing import TOLD, key_of
from dataefficient.cycle.figures import Ask
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.model import FailureKind, Step
from dataefficient.planner.contrasts import Contrast, Spell
from dataefficient.planner.knobs import Point

FULL = Point(Policy.UNIFORM, 1.0, 32)
MORE = {"exploration": {"share": "1"}, "kpi": {"tolerance": "0.05"}, "cycles": 16}


def trainer(*, image="trainer:1", config=None, key=None, **container):
    body = {"name": "trainer", "image": image, "command": ["train"], **container}
    return {
        "config": config or {},
        "template": {"spec": {"containers": [body]}},
        **({"comparabilityKey": key} if key else {}),
    }


def spec(given=None, **changes):
    return resource(**{**MORE, "trainer": given or trainer(), **changes})


def know(player):
    return Knowledge(player.spec, player.memory, player.now)


def at(cycle):
    return lambda memory: memory.cycle == cycle


def lived(cycle=6, **changes):
    player = Player(spec(**changes))
    player.play(at(cycle))
    return player


def changed(player, given=None, **changes):
    player.spec = spec(given or trainer(image="trainer:2"), **changes)
    return player


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (trainer(), True),
        (trainer(image="trainer:2"), False),
        (trainer(config={"rate": 1}), False),
        (trainer(command=["train", "--quietly"], env=[{"name": "A", "value": "b"}]), True),
        (trainer(key="mine"), False),
    ],
)
def test_the_key_follows_config_and_image_unless_it_is_given(given, same):
    assert (key_of(spec(given)) == key_of(spec())) is same


def test_a_key_that_is_given_outlives_every_change():
    pinned = trainer(key="mine"), trainer(key="mine", image="trainer:2", config={"rate": 1})
    assert key_of(spec(pinned[0])) == key_of(spec(pinned[1])) == "mine"


def test_champion_and_ledger_go_on_and_what_was_measured_counts_with_wider_intervals():
    player = lived()
    champion, spent, before = player.memory.champion, player.memory.ledger.settled, know(player)
    point = champion.point
    assert point != FULL
    changed(player).play(lambda m: m.renewed is not None)
    assert player.memory.champion.cycle >= champion.cycle
    assert player.memory.ledger.settled >= spent
    assert all(c.earlier for c in player.memory.contrasts)
    after = know(player)
    assert after.prospects[point].belief.sd > 1.5 * before.prospects[point].belief.sd
    assert after.prospects[point].belief.mean == pytest.approx(
        before.prospects[point].belief.mean, abs=2.0 * before.prospects[point].belief.sd
    )


def test_the_doubt_does_not_shrink_with_the_number_of_old_contrasts():
    player = lived()
    many = replace(player.memory, contrasts=player.memory.contrasts * 8)
    widths = []
    for memory in (player.memory, many):
        one = Player(spec(trainer(image="trainer:2")), memory=memory)
        one.play(lambda m: m.renewed is not None)
        point = memory.champion.point
        widths.append(know(one).ultimate[point].sd)
    assert widths[1] > 0.7 * widths[0]


def test_the_history_tells_that_the_trainer_has_changed():
    player = changed(lived())
    player.play()
    (told,) = [r for r in player.memory.history if TOLD in r.notes]
    assert told.cycle == player.memory.renewed == 7
    assert "TrainerChanged" in told.codes
    assert player.events.count(TOLD) == 1


def test_the_history_is_measured_again_and_its_curve_is_the_new_trainers():
    player = lived()
    assert player.memory.convergence.cycle == 0
    old = len(player.memory.cold_starts)
    changed(player).play()
    assert player.memory.convergence.cycle == 7
    assert not player.memory.convergence.earlier
    assert 0 < len(player.memory.cold_starts) <= old
    assert player.memory.surface.key == key_of(player.spec)
    assert next(p.request.run for p in player.launches if p.request.cycle == 7) == "c007-rung-32"


def test_where_nothing_pays_for_that_the_old_curve_stays_with_a_wider_interval():
    player = lived()
    found = player.memory.convergence
    player.memory = replace(player.memory, account=0.0)
    changed(player, exploration={"share": "0"}).play()
    kept = player.memory.convergence
    assert kept.earlier
    assert kept.measured == found.measured
    if found.examples is not None:
        assert kept.low < found.low
        assert kept.high > found.high
    assert "earlier trainer" in kept.reason


def test_in_mode_recommend_the_history_is_measured_again_only_once_that_is_approved():
    player = Player(spec(mode="Recommend"), word=agreeing(Ask.MEASUREMENT, Ask.PLAN))
    player.play(at(6))
    player.word = lambda memory: ""
    changed(player, mode="Recommend").play()
    assert player.memory.convergence.earlier
    rungs = [p.request.cycle for p in player.launches if "-rung-" in p.request.run]
    assert max(rungs) == 1
    asked = [d.memory.proposal.ask for d in player.decisions if d.memory.proposal and d.memory.cycle > 7]
    assert Ask.MEASUREMENT in asked


def test_no_step_down_is_certified_by_what_another_trainer_measured():
    player = lived(2, exploration={"share": "0"})
    assert player.memory.plan.point == FULL
    cheaper = know(player).cheaper(know(player).points, player.memory.plan.point)
    looks = [Contrast((Spell(p, 3.0),), (Spell(FULL, 3.0),), 1, 3.0, 1e-4, 1e-4) for p in cheaper * 2]
    player.memory = replace(player.memory, contrasts=(*player.memory.contrasts, *looks))
    assert all(know(player).stakes[p].bound < 0.01 for p in cheaper)
    player.memory = replace(player.memory, account=0.0)
    changed(player, exploration={"share": "0"}).play(lambda m: m.renewed is not None)
    assert all(know(player).stakes[p].bound is None for p in cheaper)
    assert player.memory.plan.point == FULL


def test_a_running_trial_of_the_old_trainer_is_dropped_and_its_run_ends_as_it_began():
    given = {"cycles": 24, "exploration": {"share": "0.3"}, "kpi": {"tolerance": "0.01"}}
    player = Player(spec(**given))
    player.play(lambda m: m.trial is not None and any(p.request.role is Role.TRIAL for p in m.running))
    plans = player.memory.running
    assert plans
    changed(player, **given)
    player.ask(*(failure(p, FailureKind.PREEMPTED) for p in plans))
    # Attempts that are made again are still those of the old spec.
    assert [p.request for p in player.memory.running] == [
        replace(p.request, deadline_seconds=q.request.deadline_seconds)
        for p, q in zip(plans, player.memory.running, strict=True)
    ]
    assert player.memory.renewed is None
    player.play(lambda m: m.renewed is not None and m.step is Step.TRAINING)
    candidate = next(p for p in player.memory.running if p.request.role is Role.CANDIDATE)
    assert "trial" not in candidate.request.frozen
    assert player.memory.trial is None or player.memory.trial.checkpoint is None


def test_a_trainer_that_is_mended_before_the_first_champion_makes_the_first_runs_again():
    broken = {"on": True}

    def answer(plan):
        if broken["on"] and plan.request.run.endswith("-candidate"):
            return failure(plan, FailureKind.USER_ERROR)
        return success(plan)

    player = Player(spec(cycles=2), answer)
    player.play()
    assert player.memory.step is Step.STOPPED
    broken["on"] = False
    changed(player, trainer(config={"rate": 1}), cycles=2)
    player.memory = replace(player.memory, step=player.memory.stopped.step, stopped=None)
    player.launches.clear()
    player.play()
    assert player.memory.step is Step.FINISHED
    assert player.launches[0].request.run == "c000-pilot"
    assert player.launches[0].attempt == 2


def test_a_memory_of_an_earlier_version_takes_the_key_without_doubting_anything():
    steady, older = lived(), lived()
    older.memory = replace(older.memory, key=None)
    steady.play(), older.play()
    assert older.memory == steady.memory
