"""The branches that train beside the candidate: controls, trials and watches.

A control is run when its time has come, or when the certainty that a saving rests on is about to run out; a
trial when it is worth its cost and the account pays; a watch where neither is and the plan in force is not
sure. What the candidate itself runs is decided in ``planning``, what a branch showed in ``judging``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from dataefficient.contract import CheckpointRef, Role
from dataefficient.cycle.figures import Ask, Forecast
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.launch import Wanted, name
from dataefficient.cycle.model import Branch, Champion, Memory, Plan, Refusal
from dataefficient.cycle.proposing import RECOMMENDED, Suggestion
from dataefficient.cycle.seeking import catch_up_from, looks_cost, seek, stride, trial_cost, watch_stride
from dataefficient.planner.explore import MIN_CHANCE, MIN_LOOKS, PLANNED_AGE, Trial, wait_after
from dataefficient.planner.knobs import Point
from dataefficient.planner.law import Law

WATCH = 0.75
"""A watch begins once the bound of the plan in force is above this share of the tolerance."""
SURE = 0.5
"""It has told enough once the bound is below this one."""
WATCH_FACTOR = 0.25
"""A watch takes no less than this part of the rows in force."""
WATCH_LOOKS = 4
"""Looks that the account must be able to pay in time before a watch begins."""
WATCH_SHARE = 0.25
"""A watch may cost at most this share of the saving that it guards."""
LONGEST_WAIT = 4
"""Cycles that a trial waits for the account to pay for it."""
CONTROL_SHARE = 0.1
"""Controls may cost at most this share of the saving that they certify; else they are spaced out."""


@dataclass(frozen=True)
class Planned:
    """The cycle's plan, the runs it takes, and what else was decided.

    ``plan`` None: the budget forbids, or the cycle waits for approval.
    """

    memory: Memory
    plan: Plan | None
    wanted: tuple[Wanted, ...]
    notes: tuple[str, ...]
    codes: tuple[str, ...]
    """The plan's own enumerated reason, and one for each of ``notes``."""
    reason: str = ""
    suggestion: Suggestion | None = None
    """What a person is asked to approve, in mode Recommend."""
    waits: bool = False
    """For the approval of what ``memory`` proposes."""


def with_control(k: Knowledge, planned: Planned, champion: Champion, left: float | None) -> Planned:
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
    trained = k.rows(begin, end)
    rides = k.rides(k.reference, trained)
    if rides:
        cost = k.added_cost(k.reference, trained, trained - k.rows(*planned.wanted[0].train))
    else:
        cost = k.run_cost(k.reference, trained, k.rows(k.next_interval.start, end), models=1)
    cost += k.look_cost(k.reference)
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
    run = name(k.memory.cycle, "control")
    wanted = Wanted(
        run,
        Role.CONTROL,
        k.reference,
        (begin, end),
        None if rides else (k.next_interval.start, end),
        start=start.checkpoint if start else None,
        forecast_seconds=cost,
        rides=rides,
    )
    branch = Branch(Role.CONTROL, k.reference, k.memory.cycle, age)
    if start is None:
        branch = replace(branch, cold=run, cold_age=float(age))
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
    if k.branches_off(k.reference, champion.point):
        known = [c for c in (champion, *k.memory.previous_champions) if k.branches_off(k.reference, c.point)]
        old = [c for c in known if c.cycle <= k.memory.cycle - back]
        if not old:
            return None
        start = max(old, key=lambda c: c.cycle)
        return start, start.position, k.memory.cycle - start.cycle
    begin = catch_up_from(k, k.next_interval.end)
    cycles = max(1, round((k.next_interval.end - begin) / (k.next_interval.end - k.next_interval.start)))
    return None, begin, cycles


def _runs_out(k: Knowledge, point: Point) -> bool:
    """Whether the plan in force will no longer be certified by the time that a control could answer."""
    later = replace(k, memory=replace(k.memory, cycle=k.memory.cycle + 1))
    bound = later.stakes[point].bound
    return bound is None or bound > k.certified_tolerance


