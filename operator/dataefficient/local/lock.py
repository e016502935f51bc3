"""One ``detctl run`` per work folder.

The lock is a descriptor that the runs' guards inherit, so it is held until the last trainer of a
killed ``detctl`` has ended: two trainers never write one checkpoint. Readers (report, why, replay)
need no lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataefficient.local.errors import WrongInputError
from dataefficient.local.files import disk_errors

_ORPHANS_SECONDS = 30.0
"""Longer than a guard gives its trainer between SIGTERM and SIGKILL."""


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold the lock of ``folder``; gives the descriptor that guards inherit.

    Raises:
        WrongInputError: another ``detctl run`` works there.
        DiskError: the lock file cannot be written.
    """
    with disk_errors(folder):
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(descriptor, folder)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + _ORPHANS_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            if _lives(owner) or time.monotonic() > deadline:
                who = f" (process {owner})" if owner else ""
                raise WrongInputError(
                    f"{folder}: another detctl run works in this folder{who}. "
                    "Wait for it, or choose another folder with --workdir."
                ) from error
            time.sleep(0.05)
        else:
            return


def _lives(owner: str) -> bool:
    if not owner.isdigit():
        return False
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
