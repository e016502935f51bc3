"""Checkpoints and resumable states: one safetensors file each, its facts as JSON in the header, no pickle.

A file is written beside its place and renamed, so that it is whole or absent; the digest is SHA-256
of its bytes and is checked on every load. The same module lists what is kept.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from safetensors.torch import save_file
from torch import Tensor

from dataefficient.contract import CheckpointRef
from dataefficient_trainer.errors import CheckpointError, UserError

CHECKPOINT = "checkpoint.safetensors"
RESUME = "resume.safetensors"
REPORT = "report.json"
_KEY = "dataefficient"


def join(folder: str, name: str) -> str:
    """Address of a file in a folder or prefix."""
    return posixpath.join(folder, name)


def _place(uri: str) -> tuple[Any, str]:
    try:
        fs, path = fsspec.core.url_to_fs(uri)
    except (ValueError, ImportError, OSError) as error:
        raise UserError(f"output: {uri} is not an address that can be opened: {error}") from error
    return fs, path


def write(uri: str, body: bytes) -> None:
    """Write a file so that it is whole or absent.

    Raises:
        OSError: no space, no permission.
    """
    fs, path = _place(uri)
    if not _is_local(fs):
        fs.pipe_file(path, body)  # object stores make an object visible only when it is complete
        return
    with _whole(Path(path)) as beside:
        beside.write_bytes(body)


def _is_local(fs: Any) -> bool:
    return "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))


@contextlib.contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A place beside ``target``; what the block wrote there is on disk and in its place after it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield beside
        _sync(beside)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    _sync(target.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save(uri: str, tensors: dict[str, Tensor], facts: dict[str, Any]) -> CheckpointRef:
    """Write tensors and facts; equal contents give equal bytes.

    Raises:
        OSError: no space, no permission.
    """
    about = {_KEY: json.dumps(facts, sort_keys=True, allow_nan=False)}
    fs, path = _place(uri)
    if not _is_local(fs):
        body = save_tensors(tensors, about)
        write(uri, body)
        return CheckpointRef(uri, _digest(body))
    with _whole(Path(path)) as beside:
        try:
            save_file(tensors, beside, about)  # without a copy of the model in memory
        except SafetensorError as error:
            raise _of_the_system(error) from error
        with beside.open("rb") as handle:
            found = hashlib.file_digest(handle, "sha256")
    return CheckpointRef(uri, "sha256:" + found.hexdigest())


def _of_the_system(error: SafetensorError) -> OSError:
    """What the system said, which safetensors tells in words alone."""
    number = re.search(r"os error (\d+)", str(error))
    code = int(number[1]) if number else errno.EIO
    return OSError(code, os.strerror(code) if number else str(error))


def _digest(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


def _parse(body: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    length = int.from_bytes(body[:8], "little")
    header = json.loads(body[8 : 8 + length])
    return load_tensors(body), json.loads(header["__metadata__"][_KEY])


def load(ref: CheckpointRef, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a checkpoint; ``name`` is its field in the request.

    Raises:
        CheckpointError: absent, of another content than the digest says, or no checkpoint of this trainer.
    """
    fs, path = _place(ref.uri)
    try:
        body: bytes = fs.cat_file(path)
    except OSError as error:
        raise CheckpointError(
            f"{name}: the checkpoint {ref.uri} cannot be read: {type(error).__name__}"
        ) from error
    found = _digest(body)
    if found != ref.digest:
        raise CheckpointError(
            f"{name}: the checkpoint {ref.uri} is damaged or was replaced: its digest is {found}, "
            f"not {ref.digest}"
        )
    try:
        return _parse(body)
    except (ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{name}: {ref.uri} is not a checkpoint of this trainer: {error}") from error


def load_state(uri: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """A resumable state, or None where there is none that is whole."""
    fs, path = _place(uri)
    try:
        return _parse(fs.cat_file(path))
    except (OSError, ValueError, KeyError, SafetensorError):
        return None


def remove(uri: str) -> None:
    """Delete a file if it exists."""
    fs, path = _place(uri)
    if fs.exists(path):
        fs.rm_file(path)


def existing(uris: tuple[str, ...]) -> tuple[str, ...]:
    """Those addresses at which there is a file."""
    found = []
    for uri in uris:
        fs, path = _place(uri)
        if fs.exists(path):
            found.append(uri)
    return tuple(found)
