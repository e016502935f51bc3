"""Mode Recommend: what waits for a person, and what their word does."""

import pytest

from cycle.playing import Failure, FailureKind, Player, agreeing, replace, resource, success, worse
from dataefficient.api.errors import InvalidResource
from dataefficient.api.spec import Mode
from dataefficient.contract import Policy, Role
from dataefficient.cycle.approving import objection
from dataefficient.cycle.figures import Ask
from dataefficient.cycle.model import Step
from dataefficient.planner.knobs import Point

FULL = Point(Policy.UNIFORM, 1.0, 32)
FAILURE = Failure(FailureKind.CRASHED, "the machine went away")
DEAR = {"aboveMoney": "0.000001"}


def recommending(*, word=agreeing(), answer=success, cycles=10, **spec):  # noqa: B008 - holds nothing
    given = {"mode": "Recommend", "exploration": {"share": "1"}, "kpi": {"tolerance": "0.05"}, **spec}
    return Player(resource(cycles=cycles, **given), answer, word=word)


def asks(what):
    return lambda memory: memory.proposal is not None and memory.proposal.ask is what


def plans(player):
    return [r.plan.point for r in player.memory.history]


def test_without_a_word_nothing_runs_but_first_runs_and_full_data():
    player = recommending(word=lambda memory: "")
    player.play()
    assert player.memory.step is Step.FINISHED
    assert set(plans(player)) == {FULL}
    probes = [p.request.run for p in player.launches if p.request.role is not Role.CANDIDATE]
    assert probes == ["c000-pilot", "c000-pilot-small"]
    assert player.memory.convergence is None


def test_the_digest_stays_the_same_for_as_long_as_the_same_thing_is_asked_for():
    player = recommending(word=lambda memory: "")
    player.play()
    told = {d.memory.proposal.digest for d in player.decisions if d.memory.proposal}
    assert len(told) == 1
    assert player.memory.proposal.since == 0


def test_an_approved_measurement_is_made_before_the_next_cycle_trains():
    player = recommending(word=agreeing(Ask.MEASUREMENT), cycles=4)
    player.play()
    runs = [p.request.run for p in player.launches if p.request.cycle == 1]
    assert runs[0] == "c001-rung-32"
    assert runs[-1] == "c001-candidate"
    assert player.memory.convergence.cycle == 1
    assert player.memory.convergence.measured
    assert set(plans(player)) == {FULL}
    assert [r.kpi for r in player.memory.history[1:]] == list(player.memory.levels[1:])


def test_an_approved_plan_is_in_force_from_the_next_cycle_on_and_stays():
    player = recommending(word=agreeing(Ask.MEASUREMENT))
    player.play(asks(Ask.PLAN))
    asked, cycle = player.memory.proposal, player.memory.cycle
    assert asked.digest in asked.told
    assert 0.0 < asked.saving < 1.0
    assert asked.cost.low < asked.cost.mean < asked.cost.high
    assert asked.kpi is not None
    player.word = lambda memory: asked.digest
    player.play()
    assert plans(player)[: cycle + 1] == [FULL] * (cycle + 1)
    assert set(plans(player)[cycle + 1 :]) == {asked.point}
    assert player.memory.approvals[-1] == asked.digest


def test_a_word_that_was_heard_once_does_nothing_more():
    player = recommending(word=agreeing(Ask.MEASUREMENT))
    player.play(asks(Ask.PLAN))
    word = player.memory.proposal.digest
    player.word = lambda memory: word
    player.turn()
    once = player.memory.approvals
    player.play()
    assert player.memory.approvals == once
    assert objection(player.spec, player.memory, word) is None
    assert sum(event.startswith(f"Approved: {word}") for event in player.events) == 1


def test_another_word_changes_nothing_and_is_told_what_would():
    player = recommending(word=lambda memory: "0123456789ab")
    player.play()
    assert set(plans(player)) == {FULL}
    told = objection(player.spec, player.memory, "0123456789ab")
    assert "0123456789ab is not, or no longer, what waits" in told
    assert player.memory.proposal.digest in told
    nothing = replace(player.memory, proposal=None)
    assert "nothing waits" in objection(player.spec, nothing, "0123456789ab")
    assert "mode Enforce" in objection(resource(), player.memory, "0123456789ab")
    assert objection(player.spec, player.memory, "") is None


def test_a_change_that_is_not_certain_any_more_is_not_put_in_force_although_it_was_approved():
    player = recommending(word=agreeing(Ask.MEASUREMENT))
    player.play(asks(Ask.PLAN))
    asked = player.memory.proposal
    player.word = lambda memory: asked.digest
    player.ask()
    assert player.memory.granted == asked
    # Evidence that came meanwhile: every plan with fewer rows is far outside.
    harsh = [replace(c, gap=0.3, standard_error=0.001) for c in player.memory.contrasts]
    player.memory = replace(player.memory, contrasts=tuple(harsh))
    player.play()
    assert asked.point not in plans(player)
    assert any("is not put in force any more" in event for event in player.events)
    assert player.memory.granted is None


