"""What a cycle will run: the candidate's plan.

The plan is the choice among the points that the lineage can switch to at once; another size needs a
branch of its own. What trains beside the candidate is decided in ``branches``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from dataefficient.contract import CheckpointRef, Role, encode
from dataefficient.cycle import proposing
from dataefficient.cycle.births import with_birth
from dataefficient.cycle.branches import Planned, with_control, with_trial
from dataefficient.cycle.comparing import TOLD
from dataefficient.cycle.figures import Ask, Forecast
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.launch import Wanted, name
from dataefficient.cycle.measuring import (
    CANDIDATE_SLACK,
    history_window,
    owes_small_pilot,
    purse,
    rungs,
    window,
)
from dataefficient.cycle.model import Champion, Option, Plan
from dataefficient.cycle.proposing import RECOMMENDED, WAITS, Suggestion, Told
from dataefficient.cycle.scoring import with_shares
from dataefficient.planner.budget import HOUR
from dataefficient.planner.choice import Choice, Weighed, choose
from dataefficient.planner.forecast import next_cost
from dataefficient.planner.knobs import Point


def first_cycle(k: Knowledge) -> Planned:
    """Cycle 0: the lineage is born, so every point is open, sizes too."""
    start, end = history_window(k)
    rows = k.rows(start, end)
    costs = {p: k.run_cost(p, rows, _window_rows(k), models=1) for p in k.points}
    choice = _chosen(k, k.points, costs, None)
    best = choice
    choice, memory, told = proposing.in_force(k, choice, costs, k.reference)
    if choice.point is None:
        return Planned(k.memory, None, (), (), (choice.code,), f"{k.headroom.part}: {choice.reason}")
    _, middle, _ = window(k)
    plan = _plan(k, choice, choice.point, (start, end), costs[choice.point])
    if start > window(k)[0]:
        share = (end - start) / (end - window(k)[0])
        converged = f"Trains on the last {share:.0%} of the history: it has converged by then"
        told = (*told, ("HistoryConverged", converged))
    wanted = Wanted(
        name(0, "candidate"),
        Role.CANDIDATE,
        choice.point,
        (start, end),
        (max(middle, start), end),
        forecast_seconds=costs[choice.point],
    )
    planned = Planned(replace(memory, plan=plan), plan, (wanted,), *_notes(choice.code, told))
    left = None if k.headroom.seconds is None else k.headroom.seconds - CANDIDATE_SLACK * costs[choice.point]
    planned = with_birth(replace(k, memory=planned.memory), planned, left)
    if k.memory.takes_riders and (late := owes_small_pilot(k)) is not None:
        rider = replace(late, evaluate=wanted.evaluate, rides=True, compared=planned.wanted[0].compared)
        planned = replace(planned, wanted=(*planned.wanted, rider))
    return _asking(k, planned, _change(k, best, choice.point, costs))


def _chosen(
    k: Knowledge, points: Sequence[Point], costs: Mapping[Point, float], in_force: Point | None
) -> Choice:
    return choose(
        points,
        k.reference,
        k.stakes,
        costs,
        k.situation(k.headroom.seconds),
        expected={p: prospect.belief.mean for p, prospect in k.prospects.items()},
        in_force=in_force,
    )


def _window_rows(k: Knowledge) -> float:
    _, middle, end = window(k)
    return k.rows(middle, end)


def later_cycle(k: Knowledge, champion: Champion) -> Planned:
    """A cycle with a champion: its lineage goes on, under the plan in force or another."""
    cycle = k.next_interval
    assert cycle is not None
    k = replace(k, memory=with_shares(k))
    origin = k.memory.successor or champion
    train = (origin.position, cycle.end)
    rows, scored = k.rows(*train), k.rows(cycle.start, cycle.end)
    in_force = champion.point if k.ruling.hold else k.in_force or champion.point
    reachable = [p for p in k.points if k.open_to(p, origin.point)]
    if k.ruling.hold:
        reachable = [p for p in reachable if p not in k.cheaper(reachable, in_force)]
    frozen = _branches_to_score(k, champion)
    if origin is not champion:
        frozen["champion"] = champion.checkpoint
    models, compared = 2 + len(frozen), bool(frozen)

    def cost(point: Point) -> float:
        return k.run_cost(point, rows, scored, models=models, compared=compared)

    costs = {p: cost(p) for p in reachable}
    full_costs = {k.reference: cost(k.reference), **costs}
    choice = _chosen(k, reachable, full_costs, in_force)
    limit = k.headroom.seconds
    affordable = [p for p in reachable if limit is None or costs[p] <= limit]
    if k.memory.rejections >= 2:
        rejected = f"{k.memory.rejections} candidates in a row were rejected: twice the data"
        choice = _twice_the_data(choice, affordable, "RejectedTwice", rejected)
    elif k.ruling.withdraw:
        choice = _twice_the_data(choice, affordable, "Withdrawn", k.ruling.withdraw[0])
    best = choice
    otherwise = champion.point if champion.point in reachable else reachable[0]
    choice, memory, told = proposing.in_force(k, choice, costs, otherwise)
    if choice.point is None:
        return Planned(k.memory, None, (), (), (choice.code,), f"{k.headroom.part}: {choice.reason}")
    plan = _plan(k, choice, choice.point, train, full_costs[choice.point])
    candidate = Wanted(
        name(k.memory.cycle, "candidate"),
        Role.CANDIDATE,
        choice.point,
        train,
        (cycle.start, cycle.end),
        start=origin.checkpoint,
        frozen=frozen,
        forecast_seconds=full_costs[choice.point],
        compared=compared,
    )
    stepped_down = choice.point != in_force and full_costs[choice.point] < cost(in_force)
    adopted = k.memory.adopted if k.ruling.hold else None
    memory = replace(memory, plan=plan, adopted=adopted, looks=k.memory.looks + stepped_down)
    if k.may_measure and memory.granted is not None:
        memory = replace(memory, granted=None)
    if k.memory.renewed == k.memory.cycle:
        told = (("TrainerChanged", TOLD), *told)
    planned = Planned(memory, plan, (candidate,), *_notes(choice.code, told))
    left = None
    if k.headroom.seconds is not None:
        left = k.headroom.seconds - CANDIDATE_SLACK * full_costs[choice.point]
    planned = with_control(replace(k, memory=planned.memory), planned, champion, left)
    planned = with_trial(replace(k, memory=planned.memory), planned, champion, left)
    return _asking(k, planned, _change(k, best, choice.point, costs))


def _notes(code: str, told: Told) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sentences, and enumerated reasons, of which the plan's own is the first."""
    return tuple(sentence for _, sentence in told), (code, *(reason for reason, _ in told))


