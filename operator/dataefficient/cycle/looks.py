"""What looks at branches showed: controls that may win, trials that are accepted, refused or go on.

Branches are compared by the end checkpoints of the cycle before, frozen, on this cycle's rows; their verdict
moves the lineage or the beliefs, never this cycle's gate.
"""

from __future__ import annotations

from dataclasses import replace

from dataefficient.contract import Evaluated, RunReport
from dataefficient.cycle.branches import SURE, WATCH, WATCH_FACTOR, next_task, refuse
from dataefficient.cycle.gate import TOO_FEW_BLOCKS, Notes, gate_of, served
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.model import Branch, Champion, Memory
from dataefficient.cycle.seeking import goes_on
from dataefficient.planner.contrasts import Contrast, Past, Spell, after, settled
from dataefficient.planner.evidence import Paired, paired_ahead
from dataefficient.planner.explore import MAX_AGE, MIN_LOOKS, PAUSE, PLANNED_AGE, TELLING_LOOKS
from dataefficient.planner.knobs import Point
from dataefficient.planner.law import Law

CONTRASTS = 64
UNFORESEEN = 1e-6
"""A look tells of a change once so much was less likely than this by all that was seen before, and is a
tolerance more than was expected: five standard errors, since the cycles' own effect is known roughly."""
HOPELESS = 0.08
"""A trial is refused once the chance that its plan is inside the tolerance is smaller."""


def judge_control(k: Knowledge, candidate: RunReport, notes: Notes) -> Memory:
    """Measures the lineage's distance afresh where the control of the cycle before was scored; it may win."""
    memory, control, champion = k.memory, k.memory.control, k.memory.champion
    if control is None or control.checkpoint is None or control.position is None:
        return memory
    if champion is None or candidate.evaluated is None:
        return memory
    memory = replace(memory, control=None)
    models = candidate.evaluated.models
    if "control" not in models or champion.position != control.position:
        return memory
    rows = candidate.evaluated
    difference = paired_ahead(served(rows), models["control"], rows.n, rows.positives)
    if difference is None:
        notes.add("ControlUndecided", f"The control could not be compared: {TOO_FEW_BLOCKS}")
        return memory
    full: Past = (Spell(k.reference, float(control.age)),)
    cold_age = control.cold_age + memory.cycle - 1 - control.began if control.cold else 0.0
    if control.cold:
        # The other way round, so that the luck of the control's cold start is told apart.
        turned = replace(difference, gap=1.0 / (1.0 + difference.gap) - 1.0)
        contrast = _contrast(full, champion.past, memory.cycle, None, turned)
        contrast = replace(contrast, cold=control.cold, cold_age=cold_age)
    else:
        contrast = _contrast(champion.past, full, memory.cycle, float(control.age), difference)
        contrast = replace(contrast, divergence=_divergence(rows, "control"))
    memory = replace(memory, contrasts=(*memory.contrasts, contrast)[-CONTRASTS:])
    believed, bound = replace(k, memory=memory).distance
    memory = replace(memory, distance=believed, distance_bound=bound)
    error = f"standard error {difference.standard_error:.2%}"
    told = f"The control puts the lineage at {difference.gap:+.2%}, {error}"
    if difference.gap <= 0.0 or max(difference.gap, believed) <= k.tolerance:
        notes.add("ControlConfirmed", f"{told}: it stays, over {control.age} cycles")
        return memory
    sure = max(difference.lower(float(k.spec.kpi.confidence)), believed) > k.tolerance
    goes_on_from_it = "more than is allowed, so the lineage goes on from the control"
    if not sure:
        goes_on_from_it += ". That may be chance: what was measured before counts on"
    notes.add("ControlPromoted", f"{told}: {goes_on_from_it}")
    begun = next((c for c in memory.previous_champions if c.cycle <= control.began - control.age), champion)
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
        # Where it is sure that what was believed of sampling is wrong, only what the control measured still
        # counts. Else it is one look among others: its model takes over, which costs nothing, and no more.
        contrasts=memory.contrasts[-1:] if sure else memory.contrasts,
        successor=successor,
        trial=None,
        refusals=refuse(memory, champion.point) if sure else memory.refusals,
    )


