"""A run of the reference trainer in a process of its own, and what it took; for benchmarks."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from dataefficient.contract import RunReport, RunRequest, parse_report, to_json


@dataclass(frozen=True)
class Done:
    """A process that ended.

    Attributes:
        wall: seconds of the clock.
        processor: seconds of the processor.
        memory: largest resident memory of any process launched so far, in MiB.
    """

    report: RunReport
    wall: float
    processor: float
    memory: float


def launch(request: RunRequest, folder: Path) -> Done:
    """Do a run; its request and report lie in ``folder``."""
    (folder / "request.json").write_text(to_json(request))
    paths = {"DATAEFFICIENT_REQUEST": folder / "request.json", "DATAEFFICIENT_REPORT": folder / "report.json"}
    environment = {**os.environ, **{name: str(path) for name, path in paths.items()}}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "dataefficient_trainer"], env=environment, check=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report = parse_report((folder / "report.json").read_bytes(), request)
    return Done(report, wall, processor, after.ru_maxrss / 1024)