def _branches_to_score(k: Knowledge, champion: Champion) -> dict[str, CheckpointRef]:
    """Checkpoints of branches that stand where the champion stands: scored frozen on the same rows."""
    branches = {"control": k.memory.control, "trial": k.memory.trial}
    return {
        title: branch.checkpoint
        for title, branch in branches.items()
        if branch is not None and branch.checkpoint is not None and branch.position == champion.position
    }


def _twice_the_data(choice: Choice, reachable: list[Point], code: str, reason: str) -> Choice:
    """Twice the rate of what was chosen, at its size, or else the highest, whatever is believed.

    At full data it is the next larger size, where the lineage can switch to that.
    """
    chosen = choice.point
    if chosen is None:
        return choice
    higher = [p for p in reachable if p.rate > chosen.rate and p.size == chosen.size]
    if not higher:
        larger = [p for p in reachable if p.size > chosen.size and p.rate == chosen.rate]
        point = min(larger, key=lambda p: p.size, default=chosen)
        return choice if point == chosen else replace(choice, point=point, code=code, reason=reason)
    enough = min(2.0 * chosen.rate, max(p.rate for p in higher))
    higher = [p for p in higher if p.rate >= enough]
    point = min(higher, key=lambda p: (p.rate, p.policy != chosen.policy))
    return replace(choice, point=point, code=code, reason=reason)


