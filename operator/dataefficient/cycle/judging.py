"""What a finished cycle showed: evidence, the gate, trials and controls judged, the record.

Publishing and economising are two questions. The gate holds the candidate against the frozen champion.
Branches are compared by the end checkpoints of the cycle before, frozen, on this cycle's rows; their
verdict moves the lineage or the beliefs, never this cycle's gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dataefficient.api.measure import Guardrail, GuardrailMetric
from dataefficient.contract import Evaluated, Role, RunReport, Scored
from dataefficient.cycle import measuring
from dataefficient.cycle.births import first_look
from dataefficient.cycle.branches import WATCH_FACTOR, refuse
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.launch import GATE_BLOCKS, name
from dataefficient.cycle.measuring import HISTORY_ADVANCE
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
from dataefficient.planner.belief import rate_share
from dataefficient.planner.contrasts import Contrast, Past, Spell, after
from dataefficient.planner.evidence import Paired, paired, paired_ahead
from dataefficient.planner.explore import MAX_AGE, MIN_CHANCE, MIN_LOOKS, PAUSE, PLANNED_AGE, TELLING_LOOKS
from dataefficient.planner.knobs import Point

SAVED_UP = 15
"""Cycles over which exploration money may be saved up: a trial that certifies a plan takes that much."""
HISTORY = 64
"""Cycle records that are kept."""
CONTRASTS = 64
LEVELS = 40
HOPELESS = 0.08
"""A trial is refused once the chance that its plan is inside the tolerance is smaller."""
BORN_LATE = "birth"
"""Names the cold start of a lineage that was not given all of the history."""


SERVED = ("champion", "start")


@dataclass
class Notes:
    """Sentences and enumerated reasons, gathered while a cycle is judged."""

    sentences: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)

    def add(self, code: str, sentence: str) -> None:
        """One thing that was decided."""
        self.codes.append(code)
        self.sentences.append(sentence)


def judge(k: Knowledge, plans: Sequence[RunPlan], notes: Notes) -> Memory:
    """Memory after the cycle whose runs are all done: champion, beliefs, branches, record, next cycle."""
    memory = k.memory
    reports = {o.run: o.report for o in memory.done if o.report}
    candidate = reports.get(name(memory.cycle, "candidate"))
    kpi, error = _served_level(candidate)
    if memory.cycle > 0 and candidate is not None:
        memory = _judge_control(replace(k, memory=memory), candidate, notes)
        if memory.successor is None:
            memory = _judge_trial(replace(k, memory=memory), candidate, notes)
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
        memory = replace(memory, row_rate=_row_rate(k, candidate))
    record = _record(k, memory, plans, notes, gate=gate, kpi=(kpi, error))
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


def _served_level(candidate: RunReport | None) -> tuple[float | None, float | None]:
    """Mean log loss of what served during the interval, the frozen champion, and its standard error."""
    if candidate is None or candidate.evaluated is None or SERVED[1] not in candidate.evaluated.models:
        return None, None
    n, loss = candidate.evaluated.n, _served(candidate.evaluated).loss
    filled = [(x, s) for x, s in zip(n, loss, strict=True) if x]
    rows = sum(x for x, _ in filled)
    if len(filled) < 2:
        return None, None
    level = sum(s for _, s in filled) / rows
    residual = sum((s - level * x) ** 2 for x, s in filled)
    return level, (len(filled) / (len(filled) - 1) * residual) ** 0.5 / rows


def _served(evaluated: Evaluated) -> Scored:
    """The frozen champion: what the candidate started from, unless a branch had won."""
    return next(evaluated.models[title] for title in SERVED if title in evaluated.models)


def _row_rate(k: Knowledge, candidate: RunReport) -> float:
    plan = k.memory.plan
    assert plan is not None
    return candidate.rows.read / (plan.train_to - plan.train_from).total_seconds()


def _gate(k: Knowledge, evaluated: Evaluated, model: str, label: str) -> Gate:
    """The publish question for one model, against the frozen champion on the last third.

    Unlike branches they are compared as measured: the question is how the model did on these rows, its
    calibration included, and not how it would do on average.
    """
    allowed = float(k.spec.kpi.max_regression)
    mine, champion = evaluated.models[model], _served(evaluated)
    difference = paired(mine.loss, champion.loss, evaluated.n, blocks=GATE_BLOCKS)
    if difference is None:
        reason = f"{label} is published unheld: fewer than 8 time blocks have rows to compare on"
        return Gate(None, None, allowed, published=True, reason=reason)
    gap, error = difference.gap, difference.standard_error
    for guardrail in k.spec.guardrails:
        if broken := _broken(guardrail, evaluated, model):
            return Gate(gap, error, allowed, published=False, reason=broken)
    verb = "stays within" if gap <= allowed else "exceeds"
    reason = f"{label} against the frozen champion: {gap:+.2%}, which {verb} {allowed:.2%}"
    return Gate(gap, error, allowed, published=gap <= allowed, reason=reason)


def _broken(guardrail: Guardrail, evaluated: Evaluated, model: str) -> str | None:
    """The sentence of a broken guardrail, on the gate's rows where sums allow it."""
    value = _metric(guardrail.metric, evaluated, evaluated.models[model])
    reference = _metric(guardrail.metric, evaluated, _served(evaluated))
    title = guardrail.metric.value
    if value is None:
        return f"Guardrail {title}: the trainer did not report it"
    if guardrail.min is not None and value < float(guardrail.min):
        return f"Guardrail {title}: {value:.4g} is below {guardrail.min}"
    if guardrail.max is not None and value > float(guardrail.max):
        return f"Guardrail {title}: {value:.4g} is above {guardrail.max}"
    if guardrail.max_difference is None or reference is None:
        return None
    worse = value - reference
    if guardrail.metric is GuardrailMetric.AUC:
        worse = -worse
    elif guardrail.metric is GuardrailMetric.CALIBRATION:
        # Calibration drifts with the stream in all models: what counts is the distance from the champion's.
        worse = abs(value / reference - 1.0)
    if worse > float(guardrail.max_difference):
        return f"Guardrail {title}: {value:.4g} against the champion's {reference:.4g}"
    return None


