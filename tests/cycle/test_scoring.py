"""How many rows are scored, and what that costs."""

from dataclasses import replace

import pytest

from cycle.playing import ROWS_PER_WEEK, Player, carrying, resource, success
from dataefficient.contract import Role
from dataefficient.cycle.gate import gate_of
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.scoring import EVALUATION_COST, LEAST_PART, LOOK_COST, with_shares
from dataefficient.planner import stratified

# Few rows for so small a tolerance, and much to spend: shares are bounded by what they cost.
SPEC = {"kpi": {"tolerance": "0.001", "maxRegression": "0.001"}, "exploration": {"share": "0.5"}}


def knowing(cycle=2, **spec):
    player = Player(resource(cycles=6, sizes=(32,), **{**SPEC, **spec}), carrying())
    player.play(lambda memory: memory.cycle == cycle)
    return player, Knowledge(player.spec, player.memory, player.now)


def dear():
    """What is known under full data where scoring costs twenty times as much."""
    _, k = knowing()
    measured = tuple(replace(m, evaluating=20.0 * m.evaluating) for m in k.memory.measured)
    return replace(k, memory=replace(k.memory, measured=measured, adopted=k.reference))


def cost(k, models, *, compared):
    rows = k.cycle_rows
    return k.run_cost(k.reference, 0.0, rows, models, compared=compared) - k.run_cost(k.reference, 0.0)


def test_an_ordinary_cycle_scores_for_a_twentieth_of_full_data_and_a_look_for_more():
    k = replace(k := dear(), memory=replace(k.memory, account=1e6))
    k = replace(k, memory=with_shares(k))
    whole = k.run_cost(k.reference, k.cycle_rows)
    assert cost(k, 2, compared=False) == pytest.approx(EVALUATION_COST * whole, rel=0.01)
    assert cost(k, 3, compared=True) == pytest.approx(LOOK_COST * whole, rel=0.01)
    assert k.look_cost(k.reference) == pytest.approx(cost(k, 3, compared=True) - cost(k, 2, compared=False))


@pytest.mark.parametrize(("rate", "part"), [(0.71, 0.71), (0.25, LEAST_PART)])
def test_a_cheap_plan_is_scored_for_less_down_to_half_of_what_full_data_is(rate, part):
    k = dear()
    cheap = replace(k, memory=replace(k.memory, adopted=replace(k.reference, rate=rate)))
    k, cheap = (replace(one, memory=with_shares(one)) for one in (k, cheap))
    assert cost(cheap, 2, compared=False) == pytest.approx(part * cost(k, 2, compared=False), rel=0.15)


def test_where_little_is_saved_up_a_look_takes_what_can_be_paid_again():
    k = dear()
    poor, rich = (with_shares(replace(k, memory=replace(k.memory, account=a))) for a in (0.0, 1e6))
    assert poor.evaluation_share <= poor.look_share < rich.look_share


def test_a_loose_question_is_asked_of_few_rows():
    loose = {"kpi": {"tolerance": "0.2", "maxRegression": "0.5"}}
    asked = [with_shares(knowing(**spec)[1]) for spec in (loose, {})]
    assert asked[0].evaluation_share < asked[1].evaluation_share
    assert asked[0].look_share < asked[1].look_share


def test_cycles_in_which_a_branch_is_scored_score_more_rows_than_the_others():
    asked = {"kpi": {"tolerance": "0.003", "maxRegression": "0.1"}, "exploration": {"share": "0.5"}}
    player = Player(resource(cycles=16, sizes=(32,), **asked), carrying())
    player.play()
    candidates = [p.request for p in player.launches if p.request.role is Role.CANDIDATE and p.request.cycle]
    looks = [r.evaluation.share for r in candidates if r.frozen]
    others = [r.evaluation.share for r in candidates if not r.frozen]
    assert looks
    assert min(looks) > max(others)


def test_of_rare_positives_all_are_scored_and_of_the_negatives_a_part():
    player = Player(resource(cycles=3), carrying())
    player.play()
    first, *later = (p.request.evaluation for p in player.launches if p.request.evaluation)
    assert first.negatives == 1.0, "the share of positives is not known yet"
    part = stratified.negatives(0.2, ROWS_PER_WEEK)
    assert [e.negatives for e in later] == pytest.approx([part] * len(later), rel=0.01)


def test_a_trainer_that_scores_all_negatives_is_asked_to_from_then_on():
    player = Player(resource(cycles=3), lambda plan: success(plan, scores_all=True))
    player.play()
    asked = [p.request.evaluation.negatives for p in player.launches if p.request.evaluation]
    assert player.memory.scores_all
    assert min(asked) < 1.0
    assert asked[-1] == 1.0


def test_where_positives_are_rare_more_is_told_for_the_same_cost():
    k = dear()
    common, rare = (replace(k, memory=replace(k.memory, contrasts=(), positives=p)) for p in (0.3, 0.01))
    common, rare = (replace(one, memory=with_shares(one)) for one in (common, rare))
    assert rare.memory.look_share > 5.0 * common.memory.look_share
    assert cost(rare, 3, compared=True) <= 1.01 * cost(common, 3, compared=True)
    all_scored = replace(rare, memory=replace(rare.memory, evaluation_negatives=1.0))
    assert all_scored.se_cycle < rare.se_cycle < 1.3 * all_scored.se_cycle


def test_runs_that_are_scored_together_are_scored_on_the_same_rows():
    player = Player(resource(cycles=3, sizes=(8, 32), exploration={"share": "0.8"}), carrying())
    player.play()
    together = [(p.request, rider) for p in player.launches for rider in p.request.riders if rider.evaluation]
    assert together
    assert all(leader.evaluation == rider.evaluation for leader, rider in together)


def gate(k, player, loss, wobble):
    """The gate for a candidate that loses so much, by so much more or less in every other block."""
    last = [p for p in player.launches if p.request.run == "c001-candidate"][-1]
    evaluated = success(last).report.evaluated
    champion = evaluated.models["start"].loss
    mine = [x * (1.0 + loss + wobble * (-1) ** i) for i, x in enumerate(champion)]
    models = {**evaluated.models, "self": replace(evaluated.models["self"], loss=tuple(mine))}
    return gate_of(k, replace(evaluated, models=models), "self", "The candidate")


def test_the_gate_holds_back_what_is_surely_worse_and_not_what_noise_explains():
    player, k = knowing(kpi={"tolerance": "0.02", "maxRegression": "0.01"})
    assert gate(k, player, 0.009, 0.0).published
    assert not gate(k, player, 0.011, 0.0).published
    noisy = gate(k, player, 0.02, 0.03)
    assert noisy.published
    assert "is not surely more than" in noisy.reason
    assert not gate(k, player, 0.2, 0.03).published
