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
    RunReport,
    RunRequest,
    encode,
    to_json,
)
from dataefficient_trainer import config as configuration
from dataefficient_trainer import features
from dataefficient_trainer.checks import check
from dataefficient_trainer.errors import DataError, UserError
from dataefficient_trainer.events import Stream
from dataefficient_trainer.fitting import fit
from dataefficient_trainer.source import Source, open_source
from dataefficient_trainer.telemetry import Progress


def stream_of(request: RunRequest, config: configuration.Config, source: Source) -> Stream:
    """The stream that a request reads, with the features that its configuration asks for."""
    data = request.data
    others = {name for name in (data.group, data.served_prediction, config.teacher) if name}
    if len(data.key) == 1:
        others.add(data.key[0])
    # Features that nobody named stay those of the first file, whatever columns the log gets in time.
    columns = source.columns if config.features is not None else source.first
    labels = config.label.columns(data.label)
    if config.label.any_of:
        others.add(data.label)
    layout = features.resolve(config, columns, time=data.time, labels=labels, others=others)
    asked = request.evaluation.slices if request.evaluation is not None else ()
    return Stream(source, data, config, layout, tuple(dict.fromkeys((*asked, *config.slices))))


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
    check(request)
    config = configuration.parse(request.config)
    pa.set_cpu_count(request.threads)
    pa.set_io_thread_count(1)
    stream = stream_of(request, config, open_source(request.data.uri, config.format, config.columns))

    # torch takes seconds to import: only once the request, configuration and columns are known to be right.
    import torch  # noqa: PLC0415

    from dataefficient_trainer import checkpoint  # noqa: PLC0415
    from dataefficient_trainer.onepass import OnePass  # noqa: PLC0415

    torch.set_num_threads(request.threads)
    if request.device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "request.device: cuda is not available here; use cpu, or a machine with such a device"
        )
    progress = Progress(run=request.run, total_rows=None)
    try:
        with torch.no_grad():
            runs = OnePass(request=request, config=config, stream=stream, stopped=stopped, progress=progress)
            try:
                report = runs.execute()
            except OSError as error:
                raise DataError(f"output: cannot write to {request.output}: {error}") from error
    finally:
        progress.close()
    startup = max(0.0, (runs.first_row_at or time.time()) - started)
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
    for run in (*request.riders, request):
        checkpoint.remove(checkpoint.join(run.output, checkpoint.RESUME))
    return fitted


def to_json_full(report: RunReport) -> str:
    """JSON of a report of any length, for people."""
    return json.dumps({"version": VERSION, **encode(report)}, indent=1, allow_nan=False)
