"""How a guarded trainer's process comes to be: forked from one that has its imports behind it, or anew.

The first way is for trainers that are run as ``python -m MODULE`` and have a module ``MODULE.preload``, on
Linux; all others are started anew each time, and so is a run where anything goes wrong with the first way.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from dataefficient.cycle.launch import THREAD_VARIABLES
from dataefficient.local import guard, zygote
from dataefficient.local.command import Command

LOADING_SECONDS = 120.0
"""How long a trainer's imports may take before it is started without them."""
ANSWER_SECONDS = 30.0
_TICK_SECONDS = 0.01
_AS_MODULE = (sys.executable, "-m")


@dataclass(frozen=True)
class Terms:
    """What a guard is told of one launch.

    Attributes:
        variables: environment of this run alone, beside the command's.
        threads: threads that it is to use, for the environment of thread pools.
        record: file for what the guard has to say.
        limit: seconds until the deadline.
        grace: seconds between SIGTERM and SIGKILL.
        pipe: descriptor of the guard's leash.
        lock: descriptor that stays open until the trainer has ended.
        log: descriptor of the log.
    """

    variables: Mapping[str, str]
    threads: int
    record: Path
    limit: float
    grace: float
    pipe: int
    lock: int
    log: int


class Started(Protocol):
    """A guard that runs; the part of ``subprocess.Popen`` that is used. Its process group has its number."""

    @property
    def pid(self) -> int:
        """Its number, nobody else's until :meth:`wait` has returned."""

    def poll(self) -> int | None:
        """Exit code, the negative signal if one ended it; None: it runs."""

    def wait(self) -> int:
        """The exit code, once it has ended."""


class Launcher:
    """Starts guards for one command. Used as a context: what was kept ready for it ends with the context."""

    def __init__(self, command: Command) -> None:
        self.command = command
        argv = command.argv
        self._forks = sys.platform == "linux" and argv[:2] == _AS_MODULE and len(argv) > len(_AS_MODULE)
        self._zygote: Zygote | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, terms: Terms) -> Started:
        """Start a guard, which starts the trainer."""
        if self._forks:
            try:
                if self._zygote is None:
                    self._zygote = Zygote(self.command, terms)
                return self._zygote.start(terms)
            except OSError:
                self._forks = False
                self.close()
        return self._anew(terms)

    def close(self) -> None:
        """Keep nothing ready any more. What was started goes on."""
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    def _anew(self, terms: Terms) -> Started:
        watched = (terms.pipe, terms.record, terms.limit, terms.grace)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, *map(str, watched), *self.command.argv],
            stdin=subprocess.DEVNULL,
            stdout=terms.log,
            stderr=terms.log,
            cwd=self.command.folder,
            env=_environment(self.command, terms),
            start_new_session=True,
            pass_fds=(terms.pipe, terms.lock),
        )


def _environment(command: Command, terms: Terms) -> dict[str, str]:
    return {
        **os.environ,
        **dict.fromkeys(THREAD_VARIABLES, str(terms.threads)),
        "PYTHONUNBUFFERED": "1",  # so that the last line of the log is the last word
        **command.env,
        **terms.variables,
    }


class Zygote:
    """The process that runs are forked from, and the only one that speaks with it.

    Raises:
        OSError: the trainer has nothing to import beforehand, or the process does not answer.
    """

    def __init__(self, command: Command, first: Terms) -> None:
        self._began = time.monotonic()
        self._charged = False
        self._end, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*_AS_MODULE, zygote.__name__, str(theirs.fileno()), *command.argv[len(_AS_MODULE) :]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=command.folder,
                env=_environment(command, first),
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
            )
        try:
            self._end.settimeout(LOADING_SECONDS)
            if not self._heard()["ready"]:
                raise ConnectionRefusedError("nothing to import")
            self._end.settimeout(ANSWER_SECONDS)
        except OSError:
            self.close()
            raise

    def start(self, terms: Terms) -> Started:
        """Fork a guard. What the imports took is part of the first launch.

        Raises:
            OSError: no answer.
        """
        before = 0.0 if self._charged else time.monotonic() - self._began
        self._charged = True
        told = {
            "variables": dict(terms.variables),
            "record": str(terms.record),
            "limit": terms.limit,
            "grace": terms.grace,
            "before": before,
        }
        answer = self.ask({"launch": told}, (terms.pipe, terms.lock, terms.log))
        return Forked(self, int(answer["pid"]))

    def ask(self, message: zygote.Message, descriptors: Sequence[int] = ()) -> zygote.Message:
        """The answer.

        Raises:
            OSError: there is none.
        """
        zygote.send(self._end, message, descriptors)
        return self._heard()

    def _heard(self) -> zygote.Message:
        received = zygote.receive(self._end)
        if received is None:
            raise ConnectionResetError("the process that forks runs has ended")
        return received[0]

    def close(self) -> None:
        """End it; runs that it forked go on."""
        self._end.close()
        self._process.kill()
        self._process.wait()


class Forked:
    """A guard that was forked; as :class:`Started`."""

    def __init__(self, parent: Zygote, pid: int) -> None:
        self._parent, self.pid = parent, pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """As ``subprocess.Popen``'s."""
        if self._code is None:
            try:
                code: int | None = self._parent.ask({"poll": self.pid})["code"]
            except OSError:
                return self._seen()
            return code
        return self._code

    def wait(self) -> int:
        """As ``subprocess.Popen``'s."""
        while (code := self.poll()) is None:
            time.sleep(_TICK_SECONDS)
        if self._code is None:
            self._code = code
            with contextlib.suppress(OSError):
                self._parent.ask({"reap": self.pid})
        return code

    def _seen(self) -> int | None:
        """Where its parent is gone: whether it runs at all. How it ended is then in the guard's record."""
        with contextlib.suppress(OSError):
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state not in "ZX":
                return None
        return -signal.SIGKILL
