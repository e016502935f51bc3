"""Writing and reading whole messages, and refusing those that cannot be true.

A trainer may be wrong in any way: what it writes is held against what it was asked, field by field,
before a number of it is used.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from dataefficient.contract.codec import ContractError, camel, decode, encode, format_time, shown
from dataefficient.contract.messages import (
    MAX_BLOCKS,
    MAX_FROZEN,
    MAX_REPORT_BYTES,
    MAX_SLICES,
    RESERVED_NAMES,
    VERSION,
    Rows,
    RunReport,
    RunRequest,
    Scored,
)
from dataefficient.contract.riding import asked_of, check_riders


def to_json(message: RunRequest | RunReport) -> str:
    """Compact JSON of a message.

    Raises:
        ContractError: a number is not finite, or a report exceeds 3,072 bytes.
    """
    body = {"version": VERSION, **encode(message)}
    text = json.dumps(body, separators=(",", ":"), sort_keys=False, allow_nan=False)
    if isinstance(message, RunReport) and len(text.encode()) > MAX_REPORT_BYTES:
        raise ContractError(
            f"the report has {len(text.encode())} bytes; at most {MAX_REPORT_BYTES} are allowed"
        )
    return text


def _load(text: str | bytes, what: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except RecursionError:
        raise ContractError(f"{what}: not JSON: nested too deeply") from None
    except ValueError as error:
        raise ContractError(f"{what}: not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ContractError(f"{what}: expected an object, found {type(body).__name__}")
    if body.get("version") != VERSION:
        raise ContractError(f"{what}.version: {shown(body.get('version'))} is not {VERSION!r}")
    return body


def parse_request(text: str | bytes) -> RunRequest:
    """Read a request.

    Raises:
        ContractError: not JSON, another version, a field that is missing, unknown or of a wrong type, or
            a request that cannot be met.
    """
    request: RunRequest = decode(RunRequest, _load(text, "request"), "request")
    _check_request(request, "request")
    for i, rider in enumerate(request.riders):
        _check_request(rider, f"request.riders[{i}]")
    check_riders(request)
    return request


def _check_request(request: RunRequest, path: str) -> None:
    if len(request.frozen) > MAX_FROZEN:
        raise ContractError(f"{path}.frozen: {len(request.frozen)} checkpoints; at most {MAX_FROZEN}")
    for name in RESERVED_NAMES:
        if name in request.frozen:
            raise ContractError(f"{path}.frozen.{name}: the name is reserved")
    if not request.data.key:
        raise ContractError(f"{path}.data.key: at least one column is needed")
    for name, value in (
        ("size", request.size),
        ("threads", request.threads),
        ("deadlineSeconds", request.deadline_seconds),
        ("scales.learningRate", request.scales.learning_rate),
        ("scales.batch", request.scales.batch),
    ):
        if value is not None and value <= 0:
            raise ContractError(f"{path}.{name}: {value} is not positive")
    if request.train is None and request.evaluation is None:
        raise ContractError(f"{path}.train: missing, and so is {path}.evaluation: there is nothing to do")
    if request.train is None and request.start is None and not request.frozen:
        raise ContractError(f"{path}.start: missing, and so are train and frozen: there is no model to score")
    _check_rows(request, path)


def _check_rows(request: RunRequest, path: str) -> None:
    for name, rows in (("train", request.train), ("evaluation", request.evaluation)):
        if rows is not None and rows.start >= rows.end:
            raise ContractError(f"{path}.{name}.end: {format_time(rows.end)} is not after the start")
    if request.train is not None and not 0.0 < request.train.rate <= 1.0:
        raise ContractError(f"{path}.train.rate: {request.train.rate} is outside (0, 1]")
    if request.evaluation is not None:
        for part, share in (("share", request.evaluation.share), ("negatives", request.evaluation.negatives)):
            if not 0.0 < share <= 1.0:
                raise ContractError(f"{path}.evaluation.{part}: {share} is outside (0, 1]")
        if len(request.evaluation.slices) > MAX_SLICES:
            asked = len(request.evaluation.slices)
            raise ContractError(f"{path}.evaluation.slices: {asked}; at most {MAX_SLICES} are allowed")
        blocks = request.evaluation.boundaries
        if not 1 <= len(blocks) <= MAX_BLOCKS or list(blocks) != sorted(set(blocks)):
            raise ContractError(f"{path}.evaluation.boundaries: 1 to {MAX_BLOCKS} ascending times are needed")
        if blocks[0] <= request.evaluation.start or blocks[-1] != request.evaluation.end:
            raise ContractError(
                f"{path}.evaluation.boundaries: the first must follow the start, the last be the end"
            )


def parse_report(text: str | bytes, request: RunRequest) -> RunReport:
    """Read a report and hold it against the request that it answers.

    Raises:
        ContractError: too long, not JSON, of another run, or numbers that cannot be true.
    """
    size = len(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    if size > MAX_REPORT_BYTES:
        raise ContractError(f"report: {size} bytes; at most {MAX_REPORT_BYTES} are allowed")
    report: RunReport = decode(RunReport, _load(text, "report"), "report")
    if report.run != request.run:
        raise ContractError(f"report.run: {shown(report.run)} is not {request.run!r}")
    _check_run(report, request, "report")
    asked = asked_of(report, request)
    for i, rider in enumerate(report.riders):
        _check_run(rider, asked[rider.run], f"report.riders[{i}]")
    if request.evaluation is not None:
        _check_evaluated(report, request, len(request.evaluation.boundaries))
    return report


def _check_run(report: RunReport, request: RunRequest, path: str) -> None:
    """What holds for every run, whether it leads or rides."""
    if request.train is not None:
        if report.checkpoint is None:
            raise ContractError(f"{path}.checkpoint: missing, though the run was asked to train")
        if report.position is None:
            raise ContractError(f"{path}.position: missing, though the run was asked to train")
        if report.position > request.train.end:
            end = format_time(request.train.end)
            raise ContractError(f"{path}.position: {format_time(report.position)} is after train.end, {end}")
    _check_counts(report.rows, path)
    if min(dataclasses.astuple(report.seconds)) < 0 or report.seconds.total <= 0:
        raise ContractError(f"{path}.seconds: a duration is negative or the total is zero")
    for purpose, count in (("read", "read"), ("train", "kept"), ("evaluate", "evaluated")):
        if getattr(report.rows, count) > 0 and getattr(report.seconds, purpose) == 0:
            raise ContractError(f"{path}.seconds.{purpose}: 0, though rows.{count} is not; measure it apart")


def _check_counts(rows: Rows, path: str) -> None:
    if min(dataclasses.astuple(rows)) < 0:
        raise ContractError(f"{path}.rows: a count is negative")
    for small, large in (
        ("kept", "read"),
        ("positives", "read"),
        ("kept_positives", "kept"),
        ("effective", "kept"),
    ):
        if getattr(rows, small) > getattr(rows, large) * (1 + 1e-6):
            found = f"{getattr(rows, small)} is more than {large}, {getattr(rows, large)}"
            raise ContractError(f"{path}.rows.{camel(small)}: {found}")


def _check_evaluated(report: RunReport, request: RunRequest, blocks: int) -> None:
    evaluated = report.evaluated
    if evaluated is None:
        raise ContractError("report.evaluated: missing, though the run was asked to score")
    expected = {"self"} if request.train is not None else set()
    expected |= set(request.frozen) | ({"start"} if request.start else set())
    ended, asked = {rider.run for rider in report.riders}, {r.run for r in request.riders if r.evaluation}
    expected |= ended & asked
    if missing := sorted(expected - set(evaluated.models)):
        raise ContractError(f"report.evaluated.models.{missing[0]}: missing")
    for name, counts in (("n", evaluated.n), ("positives", evaluated.positives)):
        if len(counts) != blocks:
            raise ContractError(f"report.evaluated.{name}: {len(counts)} blocks, expected {blocks}")
    if any(not 0 <= p <= n for n, p in zip(evaluated.n, evaluated.positives, strict=True)):
        raise ContractError("report.evaluated.positives: not between 0 and n in some block")
    for name, scored in evaluated.models.items():
        _check_scored(scored, evaluated.n, f"report.evaluated.models.{name}")
    if len(evaluated.slices) > MAX_SLICES:
        raise ContractError(
            f"report.evaluated.slices: {len(evaluated.slices)}; at most {MAX_SLICES} are allowed"
        )
    for i, part in enumerate(evaluated.slices):
        if min(part.n, part.loss, part.start_loss or 0.0, part.error or 0.0) < 0:
            raise ContractError(
                f"report.evaluated.slices[{i}]: a count, a summed log loss or an error is negative"
            )


def _check_scored(scored: Scored, n: tuple[int, ...], path: str) -> None:
    for name, sums in (("loss", scored.loss), ("predicted", scored.predicted)):
        if len(sums) != len(n):
            raise ContractError(f"{path}.{name}: {len(sums)} blocks, expected {len(n)}")
    if min(scored.loss) < 0:
        raise ContractError(f"{path}.loss: a summed log loss is negative")
    if any(rows == 0 and loss > 0 for rows, loss in zip(n, scored.loss, strict=True)):
        raise ContractError(f"{path}.loss: a block without rows has a loss")
    if any(not 0 <= p <= rows for rows, p in zip(n, scored.predicted, strict=True)):
        raise ContractError(f"{path}.predicted: not between 0 and n in some block")
    if scored.auc is not None and not 0.0 <= scored.auc <= 1.0:
        raise ContractError(f"{path}.auc: {scored.auc} is outside [0, 1]")
    if scored.divergence is not None and scored.divergence < 0.0:
        raise ContractError(f"{path}.divergence: {scored.divergence} is negative")
