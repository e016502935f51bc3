"""Sampling that comes to cost more than it did: one look or one rejection tells, whatever was seen before."""

from dataclasses import replace

import pytest

from cycle.looking import look_at_trial
from cycle.playing import Player, resource, success
from dataefficient.contract import Policy, Role
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.model import Branch
from dataefficient.planner.contrasts import Contrast, Spell
from dataefficient.planner.knobs import Point

FULL = Point(Policy.UNIFORM, 1.0, 32)
QUARTER = Point(Policy.NEGATIVES, 0.25, 32)


def changing(at, before, after):
    """An answer: a sample loses ``before`` times (1 / rate - 1), from cycle ``at`` on ``after`` times."""

    def answer(plan):
        scale = after if plan.request.cycle >= at else before
        return success(plan, harm=lambda point: scale * (1.0 / point.rate - 1.0))

    return answer


def played(after):
    player = Player(resource(cycles=20, sizes=(32,)), changing(12, 0.001, after))
    return {record.cycle: record for record in player.play().history}, player


def test_where_a_plan_that_held_is_rejected_all_rows_are_trained_at_once():
    history, player = played(after=0.05)
    assert history[12].plan.point.rate < 1.0
    assert {"Rejected", "HarmGrew"} <= set(history[12].codes)
    assert all(history[cycle].plan.point == FULL for cycle in range(13, 20))
    assert all(c.cycle >= 12 for c in player.memory.contrasts), "what was measured before counts no more"


def test_where_nothing_changes_nothing_is_forgotten():
    history, player = played(after=0.001)
    assert all("HarmGrew" not in record.codes for record in history.values())
    assert min(c.cycle for c in player.memory.contrasts) < 12


def judged(gap, earlier=(0.001, 0.003, 0.002)):
    """Memory after a look at a trial of a quarter that shows ``gap``, after these, and what is told."""
    player = Player(resource(sizes=(32,)))
    player.play(lambda memory: memory.cycle == 4)
    champion = player.memory.champion
    looks = tuple(
        Contrast((Spell(QUARTER, age),), (Spell(FULL, 1.0),), 3, age, found, 0.001)
        for age, found in enumerate(earlier, 2)
    )
    trial = Branch(Role.TRIAL, QUARTER, 0, 5, champion.checkpoint, champion.position, looks=len(earlier))
    memory = replace(player.memory, contrasts=looks, trial=trial)
    k = Knowledge(player.spec, memory, player.now)
    return look_at_trial(k, gap)


@pytest.mark.parametrize("gap", [0.1, 0.4])
def test_a_look_that_nobody_could_foresee_replaces_what_was_measured_before(gap):
    memory, notes = judged(gap)
    assert notes.codes[0] == "HarmGrew"
    assert [c.gap for c in memory.contrasts] == pytest.approx([gap], rel=0.1)


@pytest.mark.parametrize("gap", [-0.1, 0.002, 0.006])
def test_a_look_as_expected_or_a_better_one_is_one_more(gap):
    memory, notes = judged(gap)
    assert "HarmGrew" not in notes.codes
    assert len(memory.contrasts) == 4


def test_the_first_look_at_a_plan_tells_of_no_change_however_bad_it_is():
    memory, notes = judged(0.4, earlier=())
    assert "HarmGrew" not in notes.codes
    assert len(memory.contrasts) == 1