def with_trial(k: Knowledge, planned: Planned, champion: Champion, left: float | None) -> Planned:
    """Lets the running trial go on where its next look is due, or begins one."""
    assert k.next_interval is not None
    trial, plan = k.memory.trial, planned.plan
    if trial is None and k.ruling.hold:
        held = f"Nothing cheaper is tried: {k.ruling.hold[0]}"
        return replace(planned, notes=(*planned.notes, held), codes=(*planned.codes, "Held"))
    if trial is None:
        return _new_trial(k, planned, champion, left)
    if plan is not None and _is_answered(k, trial, plan.point):
        # It was certified before its next look: by what had been seen, with the time that has passed since.
        task = next_task(k, trial, plan.point)
        trial, planned = (trial, planned) if task is None else (task, _set(planned, k, task))
    if plan is None or trial.checkpoint is None or trial.position is None:
        return planned
    if _is_worth_less(k, trial, plan.point, champion, left):
        return _new_trial(k, _ended(planned, trial, "another one is worth more"), champion, left)
    ended = None
    if _is_answered(k, trial, plan.point):
        ended = "what it was to tell is no longer asked"
    elif k.memory.cycle < trial.began + trial.age + (watch_stride if trial.watch else stride)(k, trial.point):
        return planned
    end = k.next_interval.end
    cost = trial_cost(k, trial.point, k.rows(trial.position, end), 1)
    if ended is None and (cost > k.memory.account or (left is not None and cost > left)):
        if k.memory.cycle < trial.began + trial.age + LONGEST_WAIT:
            return planned
        ended = "nothing is left for it"
        if not trial.watch:
            planned = replace(planned, memory=replace(planned.memory, refusals=refuse(k.memory, trial.point)))
    if ended is not None:
        return _ended(planned, trial, ended)
    return _trained(k, planned, trial, (trial.position, trial.checkpoint))


def next_task(k: Knowledge, trial: Branch, told: Point) -> Branch | None:
    """A trial that has told of a plan, or was overtaken by it, with what it goes on for: one that saves more,
    or as a watch of this one; None: it ends."""
    law = Law.of(k.knobs)
    if trial.watch or trial.cold or told == trial.point or trial.age >= PLANNED_AGE:
        return None
    if law.share(told, trial.point) is None:
        return None
    saving = k.cycle_cost(told)
    between = [p for p in k.cheaper(k.points, told) if law.share(p, trial.point)]
    worth = {p: k.prospects[p].certified * (saving - k.cycle_cost(p)) for p in between}
    likely = [p for p in between if k.prospects[p].certified >= MIN_CHANCE]
    if likely:
        return replace(trial, target=max(likely, key=lambda p: worth[p]))
    return replace(trial, target=None, watch=True) if trial.point.rate >= told.rate * WATCH_FACTOR else None


def _set(planned: Planned, k: Knowledge, task: Branch) -> Planned:
    """With the trial's next task."""
    planned = replace(planned, memory=replace(planned.memory, trial=task))
    if not task.watch:
        return planned
    told = f"The trial of {task.point} goes on as a watch: {k.told_distance}"
    return replace(planned, notes=(*planned.notes, told), codes=(*planned.codes, "WatchStarted"))


def _ended(planned: Planned, trial: Branch, why: str) -> Planned:
    return replace(
        planned,
        memory=replace(planned.memory, trial=None),
        notes=(*planned.notes, f"The trial of {trial.point} ends undecided: {why}"),
        codes=(*planned.codes, "TrialEnded"),
    )


def _is_worth_less(k: Knowledge, trial: Branch, now: Point, champion: Champion, left: float | None) -> bool:
    """Whether another trial is worth more than this one can be yet, which holds the only place.

    At most it saves what it is for with the chance that its plan is inside, whatever looks cost. Where trials
    wait for approval it is not asked.
    """
    if trial.watch or trial.looks < MIN_LOOKS or not k.enforce or k.ruling.hold:
        return False
    target = trial.target or trial.point
    at_most = k.chances_of(trial)[0] * (k.cycle_cost(now) - k.cycle_cost(target)) * k.spec.horizon_cycles
    search = seek(k, now, champion, left, but=trial.point)
    return search is not None and search.found is not None and search.found.value > at_most


def _is_answered(k: Knowledge, trial: Branch, now: Point) -> bool:
    """Whether a trial is idle: its plan is no longer allowed, or what it is for is as cheap as in force."""
    if trial.point not in k.points:
        return True
    if trial.watch:
        return trial.point == now or trial.point.size != now.size or now == k.reference
    return k.cycle_cost(now) <= k.cycle_cost(trial.target or trial.point)


def _new_trial(k: Knowledge, planned: Planned, champion: Champion, left: float | None) -> Planned:
    if planned.plan is None:
        return planned
    granted = _granted_trial(k.memory)
    search = seek(k, planned.plan.point, champion, left, only=granted)
    if search is not None and search.found is None and granted is not None:
        search = seek(k, planned.plan.point, champion, left)
    if search is None:
        return planned
    found, origin = search.found, search.origin
    planned = _with_grant_used(planned, granted, found)
    if found is None:
        return _new_watch(k, planned, champion, search.account)
    worth = f"worth {found.value:.0f} device-seconds"
    note = (
        f"Trial of {found.point}, over up to {found.age} cycles: {worth} with a chance of {found.chance:.0%}"
    )
    if found.target != found.point:
        note += f" to certify {found.target}"
    if not k.enforce and found.point != granted:
        asked = f"{RECOMMENDED}{note[0].lower()}{note[1:]}; it costs about {found.cost:.0f} device-seconds"
        if found.point.size != champion.point.size:
            asked += ". It takes over once it is certain to stay inside the tolerance"
        total = Forecast(found.cost, found.cost, found.cost)
        suggestion = Suggestion(Ask.TRIAL, found.point, asked, total)
        return _new_watch(k, replace(planned, suggestion=suggestion), champion, search.account)
    if found.point.size == champion.point.size:
        branch = Branch(Role.TRIAL, found.point, origin.cycle, 0, target=found.target)
        return _begin_trial(k, planned, branch, (origin.position, origin.checkpoint), note)
    run = name(k.memory.cycle, "trial")
    if k.branches_off(found.point, champion.point):
        branch = Branch(Role.TRIAL, found.point, origin.cycle, 0, cold=run, converted=True)
        return _begin_trial(k, planned, branch, (origin.position, origin.checkpoint), note)
    branch = Branch(Role.TRIAL, found.point, k.memory.cycle, 0, cold=run, cold_age=search.cold_cycles)
    return _begin_trial(k, planned, branch, (search.cold_from, None), note)


