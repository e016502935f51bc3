"""What a person asks for at once: to wait for no clock, and to go back to an earlier champion."""

from datetime import timedelta

import pytest

from cycle.playing import START, WEEK, FailureKind, Player, failing, replace, resource, schedule, success
from dataefficient.contract import Role
from dataefficient.cycle.machine import advance
from dataefficient.cycle.model import Observation, Step
from dataefficient.cycle.wishing import objection

ONE_SIZE = {"samplingRate": {"min": "0.2", "max": "1"}, "modelSize": {"values": [32]}}
ALL_ROWS = {**ONE_SIZE, "samplingRate": {"min": "1", "max": "1"}}
DAY = 86_400
SPENT = resource(budget={"total": {"deviceHours": "0.000001"}}).budget


def asked(player, **wish):
    """The decision in which a wish is heard, and in which nothing else has happened."""
    decision = advance(player.spec, player.memory, Observation(player.now, **wish))
    player.memory = decision.memory
    player.launches.extend(decision.start)
    return decision


def told(decision, code):
    (sentence,) = [s for c, s in zip(decision.codes, decision.events, strict=True) if c == code]
    return sentence


def delayed(**spec):
    """A resource whose labels take two days, in the middle of the wait for those of cycle 2."""
    player = Player(resource(schedule=schedule(6, labelDelaySeconds=2 * DAY), **spec))
    player.now = START + WEEK + timedelta(days=3)
    player.play(lambda m: m.cycle == 2)
    player.now = START + 2 * WEEK + timedelta(days=1)
    assert player.ask().wait_until == START + 2 * WEEK + timedelta(days=2)
    return player


def test_a_cycle_that_waits_for_late_labels_begins_at_once_when_asked_and_the_next_one_waits_again():
    player = delayed()
    decision = asked(player, run_now=True)
    assert next(p.request.run for p in decision.start) == "c002-candidate"
    assert "cycle 2 begins at once, before schedule.labelDelaySeconds is over" in told(decision, "RunNow")
    player.play(lambda m: m.cycle == 3)
    player.now = START + 3 * WEEK + timedelta(days=1)
    assert player.ask().wait_until == START + 3 * WEEK + timedelta(days=2)


def test_an_interval_that_has_not_ended_is_waited_for_whoever_asks():
    player = delayed()
    player.now = START + 2 * WEEK - timedelta(days=1)
    decision = asked(player, run_now=True)
    assert not decision.start
    assert player.memory.hurried is None
    assert "the interval of cycle 2 ends at 2001-03-12T00:00:00Z" in told(decision, "NotRunNow")


def test_a_retry_that_waits_is_made_at_once():
    player = Player(resource(), failing(("c001-candidate", FailureKind.CRASHED, 1)))
    player.play(lambda m: any(r.attempt == 2 for r in m.running))
    decision = asked(player, run_now=True)
    assert "tried again at once: c001-candidate" in told(decision, "RunNow")
    assert all(r.not_before is None for r in player.memory.running)
    assert "cycle 1 is under way (c001-candidate" in told(asked(player, run_now=True), "NotRunNow")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: replace(p, spec=p.spec.model_copy(update={"suspend": True})), "spec.suspend is true"),
        (lambda p: replace(p, memory=replace(p.memory, cycle=7)), "every interval up to schedule.endTime"),
        (
            lambda p: replace(p, spec=p.spec.model_copy(update={"budget": SPENT})),
            "budget.total.deviceHours leaves nothing for a run",
        ),
    ],
)
def test_what_no_clock_holds_back_is_told(change, words):
    assert words in told(asked(change(delayed()), run_now=True), "NotRunNow")


def test_a_cycle_that_waits_for_approval_is_not_begun_by_a_wish():
    player = Player(
        resource(mode="Recommend", exploration={"share": "0"}, approval={"aboveMoney": "0.000001"}),
        word=lambda memory: "",
    )
    player.play()
    decision = asked(player, run_now=True)
    assert f"waits for approval of {player.memory.proposal.digest}" in told(decision, "NotRunNow")
    assert not decision.start


def lineage(cycles=12, **spec):
    """A lineage that has published under fewer and fewer rows, between two cycles."""
    player = Player(resource(cycles=cycles, knobs=ONE_SIZE, exploration={"share": "1"}, **spec))
    player.now = START + 7 * WEEK
    player.play(lambda m: m.cycle == 8)
    assert player.memory.champion.point.rate < 1.0
    player.now = START + 7.5 * WEEK
    player.ask()
    return player


