"""Which trial is worth its cost now, and what a branch costs until its looks have told.

The search is the same whether no trial runs or one that holds the only place. What is begun, and in which
mode it waits for approval, is decided in ``branches``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, inf

from dataefficient.api.schedule import interval
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.model import Branch, Champion
from dataefficient.planner.belief import cold_luck
from dataefficient.planner.contrasts import after
from dataefficient.planner.explore import Pace, Trial, best_trial
from dataefficient.planner.knobs import Point
from dataefficient.planner.law import Law

CATCH_UP = 5
"""Cycles whose rows a cold start is given where the convergence point is not known."""
LOOKS_IN_HORIZON = 10
"""Looks at a trial that lasts for the whole horizon."""
LONGEST_STRIDE = 3
"""Cycles between two looks at a trial that rides, if exploration earns too little for one in each."""


@dataclass(frozen=True)
class Search:
    """What was found, and from where a trial would begin.

    Attributes:
        found: the best trial; None: none is worth its cost.
        origin: the oldest champion that a branch of the lineage's size can leave from.
        cold_from: where a cold start of another size begins.
        cold_cycles: how many cycles' rows it gets.
        account: device-seconds that experiments may take now.
    """

    found: Trial | None
    origin: Champion
    cold_from: datetime
    cold_cycles: float
    account: float


def seek(
    k: Knowledge,
    now: Point,
    champion: Champion,
    left: float | None,
    *,
    but: Point | None = None,
    only: Point | None = None,
) -> Search | None:
    """The best trial beside the plan ``now``; None where none may be begun.

    Args:
        left: device-seconds that the budget leaves; None: no budget.
        but: a plan that is being tried already.
        only: the one plan that may be tried, whatever the account has, since it was approved; None: any.
    """
    current = k.next_interval
    assert current is not None
    if not k.resolvable or k.memory.rejections:
        return None
    if k.memory.cycle < k.memory.no_trial_before or k.memory.successor:
        return None
    blocked = {r.point for r in k.memory.refusals if r.not_before > k.memory.cycle}
    points = [p for p in k.cheaper(k.points, now) if p not in blocked and p != but]
    origin = _ancestors(k, champion)[-1]
    step = stride(k, min(points, key=k.cycle_cost, default=now))
    first = k.memory.cycle - origin.cycle
    cold_from = catch_up_from(k, current.end)
    cold_cycles = k.rows(cold_from, current.end) / max(k.cycle_rows, 1.0)
    terms, cold_terms = k.terms(k.se_cycle), k.terms(k.se_cold)
    luck = cold_luck(k.memory.seed_noise, k.tolerance)

    def same_size(point: Point) -> bool:
        return point.size == champion.point.size

    def cost(point: Point, age: int, looks: int) -> float:
        cycles = age if same_size(point) else cold_cycles + age - first
        rides = k.rides(point, k.cycle_rows)
        startups = 0.0 if rides else (looks - 1) * k.run_cost(point, 0.0)
        return trial_cost(k, point, cycles * k.cycle_rows, looks) + startups

    def spread(point: Point, looks: Sequence[int]) -> float:
        if same_size(point):
            return terms.warm_spread(looks)
        since = [round(look - first + cold_cycles) for look in looks]
        return cold_terms.cold_spread(since, luck)

    saving = {p: k.cycle_cost(now) - k.cycle_cost(p) for p in points}
    # Whoever approved a trial approved its cost.
    account = k.memory.account if only is None else inf
    account = account if left is None else min(account, left)
    found = best_trial(
        points,
        {p: prospect.belief for p, prospect in k.prospects.items()},
        Law.of(k.knobs),
        terms,
        saving=saving,
        cost=cost,
        spread=spread,
        speaks=same_size,
        size=now.size,
        pace=Pace(first, step),
        purse=lambda age: account + k.earned(age - first),
        only=only,
    )
    return Search(found, origin, cold_from, cold_cycles, account)


def goes_on(k: Knowledge, trial: Branch, now: Point) -> bool:
    """Whether more looks at a running trial are worth their cost, by all that was seen of it."""
    fork, law = trial.cold == "", Law.of(k.knobs)
    points = [p for p in k.cheaper(k.points, now) if p == trial.point or (fork and law.share(p, trial.point))]
    terms = k.terms(k.se_cycle if fork else k.se_cold)
    luck = cold_luck(k.memory.seed_noise, k.tolerance)

    def spread(_: Point, looks: Sequence[int]) -> float:
        if fork:
            return terms.warm_spread(looks)
        return terms.cold_spread([round(look + trial.cold_age) for look in looks], luck)

    def cost(point: Point, age: int, looks: int) -> float:
        return trial_cost(k, point, (age - trial.age) * k.cycle_rows, looks)

    step = stride(k, trial.point)
    found = best_trial(
        points,
        {p: prospect.belief for p, prospect in k.prospects.items()},
        law,
        terms,
        saving={p: k.cycle_cost(now) - k.cycle_cost(p) for p in points},
        cost=cost,
        spread=spread,
        speaks=lambda _: fork,
        size=now.size,
        pace=Pace(trial.age + step, step),
        purse=lambda age: k.memory.account + k.earned(age - trial.age),
        only=trial.point,
        least=1,
    )
    return found is not None


def stride(k: Knowledge, point: Point) -> int:
    """Cycles between two looks at a trial: harm that builds up is seen best late, and a process costs."""
    paid_for = ceil(trial_cost(k, point, k.cycle_rows, 1) / max(k.accrual, 1e-9))
    if k.rides(point, k.cycle_rows):
        return max(1, min(paid_for, LONGEST_STRIDE))
    return max(1, round(k.spec.horizon_cycles / LOOKS_IN_HORIZON))


def trial_cost(k: Knowledge, point: Point, rows: float, looks: int) -> float:
    """Device-seconds of training a branch on ``rows`` and scoring it, frozen, in so many later cycles."""
    return k.branch_cost(point, rows, max(rows - k.cycle_rows, 0.0)) + looks * k.look_cost(point)


def _ancestors(k: Knowledge, champion: Champion) -> list[Champion]:
    """Kept champions that the lineage came through cycle by cycle, the present one first."""
    found = [champion]
    for older in k.memory.previous_champions:
        newer = found[-1]
        if older.cycle != newer.cycle - 1 or after(older.past, newer.point, 1.0) != newer.past:
            break
        found.append(older)
    return found


def catch_up_from(k: Knowledge, end: datetime) -> datetime:
    """Where a cold start that is to catch up by ``end`` begins; with the stream where nothing converged."""
    history = interval(k.spec.schedule, 0)
    assert history is not None
    rows = min(_catch_up_rows(k), k.rows(history.start, end))
    return max(end - timedelta(seconds=rows / max(k.memory.row_rate or 1.0, 1e-12)), history.start)


def _catch_up_rows(k: Knowledge) -> float:
    """Rows that a cold start is given: the convergence point, at least the control's lookback.

    Where nothing converged it is given what catches up in a few cycles. What it lacks then only makes it look
    worse than it is, and fades as it goes on.
    """
    found = k.memory.convergence
    least = k.cycle_rows * k.spec.control.lookback_cycles
    return max(found.examples, least) if found and found.examples else k.cycle_rows * CATCH_UP
