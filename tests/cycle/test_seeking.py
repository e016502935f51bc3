"""Which trial holds the only place, and what the stream is believed to tell."""

from dataclasses import replace

import pytest

from cycle.looking import look_at_trial
from cycle.playing import Player, resource
from dataefficient.contract import Policy, Role
from dataefficient.cycle import seeking
from dataefficient.cycle.knowledge import COLD_SPREAD, Knowledge
from dataefficient.cycle.model import Branch
from dataefficient.cycle.planning import later_cycle
from dataefficient.cycle.seeking import goes_on
from dataefficient.planner.contrasts import Contrast, Spell
from dataefficient.planner.explore import Trial
from dataefficient.planner.knobs import Point

FULL, QUARTER = Point(Policy.UNIFORM, 1.0, 32), Point(Policy.NEGATIVES, 0.25, 32)
SMALL = Point(Policy.UNIFORM, 1.0, 8)


def look(gap, error, *, age=4.0, cold="", point=QUARTER):
    mine = (Spell(point, 4.0),)
    return Contrast(
        mine, (Spell(FULL, 1.0),), 3, None if cold else age, gap, error, cold, 4.0 if cold else 0.0
    )


def known(*contrasts):
    player = Player(resource(sizes=(8, 32)))
    player.play(lambda memory: memory.cycle == 4)
    return Knowledge(player.spec, replace(player.memory, contrasts=contrasts), player.now)


def test_looks_at_a_harsh_plan_do_not_say_that_the_stream_cannot_tell_the_tolerance():
    assert known(*[look(0.6, 0.08)] * 2).resolvable
    assert not known(*[look(0.02, 0.08)] * 2).resolvable


def test_before_any_was_made_a_comparison_of_another_size_is_expected_to_be_less_sure():
    branches = known(look(0.001, 0.002))
    assert branches.se_cold == pytest.approx(COLD_SPREAD * branches.se_cycle)
    both = known(look(0.001, 0.002), look(0.001, 0.003, cold="c002-trial", point=SMALL))
    assert both.se_cold < branches.se_cold


def test_the_share_of_positives_is_remembered_from_what_the_candidate_was_scored_on():
    memory = known().memory
    assert memory.positives == pytest.approx(0.2, rel=0.05)


def hovering(gap):
    """A trial of a cheaper size of which three looks leave open whether it holds."""
    k = known(*[look(gap, 0.008, cold="c001-trial", point=SMALL)] * 3)
    champion = k.memory.champion
    trial = Branch(
        Role.TRIAL, SMALL, 1, 3, champion.checkpoint, champion.position, 3, cold="c001-trial", cold_age=4.0
    )
    return replace(k, memory=replace(k.memory, trial=trial, account=1e6))


def test_a_trial_that_hardly_holds_makes_room_for_one_that_is_worth_more():
    k = hovering(0.03)
    planned = later_cycle(k, k.memory.champion)
    assert {"TrialEnded", "TrialStarted"} <= set(planned.codes)
    assert planned.memory.trial.point != SMALL
    assert not planned.memory.refusals, "it was not refused, and may be tried again"


def test_a_trial_that_likely_holds_is_not_given_up_for_another():
    k = hovering(0.002)
    planned = later_cycle(k, k.memory.champion)
    assert planned.memory.trial.point == SMALL
    assert "TrialEnded" not in planned.codes


def judged(half):
    """Memory after a look at a trial of a quarter, which fails; half of the rows lost so much before."""
    earlier = [look(half, 0.0008, point=replace(QUARTER, rate=0.5), age=age) for age in (3.0, 4.0, 5.0)]
    k = known(*earlier, *[look(0.06, 0.001, age=age) for age in (3.0, 4.0)])
    champion = k.memory.champion
    trial = Branch(Role.TRIAL, QUARTER, 0, 5, champion.checkpoint, champion.position, looks=2)
    k = replace(k, memory=replace(k.memory, trial=trial))
    return look_at_trial(k, 0.06)


def test_a_trial_that_tells_soon_goes_before_one_that_is_worth_more_and_takes_long(monkeypatch):
    def found(candidates, *_, speaks, **__):
        value, cycles = (30.0, 2) if speaks(None) else (100.0, 10)
        return Trial(candidates[0], candidates[0], value, 1.0, 0.5, 1 + cycles, cycles)

    monkeypatch.setattr(seeking, "best_trial", found)
    k = known()
    assert seeking.seek(k, FULL, k.memory.champion, None).found.point.size == FULL.size


def test_a_trial_that_is_refused_goes_on_as_a_watch_where_the_plan_that_comes_next_rests_on_it():
    memory, notes = judged(half=0.014)
    assert notes.codes == ["TrialRefused", "WatchStarted"]
    assert memory.trial.watch
    assert [r.point for r in memory.refusals] == [QUARTER]


def test_a_trial_that_is_refused_ends_where_the_plan_that_comes_next_is_sure_or_there_is_none():
    assert judged(half=0.0005)[0].trial is None
    assert judged(half=0.3)[0].trial is None


def test_a_trial_ends_once_more_looks_at_it_are_worth_less_than_they_cost():
    ended = []
    for horizon in (1, 1000):
        player = Player(resource(cycles=20, sizes=(32,), horizonCycles=horizon))
        player.play(lambda memory: memory.cycle == 4)
        contrasts = tuple(look(0.03, 0.006, age=age) for age in (3.0, 4.0, 5.0))
        memory = replace(player.memory, contrasts=contrasts, account=1e6)
        k = Knowledge(player.spec, memory, player.now)
        champion = memory.champion
        trial = Branch(Role.TRIAL, QUARTER, 0, 5, champion.checkpoint, champion.position, 3)
        ended.append(not goes_on(k, trial, FULL))
    assert ended == [True, False]


def test_what_was_advanced_to_cycle_0_is_not_earned_again():
    k = known()
    assert k.earned(1) == 0.0
    assert k.earned(3) == pytest.approx(2 * k.accrual)
    late = replace(k, memory=replace(k.memory, cycle=9))
    assert late.earned(3) == pytest.approx(3 * late.accrual)