def _metric(metric: GuardrailMetric, evaluated: Evaluated, scored: Scored) -> float | None:
    n = sum(evaluated.n[GATE_BLOCKS])
    positives = sum(evaluated.positives[GATE_BLOCKS])
    if metric is GuardrailMetric.AUC:
        return scored.auc
    if metric is GuardrailMetric.CALIBRATION:
        return sum(scored.predicted[GATE_BLOCKS]) / positives if positives else None
    return sum(scored.loss[GATE_BLOCKS]) / n if n and metric is GuardrailMetric.LOG_LOSS else None


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
    gate = _gate(k, candidate.evaluated, "self", "The candidate")
    if gate.published and k.ruling.block:
        gate = replace(gate, published=False, reason=k.ruling.block[0])
    if not gate.published:
        notes.add("Rejected", f"Not published. {gate.reason}")
        return replace(memory, rejections=memory.rejections + 1, trial=None), gate
    crowned = _crown(k, candidate, plan.point)
    if memory.successor is not None and memory.successor.cycle < memory.cycle - 1:
        crowned = replace(crowned, successor=None)
    return crowned, gate


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


def _judge_control(k: Knowledge, candidate: RunReport, notes: Notes) -> Memory:
    """Measures the lineage's distance afresh where the control of the cycle before was scored; it may win."""
    memory, control, served = k.memory, k.memory.control, k.memory.champion
    if control is None or control.checkpoint is None or control.position is None:
        return memory
    if served is None or candidate.evaluated is None:
        return memory
    memory = replace(memory, control=None)
    models = candidate.evaluated.models
    if "control" not in models or served.position != control.position:
        return memory
    rows = candidate.evaluated
    difference = paired_ahead(_served(rows), models["control"], rows.n, rows.positives)
    if difference is None:
        notes.add("ControlUndecided", "The control could not be compared: fewer than 8 time blocks have rows")
        return memory
    full: Past = (Spell(k.reference, float(control.age)),)
    cold_age = control.cold_age + memory.cycle - 1 - control.began if control.cold else 0.0
    if control.cold:
        # The other way round, so that the luck of the control's cold start is told apart.
        turned = replace(difference, gap=1.0 / (1.0 + difference.gap) - 1.0)
        contrast = _contrast(full, served.past, memory.cycle, None, turned)
        contrast = replace(contrast, cold=control.cold, cold_age=cold_age)
    else:
        contrast = _contrast(served.past, full, memory.cycle, float(control.age), difference)
    memory = replace(memory, contrasts=(*memory.contrasts, contrast)[-CONTRASTS:])
    believed, bound = replace(k, memory=memory).distance
    memory = replace(memory, distance=believed, distance_bound=bound)
    error = f"standard error {difference.standard_error:.2%}"
    told = f"The control puts the lineage at {difference.gap:+.2%}, {error}"
    if difference.gap <= 0.0 or max(difference.gap, believed) <= k.tolerance:
        notes.add("ControlConfirmed", f"{told}: it stays, over {control.age} cycles")
        return memory
    notes.add("ControlPromoted", f"{told}: more than is allowed, so the lineage goes on from the control")
    begun = next((c for c in memory.previous_champions if c.cycle <= control.began - control.age), served)
    successor = Champion(
        control.checkpoint,
        memory.cycle - 1,
        k.reference,
        control.position,
        0.0,
        past=full if control.cold else after(begun.past, k.reference, control.age),
        cold=control.cold or begun.cold,
        cold_age=cold_age if control.cold else begun.cold_age + control.age,
    )
    return replace(
        memory,
        # What was believed of sampling was wrong: only what the control measured still counts.
        contrasts=memory.contrasts[-1:],
        successor=successor,
        trial=None,
        refusals=refuse(memory, served.point),
    )


