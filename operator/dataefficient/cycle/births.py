"""A trial that is born with the lineage: it rides with the first candidate, over the history.

A fork begins as a copy of the candidate's model in mid-history and goes on under the trial's plan. At the end
of cycle 0 it is as old as a trial that began after it would be many cycles later, and it is the old branches
that tell what a plan costs in the end. Another size begins cold, with the history, and only where no fork is
worth its cost: a fork tells of all plans of its size, and another size of itself alone. Where the trainer
converts models it begins later: what its conversion loses would hide what an old fork tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

from dataefficient.contract import Role
from dataefficient.cycle.branches import Planned
from dataefficient.cycle.knowledge import AHEAD, Knowledge
from dataefficient.cycle.launch import Wanted, name
from dataefficient.cycle.measuring import same_rows
from dataefficient.cycle.model import Branch, Memory
from dataefficient.planner.belief import Belief, Life, cold_luck
from dataefficient.planner.contrasts import Contrast, Spell
from dataefficient.planner.evidence import paired_ahead
from dataefficient.planner.explore import Pace, Spread, Trial, best_trial
from dataefficient.planner.knobs import Point
from dataefficient.planner.law import Law

OLDEST = 0.75
"""A fork trains apart for at most this share of the history: before, there must be a model to copy."""
OLDEST_CYCLES = 10
"""An older fork hardly tells more of what comes within the cycles that a plan is certified for."""


def with_birth(k: Knowledge, planned: Planned, left: float | None) -> Planned:
    """With a trial that rides with cycle 0's candidate, where one is worth its cost and the account pays.

    Args:
        left: device-seconds that the budget leaves beside the candidate; None: no budget.
    """
    plan = planned.plan
    if plan is None or not k.enforce or not k.memory.takes_riders or not k.resolvable:
        return planned
    candidate = planned.wanted[0]
    start, end = candidate.train
    span = (end - start) / k.cycle_length
    points = k.cheaper(k.points, plan.point)
    if not points:
        return planned
    ahead = k.evidence.ahead(Life((Spell(plan.point, 1.0),)), points, AHEAD)
    beliefs = dict(zip(points, ahead.beliefs(), strict=True))
    forks = [p for p in points if p.size == plan.point.size]
    account = k.memory.account if left is None else min(k.memory.account, left)
    ages = range(1, min(int(OLDEST * span), OLDEST_CYCLES) + 1)
    found = [(age, _best(k, plan.point, forks, beliefs, age=age, account=account)) for age in ages]
    worth = [(age, trial) for age, trial in found if trial is not None]
    if not worth and not k.memory.converts_sizes:
        whole = max(round(span), 1)
        colds = [p for p in points if p not in forks]
        cold = _best(k, plan.point, colds, beliefs, age=whole, account=account)
        worth = [(whole, cold)] if cold is not None else []
    if not worth:
        return planned
    age, trial = max(worth, key=lambda option: option[1].value)
    fork = trial.point in forks
    cost = _cost(k, trial.point, age, 1)
    rider = Wanted(
        name(0, "trial"),
        Role.TRIAL,
        trial.point,
        (end - age * k.cycle_length if fork else start, end),
        candidate.evaluate,
        forecast_seconds=cost,
        rides=True,
        fork=fork,
        compared=True,
    )
    branch = Branch(Role.TRIAL, trial.point, -age, 0, target=trial.target)
    if not fork:
        branch = Branch(Role.TRIAL, trial.point, 0, 0, cold=rider.name, cold_age=span)
    note = (
        f"Trial of {trial.point} over {age} cycles of the history: worth {trial.value:.0f} device-seconds "
        f"with a chance of {trial.chance:.0%}"
    )
    if trial.target != trial.point:
        note += f" to certify {trial.target}"
    return replace(
        planned,
        memory=replace(planned.memory, trial=branch, account=planned.memory.account - cost),
        wanted=(replace(candidate, compared=True), rider),
        notes=(*planned.notes, note),
        codes=(*planned.codes, "TrialStarted"),
    )


def _cost(k: Knowledge, point: Point, age: int, looks: int) -> float:
    return k.added_cost(point, age * k.cycle_rows) + looks * k.look_cost(point)


def _best(
    k: Knowledge,
    now: Point,
    points: Sequence[Point],
    beliefs: Mapping[Point, Belief],
    *,
    age: int,
    account: float,
) -> Trial | None:
    """The best trial of ``points`` that has this age after cycle 0, whose run the account can pay.

    It may certify milder ones whose own run would be too dear.
    """
    if not points:
        return None
    payable = {p for p in points if _cost(k, p, age, 1) <= account}
    fork = points[0].size == now.size
    terms = k.terms(k.se_cycle if fork else k.se_cold)
    luck = cold_luck(k.memory.seed_noise, k.tolerance)

    def spread(point: Point, looks: Sequence[int]) -> Spread:
        return terms.warm_spread(looks, beliefs[point].mean) if fork else terms.cold_spread(looks, luck)

    return best_trial(
        points,
        beliefs,
        Law.of(k.knobs),
        terms,
        saving={p: k.cycle_cost(now) - k.cycle_cost(p) for p in points},
        cost=lambda point, until, looks: _cost(k, point, until, looks) if point in payable else inf,
        spread=spread,
        speaks=lambda _: fork,
        size=now.size,
        pace=Pace(age, 1, twice=True),
        purse=lambda until: account + k.earned(until - age),
    )


def first_look(k: Knowledge) -> Memory:
    """Memory with what the trial that was born with the lineage shows by the end of cycle 0.

    Both are scored as they learn, on rows that they learn from next: it is as old as in the middle of them.
    """
    memory, trial, plan = k.memory, k.memory.trial, k.memory.plan
    reports = {o.run: o.report for o in memory.done if o.report}
    mine, other = reports.get(name(0, "trial")), reports.get(name(0, "candidate"))
    if trial is None or plan is None or mine is None or other is None or not same_rows(mine, other):
        return memory
    request = next(p.request for p in memory.launched if p.request.run == mine.run)
    own, candidate, scored = mine.evaluated, other.evaluated, request.evaluation
    assert own is not None
    assert candidate is not None
    assert scored is not None
    assert request.train is not None
    difference = paired_ahead(own.models["self"], candidate.models["self"], own.n, own.positives)
    if difference is None:
        return memory
    middle = scored.start + (scored.end - scored.start) / 2
    age = (middle - request.train.start) / k.cycle_length
    contrast = Contrast(
        mine=(Spell(trial.point, age),),
        against=(Spell(plan.point, 1.0),),
        cycle=0,
        age=None if trial.cold else age,
        gap=difference.gap,
        standard_error=difference.widened,
        cold=trial.cold,
        cold_age=age if trial.cold else 0.0,
    )
    grown = replace(trial, looks=trial.looks + 1)
    return replace(memory, trial=grown, contrasts=(*memory.contrasts, contrast))
