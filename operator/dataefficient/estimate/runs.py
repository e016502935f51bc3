"""Trainer processes: launched through the contract, watched, stopped in time.

Knows requests, files and process groups; neither which experiments are worth running nor what their
results mean.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from dataefficient.contract import (
    MAX_BLOCKS,
    MIN_PAIRED_BLOCKS,
    REPORT_VARIABLE,
    REQUEST_VARIABLE,
    ContractError,
    Data,
    Evaluation,
    ExitCode,
    Role,
    RunReport,
    RunRequest,
    Scales,
    Train,
    parse_report,
    to_json,
)
from dataefficient.estimate.errors import EstimateError
from dataefficient.estimate.measure import Measured
from dataefficient.estimate.plan import Experiment

MANY_ROWS = 500_000


def scored_share(rows: int) -> float:
    """Share of the rows, the latest, that are held out: a tenth, of a small log a fifth.

    More would tell smaller differences, but score models long after the end of their data.
    """
    return 0.1 if rows >= MANY_ROWS else 0.2


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GRACE_SECONDS = 1.0

Times = np.ndarray[Any, np.dtype[np.int64]]


def instant(microseconds: int) -> datetime:
    """The UTC time of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=int(microseconds))


@dataclass(frozen=True)
class Layout:
    """Which rows are learned from and which are held out, as positions in ``times``."""

    times: Times
    first: int
    """First row used."""
    cut: int
    """First held-out row; its time is the common end of all training."""
    boundaries: tuple[datetime, ...]
    """Ends of the time blocks of the held-out rows."""

    @property
    def history(self) -> int:
        """Rows to learn from."""
        return self.cut - self.first

    @property
    def scored(self) -> int:
        """Held-out rows."""
        return len(self.times) - self.cut

    def start(self, share: float) -> datetime:
        """Where the latest ``share`` of the history begins."""
        return instant(self.times[self.cut - max(1, round(share * self.history))])

    @property
    def end(self) -> datetime:
        """End of training and start of the held-out rows."""
        return instant(self.times[self.cut])

    def days(self, rows: float) -> float:
        """Days that the latest ``rows`` rows of the history span."""
        position = self.cut - min(self.history, max(1, round(rows)))
        return float(self.times[self.cut] - self.times[position]) / 86_400e6


def lay_out(times: Times, rows: int) -> Layout:
    """Split the latest ``rows`` rows into history and held-out blocks at distinct times.

    Raises:
        EstimateError: too few distinct times to form blocks.
    """
    first, share = len(times) - rows, scored_share(rows)
    cut = int(np.searchsorted(times, times[first + int((1 - share) * rows)], side="left"))
    if cut <= first:
        raise EstimateError(
            "nearly all rows have one time: nothing lies before the held-out part", ExitCode.DATA_ERROR
        )
    inner = cut + (np.arange(1, MAX_BLOCKS) * (len(times) - cut)) // MAX_BLOCKS
    ends = sorted({int(times[i]) for i in inner if times[i] > times[cut]} | {int(times[-1]) + 1})
    if len(ends) < MIN_PAIRED_BLOCKS:
        raise EstimateError(
            f"the last {100 * share:.0f} % of the rows have only {len(ends)} separate times; at least "
            f"{MIN_PAIRED_BLOCKS} are needed to know how sure a difference is. Is there a finer time column?",
            ExitCode.DATA_ERROR,
        )
    return Layout(times, first, cut, tuple(instant(e) for e in ends))


@dataclass(frozen=True)
class Setting:
    """What all runs share."""

    command: tuple[str, ...]
    data: Data
    layout: Layout
    config: Mapping[str, Any]
    folder: Path
    device: str = "cpu"


