"""Fits a report into the contract's length by leaving out what matters least."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from dataefficient.contract import MAX_SLICES, ContractError, RunReport, Scored, Slice, to_json
from dataefficient_trainer.errors import UserError
from dataefficient_trainer.source import notice


@dataclass(frozen=True)
class _Told:
    """What a report still tells."""

    loss: int
    """Digits of summed losses."""
    predicted: int
    """Digits of summed predictions: calibration is looked at by the per cent, losses by differences."""
    slices: int = 0
    riders_extra: bool = False
    extra: bool = False
    kept: bool = False
    """Checkpoints that still exist."""
    auc: bool = True
    seconds: int = 5
    """Digits of durations."""


_ALL, _HALF = MAX_SLICES, MAX_SLICES // 2
_LEVELS = (
    _Told(12, 12, _ALL, riders_extra=True, extra=True, kept=True),
    _Told(12, 12, _ALL, extra=True, kept=True),
    _Told(10, 10, _ALL, extra=True, kept=True),
    _Told(9, 9, _ALL, extra=True, kept=True),
    _Told(9, 9, _HALF, extra=True, kept=True),
    _Told(8, 8, _HALF, extra=True, kept=True),
    _Told(8, 8, extra=True, kept=True),
    _Told(7, 7, extra=True, kept=True),
    _Told(7, 6, kept=True),
    _Told(6, 5, kept=True),
    _Told(6, 5),
    _Told(5, 4),
    _Told(5, 4, auc=False, seconds=3),
    _Told(4, 3, auc=False, seconds=3),
)
"""From all to the least. Four digits in each block are within 0.01 % of the loss in all of them."""


def fit(report: RunReport) -> RunReport:
    """The report with as much as fits into the contract's limit.

    What riders say for people goes first, then the better slices, then digits, what the run itself says for
    people and which checkpoints exist. Where that is not enough, a rider goes, as if it had failed.

    Raises:
        UserError: it does not fit however little it says.
    """
    problem: ContractError | None = None
    for told in _LEVELS:
        candidate = _shortened(report, told)
        try:
            to_json(candidate)
        except ContractError as error:
            problem = error
        else:
            return candidate
    if report.riders:
        notice(f"{report.riders[-1].run} is left out: the report has no room for it; ask for fewer riders")
        return fit(_without_last_rider(report))
    raise UserError(f"the report does not fit: {problem}; ask for fewer blocks or frozen checkpoints")


def _without_last_rider(report: RunReport) -> RunReport:
    *others, last = report.riders
    evaluated = report.evaluated
    if evaluated is not None:
        models = {name: scored for name, scored in evaluated.models.items() if name != last.run}
        evaluated = replace(evaluated, models=models)
    return replace(report, evaluated=evaluated, riders=tuple(others))


def _shortened(report: RunReport, told: _Told) -> RunReport:
    evaluated = report.evaluated
    if evaluated is not None:
        evaluated = replace(
            evaluated,
            models={name: _round_scored(s, told) for name, s in evaluated.models.items()},
            slices=tuple(_round_slice(s) for s in evaluated.slices[: told.slices]),
        )
    return replace(
        _plain(report, told, extra=told.extra),
        evaluated=evaluated,
        riders=tuple(_plain(rider, told, extra=told.riders_extra) for rider in report.riders),
        kept_checkpoints=report.kept_checkpoints if told.kept else (),
    )


def _plain(report: RunReport, told: _Told, *, extra: bool) -> RunReport:
    seconds = {name: _rounded(value, told.seconds) for name, value in asdict(report.seconds).items()}
    return replace(
        report,
        seconds=replace(report.seconds, **seconds),
        extra={name: _rounded(value, 6) for name, value in report.extra.items()} if extra else {},
        rows=replace(report.rows, effective=_rounded(report.rows.effective, 7)),
    )


def _rounded(value: float, digits: int) -> float:
    """Significant digits; a whole number is written as one."""
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() else rounded


def _round_scored(scored: Scored, told: _Told) -> Scored:
    return Scored(
        tuple(_rounded(v, told.loss) for v in scored.loss),
        tuple(_rounded(v, told.predicted) for v in scored.predicted),
        round(scored.auc, 6) if told.auc and scored.auc is not None else None,
        None if scored.divergence is None else _rounded(scored.divergence, 4),
    )


def _round_slice(entry: Slice) -> Slice:
    start = None if entry.start_loss is None else _rounded(entry.start_loss, 8)
    error = None if entry.error is None else _rounded(entry.error, 3)
    return replace(entry, loss=_rounded(entry.loss, 8), start_loss=start, error=error)
