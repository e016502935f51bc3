"""The series of a finished run: what it reported and what it cost.

They carry ``run`` and ``digest``, so that a number read back is bound to the checkpoint that it is about.
Slices stay in the report: their values are the users' data, and would make a new series for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from math import log

from dataefficient.contract import Evaluated, RunReport
from dataefficient.telemetry.series import Kind, Series, Values, one
from dataefficient.telemetry.view import FinishedRun

RUN_LABELS = ("run", "digest")
MAX_EXTRA = 8
ALERTED = ("servedGap", "servedGapError")
"""Further numbers that an alert reads, and which so come before others."""
LOG_LOSS = "run_log_loss"
"""The series that is read back."""
MODEL = "self"
"""Its label ``model`` for the run's own checkpoint."""


def identity(run: FinishedRun) -> tuple[str, str]:
    """Values of ``RUN_LABELS``."""
    report = run.outcome.report
    return run.outcome.run, report.checkpoint.digest if report and report.checkpoint else ""


def log_loss(report: RunReport, model: str = MODEL) -> float | None:
    """Mean log loss of a model on all evaluation rows, in nats; None where nothing was scored."""
    evaluated = report.evaluated
    if evaluated is None or model not in evaluated.models or not sum(evaluated.n):
        return None
    return sum(evaluated.models[model].loss) / sum(evaluated.n)


def _evaluated(run: FinishedRun) -> Evaluated | None:
    return run.outcome.report.evaluated if run.outcome.report else None


def _models(run: FinishedRun) -> Iterator[str]:
    evaluated = _evaluated(run)
    yield from evaluated.models if evaluated else ()


def _log_loss(run: FinishedRun, _: datetime) -> Values:
    report = run.outcome.report
    return [((model,), log_loss(report, model)) for model in _models(run)] if report else []


def _normalized_entropy(run: FinishedRun, now: datetime) -> Values:
    """Log loss over the entropy of the base rate (He et al., 2014, section 3)."""
    evaluated = _evaluated(run)
    rows, positives = (sum(evaluated.n), sum(evaluated.positives)) if evaluated else (0, 0)
    if not 0 < positives < rows:
        return []
    rate = positives / rows
    entropy = -rate * log(rate) - (1.0 - rate) * log(1.0 - rate)
    return [(labels, None if value is None else value / entropy) for labels, value in _log_loss(run, now)]


def _calibration(run: FinishedRun, _: datetime) -> Values:
    evaluated = _evaluated(run)
    positives = sum(evaluated.positives) if evaluated else 0
    if evaluated is None or not positives:
        return []
    return [((name,), sum(scored.predicted) / positives) for name, scored in evaluated.models.items()]


def _auc(run: FinishedRun, _: datetime) -> Values:
    evaluated = _evaluated(run)
    return [((name,), scored.auc) for name, scored in evaluated.models.items()] if evaluated else []


def _rows(run: FinishedRun, _: datetime) -> Values:
    if run.outcome.report is None:
        return []
    rows = run.outcome.report.rows
    kinds = {
        "read": rows.read,
        "kept": rows.kept,
        "bad": rows.bad,
        "positives": rows.positives,
        "keptPositives": rows.kept_positives,
        "evaluated": rows.evaluated,
        "effective": rows.effective,
    }
    return [((kind,), float(count)) for kind, count in kinds.items()]


def _seconds(run: FinishedRun, _: datetime) -> Values:
    if run.outcome.report is None:
        return []
    spent = run.outcome.report.seconds
    phases = {
        "startup": spent.startup,
        "read": spent.read,
        "train": spent.train,
        "evaluate": spent.evaluate,
        "total": spent.total,
    }
    return [((phase,), value) for phase, value in phases.items()]


def _extra(run: FinishedRun, _: datetime) -> Values:
    extra = run.outcome.report.extra if run.outcome.report else {}
    first = sorted(extra.items(), key=lambda number: (number[0] not in ALERTED, number[0]))
    return [((name,), value) for name, value in first[:MAX_EXTRA]]


def _info(run: FinishedRun, _: datetime) -> Values:
    failure = run.outcome.failure
    names = (run.plan.request.role.value, run.plan.point.policy.value)
    return [((*names, failure.kind.value if failure else "Succeeded"), 1.0)]


RUN_SERIES: tuple[Series[FinishedRun], ...] = (
    Series(
        "run_info",
        "Always 1; role, sampling policy and result (Succeeded or the kind of failure), in the labels.",
        _info,
        ("role", "policy", "result"),
    ),
    Series("run_cycle", "Cycle of the run.", lambda r, _: one(r.plan.request.cycle)),
    Series("run_attempts", "Launches that it took.", lambda r, _: one(r.outcome.attempt)),
    Series("run_sampling_rate_ratio", "Share of rows trained on.", lambda r, _: one(r.plan.point.rate)),
    Series("run_model_size", "Model size, on the trainer's scale.", lambda r, _: one(r.plan.point.size)),
    Series(
        LOG_LOSS,
        "Mean log loss in nats on the evaluation rows: self is the run's model, start what it began from.",
        _log_loss,
        ("model",),
    ),
    Series(
        "run_normalized_entropy",
        "Log loss over the entropy of the evaluation rows' base rate.",
        _normalized_entropy,
        ("model",),
    ),
    Series(
        "run_calibration_ratio",
        "Sum of predicted probabilities over positives; 1 is right.",
        _calibration,
        ("model",),
    ),
    Series("run_auc_ratio", "Area under the ROC curve, where it was reported.", _auc, ("model",)),
    Series("run_rows", "Rows by what became of them.", _rows, ("kind",)),
    Series("run_seconds", "Wall-clock seconds by phase.", _seconds, ("phase",)),
    Series(
        "run_device_seconds",
        "What its last attempt was charged with.",
        lambda r, _: one(r.outcome.device_seconds),
    ),
    Series(
        "run_reserved_device_seconds",
        "What was set aside for it.",
        lambda r, _: one(r.plan.reserved_seconds),
    ),
    Series(
        "run_forecast_device_seconds",
        "What it was expected to cost; absent for the first.",
        lambda r, _: one(r.plan.forecast_seconds),
    ),
    Series("run_extra", "Further numbers of the trainer, at most 8.", _extra, ("name",)),
)

assert all(series.kind is Kind.GAUGE for series in RUN_SERIES), "a finished run's numbers do not grow"
