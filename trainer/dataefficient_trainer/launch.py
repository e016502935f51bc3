"""From a request to a written report: opens the stream, builds the run, times it, fits the report.

Apart from ``__main__`` so that tests and benchmarks can launch a run within their own process.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from dataefficient.contract import (
    VERSION,
    ContractError,
    RunReport,
    RunRequest,
    Scored,
    Slice,
    encode,
    to_json,
)
from dataefficient_trainer import config as configuration
from dataefficient_trainer import features
from dataefficient_trainer.errors import DataError, UserError
from dataefficient_trainer.events import Stream
from dataefficient_trainer.source import Source, open_source
from dataefficient_trainer.telemetry import Progress


def _check(request: RunRequest) -> None:
    if request.train is None and request.evaluation is None:
        raise UserError("request: neither train nor evaluation is given; there is nothing to do")
    for name, span in (("train", request.train), ("evaluation", request.evaluation)):
        if span is not None and span.end <= span.start:
            raise UserError(f"request.{name}.end: {span.end} is not after {name}.start, {span.start}")
    if not request.data.key:
        raise UserError("request.data.key: empty; name the columns that tell one event from another")
    if request.train is None and request.start is None and not request.frozen:
        raise UserError(
            "request.frozen: a run without training needs a checkpoint to score, as start or frozen"
        )
    if request.device not in {"cpu", "cuda"}:
        raise UserError(f"request.device: {request.device!r} is not one of cpu, cuda")
    if request.threads < 1:
        raise UserError(f"request.threads: {request.threads} is not a positive integer")
    if not 1 <= request.size <= 1024:
        raise UserError(f"request.size: {request.size} is outside 1 to 1024, the width of an embedding")
    if request.evaluation is not None and request.evaluation.boundaries[-1] != request.evaluation.end:
        raise UserError("request.evaluation.boundaries: the last one must equal evaluation.end")


def _stream(request: RunRequest, config: configuration.Config, source: Source) -> Stream:
    data = request.data
    others = {name for name in (data.group, data.served_prediction) if name}
    if len(data.key) == 1:
        others.add(data.key[0])
    layout = features.resolve(
        config, source.columns, time=data.time, label=config.label.column or data.label, others=others
    )
    extra = (data.served_prediction,) if data.served_prediction else ()
    return Stream(source, data, config, layout, extra)


def launch(request: RunRequest, report_path: Path, stopped: Callable[[], bool], started: float) -> RunReport:
    """Do a run and write its report.

    Args:
        request: what to do.
        report_path: the report's file.
        stopped: True once the run should save its state and end.
        started: Unix time at which the process began.

    Returns:
        The report as written.

    Raises:
        TrainerError: of the kind that decides the exit code.
    """
    _check(request)
    config = configuration.parse(request.config)
    pa.set_cpu_count(request.threads)
    pa.set_io_thread_count(1)
    stream = _stream(request, config, open_source(request.data.uri, config.format))

    # torch takes seconds to import: only once the request, configuration and columns are known to be right.
    import torch  # noqa: PLC0415

    from dataefficient_trainer import checkpoint  # noqa: PLC0415
    from dataefficient_trainer.run import Run  # noqa: PLC0415

    torch.set_num_threads(request.threads)
    if request.device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "request.device: cuda is not available here; use cpu, or a machine with such a device"
        )
    progress = Progress(run=request.run, total_rows=None)
    try:
        with torch.no_grad():
            run = Run(request=request, config=config, stream=stream, stopped=stopped, progress=progress)
            try:
                report = run.execute()
            except OSError as error:
                raise DataError(f"output: cannot write to {request.output}: {error}") from error
    finally:
        progress.close()
    startup = max(0.0, (run.first_row_at or time.time()) - started)
    seconds = dataclasses.replace(report.seconds, startup=startup, total=max(time.time() - started, 1e-6))
    report = dataclasses.replace(report, seconds=seconds)
    checkpoint.write(
        checkpoint.join(request.output, checkpoint.REPORT), (to_json_full(report) + "\n").encode()
    )
    fitted = fit(report)
    beside = report_path.with_name(f".{report_path.name}.{os.getpid()}")
    try:
        beside.write_text(to_json(fitted))
        beside.replace(report_path)
    except OSError:
        report_path.write_text(to_json(fitted))  # a termination message is a mount: it cannot be renamed onto
    finally:
        beside.unlink(missing_ok=True)
    checkpoint.remove(checkpoint.join(request.output, checkpoint.RESUME))
    return fitted


def to_json_full(report: RunReport) -> str:
    """JSON of a report of any length, for people."""
    return json.dumps({"version": VERSION, **encode(report)}, indent=1, allow_nan=False)


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def fit(report: RunReport) -> RunReport:
    """The report with as many digits and slices as fit into the contract's limit.

    Slices go first, the last of them first; then digits, down to seven, which is far below a standard error.
    """
    evaluated = report.evaluated
    seconds = dataclasses.replace(
        report.seconds, **{k: round(v, 4) for k, v in dataclasses.asdict(report.seconds).items()}
    )
    extra = {k: _rounded(v, 6) for k, v in report.extra.items()}
    rows = dataclasses.replace(report.rows, effective=_rounded(report.rows.effective, 9))
    report = dataclasses.replace(report, seconds=seconds, extra=extra, rows=rows)
    count = len(evaluated.slices) if evaluated else 0
    tries = [(digits, slices) for digits in (12, 10, 9) for slices in (count, count // 2)]
    tries += [(8, count // 2), (8, 0), (7, 0)]
    problem: ContractError | None = None
    for digits, slices in tries:
        candidate = (
            report
            if evaluated is None
            else dataclasses.replace(
                report,
                evaluated=dataclasses.replace(
                    evaluated,
                    models={name: _round_scored(s, digits) for name, s in evaluated.models.items()},
                    slices=tuple(_round_slice(s) for s in evaluated.slices[:slices]),
                ),
            )
        )
        try:
            to_json(candidate)
        except ContractError as error:
            problem = error
        else:
            return candidate
    raise UserError(f"the report does not fit: {problem}; ask for fewer blocks or frozen checkpoints")


def _round_scored(scored: Scored, digits: int) -> Scored:
    return Scored(
        tuple(_rounded(v, digits) for v in scored.loss),
        tuple(_rounded(v, digits) for v in scored.predicted),
        None if scored.auc is None else round(scored.auc, 6),
    )


def _round_slice(entry: Slice) -> Slice:
    start = None if entry.start_loss is None else _rounded(entry.start_loss, 8)
    return dataclasses.replace(entry, loss=_rounded(entry.loss, 8), start_loss=start)
