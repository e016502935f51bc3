"""A run as a process of this machine: launching it, watching it, and what its end means.

Between this process and the trainer stands a guard (``guard``), which ends the trainer with this
process and keeps the time; how both are started is ``launcher``'s. An attempt may need several launches,
when ``detctl`` itself was interrupted: their seconds add up, and the attempt counts as one. Whether a
failed run is tried again is the state machine's decision.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dataefficient import contract
from dataefficient.contract import ExitCode, RunReport, RunRequest
from dataefficient.cycle.model import Failure, FailureKind, RunOutcome
from dataefficient.cycle.verdict import failure_of, last_words, overdue, read_report
from dataefficient.local.files import disk_errors, write_atomic
from dataefficient.local.launcher import Launcher, Terms

GRACE_SECONDS = 10.0
"""Between SIGTERM and SIGKILL."""
_TAIL_BYTES = 8192
_NOTICES_BYTES = 65536
_NOTICE = "notice: "
_HEADING = "--- attempt "
"""Begins the line that this program writes to the log before each launch."""


@dataclass(frozen=True)
class Job:
    """One attempt of one run. ``reserved_seconds`` are device-seconds."""

    request: RunRequest
    attempt: int
    devices: int
    reserved_seconds: float


@dataclass(frozen=True)
class Progress:
    """What the trainer last said of itself; None where it said nothing."""

    rows: int | None = None
    total: int | None = None
    rows_per_second: float | None = None


@dataclass(frozen=True)
class Launch:
    """What a guard wrote about one launch; ``code`` None: it has not ended, or nobody saw it end."""

    seconds: float
    code: int | None
    cause: str | None


class Attempt:
    """The files of one attempt in its run's folder."""

    def __init__(self, folder: Path, job: Job) -> None:
        self.folder = folder
        self.job = job

    @property
    def report(self) -> Path:
        """Where the trainer writes its report."""
        return self.folder / "report.json"

    @property
    def progress_file(self) -> Path:
        """Where the trainer may say how far it is."""
        return self.folder / "progress.json"

    @property
    def log(self) -> Path:
        """What the trainer printed, all attempts one after another."""
        return self.folder / "log.txt"

    def record(self, number: int) -> Path:
        """The guard's record of launch ``number``, from 1."""
        return self.folder / f"launch-{self.job.attempt}-{number}.json"

    def launches(self) -> tuple[Launch, ...]:
        """The launches so far, in order."""
        found: list[Launch] = []
        while (body := _json(self.record(len(found) + 1))) is not None:
            found.append(_launch(body))
        return tuple(found)

    def outcome(self, code: int | None = None) -> RunOutcome | None:
        """How the attempt ended, from its files; None: it has not, and is to be launched (again).

        Args:
            code: exit code as this process saw it; for a record that a dying guard left open.
        """
        launches = self.launches()
        if not launches:
            return None
        last = launches[-1]
        ended = last.code if last.code is not None else code
        seconds = math.fsum(launch.seconds for launch in launches) * self.job.devices
        if last.cause is not None or ended is None:
            # Ended from outside: a report that is whole is written last, so the run had finished.
            verdict = self._read_report()
            if isinstance(verdict, RunReport):
                return self._outcome(seconds, verdict)
            if last.cause != "deadline":
                return None
        return self._outcome(seconds, self._verdict(ended, last.cause))

    def excuse(self) -> None:
        """Take the last launch as interrupted, since what ended it was not the run's own fault.

        Overwrites in place, which needs no space. Where even that fails the launch counts as it ended.
        """
        launches = self.launches()
        body = {"seconds": launches[-1].seconds, "code": None, "cause": "interrupted"}
        with contextlib.suppress(OSError), self.record(len(launches)).open("r+b") as file:
            file.write(json.dumps(body).encode())
            file.truncate()

    def progress(self) -> Progress:
        """How far the running launch is."""
        body = _json(self.progress_file) or {}
        rows, total, speed = (body.get(name) for name in ("rows", "totalRows", "rowsPerSecond"))
        return Progress(
            rows if isinstance(rows, int) else None,
            total if isinstance(total, int) else None,
            float(speed) if isinstance(speed, (int, float)) else None,
        )

    def _outcome(self, seconds: float, verdict: RunReport | Failure) -> RunOutcome:
        run, attempt = self.job.request.run, self.job.attempt
        if isinstance(verdict, Failure):
            return RunOutcome(run, attempt, seconds, failure=verdict)
        return RunOutcome(run, attempt, seconds, report=verdict)

    def _verdict(self, code: int | None, cause: str | None) -> RunReport | Failure:
        if cause == "deadline":
            return overdue(self.job.reserved_seconds / self.job.devices)
        if code == ExitCode.OK:
            return self._read_report()
        return failure_of(code, self._last_words())

    def _read_report(self) -> RunReport | Failure:
        try:
            with self.report.open("rb") as file:
                text = file.read(64 * contract.MAX_REPORT_BYTES)
        except FileNotFoundError:
            return Failure(
                FailureKind.NO_REPORT,
                "the trainer ended with exit code 0 and wrote no report to the file named by "
                f"{contract.REPORT_VARIABLE}",
            )
        except OSError as error:
            return Failure(FailureKind.NO_REPORT, f"its report cannot be read: {error.strerror}")
        return read_report(text, self.job.request)

    def notices(self) -> tuple[str, ...]:
        """What the newest launch says to people: lines of the log that begin with ``notice:``."""
        lines = self._tail(_NOTICES_BYTES).rpartition(_HEADING)[2].splitlines()
        return tuple(line.removeprefix(_NOTICE).strip() for line in lines if line.startswith(_NOTICE))

    def _last_words(self) -> str:
        words = last_words(self._tail(_TAIL_BYTES))
        return "" if words.startswith(_HEADING) else words

    def _tail(self, most: int) -> str:
        """The end of the log."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - most))
            return file.read().decode(errors="replace")
        return ""


def _launch(body: Mapping[str, object]) -> Launch:
    seconds, code, cause = (body.get(name) for name in ("seconds", "code", "cause"))
    return Launch(
        seconds if isinstance(seconds, float) else 0.0,
        code if isinstance(code, int) else None,
        cause if isinstance(cause, str) else None,
    )


class Process:
    """A running attempt."""

    def __init__(
        self, attempt: Attempt, launcher: Launcher, lock: int, *, grace: float = GRACE_SECONDS
    ) -> None:
        """Launch it.

        Args:
            lock: descriptor of the work folder's lock; held until the trainer has ended.
            grace: seconds between SIGTERM and SIGKILL.

        Raises:
            DiskError: the run's folder cannot be written.
        """
        self.attempt = attempt
        self.started = time.monotonic()
        job, folder = attempt.job, attempt.folder
        launches = attempt.launches()
        spent = math.fsum(launch.seconds for launch in launches)
        limit = max(0.0, job.reserved_seconds / job.devices - spent)
        number = len(launches) + 1
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for stale in (attempt.report, attempt.progress_file):
                stale.unlink(missing_ok=True)
            request = folder / "request.json"
            write_atomic(request, contract.to_json(job.request).encode())
            variables = {
                contract.REQUEST_VARIABLE: str(request),
                contract.REPORT_VARIABLE: str(attempt.report),
                contract.PROGRESS_VARIABLE: str(attempt.progress_file),
            }
            read_end, write_end = os.pipe()
            try:
                with attempt.log.open("ab") as log:
                    log.write(f"{_HEADING}{job.attempt}, launch {number} ---\n".encode())
                    log.flush()
                    self._guard = launcher.start(
                        Terms(
                            variables,
                            job.request.threads,
                            attempt.record(number),
                            limit,
                            grace,
                            pipe=read_end,
                            lock=lock,
                            log=log.fileno(),
                        )
                    )
            except BaseException:
                os.close(write_end)
                raise
            finally:
                os.close(read_end)
        self._leash: int | None = write_end

    def poll(self) -> bool:
        """Whether the launch has ended."""
        return self._guard.poll() is not None

    def outcome(self) -> RunOutcome | None:
        """How the attempt ended, after :meth:`poll` said so; None: it was interrupted by :meth:`release`."""
        code = self._sweep()
        return self.attempt.outcome(128 - code if code < 0 else code)

    def release(self) -> None:
        """Ask the trainer to save its state and end; it is killed after the grace."""
        if self._leash is not None:
            os.close(self._leash)
            self._leash = None

    def kill(self) -> None:
        """End everything at once."""
        self.release()
        self._sweep()

    def _sweep(self) -> int:
        """End what the trainer has started and left behind; the guard's exit code."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._guard.pid, signal.SIGKILL)
        code = self._guard.wait()
        self.release()
        return code


def _json(path: Path) -> dict[str, object] | None:
    """The object in ``path``; None if there is none, or half of one."""
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return body if isinstance(body, dict) else None
