"""What a cycle will run: the candidate's plan, and which branches train beside it.

The plan is the choice among the points that the lineage can switch to at once (another size needs a
branch of its own). A control is run when its time has come, or when the certainty that a saving rests
on is about to run out; a trial when it is worth its cost and the account pays.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dataefficient.api.schedule import interval
from dataefficient.contract import CheckpointRef, Role, encode
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.launch import Wanted, name
from dataefficient.cycle.measuring import history_window, window
from dataefficient.cycle.model import Branch, Champion, Forecast, Memory, Option, Plan, Refusal
from dataefficient.planner.choice import Choice, Weighed, choose
from dataefficient.planner.explore import Pace, best_trial, wait_after
from dataefficient.planner.forecast import next_cost
from dataefficient.planner.knobs import Point

SAVED_UP = 15
"""Cycles over which exploration money may be saved up: a trial that certifies a plan takes that much."""
LOOKS_IN_HORIZON = 10
"""Looks at a trial that lasts for the whole horizon."""
CONTROL_SHARE = 0.1
"""Controls may cost at most this share of the saving that they certify; else they are spaced out."""


@dataclass(frozen=True)
class Planned:
    """The cycle's plan, the runs it takes, and what else was decided. ``plan`` None: the budget forbids."""

    memory: Memory
    plan: Plan | None
    wanted: tuple[Wanted, ...]
    notes: tuple[str, ...]
    codes: tuple[str, ...]
    reason: str = ""


def first_cycle(k: Knowledge) -> Planned:
    """Cycle 0: the lineage is born, so every point is open, sizes too."""
    start, end, bound = history_window(k)
    rows = k.rows(start, end)
    costs = {p: k.run_cost(p, rows, _window_rows(k), models=1) for p in k.points}
    choice = choose(k.points, k.reference, k.stakes, costs, k.situation(k.headroom.seconds), in_force=None)
    choice, notes = _recommend(k, choice, k.reference)
    if choice.point is None:
        return Planned(k.memory, None, (), (), (choice.code,), f"{k.headroom.part}: {choice.reason}")
    _, middle, _ = window(k)
    plan = _plan(k, choice, choice.point, (start, end), costs[choice.point])
    if start > window(k)[0]:
        share = (end - start) / (end - window(k)[0])
        notes = (*notes, f"Trains on the last {share:.0%} of the history: it has converged by then")
    wanted = Wanted(
        name(0, "candidate"),
        Role.CANDIDATE,
        choice.point,
        (start, end),
        (max(middle, start), end),
        forecast_seconds=costs[choice.point],
    )
    return Planned(replace(k.memory, plan=plan, distance_bound=bound), plan, (wanted,), notes, (choice.code,))


def _window_rows(k: Knowledge) -> float:
    _, middle, end = window(k)
    return k.rows(middle, end)


def later_cycle(k: Knowledge, champion: Champion) -> Planned:
    """A cycle with a champion: its lineage goes on, under the plan in force or another."""
    cycle = k.next_interval
    assert cycle is not None
    origin = k.memory.successor or champion
    train = (origin.position, cycle.end)
    rows, scored = k.rows(*train), k.rows(cycle.start, cycle.end)
    in_force = k.in_force or champion.point
    reachable = [p for p in k.points if p.size == origin.point.size]
    if k.memory.trial is not None:
        # A trial is compared with the plan in force: that one stays, or the trial is void.
        reachable = [p for p in reachable if p == in_force or p.rate > in_force.rate]
    frozen = _branches_to_score(k, champion)
    if origin is not champion:
        frozen["champion"] = champion.checkpoint
    models = 2 + len(frozen)
    costs = {p: k.run_cost(p, rows, scored, models=models) for p in reachable}
    full_costs = {k.reference: k.run_cost(k.reference, rows, scored, models=models), **costs}
    choice = choose(
        reachable, k.reference, k.stakes, full_costs, k.situation(k.headroom.seconds), in_force=in_force
    )
    if k.memory.rejections >= 2:
        limit = k.headroom.seconds
        choice = _notch_up(k, choice, [p for p in reachable if limit is None or costs[p] <= limit])
    choice, notes = _recommend(k, choice, champion.point)
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
    )
    memory = replace(k.memory, plan=plan, adopted=None)
    planned = Planned(memory, plan, (candidate,), notes, (choice.code,))
    left = None if k.headroom.seconds is None else k.headroom.seconds - full_costs[choice.point] * 1.5
    planned = _with_control(replace(k, memory=planned.memory), planned, champion, left)
    return _with_trial(replace(k, memory=planned.memory), planned, champion, left)


