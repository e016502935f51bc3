"""Server processes of a test: started with a log file, awaited, and never left behind.

A child dies with the thread that started it, whatever ends that thread (Linux). It is in a session of its
own, so that Ctrl-C reaches the test first, which then stops its servers in order.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

LEASH = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
TAIL_LINES = 15


class StartError(Exception):
    """A server that ended, or did not get ready, with the end of its log."""


def leashed(arguments: Sequence[str | Path]) -> list[str | Path]:
    """The command that becomes `arguments` and dies with the thread that starts it."""
    if sys.platform != "linux":
        return list(arguments)
    # Not a preexec_fn: between fork and exec of a process with threads, Python code may hang.
    return [sys.executable, "-I", "-S", "-c", LEASH, str(os.getpid()), *arguments]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Server:
    """One server process and its log."""

    def __init__(
        self, arguments: list[str | Path], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = Path(arguments[0]).name
        self._log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                leashed(arguments),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, for tests that pause or kill the server."""
        return self._process.pid

    def await_ok(self, url: str, *, within: float = 60) -> None:
        """Wait until `url` answers 200.

        Raises:
            StartError: the process ended, or time is up.
        """
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        give_up = time.monotonic() + within
        while self._process.poll() is None:
            try:
                with urllib.request.urlopen(url, context=context, timeout=2):
                    return
            except (urllib.error.URLError, OSError) as error:
                if time.monotonic() > give_up:
                    raise StartError(
                        f"{self.name} was not ready in {within:.0f} s: {error}\n{self.tail()}"
                    ) from None
            time.sleep(0.1)
        raise StartError(f"{self.name} ended with code {self._process.returncode}\n{self.tail()}")

    def tail(self) -> str:
        """The end of the log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-TAIL_LINES:])

    def stop(self, *, grace: float = 10) -> None:
        """SIGTERM, then SIGKILL after the grace; returns when the process is gone."""
        self._process.send_signal(signal.SIGCONT)  # a paused one would wait for ever
        self._process.terminate()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        self._process.kill()
        self._process.wait()
