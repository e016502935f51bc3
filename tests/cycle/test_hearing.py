from dataclasses import replace

import pytest

from cycle.playing import LONG_AFTER, Player, resource
from dataefficient import contract
from dataefficient.cycle.answers import Answer, Cause, Verdict
from dataefficient.cycle.machine import advance
from dataefficient.cycle.model import CostEvidence, Decision, Memory, Observation

KPI = {"tolerance": "0.02", "query": "ctr", "target": "0.1", "direction": "Maximize", "overCycles": 2}
LATENCY = {"name": "latency", "query": "p99", "max": "0.2"}


def answer(value=None):
    if value is None:
        return Answer("a", "query", LONG_AFTER, Verdict.STALE, cause=Cause.TOO_OLD, message="old " * 100)
    return Answer("a", "query", LONG_AFTER, Verdict.OK, value, warnings=("w",))


@pytest.fixture
def player():
    """A resource with a champion, in the middle of a cycle."""
    playing = Player(resource(kpi=KPI, servingGuardrails=[LATENCY], budget={"window": window()}))
    playing.play(until=lambda memory: memory.cycle == 2)
    while not playing.memory.running:
        playing.turn()
    return playing


def window():
    return {"period": "Month", "deviceHours": "100000"}


def observed(player, **seen):
    return advance(player.spec, player.memory, Observation(player.now, **seen))


def test_an_answer_is_kept_with_the_cycle_and_the_plan_of_what_serves(player):
    memory = observed(player, kpi=answer(0.12)).memory
    (heard,) = memory.heard
    assert (heard.cycle, heard.point) == (2, player.memory.champion.point)
    assert (heard.verdict, heard.value) == (Verdict.OK, 0.12)


def test_a_later_answer_of_the_same_cycle_replaces_the_first(player):
    player.memory = observed(player, kpi=answer(0.12)).memory
    (heard,) = observed(player, kpi=answer()).memory.heard
    assert (heard.verdict, heard.value) == (Verdict.STALE, None)
    assert len(heard.message) == 200


def test_as_many_answers_are_kept_as_two_poolings_need(player):
    for cycle in range(3, 10):
        player.memory = observed(player, kpi=answer(cycle / 100)).memory
        player.memory = replace(player.memory, cycle=cycle)
    assert [heard.cycle for heard in player.memory.heard] == [5, 6, 7, 8]


def test_nothing_serves_before_the_first_champion():
    spec = resource(kpi=KPI)
    memory = advance(spec, Memory("default/x"), Observation(LONG_AFTER, kpi=answer(0.1))).memory
    assert memory.heard == ()


def test_the_newest_answer_of_each_guardrail_is_kept_and_of_none_that_is_gone(player):
    player.memory = observed(player, guardrails={"latency": answer(0.1), "gone": answer(1.0)}).memory
    assert set(player.memory.guarded) == {"latency"}
    player.memory = observed(player, guardrails={"latency": answer()}).memory
    assert player.memory.guarded["latency"].verdict is Verdict.STALE
    assert observed(player).memory.guarded == player.memory.guarded


def test_what_was_heard_survives_the_memorys_encoding(player):
    decision = observed(player, kpi=answer(0.12), guardrails={"latency": answer()})
    encoded = contract.encode(decision)
    assert contract.decode(Decision, encoded, "decision") == decision


def test_a_higher_cost_is_charged_to_run_role_cycle_and_window(player):
    before = player.memory.ledger
    last = before.entries[-1]
    decision = observed(player, costs=(CostEvidence(last.run, last.seconds + 50.0),))
    after = decision.memory.ledger
    assert after.settled == pytest.approx(before.settled + 50.0)
    assert after.window == pytest.approx(before.window + 50.0)
    assert after.by_role[last.role.value] == pytest.approx(before.by_role[last.role.value] + 50.0)
    assert after.by_cycle[str(last.cycle)] == pytest.approx(before.by_cycle[str(last.cycle)] + 50.0)
    assert after.entries[-1].seconds == pytest.approx(last.seconds + 50.0)
    assert len(after.entries) == len(before.entries)
    assert any("50 device-seconds more" in event for event in decision.events)


def test_the_same_evidence_charges_once(player):
    last = player.memory.ledger.entries[-1]
    evidence = (CostEvidence(last.run, last.seconds + 50.0),)
    player.memory = observed(player, costs=evidence).memory
    assert observed(player, costs=evidence).memory.ledger == player.memory.ledger


@pytest.mark.parametrize("change", [0.0, -5.0])
def test_settled_spend_never_falls(player, change):
    last = player.memory.ledger.entries[-1]
    evidence = (CostEvidence(last.run, last.seconds + change), CostEvidence("unknown", 1e9))
    assert observed(player, costs=evidence).memory.ledger == player.memory.ledger