def _branches_to_score(k: Knowledge, champion: Champion) -> dict[str, CheckpointRef]:
    """Checkpoints of branches that stand where the champion stands: scored frozen on the same rows."""
    branches = {"control": k.memory.control, "trial": k.memory.trial}
    return {
        title: branch.checkpoint
        for title, branch in branches.items()
        if branch is not None and branch.checkpoint is not None and branch.position == champion.position
    }


def _notch_up(k: Knowledge, choice: Choice, reachable: list[Point]) -> Choice:
    """Two rejections in a row: the next higher rate of the lineage's size, whatever is believed."""
    if choice.point is None:
        return choice
    higher = [p for p in reachable if p.rate > choice.point.rate]
    if not higher:
        return choice
    point = min(higher, key=lambda p: (p.rate, p.policy != choice.point.policy if choice.point else True))
    return replace(
        choice,
        point=point,
        code="RejectedTwice",
        reason=f"{k.memory.rejections} candidates in a row were rejected: one notch more data",
    )


def _recommend(k: Knowledge, choice: Choice, keep: Point) -> tuple[Choice, tuple[str, ...]]:
    """In mode Recommend the last approved plan goes on and the choice is only told."""
    if k.enforce or choice.point is None or choice.point == keep:
        return choice, ()
    note = f"Recommended: {choice.point}. {choice.reason}"
    kept = replace(
        choice,
        point=keep,
        code="Recommended",
        reason=f"The approved plan goes on; recommended: {choice.point}",
    )
    return kept, (note,)


def _plan(k: Knowledge, choice: Choice, point: Point, train: tuple[datetime, datetime], cost: float) -> Plan:
    past = [
        (r.plan.cost.mean, next(x.device_seconds for x in r.runs if x.role is Role.CANDIDATE))
        for r in k.memory.history
        if r.plan and r.plan.cost and any(x.role is Role.CANDIDATE for x in r.runs)
    ]
    level = k.level_forecast if k.memory.cycle > 0 else None
    plan = Plan(
        cycle=k.memory.cycle,
        point=point,
        train_from=train[0],
        train_to=train[1],
        cost=Forecast(*next_cost(cost, past)),
        kpi=Forecast(*level) if level else None,
        reason=choice.reason,
        code=choice.code,
        options=tuple(_option(w) for w in choice.options),
    )
    text = json.dumps(encode(plan), sort_keys=True)
    return replace(plan, digest=hashlib.sha256(text.encode()).hexdigest()[:12])


def _option(weighed: Weighed) -> Option:
    return Option(weighed.point, weighed.cost, weighed.gap, weighed.gap_bound, weighed.verdict)


def _with_control(k: Knowledge, planned: Planned, champion: Champion, left: float | None) -> Planned:
    """Adds a control branch where one is due, worth it and affordable."""
    point = planned.plan.point if planned.plan else k.reference
    if k.memory.control is not None or point == k.reference or not k.resolvable or k.memory.successor:
        return planned
    origin = _control_origin(k, champion)
    if origin is None:
        return planned
    start, begin, age = origin
    assert k.next_interval is not None
    end = k.next_interval.end
    cost = k.run_cost(k.reference, k.rows(begin, end), k.rows(k.next_interval.start, end), models=1)
    saving = k.cycle_cost(k.reference) - k.cycle_cost(point)
    elapsed = k.memory.cycle - k.memory.last_control
    spacing = max(k.spec.control.every_cycles, cost / max(CONTROL_SHARE * saving, 1e-9))
    running_out = _runs_out(k, point)
    if elapsed < spacing and not (running_out and elapsed >= age and cost < saving * spacing / 2):
        if elapsed == k.spec.control.every_cycles:
            note = f"Control put off to every {spacing:.0f} cycles: it costs more than a tenth of the saving"
            return replace(planned, notes=(*planned.notes, note), codes=(*planned.codes, "ControlSpacedOut"))
        return planned
    if left is not None and cost > left:
        return replace(
            planned,
            notes=(*planned.notes, "A control is due, but the budget does not allow it"),
            codes=(*planned.codes, "ControlUnaffordable"),
        )
    wanted = Wanted(
        name(k.memory.cycle, "control"),
        Role.CONTROL,
        k.reference,
        (begin, end),
        (k.next_interval.start, end),
        start=start.checkpoint if start else None,
        forecast_seconds=cost,
    )
    branch = Branch(Role.CONTROL, k.reference, k.memory.cycle, age)
    note = (
        f"Control: full data from the champion of {age} cycles ago"
        if start
        else "Control: full data at the largest size, from a cold start"
    )
    return replace(
        planned,
        memory=replace(planned.memory, control=branch, last_control=k.memory.cycle),
        wanted=(*planned.wanted, wanted),
        notes=(*planned.notes, note),
        codes=(*planned.codes, "ControlStarted"),
    )


