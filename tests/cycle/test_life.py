"""What holds in any life of a resource: runs fail, outcomes come late or twice, drivers are killed.

Hypothesis plays the driver and the trainer against ``advance`` and looks for a life that breaks a rule.
"""

import json
import re
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from random import Random

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from cycle.playing import LONG_AFTER, START, Player, agreeing, failure, resource, schedule, success
from dataefficient.api.spec import Mode
from dataefficient.contract import Role, decode, encode
from dataefficient.cycle.approving import KEPT
from dataefficient.cycle.figures import Ask
from dataefficient.cycle.machine import advance, begin, resume
from dataefficient.cycle.model import FailureKind, Memory, Observation, Step
from dataefficient.planner.budget import window_start

CYCLES = 14
SIZE_LIMIT = 2**20
SLACK = 1.0 + 1e-9
UNSAID = re.compile(r"\b(nan|None|inf)\b")
WHAT_TO_DO = re.compile(r"\b(Raise|raise|Correct|Mend|mend|See|Bring)\b")

VARIANTS = {
    "plain": {},
    "measures much": {"exploration": {"share": "1"}, "sizes": (32,)},
    "recommends": {"mode": "Recommend"},
    "asks for much": {"mode": "Recommend", "approval": {"aboveMoney": "0.01"}, "exploration": {"share": "1"}},
    "capped": {"sizes": (32,), "budget": {"initial": {"deviceHours": "0.2"}, "perCycle": {"money": "0.03"}}},
    "in total": {"sizes": (32,), "budget": {"total": {"deviceHours": "0.25"}}},
    "by the day": {"sizes": (32,), "budget": {"window": {"period": "Day", "deviceHours": "0.08"}}},
    "with a target": {"kpi": {"target": "0.46", "tolerance": "0.02", "maxRegression": "0.02"}},
    "target alone": {"kpi": {"target": "0.46"}},
    "labels late": {"schedule": schedule(CYCLES, labelDelaySeconds=3600)},
}
KINDS = list(FailureKind)


@lru_cache
def variant(name):
    return resource(cycles=CYCLES, **VARIANTS[name])


@lru_cache
def lived(name, cycles):
    """A memory that saw some cycles without any trouble."""
    player = Player(variant(name), word=agreeing(Ask.RUN))
    player.play(lambda memory: memory.cycle >= cycles)
    return player.memory


@lru_cache
def controlled():
    """A spec and a memory whose lineage saves rows, while a control runs beside it."""
    spec = resource(cycles=60, sizes=(32,), exploration={"share": "1"})
    player = Player(spec)
    player.play(lambda memory: memory.control is not None)
    assert player.memory.control is not None
    return spec, player.memory


def sentences(memory, decision):
    yield from decision.events
    if memory.stopped is not None:
        yield memory.stopped.message
    for record in memory.history[-1:]:
        yield from record.notes
        if record.gate is not None:
            yield record.gate.reason
    if memory.plan is not None:
        yield memory.plan.reason
        for option in memory.plan.options:
            yield option.verdict


