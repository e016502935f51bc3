"""What a finished cycle leaves: a champion, branches, beliefs, and its record.

Publishing (``gate``) and economising (``looks``) are two questions, and no answer to one is one to the other:
but a candidate that is too bad to publish tells of its plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dataefficient.contract import Role, RunReport, Slice
from dataefficient.cycle import measuring
from dataefficient.cycle.births import first_look
from dataefficient.cycle.costing import HISTORY_ADVANCE
from dataefficient.cycle.gate import SERVED, Notes, gate_of, served
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.launch import name
from dataefficient.cycle.looks import CONTRASTS, judge_control, judge_trial, without_trial
from dataefficient.cycle.model import (
    Branch,
    Champion,
    CycleRecord,
    FailureKind,
    Gate,
    Memory,
    RunOutcome,
    RunPlan,
    RunSummary,
)
from dataefficient.cycle.saving import add_cycle
from dataefficient.planner.contrasts import Contrast, Past, Spell, after
from dataefficient.planner.knobs import Point

SAVED_UP = 15
"""Cycles over which exploration money may be saved up: a trial that certifies a plan takes that much."""
HISTORY = 64
"""Cycle records that are kept."""
LEVELS = 40
BORN_LATE = "birth"
"""Names the cold start of a lineage that was not given all of the history."""


def judge(k: Knowledge, plans: Sequence[RunPlan], notes: Notes) -> Memory:
    """Memory after the cycle whose runs are all done: champion, beliefs, branches, record, next cycle."""
    memory = k.memory
    reports = {o.run: o.report for o in memory.done if o.report}
    candidate = reports.get(name(memory.cycle, "candidate"))
    kpi, error = _served_level(candidate)
    if memory.cycle > 0 and candidate is not None:
        memory = judge_control(replace(k, memory=memory), candidate, notes)
        if memory.successor is None:
            memory = judge_trial(replace(k, memory=memory), candidate, notes)
    if memory.cycle == 0:
        memory = first_look(k)
    memory, gate = _publish(replace(k, memory=memory), candidate, notes)
    memory = _branches_after(replace(k, memory=memory), reports)
    if kpi is not None:
        memory = replace(memory, levels=(*memory.levels, kpi)[-LEVELS:])
    elif not memory.levels and candidate is not None and measuring.scored(candidate):
        rung, spread = measuring.own_level(candidate)
        memory = replace(memory, levels=(rung.loss,), level_spread=spread)
    if candidate is not None and memory.cycle > 0:
        memory = replace(
            memory, row_rate=_row_rate(k, candidate), time_blocks=measuring.filled_blocks(candidate)
        )
    record = _record(k, memory, plans, notes, gate=gate, kpi=(kpi, error), slices=_slices(k, candidate))
    memory = add_cycle(replace(k, memory=replace(k.memory, row_rate=memory.row_rate)), memory, record)
    account = memory.account
    if memory.cycle > HISTORY_ADVANCE:
        account = min(account + k.accrual, max(SAVED_UP * k.accrual, account))
    return replace(
        memory,
        cycle=memory.cycle + 1,
        done=(),
        account=account,
        history=(*memory.history, record)[-HISTORY:],
    )


def _slices(k: Knowledge, candidate: RunReport | None) -> tuple[Slice, ...]:
    """What the candidate's report says of the columns that the resource names."""
    if candidate is None or candidate.evaluated is None:
        return ()
    return tuple(s for s in candidate.evaluated.slices if s.column in k.spec.kpi.slices and s.n)


def _served_level(candidate: RunReport | None) -> tuple[float | None, float | None]:
    """Mean log loss of what served during the interval, the frozen champion, and its standard error."""
    if candidate is None or candidate.evaluated is None or SERVED[1] not in candidate.evaluated.models:
        return None, None
    n, loss = candidate.evaluated.n, served(candidate.evaluated).loss
    filled = [(x, s) for x, s in zip(n, loss, strict=True) if x]
    rows = sum(x for x, _ in filled)
    if len(filled) < 2:
        return None, None
    level = sum(s for _, s in filled) / rows
    residual = sum((s - level * x) ** 2 for x, s in filled)
    return level, (len(filled) / (len(filled) - 1) * residual) ** 0.5 / rows


def _row_rate(k: Knowledge, candidate: RunReport) -> float:
    plan = k.memory.plan
    assert plan is not None
    return candidate.rows.read / (plan.train_to - plan.train_from).total_seconds()


def _publish(k: Knowledge, candidate: RunReport | None, notes: Notes) -> tuple[Memory, Gate | None]:
    """Publishes the candidate, if the gate lets it."""
    memory = k.memory
    if candidate is None or candidate.checkpoint is None or candidate.position is None:
        return replace(memory, rejections=memory.rejections + 1), None
    plan = memory.plan
    assert plan is not None
    if memory.champion is None or candidate.evaluated is None:
        notes.add("Published", "The first champion is published")
        return _crown(k, candidate, plan.point), None
    gate = gate_of(k, candidate.evaluated, "self", "The candidate")
    if gate.published and k.ruling.block:
        gate = replace(gate, published=False, reason=k.ruling.block[0])
    if not gate.published:
        notes.add("Rejected", f"Not published. {gate.reason}")
        told, look = memory.contrasts, _told_by(k, gate, plan.point)
        if look is not None and plan.point == memory.champion.point and "HarmGrew" not in notes.codes:
            notes.add("HarmGrew", f"{plan.point} cost less before: what was measured then counts no more")
            told = ()
        told = told if look is None else (*told, look)[-CONTRASTS:]
        return replace(memory, rejections=memory.rejections + 1, trial=None, contrasts=told), gate
    crowned = _crown(k, candidate, plan.point)
    if memory.successor is not None and memory.successor.cycle < memory.cycle - 1:
        crowned = replace(crowned, successor=None)
    return crowned, gate