def judge_trial(k: Knowledge, candidate: RunReport, notes: Notes) -> Memory:
    """Adds the look at the trial's frozen checkpoint where it was scored, and draws the conclusion."""
    memory, trial, champion = k.memory, k.memory.trial, k.memory.champion
    if trial is None or champion is None or trial.checkpoint is None or trial.position is None:
        return memory
    evaluated = candidate.evaluated
    if evaluated is None or "trial" not in evaluated.models or trial.position != champion.position:
        return memory
    difference = paired_ahead(evaluated.models["trial"], served(evaluated), evaluated.n, evaluated.positives)
    if difference is not None:
        mine: Past = (Spell(trial.point, float(max(trial.age, 1))),)
        age = None if trial.cold and not trial.converted else float(trial.age)
        contrast = _contrast(mine, champion.past, memory.cycle, age, difference)
        contrast = replace(contrast, divergence=_divergence(evaluated, "trial"))
        if trial.cold:
            contrast = replace(contrast, cold=trial.cold, cold_age=trial.cold_age + trial.age)
        trial = replace(trial, looks=trial.looks + 1)
        earlier = memory.contrasts if trial.changed else settled(memory.contrasts)
        if _has_changed(k, contrast, notes):
            earlier, trial = (), _asked_anew(trial, champion.point, known=trial.looks > MIN_LOOKS)
        contrast = replace(contrast, changed=trial.changed)
        memory = replace(memory, trial=trial, contrasts=(*earlier, contrast)[-CONTRASTS:])
    k = replace(k, memory=memory)
    if trial.watch:
        return _watched(k, trial, notes)
    certified, inside = k.chances_of(trial)
    target = trial.target or trial.point
    if trial.looks >= MIN_LOOKS and certified >= k.assurance:
        if trial.cold:
            return _adopt(k, trial, evaluated, notes)
        notes.add("TrialAccepted", f"{target} is certain to stay inside the tolerance: {_told(k, trial)}")
        task = next_task(k, trial, target)
        if task is not None and task.watch:
            notes.add("WatchStarted", f"It goes on as a watch: {k.told_distance}")
        return replace(memory, trial=task, refused_in_row=0)
    refused = _refused(k, trial, (certified, inside), notes)
    return memory if refused is None else _dropped(k, trial, refused, notes)


def _has_changed(k: Knowledge, look: Contrast, notes: Notes) -> bool:
    """Whether a look shows that a plan costs more than it did when it was looked at before.

    Else it would count as one look among many, and its surprise as noise: for as long as it takes to outvote
    what is no longer true, too little data would be trained on.
    """
    plan = look.mine[-1].point
    if look.cold or all(c.mine[-1].point != plan or c.cold for c in k.memory.contrasts):
        return False
    foreseen = k.evidence.foreseen(look)
    expected = foreseen.beliefs()[0].mean
    if look.gap - expected < k.tolerance or 1.0 - float(foreseen.below(look.gap)[0]) > UNFORESEEN:
        return False
    told = f"{plan} shows {look.gap:+.2%} where {expected:+.2%} was to be expected"
    notes.add("HarmGrew", f"{told}: what was measured before counts no more")
    return True


def _asked_anew(trial: Branch, champion: Point, *, known: bool) -> Branch:
    """The trial that told of a change goes on: a stream that changes at once harms most at first.

    It speaks again for what it spoke for, or as a watch did for the plan that was in force.

    Args:
        known: whether its plan was known well enough for the stream to have changed, not what was thought.
    """
    target = champion if trial.watch else trial.target
    return replace(trial, looks=1, target=target, watch=False, changed=known)