def test_after_a_roll_back_the_older_champion_serves_and_the_next_candidate_goes_on_from_it():
    player = lineage()
    older = next(c for c in player.memory.previous_champions if c.cycle == 5)
    decision = asked(player, rollback=5)
    assert "the champion of cycle 5" in told(decision, "RolledBack")
    assert player.memory.champion == older
    assert all(c.cycle < 5 for c in player.memory.previous_champions)
    player.now = START + 8 * WEEK
    player.ask()
    candidate = next(p for p in player.launches if p.request.run == "c008-candidate")
    assert candidate.request.start == older.checkpoint
    assert candidate.request.train.start == older.position


def stepped_down(cycles):
    """A lineage that ran all rows, was allowed fewer, and has just published under them."""
    given = {"exploration": {"share": "1"}, "control": {"everyCycles": 4, "lookbackCycles": 3}}
    given["checkpoints"] = {"keep": 31}
    player = Player(resource(cycles=cycles, knobs=ALL_ROWS, **given))
    player.now = START + 3 * WEEK
    player.play(lambda m: m.cycle == 4)
    player.spec = resource(cycles=cycles, knobs=ONE_SIZE, **given)
    player.now = START + cycles * WEEK
    player.play(lambda m: m.champion.point.rate < 1.0)
    return player


def test_after_a_roll_back_nothing_cheaper_runs_or_is_tried_until_it_may_again():
    player = stepped_down(40)
    begun = player.memory.cycle
    asked(player, rollback=3)
    until = player.memory.held_until
    assert until == begun + 4
    player.play()
    held = [r for r in player.memory.history if begun <= r.cycle < until]
    assert {r.plan.point.rate for r in held} == {1.0}
    assert {"Held" in r.codes for r in held} == {True}
    trials = [p for p in player.launches if p.request.role is Role.TRIAL]
    assert not [p for p in trials if begun <= p.request.cycle < until]
    assert any(r.plan.point.rate < 1.0 for r in player.memory.history if r.cycle >= until)


def test_what_runs_during_a_roll_back_is_paid_and_not_published_and_the_cycle_is_planned_anew():
    player = lineage()
    player.now = START + 8 * WEEK
    player.ask()
    (running, *_) = player.memory.running
    before = player.memory.ledger.settled
    decision = asked(player, rollback=6)
    assert "What runs now ends first and is not published" in told(decision, "RolledBack")
    assert player.memory.champion.cycle == 6
    player.ask(*(success(p) for p in player.memory.running))
    assert player.memory.ledger.settled > before
    assert player.memory.champion.cycle == 6
    assert player.memory.cycle == 8
    again = next(p for p in player.memory.running if p.request.run == running.request.run)
    assert again.attempt == running.attempt + 1
    assert again.request.start == player.memory.champion.checkpoint
    player.play(lambda m: m.cycle == 9)
    assert player.memory.champion.cycle == 8


@pytest.mark.parametrize(
    ("cycle", "words"),
    [(7, "is the one that serves"), (99, "no champion of cycle 99 is kept; kept are those of 3, 4, 5, 6")],
)
def test_a_roll_back_to_what_is_not_there_changes_nothing_and_names_what_is(cycle, words):
    player = lineage()
    before = player.memory
    decision = asked(player, rollback=cycle)
    assert words in told(decision, "NotRolledBack")
    assert player.memory == before


def test_before_anything_was_published_nothing_is_rolled_back():
    player = Player(resource())
    player.turn()
    assert objection(player.memory, 0) == "nothing was published yet"
    assert "nothing was published yet" in told(asked(player, rollback=0), "NotRolledBack")


def test_in_mode_recommend_a_roll_back_takes_the_approval_back_with_the_plan():
    player = lineage()
    dearest = max(player.memory.previous_champions, key=lambda c: (c.point.rate, c.cycle))
    player.memory = replace(player.memory, approved=player.memory.champion.point)
    asked(player, rollback=dearest.cycle)
    assert player.memory.approved == dearest.point


def test_every_sentence_that_is_told_has_its_reason():
    player = Player(resource(cycles=14), failing(("c003-candidate", FailureKind.CRASHED, 1)))
    player.play()
    assert player.memory.step is Step.FINISHED
    for decision in player.decisions:
        assert len(decision.codes) == len(decision.events)
    found = {c: s for d in player.decisions for c, s in zip(d.codes, d.events, strict=True)}
    assert {"Published", "RunFailed", "TrialAccepted", "CheapestInsideTolerance"} <= set(found)
    assert all(code.isalnum() and code[0].isupper() for code in found)
