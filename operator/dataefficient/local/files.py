"""Files that are either the old ones or the new ones, never half of each.

A power cut, a kill or a full disk in the middle of a write leaves what was there before. Knows bytes
and paths; what the files mean is the store's.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from dataefficient.local.errors import DiskError

_SPACE = {errno.ENOSPC, errno.EDQUOT}
_MARGIN_BYTES = 1024 * 1024


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn the operating system's errors into one message that names ``folder`` and the way out.

    Raises:
        DiskError: whatever the reason; nothing that was whole is damaged.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _SPACE:
            raise DiskError(
                f"{folder}: no space left. Nothing was lost: free some space and give the same command again."
            ) from error
        reason = error.strerror or str(error)
        raise DiskError(
            f"{folder}: cannot be written ({reason}). Nothing was lost: make it writable and give the same "
            "command again, or choose another folder with --workdir."
        ) from error


def write_atomic(path: Path, data: bytes, *, previous: Path | None = None) -> None:
    """Replace ``path`` by ``data``; durable when this returns.

    Args:
        previous: where the file that was there stays reachable.

    Raises:
        OSError: the old file is whole then, and no temporary file is left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if previous is not None and path.exists():
            previous.unlink(missing_ok=True)
            os.link(path, previous)
        os.replace(temporary, path)  # noqa: PTH105 - beside the os calls above
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def append(path: Path, data: bytes) -> None:
    """Add ``data`` at the end of ``path``; a failed write leaves the length as it was.

    Raises:
        OSError: nothing was added.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        length = os.fstat(descriptor).st_size
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, length)
            raise
    finally:
        os.close(descriptor)


def is_full(folder: Path) -> bool:
    """Whether so little space is left that a run's failure is the disk's and not its own."""
    try:
        state = os.statvfs(folder)
    except OSError:
        return False
    return state.f_bavail * state.f_frsize < _MARGIN_BYTES


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system without folder syncs
            raise
    finally:
        os.close(descriptor)
