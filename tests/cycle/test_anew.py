"""What was measured while the stream changed is believed at once, and found out anew later."""

from dataclasses import replace

import pytest

from cycle.looking import look_at_trial
from cycle.playing import Player, resource
from dataefficient.contract import Policy, Role
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.model import Branch
from dataefficient.cycle.planning import later_cycle
from dataefficient.cycle.seeking import seek
from dataefficient.planner.contrasts import Contrast, Spell
from dataefficient.planner.knobs import Point

FULL, QUARTER = Point(Policy.UNIFORM, 1.0, 32), Point(Policy.NEGATIVES, 0.25, 32)
LOST = 0.3
"""What a quarter of the rows loses in a change, where 0.02 is allowed."""


def looks(gap, *, changed=False):
    return tuple(
        Contrast((Spell(QUARTER, age),), (Spell(FULL, age),), int(age), age, gap, 0.0004, changed=changed)
        for age in (1.0, 2.0, 3.0)
    )


def known(contrasts):
    player = Player(resource(sizes=(32,)))
    player.play(lambda memory: memory.cycle == 4)
    memory = replace(player.memory, contrasts=contrasts, trial=None, adopted=FULL, account=1e6)
    return Knowledge(player.spec, memory, player.now)


def looked_at(contrasts, *, earlier_looks, loses=LOST):
    """Memory after one more look at the trial of a quarter, and what is noted of it."""
    k = known(contrasts)
    champion = k.memory.champion
    trial = Branch(Role.TRIAL, QUARTER, 0, 4, champion.checkpoint, champion.position, looks=earlier_looks)
    k = replace(k, memory=replace(k.memory, trial=trial))
    return look_at_trial(k, loses)


def test_a_look_that_tells_of_a_change_is_marked_and_replaces_what_was_measured_before():
    after, notes = looked_at(looks(0.003), earlier_looks=3)
    assert "HarmGrew" in notes.codes
    assert [c.changed for c in after.contrasts] == [True]


def test_a_second_look_that_surprises_is_no_change_of_the_stream():
    after, notes = looked_at(looks(0.003)[:1], earlier_looks=1)
    assert "HarmGrew" in notes.codes
    assert [c.changed for c in after.contrasts] == [False]


def test_what_was_measured_in_a_change_keeps_its_plan_from_being_in_force():
    k = known(looks(LOST, changed=True))
    assert k.prospects[QUARTER].bound > 5.0 * k.tolerance
    assert later_cycle(k, k.memory.champion).plan.point == FULL


@pytest.mark.parametrize("changed", [True, False])
def test_what_was_measured_in_a_change_does_not_keep_plans_from_being_tried_anew(changed):
    k = known(looks(LOST, changed=changed))
    found = seek(k, FULL, k.memory.champion, None).found
    assert (found is not None) == changed


def test_the_first_look_at_a_later_trial_replaces_what_was_measured_in_a_change():
    after, _ = looked_at(looks(LOST, changed=True), earlier_looks=0, loses=0.003)
    assert [c.gap for c in after.contrasts] == [pytest.approx(0.003, abs=0.001)]