def _control_origin(k: Knowledge, champion: Champion) -> tuple[Champion | None, datetime, int] | None:
    """Where the control starts: champion, begin of its data and its age in cycles; None: not possible yet."""
    assert k.next_interval is not None
    back = k.spec.control.lookback_cycles
    if champion.point.size == k.reference.size:
        known = [c for c in (champion, *k.memory.previous_champions) if c.point.size == k.reference.size]
        old = [c for c in known if c.cycle <= k.memory.cycle - back]
        if not old:
            return None
        start = max(old, key=lambda c: c.cycle)
        return start, start.position, k.memory.cycle - start.cycle
    begin = _catch_up_from(k, k.next_interval.end)
    cycles = max(1, round((k.next_interval.end - begin) / (k.next_interval.end - k.next_interval.start)))
    return None, begin, cycles


def _catch_up_from(k: Knowledge, end: datetime) -> datetime:
    """Where a cold start that is to catch up by ``end`` begins; with the stream where nothing converged."""
    history = interval(k.spec.schedule, 0)
    assert history is not None
    rows = min(_catch_up_rows(k), k.rows(history.start, end))
    return max(end - timedelta(seconds=rows / max(k.memory.row_rate or 1.0, 1e-12)), history.start)


def _catch_up_rows(k: Knowledge) -> float:
    """Rows that a cold start needs: the convergence point, at least the control's lookback."""
    found = k.memory.convergence
    least = k.cycle_rows * k.spec.control.lookback_cycles
    return max(found.examples, least) if found and found.examples else float("inf")


def _runs_out(k: Knowledge, point: Point) -> bool:
    """Whether the plan in force will no longer be certified by the time that a control could answer."""
    later = replace(k, memory=replace(k.memory, cycle=k.memory.cycle + 1))
    bound = later.stakes[point].bound
    return bound is None or bound > k.certified_tolerance


def _with_trial(k: Knowledge, planned: Planned, champion: Champion, left: float | None) -> Planned:
    """Lets the running trial go on where its next look is due, or begins one."""
    assert k.next_interval is not None
    trial, plan = k.memory.trial, planned.plan
    if trial is None:
        return _new_trial(k, planned, champion, left)
    if plan is None or trial.checkpoint is None or trial.position is None:
        return planned
    ended = None
    if plan.point != champion.point:
        ended = "the plan that it is compared with has changed"
    elif k.memory.cycle < trial.began + trial.age + _stride(k):
        return planned
    end = k.next_interval.end
    cost = _trial_cost(k, trial.point, k.rows(trial.position, end), 1)
    if ended is None and (cost > k.memory.account or (left is not None and cost > left)):
        ended = "nothing is left for it"
    if ended is not None:
        return replace(
            planned,
            memory=replace(planned.memory, trial=None),
            notes=(*planned.notes, f"The trial of {trial.point} ends undecided: {ended}"),
            codes=(*planned.codes, "TrialEnded"),
        )
    wanted = Wanted(
        name(k.memory.cycle, "trial"),
        Role.TRIAL,
        trial.point,
        (trial.position, end),
        None,
        start=trial.checkpoint,
        forecast_seconds=cost,
    )
    memory = replace(planned.memory, account=planned.memory.account - cost)
    return replace(planned, memory=memory, wanted=(*planned.wanted, wanted))


