"""When a watch begins, how often it is looked at, and when it has told enough."""

from dataclasses import replace
from math import log2

import pytest

from cycle.looking import look_at_trial
from cycle.playing import Player, carrying, resource, worse
from dataefficient.contract import Policy, Role
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.model import Branch
from dataefficient.cycle.planning import later_cycle
from dataefficient.cycle.seeking import WATCH_STRIDE, looks_cost, trial_cost, watch_stride
from dataefficient.planner.contrasts import Contrast, Spell
from dataefficient.planner.knobs import Point

FULL, HALF = Point(Policy.UNIFORM, 1.0, 32), Point(Policy.NEGATIVES, 0.5, 32)
QUARTER = replace(HALF, rate=0.25)


LOW = {"samplingRate": {"min": "0.05", "max": "1"}, "modelSize": {"values": [32]}}


def by_the_logarithm(point):
    """Each halving of the rows loses a fifth of a tolerance of 0.02."""
    return 0.004 * log2(1.0 / point.rate)


@pytest.fixture(scope="module")
def begun():
    """What was known as a watch was begun, and the memory with it."""
    player = Player(resource(cycles=60, knobs=LOW), carrying(by_the_logarithm))
    while not any(note.startswith("Watch with") for note in player.memory.notes):
        assert player.memory.cycle < 59
        player.turn()
    memory = player.memory
    return Knowledge(player.spec, replace(memory, trial=None), player.now), memory


def test_a_watch_begins_with_the_present_champion_whose_harm_is_still_to_show(begun):
    _, after = begun
    assert after.trial.watch
    assert after.trial.began == after.champion.cycle == after.cycle - 1


@pytest.mark.parametrize(("account", "begins"), [(1.01, True), (0.99, False)])
def test_a_watch_begins_once_its_first_look_is_paid_and_the_later_ones_will_be(begun, account, begins):
    known, after = begun
    first = looks_cost(known, after.trial.point, 1.0, watch_stride(known, after.trial.point), 1)
    k = replace(known, memory=replace(known.memory, account=account * first))
    planned = later_cycle(k, k.memory.champion)
    assert (planned.memory.trial is not None) == begins


@pytest.mark.parametrize(("rides", "stride"), [(True, 1), (False, WATCH_STRIDE)])
def test_a_watch_is_looked_at_as_often_as_costs_least(begun, rides, stride):
    known, after = begun
    k, point = replace(known, memory=replace(after, takes_riders=rides)), after.trial.point
    costs = {step: trial_cost(k, point, step * k.cycle_rows, 1) / step for step in (1, WATCH_STRIDE)}
    assert watch_stride(k, point) == stride == min(costs, key=costs.get)


def test_a_watch_that_would_take_much_of_the_saving_is_not_begun():
    """Where a quarter of the rows is the least, a run of its own costs a third of what half of them saves."""
    player = Player(resource(cycles=60, sizes=(32,)), worse(by_the_logarithm))
    notes = [note for record in player.play().history for note in record.notes]
    assert not any(note.startswith("Watch with") for note in notes)


def looked_at(half):
    """What is noted of a look at a watch that agrees with earlier ones: the plan in force loses ``half``."""
    player = Player(resource(sizes=(32,)))
    player.play(lambda memory: memory.cycle == 4)
    looks = [
        Contrast((Spell(HALF, age),), (Spell(FULL, age),), int(age), age, half, 0.0004)
        for age in (1.0, 2.0, 3.0)
    ]
    champion = player.memory.champion
    trial = Branch(Role.TRIAL, QUARTER, 0, 3, champion.checkpoint, champion.position, looks=2, watch=True)
    memory = replace(player.memory, contrasts=tuple(looks), trial=trial, adopted=HALF)
    k = Knowledge(player.spec, memory, player.now)
    return look_at_trial(k, 2.0 * half)


def test_a_watch_ends_once_the_plan_in_force_surely_lies_well_inside():
    after, notes = looked_at(0.001)
    assert notes.codes == ["WatchEnded"]
    assert after.trial is None


def test_a_watch_goes_on_while_the_plan_in_force_may_use_most_of_the_tolerance():
    after, notes = looked_at(0.012)
    assert not notes.codes
    assert after.trial.watch


def test_a_plan_that_rests_on_cold_starts_alone_is_watched():
    player = Player(resource(sizes=(32,)))
    player.play(lambda memory: memory.cycle == 4)
    cold = Contrast((Spell(HALF, 1.0),), (Spell(FULL, 1.0),), 0, None, 0.0005, 0.0004)
    k = Knowledge(player.spec, replace(player.memory, contrasts=(cold,), adopted=HALF), player.now)
    assert k.wavers(1.0)
    branch = replace(cold, mine=(Spell(HALF, 4.0),), age=4.0)
    assert not replace(k, memory=replace(k.memory, contrasts=(cold, branch))).wavers(1.0)
