"""One run, from the cache or as a process, launched and watched as ``detctl run`` does it."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from dataefficient.contract import RunRequest
from dataefficient.cycle.model import RunOutcome
from dataefficient.local.launcher import Launcher
from dataefficient.local.process import Attempt, Job, Process
from streambench.cache import Cache, ended

POLL_SECONDS = 0.02
LONGEST_SECONDS = 6 * 3600.0


class NotRunError(Exception):
    """A run that has not been made, and is not to be made now."""


class RunFailedError(Exception):
    """A run that was made and failed; the message is the trainer's own."""


class EmptyIntervalError(RunFailedError):
    """The stream has no row in the run's interval; ``outcome`` has what it cost to find that out."""

    def __init__(self, message: str, outcome: RunOutcome) -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass(frozen=True)
class Runner:
    """Makes runs, until ``until`` at the latest.

    Args:
        lock: an open descriptor that stays open until a launched trainer has ended.
        until: time of the clock after which nothing new is begun; 0: nothing is begun at all.
        say: told of each run that is made.
    """

    cache: Cache
    launcher: Launcher
    folder: Path
    lock: int
    until: float
    say: Callable[[str], None] = lambda _: None

    def run(self, request: RunRequest) -> RunOutcome:
        """How the run ended, now or before.

        Raises:
            NotRunError: it is not in the cache, and the time is up.
            EmptyIntervalError: no row lies in its interval.
            RunFailedError: it gave no report.
        """
        found = self.cache.get(request)
        if found is not None:
            return _with_rows(request, found)
        if time.time() >= self.until:
            raise NotRunError(f"{request.resource} {request.run}")
        folder = self.folder / self.cache.key(request)
        placed = replace(request, output=str(folder / "output"))
        # One attempt over any number of launches: a killed benchmark's run goes on, and its seconds add up.
        attempt = Attempt(folder, Job(placed, 1, 1, LONGEST_SECONDS))
        outcome = attempt.outcome()
        if outcome is None:
            outcome = self._launch(attempt)
        if not ended(outcome):
            shutil.rmtree(folder, ignore_errors=True)
            why = outcome.failure.message if outcome.failure is not None else "it gave no report"
            raise RunFailedError(f"{request.resource} {request.run}: {why}")
        kept = self.cache.put(placed, outcome)
        shutil.rmtree(folder, ignore_errors=True)
        return _with_rows(request, replace(kept, run=request.run))

    def _launch(self, attempt: Attempt) -> RunOutcome:
        request = attempt.job.request
        process = Process(attempt, self.launcher, self.lock)
        try:
            while not process.poll():
                time.sleep(POLL_SECONDS)
        except BaseException:
            process.kill()
            raise
        outcome = process.outcome()
        if outcome is None:
            raise NotRunError(f"{request.resource} {request.run}: it was ended from outside")
        self.say(f"{request.resource} {request.run}: {outcome.device_seconds:.1f} s")
        return outcome


def _with_rows(request: RunRequest, outcome: RunOutcome) -> RunOutcome:
    if outcome.failure is not None:
        raise EmptyIntervalError(f"{request.resource} {request.run}: {outcome.failure.message}", outcome)
    return outcome


def to_stderr(line: str) -> None:
    """Progress, for whoever watches."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
