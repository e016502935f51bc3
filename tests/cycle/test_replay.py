"""A decision can be made again from what was kept, and owes nothing to what comes later."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from cycle.playing import LONG_AFTER, START, WEEK, Player, agreeing, failing, resource, schedule, worse
from dataefficient.contract import Role, decode, encode
from dataefficient.cycle.machine import advance, begin
from dataefficient.cycle.model import Decision, FailureKind, Memory, Observation, Step
from dataefficient.cycle.recording import Recorded, compare
from dataefficient.simulator import harness
from dataefficient.simulator.scenario import SCENARIOS
from dataefficient.simulator.world import World


def through_json(kind, value):
    return decode(kind, json.loads(json.dumps(encode(value), allow_nan=False)), "kept")


def body(value):
    """What the value is as JSON; a whole number may be written as 1 or as 1.0."""
    return json.loads(json.dumps(encode(value), allow_nan=False))


@pytest.mark.parametrize(
    "player",
    [
        Player(resource(cycles=8, exploration={"share": "1"})),
        Player(resource(cycles=6), failing(("-candidate", FailureKind.CRASHED, 1))),
        Player(resource(cycles=6), worse(lambda point: 0.02 * (point.rate < 1.0))),
        Player(resource(cycles=6, budget={"window": {"period": "Day", "deviceHours": "0.2"}})),
        Player(
            resource(cycles=8, mode="Recommend", exploration={"share": "1"}, approval={"aboveMoney": "0.01"}),
            word=agreeing(),
        ),
    ],
    ids=["measuring", "crashes", "harm", "window", "approvals"],
)
def test_a_decision_is_the_same_from_a_recorded_memory_and_observation(player):
    player.play()
    assert len(player.decisions) > 5
    for (memory, observation), decision in zip(player.observations, player.decisions, strict=True):
        again = advance(player.spec, through_json(Memory, memory), through_json(Observation, observation))
        assert body(again) == body(decision)
        assert through_json(Decision, decision) == decision


def test_decisions_that_were_recorded_without_their_reasons_are_made_again_the_same():
    player = Player(resource(cycles=3))
    player.play()
    records = [
        Recorded(0, number, "v1", before, observation, {k: v for k, v in body(d).items() if k != "codes"})
        for number, ((before, observation), d) in enumerate(
            zip(player.observations, player.decisions, strict=True), start=1
        )
    ]
    assert compare(records, lambda version: player.spec, advance) == (len(records), None)


def test_a_driver_that_restarts_after_every_decision_leads_the_same_life():
    steady, restarting = Player(resource(cycles=6)), Player(resource(cycles=6))
    steady.play()
    while restarting.memory.step is not Step.FINISHED:
        restarting.turn()
        restarting.memory = through_json(Memory, restarting.memory)
    assert restarting.memory == steady.memory


def test_a_later_end_of_the_schedule_changes_nothing_before_it():
    short, long = Player(resource(cycles=4)), Player(resource(cycles=9))
    short.play(), long.play()
    shared = len(short.memory.history)
    assert body(long.memory.history[:shared]) == body(short.memory.history)


def test_the_wall_clock_changes_no_plan():
    """Catching up years later decides as one who lived through it, but for the time of retries."""
    late, live = Player(resource(cycles=5)), Player(resource(cycles=5), now=START)
    late.play(), live.play()
    assert live.now >= START + 5 * WEEK
    assert body(late.memory.history) == body(live.memory.history)


def test_the_label_delay_changes_when_a_cycle_runs_and_not_what_it_runs():
    delayed = resource(cycles=4, schedule=schedule(4, labelDelaySeconds=86400))
    first, second = Player(resource(cycles=4)), Player(delayed, now=START)
    first.play(), second.play()
    assert body(first.memory.history) == body(second.memory.history)
    assert second.now == START + 4 * WEEK + timedelta(days=1)


def simulated(cycles, scenario):
    """Memories after each finished cycle and what was launched, in a simulated world."""
    world = World(scenario)
    seconds = world.plan_seconds(harness.KNOBS.reference, 0.0, 1.0, share=0.1, models=2)
    spec = harness.resource(scenario, cycles, seconds).spec
    memory, launched, after = begin("default/simulated"), [], {}
    outcomes = ()
    while memory.step is not Step.FINISHED:
        decision = advance(spec, memory, Observation(LONG_AFTER, outcomes))
        memory = decision.memory
        launched += decision.start
        after.update({record.cycle: record for record in memory.history})
        outcomes = tuple(world.run(plan, LONG_AFTER) for plan in memory.running)
        assert memory.running or memory.step is Step.FINISHED
    return after, launched


@pytest.mark.parametrize("seed", [1, 2])
def test_cutting_the_stream_changes_no_decision_up_to_the_cut(seed):
    """The regime breaks, or not, or the stream ends: nothing of it is known before."""
    stormy = SCENARIOS["regime-break"](seed)
    cut = min(stormy.regime.cycle - stormy.history, 6)
    assert cut >= 1
    short, few = simulated(cut, stormy)
    long, many = simulated(cut + 3, stormy)
    calm, _ = simulated(cut + 3, replace(stormy, regime=None))
    for cycle in range(cut):
        assert body(short[cycle]) == body(long[cycle]) == body(calm[cycle])
    assert body(few) == body(many[: len(few)])
    assert all(plan.request.cycle > cut for plan in many[len(few) :])


def test_no_request_reaches_past_the_end_of_its_cycle():
    _, launched = simulated(6, SCENARIOS["power-law"](3))
    ends = {p.request.cycle: p.request.train.end for p in launched if p.request.role is Role.CANDIDATE}
    for plan in launched:
        assert plan.request.train.end <= ends[plan.request.cycle]
        assert plan.request.evaluation is None or plan.request.evaluation.end <= ends[plan.request.cycle]
