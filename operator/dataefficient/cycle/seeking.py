"""Which trial is worth its cost now, and what a branch costs until its looks have told.

The search is the same whether no trial runs or one that holds the only place. What is begun, and in which
mode it waits for approval, is decided in ``branches``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil, inf

from dataefficient.api.schedule import interval
from dataefficient.cycle.costing import HISTORY_ADVANCE
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.model import Branch, Champion
from dataefficient.planner.belief import EXPECTED_LOSS, cold_luck, conversion_loss
from dataefficient.planner.contrasts import after, settled
from dataefficient.planner.explore import MIN_CHANCE, MIN_LOOKS, Pace, Spread, Trial, best_trial
from dataefficient.planner.knobs import Point
from dataefficient.planner.law import Law

CATCH_UP = 5
"""Cycles whose rows a cold start is given where the convergence point is not known."""
LOOKS_IN_HORIZON = 10
"""Looks at a trial that lasts for the whole horizon."""
SIZE_CHANCE = 0.3
"""A trial of another size is not begun with a smaller chance: it tells of itself alone, and others wait."""
LONGEST_STRIDE = 3
"""Cycles between two looks at a trial that rides, if exploration earns too little for one in each."""
WATCH_STRIDE = 3
"""Cycles between two looks at a watch, which is to grow old at little cost, where fewer looks cost less."""

Telling = Callable[[Sequence[int], float], Spread]
"""How well looks at these ages tell a plan's distance, where it is believed to be so large."""