class Life(RuleBasedStateMachine):
    """One resource, its driver and its trainer."""

    @initialize(name=st.sampled_from([*sorted(VARIANTS), "controlled"]), cycles=st.sampled_from([0, 0, 1, 5]))
    def born(self, name, cycles):
        if name == "controlled":
            self.spec, self.memory = controlled()
        else:
            self.spec = variant(name)
            self.memory = lived(name, cycles) if cycles else begin("default/made-up")
        self.now = LONG_AFTER if name != "labels late" or cycles else START
        self.paid = self.memory.ledger.settled
        self.delivered = []
        self.word = ""
        self.launched = {(p.request.run, p.attempt) for p in self.memory.running}
        self.launched |= {(e.run, e.attempt) for e in self.memory.ledger.entries}
        self.decision = None
        self.ask()

    def ask(self, *outcomes):
        before, observation = self.memory, Observation(self.now, outcomes, approval=self.word)
        seen = json.dumps(encode(before))
        decision = advance(self.spec, before, observation)
        # A killed driver loses a decision and asks again.
        assert advance(self.spec, before, observation) == decision
        assert json.dumps(encode(before)) == seen
        self.holds(before, decision)
        self.memory, self.decision = decision.memory, decision

    def holds(self, before, decision):
        after = decision.memory
        text = json.dumps(encode(after), allow_nan=False)
        assert len(text) < SIZE_LIMIT
        assert decode(Memory, json.loads(text), "memory") == after
        assert decision.start == tuple(p for p in after.running if p not in before.running)
        self.names_are_new(decision)
        self.budget_holds(decision)
        self.ledger_is_exact(before, after)
        self.nothing_goes_back(before, decision)
        self.something_is_waited_for(decision)
        for sentence in sentences(after, decision):
            assert sentence.strip()
            assert not UNSAID.search(sentence), sentence
        if after.stopped is not None:
            assert after.step is Step.STOPPED
            assert after.stopped.code
            assert WHAT_TO_DO.search(after.stopped.message), after.stopped.message

    def names_are_new(self, decision):
        names = [p.request.run for p in decision.memory.running]
        assert len(set(names)) == len(names)
        for plan in decision.start:
            run = plan.request.run
            assert all(plan.attempt > attempt for known, attempt in self.launched if known == run)
            self.launched.add((run, plan.attempt))
        for plan in decision.memory.running:
            assert plan.failures < self.spec.limits.max_attempts
            assert plan.request.run.startswith(f"c{decision.memory.cycle:03d}-")
        assert sum(p.request.role is Role.CANDIDATE for p in decision.memory.running) <= 1

    def budget_holds(self, decision):
        if not decision.start:
            return
        memory, budget = decision.memory, self.spec.budget
        reserved = sum(p.reserved_seconds for p in memory.running)
        ledger = memory.ledger
        window = ledger.window if ledger.window_start == window_start(budget, self.now) else 0.0
        part = budget.per_cycle if memory.cycle else budget.initial
        cycle = ledger.by_cycle.get(str(memory.cycle), 0.0)
        for bound, spent in ((part, cycle), (budget.total, ledger.settled), (budget.window, window)):
            price = self.spec.accelerators[0].price_per_device_hour
            if bound is not None and bound.device_hours is not None:
                assert spent + reserved <= float(bound.device_hours) * 3600.0 * SLACK
            if bound is not None and bound.money is not None:
                assert spent + reserved <= float(bound.money / price) * 3600.0 * SLACK
        for plan in decision.start:
            assert plan.reserved_seconds > 0.0
            assert plan.request.deadline_seconds == pytest.approx(plan.reserved_seconds / plan.devices)

    def ledger_is_exact(self, before, after):
        assert after.ledger.settled == pytest.approx(self.paid)
        assert after.ledger.settled >= before.ledger.settled
        assert sum(after.ledger.by_role.values()) == pytest.approx(after.ledger.settled)

    def nothing_goes_back(self, before, decision):
        after = decision.memory
        assert before.cycle <= after.cycle <= before.cycle + 1 or before.cycle == 0
        if before.champion is not None:
            assert after.champion is not None
            fell_back = any("goes on from the champion of cycle" in said for said in decision.events)
            assert after.champion.position >= before.champion.position or fell_back
        finished = [r.cycle for r in after.history]
        assert finished == list(range(after.cycle))
        assert after.history[: len(before.history)] == before.history

    def something_is_waited_for(self, decision):
        memory = decision.memory
        over = memory.step in (Step.FINISHED, Step.STOPPED)
        held = memory.proposal is not None and memory.proposal.holds
        assert memory.running or over or decision.wait_until or self.spec.suspend or held
        assert not (over and memory.running)
        assert not (over and decision.start)
        if decision.wait_until is not None:
            assert decision.wait_until > self.now

    def deliver(self, *outcomes):
        for outcome in outcomes:
            self.paid += outcome.device_seconds
        self.delivered.extend(outcomes)
        self.ask(*outcomes)

    def ready(self):
        return [p for p in self.memory.running if not p.not_before or p.not_before <= self.now]

    def wait(self):
        waits = [p.not_before for p in self.memory.running if p.not_before]
        self.now = max([self.now, *waits])

    @precondition(lambda self: self.memory.running)
    @rule(
        seed=st.integers(0, 10**6), harm=st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.3]), turns=st.integers(1, 8)
    )
    def goes_well(self, seed, harm, turns):
        for _ in range(turns):
            self.wait()
            random = Random(seed)

            def costs(point):
                return harm * (point.rate < 1.0)

            self.deliver(*(success(p, random, harm=costs) for p in self.memory.running))
            if not self.memory.running:
                break

    @precondition(lambda self: self.memory.running)
    @rule(
        which=st.integers(0, 7),
        kind=st.sampled_from(KINDS),
        seconds=st.sampled_from([0.0, 0.5, 30.0, 1e9]),
        others=st.booleans(),
    )
    def fails(self, which, kind, seconds, others):
        self.wait()
        plan = self.memory.running[which % len(self.memory.running)]
        rest = [success(p) for p in self.memory.running if p is not plan] if others else []
        event(f"{kind.value} of a {plan.request.role.value}")
        self.deliver(*rest, failure(plan, kind, seconds))

    @precondition(lambda self: self.memory.running)
    @rule(kind=st.sampled_from(KINDS), turns=st.integers(2, 6))
    def keeps_failing(self, kind, turns):
        run = self.memory.running[0].request.run
        for _ in range(turns):
            self.wait()
            plan = next((p for p in self.memory.running if p.request.run == run), None)
            if plan is None:
                break
            self.deliver(failure(plan, kind, 3.0))

    @precondition(lambda self: self.memory.running)
    @rule(seed=st.integers(0, 10**6))
    def is_rejected(self, seed):
        self.wait()
        random = Random(seed)
        self.deliver(*(success(p, random, harm=lambda _: 0.1) for p in self.memory.running))

    @precondition(lambda self: self.delivered)
    @rule(which=st.integers(0, 1000), count=st.integers(1, 3))
    def hears_it_again(self, which, count):
        memory = self.memory
        self.ask(*[self.delivered[which % len(self.delivered)]] * count)
        assert self.memory.ledger == memory.ledger

    @precondition(lambda self: self.memory.running)
    @rule(ahead=st.integers(-2, 2).filter(bool))
    def hears_of_another_attempt(self, ahead):
        plan = self.memory.running[0]
        ledger = self.memory.ledger
        self.ask(success(replace(plan, attempt=plan.attempt + ahead)))
        assert self.memory.ledger == ledger

    @rule()
    def restarts(self):
        self.memory = decode(Memory, json.loads(json.dumps(encode(self.memory))), "memory")

    @rule(days=st.sampled_from([0.0, 0.01, 1.0, 40.0]))
    def time_goes_by(self, days):
        self.now += timedelta(days=days)
        if self.decision is not None and self.decision.wait_until and not self.memory.running:
            self.now = max(self.now, self.decision.wait_until)
        self.ask()

    @rule(
        hours=st.sampled_from(["0.000001", "0.01", "0.05", "10"]),
        part=st.sampled_from(["total", "per_cycle"]),
    )
    def has_its_budget_changed(self, hours, part):
        given = resource(budget={"total" if part == "total" else "perCycle": {"deviceHours": hours}}).budget
        budget = self.spec.budget.model_copy(update={part: getattr(given, part)})
        self.spec = self.spec.model_copy(update={"budget": budget})

    @precondition(lambda self: self.memory.proposal)
    @rule(word=st.sampled_from(["it", "another"]))
    def is_approved(self, word):
        asked, approvals = self.memory.proposal, self.memory.approvals
        self.word = asked.digest if word == "it" else word
        self.ask()
        heard = word == "it" and self.spec.mode is Mode.RECOMMEND
        assert self.memory.approvals == ((*approvals, asked.digest)[-KEPT:] if heard else approvals)

    @rule(key=st.sampled_from(["one", "two", None]))
    def has_another_trainer(self, key):
        trainer = self.spec.trainer.model_copy(update={"comparability_key": key})
        self.spec = self.spec.model_copy(update={"trainer": trainer})

    @rule()
    def is_suspended_or_released(self):
        self.spec = self.spec.model_copy(update={"suspend": not self.spec.suspend})
        self.ask()

    @precondition(lambda self: self.memory.step is Step.STOPPED)
    @rule(helped=st.booleans())
    def is_resumed(self, helped):
        if helped:
            self.spec = self.spec.model_copy(update={"budget": variant("plain").budget})
        self.memory = resume(self.memory)
        self.ask()


Life.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
TestNoLifeBreaksARule = Life.TestCase


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_without_trouble_every_kind_of_resource_comes_to_its_end_or_to_its_budget_s(name):
    player = Player(variant(name), now=START, word=agreeing())
    player.play()
    stopped = player.memory.stopped
    assert player.memory.step is Step.FINISHED or stopped.code == "BudgetExhausted"
    scored = [p.request.evaluation.end for p in player.launches if p.request.evaluation is not None]
    assert max(scored) <= player.now
    assert player.memory.cycle <= CYCLES + 1