def _change(k: Knowledge, choice: Choice, kept: Point, costs: Mapping[Point, float]) -> Suggestion | None:
    """The change of plan that a person is asked for; None: there is none."""
    wanted = choice.point
    if wanted is None or wanted == kept:
        return None
    saving = 1.0 - k.cycle_cost(wanted) / max(k.cycle_cost(kept), 1e-9)
    kpi, expected = None, ""
    if k.level_forecast is not None and k.memory.cycle > 0:
        ratio = 1.0 + (k.stakes[wanted].gap or 0.0) - k.memory.distance
        kpi = Forecast(*(level * ratio for level in k.level_forecast))
        expected = f", at an expected KPI of {kpi.mean:.4f} ({kpi.low:.4f} to {kpi.high:.4f})"
    effect = f"saves about {saving:.0%}" if saving >= 0.0 else f"costs about {-saving:.0%} more"
    told = f"{RECOMMENDED}{wanted}. {choice.reason}. It {effect} per cycle{expected}"
    cost = Forecast(*next_cost(costs[wanted], k.past_costs))
    return Suggestion(Ask.PLAN, wanted, told, cost, kpi, saving)


def _asking(k: Knowledge, planned: Planned, change: Suggestion | None) -> Planned:
    """In mode Recommend: the one thing that a person is asked for, or the cycle held back for it."""
    plan = planned.plan
    if k.enforce or plan is None:
        return planned
    limit, dearest = k.spec.approval.above_money, max(w.forecast_seconds or 0.0 for w in planned.wanted)
    money = None if k.price is None else dearest / HOUR * k.price
    if limit is not None and money is not None and money > limit and k.memory.cleared != k.memory.cycle:
        dear = (
            f"cycle {k.memory.cycle} has a run that is forecast to cost {money:.4g} "
            f"{k.spec.budget.currency}, and approval.aboveMoney is {limit:f}"
        )
        run = Suggestion(Ask.RUN, plan.point, f"{WAITS}{dear}. It would run {plan.point}", plan.cost)
        asked = run if change is None else replace(change, told=f"{change.told}. It holds the cycle: {dear}")
        memory = proposing.propose(k, k.memory, asked, holds=True)
        return Planned(memory, None, (), (), (), waits=True)
    suggestion = change or _measurement(k) or planned.suggestion
    if suggestion is None or (planned.memory.granted is not None and change is None):
        return planned
    memory = proposing.propose(k, planned.memory, suggestion)
    assert memory.proposal is not None
    notes = (*planned.notes, memory.proposal.told)
    return replace(planned, memory=memory, notes=notes, codes=(*planned.codes, "Recommended"))


def _measurement(k: Knowledge) -> Suggestion | None:
    """Small runs on the history, where they were not made yet and can be paid."""
    found = k.memory.convergence
    if (found is not None and not found.earlier) or not rungs(k):
        return None
    cost = purse(k)
    told = (
        f"{RECOMMENDED}small runs on the history, which tell how much of it is enough and what cheaper plans "
        f"lose, for at most {cost:.0f} device-seconds"
    )
    return Suggestion(Ask.MEASUREMENT, k.in_force or k.reference, told, Forecast(cost, cost, cost))


def _plan(k: Knowledge, choice: Choice, point: Point, train: tuple[datetime, datetime], cost: float) -> Plan:
    level = k.level_forecast if k.memory.cycle > 0 else None
    plan = Plan(
        cycle=k.memory.cycle,
        point=point,
        train_from=train[0],
        train_to=train[1],
        cost=Forecast(*next_cost(cost, k.past_costs)),
        kpi=Forecast(*level) if level else None,
        reason=choice.reason,
        code=choice.code,
        options=tuple(_option(w) for w in choice.options),
    )
    text = json.dumps(encode(plan), sort_keys=True)
    return replace(plan, digest=hashlib.sha256(text.encode()).hexdigest()[:12])


def _option(weighed: Weighed) -> Option:
    return Option(weighed.point, weighed.cost, weighed.gap, weighed.gap_bound, weighed.verdict)