@dataclass(frozen=True)
class Search:
    """What was found, and from where a trial would begin.

    Attributes:
        found: the best trial; None: none is worth its cost.
        origin: the champion that it leaves from.
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
    # What a change of the stream cost tells little of what a plan costs since: that is to be found out.
    k = replace(k, memory=replace(k.memory, contrasts=settled(k.memory.contrasts)))
    blocked = {r.point for r in k.memory.refusals if r.not_before > k.memory.cycle}
    points = [p for p in k.cheaper(k.points, now) if p not in blocked and p != but]
    step = stride(k, min(points, key=k.cycle_cost, default=now))
    # Whoever approved a trial approved its cost.
    account = k.memory.account if only is None else inf
    account = account if left is None else min(account, left)
    cold_from = catch_up_from(k, current.end)
    cold_cycles = k.rows(cold_from, current.end) / max(k.cycle_rows, 1.0)
    alike = [p for p in points if p.size == champion.point.size]
    others = [p for p in points if p.size != champion.point.size]
    oldest = _ancestors(k, champion)[-1]

    def found_among(candidates: list[Point], origin: Champion) -> Trial | None:
        first = k.memory.cycle - origin.cycle
        own, converts = candidates is alike, k.memory.converts_sizes
        return _best(
            k,
            now,
            candidates,
            spread=_spread(
                k,
                own=own,
                lost=EXPECTED_LOSS * k.tolerance if converts else None,
                ahead=cold_cycles - first,
            ),
            own=own,
            begun=float(first) if own or converts else cold_cycles,
            pace=Pace(first, step),
            purse=lambda age: account + k.earned(age - first),
            only=only,
            likely=MIN_CHANCE if own else SIZE_CHANCE,
        )

    # An old branch tells more of a sample. Of another size it does not: what its conversion lost comes first,
    # and for an old one there would be rows to read that nobody else does.
    found = found_among(alike, oldest)
    other = found_among(others, champion if k.memory.converts_sizes else oldest)
    if other is not None and (found is None or other.yields > found.yields):
        return Search(other, champion, cold_from, cold_cycles, account)
    return Search(found, oldest, cold_from, cold_cycles, account)


def goes_on(k: Knowledge, trial: Branch, now: Point) -> bool:
    """Whether more looks at a running trial are worth their cost, by all that was seen of it."""
    fork, law = trial.cold == "", Law.of(k.knobs)
    points = [p for p in k.cheaper(k.points, now) if p == trial.point or (fork and law.share(p, trial.point))]
    shown = [c.gap for c in k.memory.contrasts if c.cold == trial.cold]
    lost = conversion_loss(k.tolerance, shown) if trial.converted else None
    step = stride(k, trial.point)
    found = _best(
        k,
        now,
        points,
        spread=_spread(k, own=fork, lost=lost, ahead=trial.cold_age),
        own=fork,
        begun=float(step),
        pace=Pace(trial.age + step, step),
        purse=lambda age: k.memory.account + k.earned(age - trial.age),
        only=trial.point,
        least=1,
    )
    return found is not None


def _spread(k: Knowledge, *, own: bool, lost: float | None, ahead: float) -> Telling:
    """How well looks at a branch of these ages tell its plan's distance.

    Args:
        own: it differs from the lineage by its rows alone.
        lost: what its conversion from another size lost, a standard deviation; None: it began cold.
        ahead: cycles' rows by which a cold start is older than that.
    """
    terms = k.terms(k.se_cycle if own else k.se_cold)
    if own:
        return terms.warm_spread
    if lost is not None:
        return lambda looks, _: terms.converted_spread(looks, lost)
    luck = cold_luck(k.memory.seed_noise, k.tolerance)
    return lambda looks, _: terms.cold_spread([round(look + ahead) for look in looks], luck)


def _best(
    k: Knowledge,
    now: Point,
    candidates: Sequence[Point],
    *,
    spread: Telling,
    own: bool,
    begun: float,
    pace: Pace,
    purse: Callable[[int], float],
    only: Point | None,
    least: int = MIN_LOOKS,
    likely: float = MIN_CHANCE,
) -> Trial | None:
    """The best trial of plans that all begin alike; ``explore.best_trial`` says what else is asked for.

    Args:
        spread: see ``_spread``.
        own: whether they differ from the lineage by their rows alone.
        begun: cycles' rows before the first look that is still to come.
    """
    beliefs = {p: prospect.belief for p, prospect in k.prospects.items()}
    return best_trial(
        candidates,
        beliefs,
        Law.of(k.knobs),
        k.terms(k.se_cycle if own else k.se_cold),
        saving={p: k.cycle_cost(now) - k.cycle_cost(p) for p in candidates},
        cost=lambda point, _, looks: looks_cost(k, point, begun, pace.stride, looks),
        spread=lambda point, looks: spread(looks, beliefs[point].mean),
        speaks=lambda _: own,
        size=now.size,
        pace=pace,
        purse=purse,
        only=only,
        least=least,
        likely=likely,
    )


def stride(k: Knowledge, point: Point) -> int:
    """Cycles between two looks at a trial: harm that builds up is seen best late, and a process costs.

    Where predictions tell it early looks tell nearly as much. Then the account's advance is spent on those,
    since nothing is saved before a trial has told.
    """
    if k.rides(point, k.cycle_rows):
        if k.memory.tells_divergence and k.memory.cycle <= HISTORY_ADVANCE:
            return 1
        paid_for = ceil(trial_cost(k, point, k.cycle_rows, 1) / max(k.accrual, 1e-9))
        return max(1, min(paid_for, LONGEST_STRIDE))
    return max(1, round(k.spec.horizon_cycles / LOOKS_IN_HORIZON))


def watch_stride(k: Knowledge, point: Point) -> int:
    """Cycles between two looks at a watch: where it rides, one in each cycle may cost less than reading
    rows for it that the candidates in between have read."""
    seldom = trial_cost(k, point, WATCH_STRIDE * k.cycle_rows, 1)
    return 1 if WATCH_STRIDE * trial_cost(k, point, k.cycle_rows, 1) <= seldom else WATCH_STRIDE


def trial_cost(k: Knowledge, point: Point, rows: float, looks: int) -> float:
    """Device-seconds of training a branch on ``rows`` and scoring it, frozen, in so many later cycles."""
    return k.branch_cost(point, rows, max(rows - k.cycle_rows, 0.0)) + looks * k.look_cost(point)


def looks_cost(k: Knowledge, point: Point, begun: float, step: int, looks: int) -> float:
    """Device-seconds of a branch with so many looks: the first after ``begun`` cycles' rows, each other one
    after ``step`` more."""
    first = trial_cost(k, point, begun * k.cycle_rows, 1)
    return first + (looks - 1) * trial_cost(k, point, step * k.cycle_rows, 1)


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