def _told_by(k: Knowledge, gate: Gate, point: Point) -> Contrast | None:
    """What a rejected candidate tells of its plan; None: nothing.

    It knows newer rows than the frozen champion, so its plan loses at least so much within one cycle. Where
    the champion was trained under the same plan, full data would have been no worse than the champion is.
    """
    champion, gap = k.memory.champion, gate.gap
    if champion is None or k.memory.successor is not None or gap is None or gap <= gate.allowed:
        return None
    same = point == champion.point
    if point.size != champion.point.size or (same and point.rate == k.reference.rate):
        return None
    against: Past = (Spell(k.reference, 1.0),) if same else champion.past
    return Contrast((Spell(point, 1.0),), against, k.memory.cycle, 1.0, gap, gate.standard_error or gap)


def _crown(k: Knowledge, report: RunReport, point: Point) -> Memory:
    """Memory with the report's checkpoint as champion, and the lineage's distance with it."""
    memory, origin = k.memory, k.origin
    assert report.checkpoint is not None
    assert report.position is not None
    if origin is None:
        late = memory.plan is not None and memory.plan.train_from > measuring.window(k)[0]
        past, cold, cold_age = after((), point, 1.0), BORN_LATE if late else "", 0.0
    else:
        cycles = float(max(memory.cycle - origin.cycle, 1))
        past, cold, cold_age = after(origin.past, point, cycles), origin.cold, origin.cold_age + cycles
    champion = Champion(
        report.checkpoint, memory.cycle, point, report.position, 0.0, past=past, cold=cold, cold_age=cold_age
    )
    mean, bound = replace(k, memory=replace(memory, champion=champion, successor=None)).distance
    older = () if memory.champion is None else (memory.champion, *memory.previous_champions)
    keep = k.spec.checkpoints.keep - 1
    left_reference = point != k.reference and (
        memory.champion is None or memory.champion.point == k.reference
    )
    return replace(
        memory,
        champion=replace(champion, distance=bound),
        previous_champions=older[:keep],
        distance=mean,
        distance_bound=bound,
        rejections=0,
        last_control=memory.cycle if left_reference else memory.last_control,
    )


def _branches_after(k: Knowledge, reports: dict[str, RunReport]) -> Memory:
    """Branches with the checkpoints that this cycle gave them; a branch whose run failed is dropped."""
    memory = k.memory
    for role, title in ((Role.TRIAL, "trial"), (Role.CONTROL, "control")):
        branch = memory.trial if role is Role.TRIAL else memory.control
        run = name(memory.cycle, title)
        if branch is None or all(plan.request.run != run for plan in memory.launched):
            continue
        report = reports.get(run)
        if report is None or report.checkpoint is None:
            memory = _set_branch(memory, role, None)
            if role is Role.TRIAL:
                memory = without_trial(memory, branch.point)
        else:
            age = memory.cycle - branch.began if role is Role.TRIAL else branch.age
            grown = replace(branch, checkpoint=report.checkpoint, position=report.position, age=age)
            memory = _set_branch(memory, role, grown)
    return memory


def _set_branch(memory: Memory, role: Role, branch: Branch | None) -> Memory:
    return replace(memory, trial=branch) if role is Role.TRIAL else replace(memory, control=branch)


def _record(
    k: Knowledge,
    after: Memory,
    plans: Sequence[RunPlan],
    notes: Notes,
    *,
    gate: Gate | None,
    kpi: tuple[float | None, float | None],
    slices: tuple[Slice, ...],
) -> CycleRecord:
    current = k.next_interval
    assert current is not None
    cycle = k.memory.cycle
    return CycleRecord(
        cycle=cycle,
        start=current.start,
        end=current.end,
        plan=k.memory.plan,
        kpi=kpi[0],
        kpi_standard_error=kpi[1],
        distance=after.distance,
        distance_bound=after.distance_bound,
        gate=gate,
        spent_seconds=k.memory.ledger.by_cycle.get(str(cycle), 0.0),
        runs=tuple(_summary(p, k.memory.done) for p in plans),
        notes=tuple(notes.sentences),
        codes=tuple(notes.codes),
        champion=after.champion.checkpoint.digest if after.champion else None,
        slices=slices,
    )


def _summary(plan: RunPlan, done: Sequence[RunOutcome]) -> RunSummary:
    attempts = [o for o in done if o.run == plan.request.run]
    report = next((o.report for o in attempts if o.report), None)
    failure = next((o.failure for o in reversed(attempts) if o.failure), None)
    outcome = "Succeeded" if report else (failure.kind.value if failure else FailureKind.NO_REPORT.value)
    return RunSummary(
        run=plan.request.run,
        role=plan.request.role,
        point=plan.point,
        rows_read=report.rows.read if report else 0,
        rows_kept=report.rows.kept if report else 0,
        rows_evaluated=report.rows.evaluated if report else 0,
        seconds=report.seconds.total if report else 0.0,
        device_seconds=sum(o.device_seconds for o in attempts),
        checkpoint=report.checkpoint.digest if report and report.checkpoint else None,
        outcome=outcome,
    )
