"""What was saved is what was spent against what full data would have taken, and claims no more than that."""

import json

import pytest

from cycle.playing import Player, failing, replace, resource, success
from dataefficient.contract import Role, decode, encode
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.model import FailureKind, Memory, Step

CHEAPER = {"exploration": {"share": "1"}, "kpi": {"tolerance": "0.05"}}


def lived(cycles=12, answer=None, **spec):
    player = Player(resource(cycles=cycles, **spec), *([answer] if answer else []))
    player.play()
    return player.memory


def candidates(memory):
    return sum(r.device_seconds for c in memory.history for r in c.runs if r.role is Role.CANDIDATE)


@pytest.fixture(scope="module")
def full():
    """The same stream, trained on full data at the largest size."""
    return lived(mode="Recommend", exploration={"share": "0"})


def test_the_other_side_is_what_a_life_on_full_data_takes(full):
    memory = lived(**CHEAPER)
    assert memory.champion.point.rate < 1.0
    assert memory.saved.full.mean == pytest.approx(candidates(full), rel=0.05)
    assert memory.saved.full.low <= candidates(full) <= memory.saved.full.high


def test_everything_that_was_spent_counts_experiments_included():
    memory = lived(answer=failing(("-candidate", FailureKind.CRASHED, 1)), **CHEAPER)
    assert memory.saved.spent == pytest.approx(memory.ledger.settled)
    assert memory.saved.spent > candidates(memory)
    assert (memory.saved.from_cycle, memory.saved.to_cycle) == (0, 12)


def test_a_life_on_full_data_saved_nothing_and_lost_its_first_runs(full):
    assert full.saved.full.mean == pytest.approx(candidates(full), rel=1e-6)
    assert full.saved.full.low == full.saved.full.high
    assert full.saved.spent == pytest.approx(full.saved.full.mean + first_runs(full))


def first_runs(memory):
    return memory.ledger.by_role[Role.PROBE.value]


def test_a_memory_of_an_earlier_version_is_counted_from_where_it_goes_on():
    player = Player(resource(cycles=12, **CHEAPER))
    player.play(lambda m: m.cycle == 5)
    before = player.memory.ledger.settled - player.memory.ledger.by_cycle.get("5", 0.0)
    player.memory = replace(player.memory, saved=None)
    player.play()
    assert player.memory.saved.from_cycle == 5
    assert player.memory.saved.spent == pytest.approx(player.memory.ledger.settled - before)


def test_the_totals_go_on_where_the_history_has_lost_its_beginning():
    player = Player(resource(cycles=12, **CHEAPER))
    player.play(lambda m: m.cycle == 8)
    before = player.memory.saved
    player.memory = decode(Memory, json.loads(json.dumps(encode(player.memory))), "memory")
    player.memory = replace(player.memory, history=player.memory.history[-2:])
    player.play()
    assert player.memory.saved.from_cycle == 0
    assert player.memory.saved.full.mean > before.full.mean


def dear_to_score(plan):
    """An answer: scoring takes thirty times as long, and plans on fewer rows lose much."""
    outcome = success(plan, harm=lambda point: 0.2 * (point.rate < 1.0))
    seconds = outcome.report.seconds
    more = 29.0 * seconds.evaluate
    seconds = replace(seconds, evaluate=seconds.evaluate + more, total=seconds.total + more)
    report = replace(outcome.report, seconds=seconds)
    return replace(outcome, device_seconds=outcome.device_seconds + more, report=report)


def test_what_looks_at_branches_cost_is_no_part_of_what_full_data_takes():
    asked = {"kpi": {"tolerance": "0.008", "maxRegression": "0.1"}}
    player = Player(resource(cycles=12, sizes=(32,), **asked), dear_to_score)
    player.play(lambda m: m.step is Step.TRAINING and any(p.request.frozen for p in m.running))
    cycle = player.memory.cycle
    assert cycle < 12, "a branch is looked at"
    before = player.memory.saved.full.mean
    player.play(lambda m: m.cycle > cycle)
    record = player.memory.history[-1]
    assert record.plan.point == Knowledge(player.spec, player.memory, player.now).reference
    spent = next(r.device_seconds for r in record.runs if r.role is Role.CANDIDATE)
    assert player.memory.saved.full.mean - before < 0.97 * spent
