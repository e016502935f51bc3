"""What the end of an attempt means: a report, or a failure and its kind.

The one reading of exit codes and reports for every driver, whether the trainer was a process or a pod. It
opens no file and knows no clock; what is done about a failure is ``accounting``'s.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Mapping
from types import MappingProxyType

from dataefficient import contract
from dataefficient.contract import ContractError, ExitCode, RunReport, RunRequest
from dataefficient.cycle.model import Failure, FailureKind

MAX_WORDS = 500
"""Characters of a trainer's own words that are kept."""

KINDS: Mapping[int, FailureKind] = MappingProxyType(
    {
        ExitCode.USER_ERROR: FailureKind.USER_ERROR,
        ExitCode.DATA_ERROR: FailureKind.DATA_ERROR,
        ExitCode.DATA_NOT_READY: FailureKind.DATA_NOT_READY,
        ExitCode.EMPTY_INTERVAL: FailureKind.EMPTY_INTERVAL,
        ExitCode.CHECKPOINT_MISSING: FailureKind.CHECKPOINT_MISSING,
        ExitCode.NOT_FINITE: FailureKind.NOT_FINITE,
    }
)
"""Exit codes with a meaning of their own; any other is a crash."""


def read_report(text: str | bytes, request: RunRequest) -> RunReport | Failure:
    """The report that answers ``request``, or why it cannot be used."""
    try:
        return contract.parse_report(text, request)
    except ContractError as error:
        return Failure(FailureKind.GARBAGE, str(error)[:MAX_WORDS])
    except RecursionError:
        return Failure(FailureKind.GARBAGE, "report: nested without end")


def failure_of(code: int | None, words: str) -> Failure:
    """The failure behind an exit code other than 0.

    Args:
        code: None where nobody saw it; above 128 it stands for a signal.
        words: what the trainer said last.
    """
    if code is not None and code in KINDS:
        return Failure(KINDS[code], words or f"exit code {code} without a word")
    ended = _ending(code)
    return Failure(FailureKind.CRASHED, f"{ended}: {words}" if words else f"{ended}, without a word")


def overdue(seconds: float) -> Failure:
    """The failure of a run that was ended by its deadline, in seconds of wall clock."""
    return Failure(FailureKind.DEADLINE, f"ended after {seconds:.0f} s, the time that was set aside for it")


def last_words(text: str) -> str:
    """The last line that says something, cut where it is long."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")[-MAX_WORDS:]


def _ending(code: int | None) -> str:
    if code is not None and code > 128:
        with contextlib.suppress(ValueError):
            name = signal.Signals(code - 128).name
            hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
            return f"ended by {name}{hint}"
    return f"exit code {code}"