def _granted_trial(memory: Memory) -> Point | None:
    """The plan whose trial was approved and has not begun."""
    granted = memory.granted
    return granted.point if granted is not None and granted.ask is Ask.TRIAL else None


def _with_grant_used(planned: Planned, granted: Point | None, found: Trial | None) -> Planned:
    """With an approved trial taken up, or told to have lapsed where it is not worth its cost now."""
    if granted is None:
        return planned
    planned = replace(planned, memory=replace(planned.memory, granted=None))
    if found is not None and found.point == granted:
        return planned
    lapsed = f"The approved trial of {granted} is not begun: it is not worth its cost any more"
    return replace(planned, notes=(*planned.notes, lapsed), codes=(*planned.codes, "ApprovalLapsed"))


def _new_watch(k: Knowledge, planned: Planned, champion: Champion, account: float) -> Planned:
    """Begins a branch at a neighbouring rate where the plan in force is not sure; cheaper than a control.

    By the law of the rate the two tell what the plan in force loses, and as the branch grows old, how slowly
    harm builds up. A lower rate is the cheaper neighbour; at the lowest it is twice the rate.
    """
    assert planned.plan is not None
    assert k.next_interval is not None
    now = planned.plan.point
    if not k.wavers(WATCH) or now.rate == k.reference.rate:
        return planned
    lower = [r for r in k.knobs.rates if r < now.rate and r >= now.rate * WATCH_FACTOR]
    rate = min(lower or [r for r in k.knobs.rates if r >= 2.0 * now.rate] or [k.reference.rate])
    point = replace(now, rate=rate)
    if rate == k.reference.rate:
        point = replace(point, policy=k.reference.policy)
    begun, step = float(k.memory.cycle - champion.cycle), watch_stride(k, point)
    first, several = (looks_cost(k, point, begun, step, looks) for looks in (1, WATCH_LOOKS))
    later = step * (WATCH_LOOKS - 1)
    if first > account or several > account + k.earned(later):
        return planned
    if several - first > WATCH_SHARE * later * (k.cycle_cost(k.reference) - k.cycle_cost(now)):
        return planned
    branch = Branch(Role.TRIAL, point, champion.cycle, 0, watch=True)
    note = f"Watch with {point}: {k.told_distance}"
    return _begin_trial(k, planned, branch, (champion.position, champion.checkpoint), note)


def _begin_trial(
    k: Knowledge,
    planned: Planned,
    branch: Branch,
    begin: tuple[datetime, CheckpointRef | None],
    note: str,
) -> Planned:
    planned = _trained(k, planned, branch, begin)
    return replace(
        planned,
        memory=replace(planned.memory, trial=branch),
        notes=(*planned.notes, note),
        codes=(*planned.codes, "WatchStarted" if branch.watch else "TrialStarted"),
    )


def _trained(
    k: Knowledge, planned: Planned, branch: Branch, begin: tuple[datetime, CheckpointRef | None]
) -> Planned:
    """With the run that trains a trial's branch from ``begin`` to the interval's end, paid by the account."""
    assert k.next_interval is not None
    start, end = begin[0], k.next_interval.end
    cost = trial_cost(k, branch.point, k.rows(start, end), 1)
    wanted = Wanted(
        name(k.memory.cycle, "trial"),
        Role.TRIAL,
        branch.point,
        (start, end),
        None,
        start=begin[1],
        forecast_seconds=cost,
        rides=k.rides(branch.point, k.rows(start, end)),
    )
    memory = replace(planned.memory, account=max(planned.memory.account - cost, 0.0))
    return replace(planned, memory=memory, wanted=(*planned.wanted, wanted))


def refuse(memory: Memory, point: Point) -> tuple[Refusal, ...]:
    """Refusals with one more of ``point``; each doubles the wait."""
    others = tuple(r for r in memory.refusals if r.point != point)
    count = next((r.count for r in memory.refusals if r.point == point), 0) + 1
    return (*others, Refusal(point, count, memory.cycle + wait_after(count)))