def _told(k: Knowledge, trial: Branch) -> str:
    """What the last look at a trial showed, by labels and by predictions."""
    look = next(c for c in reversed(k.memory.contrasts) if c.mine[-1].point == trial.point)
    labels = f"{trial.point} was last at {look.gap:+.2%} by labels (standard error {look.standard_error:.2%})"
    if look.divergence is None or not look.poorer:
        return labels
    return f"{labels}, and predicts {look.divergence:.2%} away"


def _refused(k: Knowledge, trial: Branch, chances: tuple[float, float], notes: Notes) -> Point | None:
    """The plan that is refused by what a trial showed, which ends it; None: it goes on."""
    certified, inside = chances
    target, plan = trial.target or trial.point, k.memory.plan
    assert plan is not None
    if trial.looks < MIN_LOOKS:
        return None
    if inside < HOPELESS:
        told = f"the chance that it stays inside the tolerance is {inside:.0%}"
        notes.add("TrialRefused", f"{target} is refused: {told}")
        return target
    if target != trial.point and trial.looks >= (TELLING_LOOKS if certified >= 0.5 else MIN_LOOKS):
        notes.add("TrialUndecided", f"A trial of {trial.point} cannot tell enough of {target}")
        return trial.point
    if trial.age >= MAX_AGE:
        notes.add("TrialUndecided", f"{target} is refused: {trial.age} cycles could not certify it")
        return target
    if not goes_on(k, trial, plan.point):
        told = f"more looks at {trial.point} would cost more than they are worth"
        notes.add("TrialUndecided", f"{target} is not certified, and {told}")
        return target
    return None


def _dropped(k: Knowledge, trial: Branch, refused: Point, notes: Notes) -> Memory:
    """Without the trial; where the plan that comes next rests on it, it goes on as a watch of that one."""
    memory = without_trial(k.memory, refused)
    if not _is_watched_by(k, trial):
        return memory
    notes.add("WatchStarted", f"It goes on as a watch of what it speaks for: {k.told_distance}")
    return replace(memory, trial=replace(trial, target=None, watch=True))


def _is_watched_by(k: Knowledge, trial: Branch) -> bool:
    """Whether the plan that comes next rests on this trial and uses much of the tolerance."""
    if trial.cold or trial.age >= PLANNED_AGE:
        return False
    law = Law.of(k.knobs)
    rest = [p for p in k.points if p != trial.point and law.share(p, trial.point) and k.is_certified(p)]
    if not rest:
        return False
    next_plan = min(rest, key=k.cycle_cost)
    near = trial.point.rate >= next_plan.rate * WATCH_FACTOR
    return near and k.prospects[next_plan].kept_bound > WATCH * k.tolerance


def _watched(k: Knowledge, trial: Branch, notes: Notes) -> Memory:
    """A watch ends when it has told enough or has grown old: a new one starts from a younger champion."""
    if trial.age < MAX_AGE and k.wavers(SURE):
        return k.memory
    notes.add("WatchEnded", f"The watch ends after {trial.looks} looks: {k.told_distance}")
    return replace(k.memory, trial=None)


def without_trial(memory: Memory, point: Point) -> Memory:
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
    gate = gate_of(k, evaluated, "trial", "The trial's model")
    if not gate.published:
        return memory
    notes.add("TrialAccepted", f"{trial.point} is adopted: it is certain to stay inside the tolerance")
    life = k.life_of(trial)
    successor = Champion(
        trial.checkpoint,
        memory.cycle - 1,
        trial.point,
        trial.position,
        0.0,
        past=life.past,
        cold=life.cold,
        cold_age=life.cold_age,
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


def _divergence(evaluated: Evaluated, model: str) -> float | None:
    """How far a model's predictions lie from the champion's, relative to the champion's loss."""
    told, loss = evaluated.models[model].divergence, sum(served(evaluated).loss)
    return told * sum(evaluated.n) / loss if told is not None and loss > 0.0 else None
