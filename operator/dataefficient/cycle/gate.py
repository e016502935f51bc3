"""The publish question: one model against the frozen champion, on the last third of the interval.

It asks how the model did on these rows, and nothing of plans: what they lose is told by branches.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dataefficient.api.measure import Guardrail, GuardrailMetric
from dataefficient.contract import MIN_PAIRED_BLOCKS, Evaluated, Scored
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.launch import GATE_BLOCKS
from dataefficient.cycle.model import Gate
from dataefficient.planner.evidence import paired

BEYOND_NOISE = 0.99
"""Confidence with which a candidate must be worse than ``kpi.maxRegression`` allows to be held back. There is
a gate in every cycle, and whoever is held back wrongly was paid for in vain."""
TOO_FEW_BLOCKS = f"fewer than {MIN_PAIRED_BLOCKS} time blocks have rows to compare on"
SERVED = ("champion", "start")
"""Names that the frozen champion has in a report, the first one where a branch had won."""


@dataclass
class Notes:
    """Sentences and enumerated reasons, gathered while a cycle is judged."""

    sentences: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)

    def add(self, code: str, sentence: str) -> None:
        """One thing that was decided."""
        self.codes.append(code)
        self.sentences.append(sentence)


def served(evaluated: Evaluated) -> Scored:
    """The frozen champion: what the candidate started from, unless a branch had won."""
    return next(evaluated.models[title] for title in SERVED if title in evaluated.models)


def gate_of(k: Knowledge, evaluated: Evaluated, model: str, label: str) -> Gate:
    """The publish question for one model, against the frozen champion on the last third.

    Unlike branches they are compared as measured: the question is how the model did on these rows, its
    calibration included, and not how it would do on average.
    """
    allowed = float(k.spec.kpi.max_regression)
    mine, champion = evaluated.models[model], served(evaluated)
    difference = paired(mine.loss, champion.loss, evaluated.n, blocks=_blocks(evaluated))
    gap, error = (difference.gap, difference.standard_error) if difference is not None else (None, None)
    for guardrail in k.spec.guardrails:
        if broken := _broken(guardrail, evaluated, model):
            return Gate(gap, error, allowed, published=False, reason=broken)
    if difference is None or gap is None:
        reason = f"{label} is published unheld: {TOO_FEW_BLOCKS}"
        return Gate(None, None, allowed, published=True, reason=reason)
    told = f"{label} against the frozen champion: {gap:+.2%}"
    if gap <= allowed:
        return Gate(gap, error, allowed, published=True, reason=f"{told}, which stays within {allowed:.2%}")
    # Else noise would hold back every other candidate where few rows tell, and what serves grow stale.
    noisy = difference.lower(BEYOND_NOISE) <= allowed
    verb = "is not surely more than" if noisy else "exceeds"
    reason = f"{told} (standard error {error:.2%}), which {verb} {allowed:.2%}"
    return Gate(gap, error, allowed, published=noisy, reason=reason)


def _blocks(evaluated: Evaluated) -> slice:
    """The last third, or all where too few blocks of that have rows, as where times are whole days.

    All blocks tell less, since a candidate was hardly trained when it scored the first of them.
    """
    filled = sum(1 for n in evaluated.n[GATE_BLOCKS] if n)
    return GATE_BLOCKS if filled >= MIN_PAIRED_BLOCKS else slice(None)


def _broken(guardrail: Guardrail, evaluated: Evaluated, model: str) -> str | None:
    """The sentence of a broken guardrail, on the gate's rows where sums allow it."""
    value = _metric(guardrail.metric, evaluated, evaluated.models[model])
    reference = _metric(guardrail.metric, evaluated, served(evaluated))
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
    blocks = _blocks(evaluated)
    n, positives = sum(evaluated.n[blocks]), sum(evaluated.positives[blocks])
    if metric is GuardrailMetric.AUC:
        return scored.auc
    if metric is GuardrailMetric.CALIBRATION:
        return sum(scored.predicted[blocks]) / positives if positives else None
    return sum(scored.loss[blocks]) / n if n and metric is GuardrailMetric.LOG_LOSS else None
