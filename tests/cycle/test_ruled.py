"""What the answers of Prometheus do to whole lives."""

import pytest

from cycle.playing import Player, resource
from dataefficient.cycle.answers import Answer, Cause, Verdict
from dataefficient.cycle.machine import advance
from dataefficient.cycle.model import Observation

KPI = {
    "tolerance": "0.02",
    "maxRegression": "0.02",
    "query": "ctr",
    "target": "0.1",
    "direction": "Maximize",
    "overCycles": 2,
}


class Asked(Player):
    """A player whose every observation carries the answers that ``kpi`` and ``guard`` give."""

    def __init__(self, *arguments, kpi=lambda memory: None, guard=lambda memory: None, **how):
        super().__init__(*arguments, **how)
        self.kpi, self.guard = kpi, guard

    def ask(self, *outcomes):
        kpi, guard = self.kpi(self.memory), self.guard(self.memory)
        seen = Observation(
            self.now,
            outcomes,
            kpi=None if kpi is None else answer(kpi),
            guardrails={} if guard is None else {"p99": answer(guard)},
        )
        decision = advance(self.spec, self.memory, seen)
        self.decisions.append(decision)
        self.memory = decision.memory
        self.events.extend(decision.events)
        return decision


def answer(value):
    if isinstance(value, Verdict):
        return Answer("a", "x", Player(None).now, value, cause=Cause.TOO_OLD, message="old")
    return Answer("a", "x", Player(None).now, Verdict.OK, value)


def cheapest(memory):
    return min(record.plan.point.rate for record in memory.history[1:] if record.plan)


def lived(kpi, *, cycles=12, **how):
    player = Asked(resource(cycles=cycles, kpi=KPI, sizes=(8,)), kpi=kpi, **how)
    player.play()
    return player


def test_with_the_target_met_data_are_saved():
    assert cheapest(lived(lambda memory: 0.2).memory) < 1.0


@pytest.mark.parametrize("value", [0.05, Verdict.FAILED])
def test_while_the_target_is_missed_or_not_known_nothing_cheaper_is_tried_and_publishing_goes_on(value):
    player = lived(lambda memory: value)
    first = player.memory.history[0].plan.point
    assert cheapest(player.memory) >= min(first.rate, 1.0)
    started = [record.cycle for record in player.memory.history if "TrialStarted" in record.codes]
    assert set(started) <= {1}, "the first answer comes in cycle 1, when it was planned"
    assert "Held" in player.codes()
    assert player.memory.champion.cycle == 12


def test_a_plan_under_which_the_target_is_missed_gives_way():
    def kpi(memory):
        return 0.05 if memory.champion and memory.champion.point.rate < 1.0 else 0.2

    player = lived(kpi, cycles=16)
    rates = [record.plan.point.rate for record in player.memory.history if record.plan]
    assert min(rates) < 1.0
    after = next(i for i, r in enumerate(player.memory.history) if r.plan and r.plan.code == "Withdrawn")
    assert rates[after] > rates[after - 1]


def test_a_guardrail_out_of_bounds_keeps_the_candidate_from_being_published():
    guardrail = {"name": "p99", "query": "p99", "max": "1"}
    spec = resource(cycles=4, servingGuardrails=[guardrail])
    player = Asked(spec, guard=lambda memory: 2.0 if memory.cycle == 2 else 0.5)
    player.play()
    published = {record.cycle: record.gate.published for record in player.memory.history if record.gate}
    assert published == {1: True, 2: False, 3: True, 4: True}
    assert "p99" in player.memory.history[2].gate.reason
