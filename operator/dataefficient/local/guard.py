"""The small process between ``detctl`` and a trainer, which ends the trainer when it must end.

Run as a script by path, or in a process that ``zygote`` forked: it imports nothing of the package and
starts within milliseconds. It watches a pipe whose other end only ``detctl`` holds: when that closes, by
intent or because ``detctl`` was killed, the trainer gets SIGTERM and, after the grace, SIGKILL. It
enforces the deadline and keeps the clock of the launch in a file that outlives both. It reads neither
request nor report.

    guard.py PIPE RECORD LIMIT_SECONDS GRACE_SECONDS COMMAND [ARGUMENT...]

RECORD holds ``{"seconds": float, "code": int | null, "cause": "deadline" | "interrupted" | null}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

TICK_SECONDS = 1.0
"""How much of a launch's time may be lost to the record when the guard itself is killed."""


class Child(Protocol):
    """A trainer that has begun; the part of ``subprocess.Popen`` that is used."""

    @property
    def returncode(self) -> int | None:
        """Exit code, the negative signal if one ended it; None: it had not ended when it was last asked."""

    def wait(self, timeout: float) -> int:
        """The exit code.

        Raises:
            subprocess.TimeoutExpired: it has not ended within so many seconds.
        """

    def kill(self) -> None:
        """End it at once."""


class Guard:
    """One launch of one trainer, in the process group of this process.

    Args:
        before: seconds that the launch has taken already.
        begin: starts the trainer.
    """

    def __init__(
        self,
        pipe: int,
        record: Path,
        limit: float,
        grace: float,
        begin: Callable[[], Child],
        *,
        before: float = 0.0,
    ) -> None:
        self._pipe = pipe
        self._record = record
        self._limit = limit
        self._grace = grace
        self._cause: str | None = None
        self._started = time.monotonic() - before
        self._write(None)
        self._child = begin()

    def watch(self) -> int:
        """Wait for the trainer's end, whatever brings it about.

        Returns:
            Its exit code; 128 + signal if a signal ended it.
        """
        # A handler and not SIG_IGN: what is ignored stays ignored in the trainer.
        signal.signal(signal.SIGTERM, lambda *_: None)
        threading.Thread(target=self._parent, daemon=True).start()
        while (code := self._poll()) is None:
            if self._cause is None and time.monotonic() - self._started >= self._limit:
                self._stop("deadline")
            self._write(None)
        code = 128 - code if code < 0 else code
        self._write(code)
        return code

    @property
    def orphaned(self) -> bool:
        """Whether nobody is left to end what the trainer itself started."""
        return self._cause == "interrupted"

    def _poll(self) -> int | None:
        left = self._limit - (time.monotonic() - self._started)
        patience = TICK_SECONDS if self._cause else max(0.0, min(TICK_SECONDS, left))
        try:
            return self._child.wait(patience)
        except subprocess.TimeoutExpired:
            return None

    def _parent(self) -> None:
        with contextlib.suppress(OSError):
            while os.read(self._pipe, 1):
                pass
        if self._child.returncode is None:
            self._stop("interrupted")

    def _stop(self, cause: str) -> None:
        if self._cause is not None:
            return
        self._cause = cause
        os.killpg(0, signal.SIGTERM)
        timer = threading.Timer(self._grace, self._child.kill)
        timer.daemon = True
        timer.start()

    def _write(self, code: int | None) -> None:
        body = {"seconds": time.monotonic() - self._started, "code": code, "cause": self._cause}
        temporary = self._record.with_name(f".{self._record.name}.tmp")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(body))
            if code is not None:
                descriptor = os.open(temporary, os.O_RDONLY)
                os.fsync(descriptor)
                os.close(descriptor)
            temporary.replace(self._record)


def main(arguments: list[str]) -> int:
    """Guard one launch."""
    pipe, record, limit, grace, *command = arguments

    def begin() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)

    guard = Guard(int(pipe), Path(record), float(limit), float(grace), begin)
    code = guard.watch()
    if guard.orphaned:
        os.killpg(0, signal.SIGKILL)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