def request(setting: Setting, experiment: Experiment, deadline_seconds: float) -> RunRequest:
    """The trainer's request for an experiment."""
    arm, layout = experiment.arm, setting.layout
    return RunRequest(
        resource="estimate/log",
        cycle=0,
        run=experiment.name,
        role=Role.PROBE,
        data=setting.data,
        train=Train(layout.start(arm.history), layout.end, arm.policy, arm.rate, "estimate"),
        evaluation=Evaluation(layout.end, layout.boundaries[-1], 1.0, "estimate", layout.boundaries),
        size=arm.size,
        seed=experiment.seed,
        output=str(setting.folder / experiment.name / "checkpoint"),
        scales=Scales(learning_rate=arm.pace),
        config=setting.config,
        device=setting.device,
        deadline_seconds=deadline_seconds,
    )


@dataclass(frozen=True)
class Failed:
    """A run without a usable report, in the trainer's own words."""

    code: int
    message: str


class Run:
    """One trainer process."""

    def __init__(self, setting: Setting, experiment: Experiment, deadline_seconds: float) -> None:
        self.experiment = experiment
        self.began = time.monotonic()
        self._processor = self._wall = 0.0
        self._folder = setting.folder / experiment.name
        self._folder.mkdir(parents=True, exist_ok=True)
        self._request = request(setting, experiment, deadline_seconds)
        self._report = self._folder / "report.json"
        (self._folder / "request.json").write_text(to_json(self._request))
        environment = {
            **os.environ,
            REQUEST_VARIABLE: str(self._folder / "request.json"),
            REPORT_VARIABLE: str(self._report),
            "OMP_NUM_THREADS": "1",
        }
        with (self._folder / "log.txt").open("wb") as output:
            # A session of its own: an interrupt at the terminal reaches the estimate, which stops the run.
            self._process = subprocess.Popen(
                setting.command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def elapsed(self) -> float:
        """Seconds since launch."""
        return time.monotonic() - self.began

    @property
    def busy(self) -> float:
        """Processor seconds over wall-clock seconds of the ended process, in (0, 1]; 1 where not known."""
        return min(1.0, self._processor / self._wall) if self._processor > 0 and self._wall > 0 else 1.0

    def ended(self) -> bool:
        """Whether the process is gone."""
        if self._process.returncode is None:
            # Only reaping moves this counter, so the difference is this child's.
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            if self._process.poll() is not None:
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                self._processor = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
                self._wall = self.elapsed
        return self._process.returncode is not None

    def stop(self) -> None:
        """Ask the process group to end, then make it."""
        for what, wait in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, None)):
            if self.ended():
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, what)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(wait)

    def result(self) -> RunReport | Failed:
        """The report, or why there is none. The checkpoint is deleted: only its scores are wanted."""
        shutil.rmtree(self._folder / "checkpoint", ignore_errors=True)
        code = self._process.wait()
        if code != ExitCode.OK:
            return Failed(code, self._last_words())
        try:
            return parse_report(self._report.read_bytes(), self._request)
        except FileNotFoundError:
            return Failed(code, "it wrote no report")
        except (OSError, ContractError) as error:
            return Failed(code, str(error))

    def _last_words(self) -> str:
        text = (self._folder / "log.txt").read_text(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1][-400:] if lines else "it said nothing"


def measured(report: RunReport, busy: float) -> Measured:
    """What the verdict needs of a report; ``busy`` is the run's processor share of its wall clock.

    It takes out the time that the run only waited for a processor, so that runs beside each other compare.
    """
    evaluated = report.evaluated
    assert evaluated is not None
    scored = evaluated.models["self"]
    return Measured(
        loss=scored.loss,
        predicted=scored.predicted,
        n=evaluated.n,
        positives=evaluated.positives,
        digest=evaluated.digest,
        kept=report.rows.kept,
        seconds=(report.seconds.read + report.seconds.train) * busy,
        auc=scored.auc,
    )


def command_of(text: Sequence[str]) -> tuple[str, ...]:
    """Check that the trainer's program exists.

    Raises:
        EstimateError: it does not.
    """
    if not text or shutil.which(text[0]) is None:
        raise EstimateError(f"--trainer {' '.join(text)}: no such program", ExitCode.USER_ERROR)
    return tuple(text)