def _judge_trial(k: Knowledge, candidate: RunReport, notes: Notes) -> Memory:
    """Adds the look at the trial's frozen checkpoint where it was scored, and draws the conclusion."""
    memory, trial, served = k.memory, k.memory.trial, k.memory.champion
    if trial is None or served is None or trial.checkpoint is None or trial.position is None:
        return memory
    evaluated = candidate.evaluated
    if evaluated is None or "trial" not in evaluated.models or trial.position != served.position:
        return memory
    difference = paired_ahead(evaluated.models["trial"], _served(evaluated), evaluated.n, evaluated.positives)
    if difference is not None:
        mine: Past = (Spell(trial.point, float(max(trial.age, 1))),)
        age = None if trial.cold else float(trial.age)
        contrast = _contrast(mine, served.past, memory.cycle, age, difference)
        if trial.cold:
            contrast = replace(contrast, cold=trial.cold, cold_age=trial.cold_age + trial.age)
        trial = replace(trial, looks=trial.looks + 1)
        memory = replace(memory, trial=trial, contrasts=(*memory.contrasts, contrast)[-CONTRASTS:])
    k = replace(k, memory=memory)
    if trial.watch:
        return _watched(k, trial, notes)
    certified, inside = k.chances_of(trial)
    target = trial.target or trial.point
    if trial.looks >= MIN_LOOKS and certified >= k.assurance:
        if trial.cold:
            return _adopt(k, trial, evaluated, notes)
        notes.add("TrialAccepted", f"{target} is certain to stay inside the tolerance: the trial has told")
        task = _next_task(k, trial, target)
        if task is not None and task.watch:
            notes.add("WatchStarted", f"It goes on as a watch: {k.told_distance}")
        return replace(memory, trial=task, refused_in_row=0)
    if trial.looks >= MIN_LOOKS and inside < HOPELESS:
        told = f"the chance that it stays inside the tolerance is {inside:.0%}"
        notes.add("TrialRefused", f"{target} is refused: {told}")
    elif target != trial.point and trial.looks >= (TELLING_LOOKS if certified >= 0.5 else MIN_LOOKS):
        notes.add("TrialUndecided", f"A trial of {trial.point} cannot tell enough of {target}")
        return _refused(memory, trial.point)
    elif trial.age >= MAX_AGE:
        notes.add("TrialUndecided", f"{target} is refused: {trial.age} cycles could not certify it")
    else:
        return memory
    return _refused(memory, target)


def _next_task(k: Knowledge, trial: Branch, told: Point) -> Branch | None:
    """A trial that has told what it was for goes on for a plan that saves more, or as a watch of this one."""
    if told == trial.point or trial.age >= PLANNED_AGE:
        return None
    saving = k.cycle_cost(told)
    between = [p for p in k.cheaper(k.points, told) if p == trial.point or rate_share(p, trial.point)]
    worth = {p: k.prospects[p].certified * (saving - k.cycle_cost(p)) for p in between}
    likely = [p for p in between if k.prospects[p].certified >= MIN_CHANCE]
    if likely:
        return replace(trial, target=max(likely, key=lambda p: worth[p]))
    return replace(trial, target=None, watch=True) if trial.point.rate >= told.rate * WATCH_FACTOR else None


def _watched(k: Knowledge, trial: Branch, notes: Notes) -> Memory:
    """A watch ends when it has grown old: a new one then starts from a younger champion."""
    if trial.age < MAX_AGE:
        return k.memory
    notes.add("WatchEnded", f"The watch ends after {trial.looks} looks: {k.told_distance}")
    return replace(k.memory, trial=None)


def _refused(memory: Memory, point: Point) -> Memory:
    """Memory without the trial, whose point and all others now have to wait."""
    row = memory.refused_in_row + 1
    return replace(
        memory,
        trial=None,
        refusals=refuse(memory, point),
        refused_in_row=row,
        no_trial_before=memory.cycle + PAUSE * row,
    )


def _adopt(k: Knowledge, trial: Branch, evaluated: Evaluated, notes: Notes) -> Memory:
    """A trial of another size takes over, plan and weights."""
    memory = k.memory
    assert trial.checkpoint is not None
    assert trial.position is not None
    assert memory.plan is not None
    gate = _gate(k, evaluated, "trial", "The trial's model")
    if not gate.published:
        return memory
    notes.add("TrialAccepted", f"{trial.point} is adopted: it is certain to stay inside the tolerance")
    successor = Champion(
        trial.checkpoint,
        memory.cycle - 1,
        trial.point,
        trial.position,
        0.0,
        past=after((), trial.point, float(max(trial.age, 1))),
        cold=trial.cold,
        cold_age=trial.cold_age + trial.age,
    )
    return replace(
        memory,
        adopted=trial.point,
        approved=trial.point if memory.approved is not None else None,
        successor=successor,
        trial=None,
        looks=memory.looks + 1,
        refused_in_row=0,
    )


def _contrast(mine: Past, against: Past, cycle: int, age: float | None, difference: Paired) -> Contrast:
    return Contrast(mine, against, cycle, age, difference.gap, difference.widened)


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
                memory = _refused(memory, branch.point)
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