def _stride(k: Knowledge) -> int:
    """Cycles between two looks at a trial: harm that builds up is seen best late, and looks cost."""
    return max(1, round(k.spec.horizon_cycles / LOOKS_IN_HORIZON))


def _trial_cost(k: Knowledge, point: Point, rows: float, looks: int) -> float:
    """Device-seconds of training a branch on ``rows`` and scoring it, frozen, in so many later cycles."""
    scoring = k.run_cost(point, 0.0, k.cycle_rows, models=1) - k.run_cost(point, 0.0)
    return k.run_cost(point, rows) + looks * scoring


def _origin(k: Knowledge, champion: Champion) -> Champion:
    """The oldest kept champion since which the plan in force has not changed: a trial starts there."""
    origin = champion
    for older in k.memory.previous_champions:
        if older.point.size != champion.point.size or origin.point != champion.point:
            break
        if older.cycle != origin.cycle - 1:
            break
        origin = older
    return origin


def _new_trial(k: Knowledge, planned: Planned, champion: Champion, left: float | None) -> Planned:
    plan, current = planned.plan, k.next_interval
    assert current is not None
    if plan is None or not k.enforce or not k.resolvable or k.memory.rejections:
        return planned
    if k.memory.cycle < k.memory.no_trial_before or plan.point != champion.point or k.memory.successor:
        return planned
    blocked = {r.point for r in k.memory.refusals if r.not_before > k.memory.cycle}
    points = [p for p in k.cheaper(k.points, plan.point) if p not in blocked]
    origin, stride = _origin(k, champion), _stride(k)
    first = k.memory.cycle - origin.cycle
    pace = Pace(first, stride)

    def same_size(point: Point) -> bool:
        return point.size == champion.point.size

    def cost(point: Point, age: int, looks: int) -> float:
        rows = age * k.cycle_rows if same_size(point) else _catch_up_rows(k) + (age - first) * k.cycle_rows
        if rows == float("inf"):
            return rows
        startups = (looks - 1) * k.run_cost(point, 0.0)
        return _trial_cost(k, point, rows, looks) + startups

    saving = {p: k.cycle_cost(plan.point) - k.cycle_cost(p) for p in points}
    account = k.memory.account if left is None else min(k.memory.account, left)
    found = best_trial(
        points,
        k.curious,
        k.terms(k.se_cycle),
        saving=saving,
        cost=cost,
        pace=pace,
        purse=lambda age: account + k.accrual * (age - first),
    )
    if found is None:
        return planned
    if same_size(found.point):
        rows, begin, start = k.rows(origin.position, current.end), origin.position, origin.checkpoint
    else:
        rows, start = _catch_up_rows(k), None
        begin = _catch_up_from(k, current.end)
    spent = _trial_cost(k, found.point, rows, 1)
    wanted = Wanted(
        name(k.memory.cycle, "trial"),
        Role.TRIAL,
        found.point,
        (begin, current.end),
        None,
        start=start,
        forecast_seconds=spent,
    )
    branch = Branch(Role.TRIAL, found.point, origin.cycle, 0)
    worth = f"worth {found.value:.0f} device-seconds"
    note = (
        f"Trial of {found.point}, over up to {found.age} cycles: {worth} with a chance of {found.chance:.0%}"
    )
    return replace(
        planned,
        memory=replace(planned.memory, trial=branch, account=planned.memory.account - spent),
        wanted=(*planned.wanted, wanted),
        notes=(*planned.notes, note),
        codes=(*planned.codes, "TrialStarted"),
    )


def refuse(memory: Memory, point: Point) -> tuple[Refusal, ...]:
    """Refusals with one more of ``point``; each doubles the wait."""
    others = tuple(r for r in memory.refusals if r.point != point)
    count = next((r.count for r in memory.refusals if r.point == point), 0) + 1
    return (*others, Refusal(point, count, memory.cycle + wait_after(count)))


def certified(k: Knowledge, point: Point) -> bool:
    """Whether a point could serve from now on."""
    if point == k.reference:
        return True
    bound = k.stakes[point].bound
    return bound is not None and bound <= k.certified_tolerance