def test_an_approved_plan_goes_on_until_another_is_approved_even_back_to_more_rows():
    player = recommending(word=agreeing(Ask.MEASUREMENT, Ask.PLAN), cycles=14, knobs=ONE_SIZE)
    player.play(lambda m: m.approved not in (None, FULL))
    approved, cycle = player.memory.approved, player.memory.cycle
    player.word, player.answer = (lambda memory: ""), worse(lambda p: 0.08 * (p.rate < 1.0))
    player.play()
    assert set(plans(player)[cycle:]) == {approved}
    assert player.memory.proposal.ask is Ask.PLAN
    assert player.memory.proposal.point.rate > approved.rate


ONE_SIZE = {"samplingRate": {"min": "0.2", "max": "1"}, "modelSize": {"values": [32]}}


def test_an_approved_trial_of_another_size_takes_over_once_it_is_certified():
    player = recommending(cycles=16)
    player.play()
    (trial,) = {p.point for p in player.launches if p.request.role is Role.TRIAL}
    assert trial.size == 8
    assert player.memory.approved == trial == plans(player)[-1]


def test_a_trial_that_was_not_approved_does_not_begin():
    player = recommending(word=agreeing(Ask.MEASUREMENT, Ask.PLAN), cycles=16)
    player.play()
    assert player.memory.proposal.ask is Ask.TRIAL
    assert Role.TRIAL not in {p.request.role for p in player.launches}


def test_a_cycle_whose_runs_cost_too_much_waits_and_goes_on_once_approved():
    player = recommending(word=lambda memory: "", approval=DEAR, exploration={"share": "0"})
    player.play()
    assert player.memory.step is Step.MEASURING
    assert not player.memory.running
    asked = player.memory.proposal
    assert (asked.ask, asked.holds, asked.point) == (Ask.RUN, True, FULL)
    assert "approval.aboveMoney is 0.000001" in asked.told
    again = player.ask()
    assert (again.start, again.events, again.memory) == ((), (), player.memory)
    player.word = lambda memory: asked.digest
    player.play()
    assert [r.cycle for r in player.memory.history] == [0]
    # The next cycle asks anew.
    assert player.memory.proposal.since == 1
    assert player.memory.proposal.digest != asked.digest


def test_a_failed_run_of_an_approved_cycle_needs_no_second_approval():
    failed = []

    def answer(plan):
        if plan.request.run == "c001-candidate" and not failed:
            failed.append(plan)
            return replace(success(plan), report=None, failure=FAILURE)
        return success(plan)

    player = recommending(answer=answer, approval=DEAR, exploration={"share": "0"}, cycles=2)
    player.play(lambda m: m.cycle == 1 and m.running)
    asked = len(player.memory.approvals)
    player.play(lambda m: m.cycle == 2)
    assert failed
    assert len(player.memory.approvals) == asked


def test_a_cycle_that_waits_for_a_recommended_plan_runs_under_it_once_approved():
    player = recommending(word=agreeing(Ask.MEASUREMENT, Ask.RUN), approval=DEAR)
    player.play(lambda m: asks(Ask.PLAN)(m) and m.proposal.holds)
    asked, cycle = player.memory.proposal, player.memory.cycle
    player.word = agreeing()
    player.play(lambda m: m.cycle > cycle)
    assert plans(player)[cycle] == asked.point


@pytest.mark.parametrize("edit", [{"approval": {"aboveMoney": "9"}}, {"mode": "Enforce"}])
def test_a_cycle_that_waits_goes_on_when_the_resource_no_longer_asks_for_it(edit):
    player = recommending(word=lambda memory: "", approval=DEAR)
    player.play()
    given = {"mode": "Recommend", "exploration": {"share": "1"}, "kpi": {"tolerance": "0.05"}, **edit}
    player.spec = resource(cycles=10, **given)
    assert player.ask().start


def test_from_enforce_to_recommend_the_plan_in_force_goes_on():
    spec = resource(cycles=12, exploration={"share": "1"}, kpi={"tolerance": "0.05"})
    player = Player(spec)
    player.play(lambda m: m.cycle == 4)
    in_force = player.memory.champion.point
    assert in_force != FULL
    player.spec = spec.model_copy(update={"mode": Mode.RECOMMEND})
    player.play()
    assert set(plans(player)[5:]) == {in_force}


def test_a_bound_in_money_needs_a_price():
    with pytest.raises(InvalidResource, match=r"approval\.aboveMoney is given"):
        resource(approval=DEAR, accelerators=[{"name": "cpu", "resource": "cpu"}])
