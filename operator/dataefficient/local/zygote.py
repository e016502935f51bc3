"""A process that has a trainer's imports behind it, and forks runs from itself.

To import torch takes seconds, and of a stream of a few million rows that is longer than to train on a cycle.
What is imported here once is there in every process that is forked from this one; nothing else differs from
a process of its own. It reads neither requests nor reports, and ends with whoever holds the other end of the
socket. Android and Chromium call such a process a zygote.

    python -m dataefficient.local.zygote SOCKET MODULE [ARGUMENT...]

Says first whether MODULE has a module ``preload`` that could be imported. Then it answers, one at a time:

    {"launch": Launch}, with the guard's pipe, the lock and the log as descriptors  ->  {"pid": int}
    {"poll": pid}  ->  {"code": int | null}      the exit code; the process stays until it is reaped
    {"reap": pid}  ->  {"code": int}             waits for the end

A message is four bytes with its length, and so much JSON.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import multiprocessing
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn, cast

from dataefficient.local.guard import Guard

PRELOAD = "preload"
"""Module of a trainer's package that imports what every run needs."""
_LENGTH = struct.Struct("!I")
_DESCRIPTORS = 3
_TICK_SECONDS = 0.005

Message = Mapping[str, Any]


def send(end: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send a message, with copies of open descriptors."""
    body = json.dumps(message).encode()
    socket.send_fds(end, [_LENGTH.pack(len(body))], list(descriptors))
    end.sendall(body)


def receive(end: socket.socket) -> tuple[Message, list[int]] | None:
    """The next message and its descriptors; None: the other end is closed."""
    head, descriptors, _, _ = socket.recv_fds(end, _LENGTH.size, _DESCRIPTORS)
    if not head:
        return None
    head += _exactly(end, _LENGTH.size - len(head))
    (length,) = _LENGTH.unpack(head)
    return cast("Message", json.loads(_exactly(end, length))), descriptors


def _exactly(end: socket.socket, length: int) -> bytes:
    body = b""
    while len(body) < length:
        part = end.recv(length - len(body))
        if not part:
            raise ConnectionResetError("the other end closed in the middle of a message")
        body += part
    return body


class Forked:
    """A trainer in a process that was forked from this one; as ``guard.Child``."""

    def __init__(self, module: str, arguments: Sequence[str], close: Sequence[int]) -> None:
        context = multiprocessing.get_context("fork")
        self._process: BaseProcess = context.Process(target=_train, args=(module, arguments, close))
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """As ``subprocess.Popen``'s."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """As ``subprocess.Popen``'s."""
        # Not by joining it, which waits for whatever else it has forked.
        end = time.monotonic() + timeout
        while (code := self._process.exitcode) is None:
            left = end - time.monotonic()
            if left <= 0.0:
                raise subprocess.TimeoutExpired("trainer", timeout)
            time.sleep(min(left, _TICK_SECONDS))
        return code

    def kill(self) -> None:
        """As ``subprocess.Popen``'s."""
        self._process.kill()


def _train(module: str, arguments: Sequence[str], close: Sequence[int]) -> None:
    """What ``python -m MODULE ARGUMENT...`` does, in a forked process."""
    for descriptor in close:
        os.close(descriptor)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _guarded(launch: Message, descriptors: Sequence[int], module: str, arguments: Sequence[str]) -> NoReturn:
    """The life of the guard that was forked for one launch."""
    code = 1
    try:
        os.setsid()
        pipe, lock, log = descriptors
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.close(null)
        os.close(log)
        os.environ.update(launch["variables"])
        guard = Guard(
            pipe,
            Path(launch["record"]),
            launch["limit"],
            launch["grace"],
            lambda: Forked(module, arguments, (pipe, lock)),
            before=launch["before"],
        )
        code = guard.watch()
        if guard.orphaned:
            os.killpg(0, signal.SIGKILL)
    finally:
        os._exit(code)


def _fork(end: socket.socket, launch: Message, descriptors: Sequence[int], command: Sequence[str]) -> int:
    pid = os.fork()
    if pid == 0:
        end.close()
        _guarded(launch, descriptors, command[0], command[1:])
    for descriptor in descriptors:
        os.close(descriptor)
    return pid


def _ended(pid: int) -> int | None:
    """How a guard ended, without reaping it; None: it runs."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if found is None:
        return None
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


def _serve(end: socket.socket, command: Sequence[str]) -> None:
    while (received := receive(end)) is not None:
        message, descriptors = received
        if "launch" in message:
            send(end, {"pid": _fork(end, message["launch"], descriptors, command)})
        elif "poll" in message:
            send(end, {"code": _ended(message["poll"])})
        else:
            _, status = os.waitpid(message["reap"], 0)
            send(end, {"code": os.waitstatus_to_exitcode(status)})


def _preload(module: str) -> bool:
    """Import what the trainer names; whether it named anything and it could be imported.

    Where it could not, a run without this process says why.
    """
    name = f"{module}.{PRELOAD}"
    try:
        if importlib.util.find_spec(name) is None:
            return False
        importlib.import_module(name)
    except Exception:  # noqa: BLE001 - a trainer's own module may raise anything
        return False
    return True


def main(arguments: Sequence[str]) -> int:
    """Serve until the other end closes."""
    descriptor, *command = arguments
    with socket.socket(fileno=int(descriptor)) as end:
        ready = _preload(command[0])
        send(end, {"ready": ready})
        if ready:
            # What is shared with runs is not copied for the sake of counting references to it.
            gc.collect()
            gc.freeze()
            _serve(end, command)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OSError:  # nobody is left to serve
        sys.exit(1)
