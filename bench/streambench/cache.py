"""Finished runs by the digest of their content, and a work folder that is served from them.

The key of a run is what its result depends on: the request without names and places, the digests of rows,
trainer and machine. A run that is asked for again, by whatever arm, is answered with its report, its
checkpoint and the device-seconds that it took. So an interrupted benchmark goes on, and after a change of the
planner only those runs are made that were not made before.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from dataefficient import contract
from dataefficient.contract import CheckpointRef, RunRequest
from dataefficient.cycle.model import FailureKind, Memory, RunOutcome
from dataefficient.local.files import disk_errors, write_atomic
from dataefficient.local.store import Store

NAMES = ("resource", "cycle", "run", "role", "output", "keep", "deadlineSeconds")
"""Fields of a request that say whose run it is and where it goes; they change neither result nor cost."""


def key_of(request: RunRequest, data: str, code: str) -> str:
    """The run's key.

    Args:
        data: digest of the stream's rows.
        code: digest of what executes the run.
    """
    body: dict[str, Any] = contract.encode(request)
    for name in NAMES:
        body.pop(name, None)
    body["data"] = {**body["data"], "uri": data}
    if request.start is not None:
        body["start"] = request.start.digest
    body["frozen"] = {name: ref.digest for name, ref in sorted(request.frozen.items())}
    text = json.dumps([body, code], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def ended(outcome: RunOutcome) -> bool:
    """Whether a run would end so again: with a report, or because the stream has no row for it."""
    failure = outcome.failure
    return outcome.report is not None or (failure is not None and failure.kind is FailureKind.EMPTY_INTERVAL)


class Cache:
    """A folder of finished runs, one folder each. Several processes may use it at once."""

    def __init__(self, folder: Path, code: str) -> None:
        self.folder = folder.resolve()
        self.code = code
        self._data: dict[str, str] = {}

    def knows(self, uri: str, data: str) -> None:
        """Rows at ``uri`` have the digest ``data``."""
        self._data[uri] = data

    def key(self, request: RunRequest) -> str:
        """The run's key; its data must be known."""
        return key_of(request, self._data[request.data.uri], self.code)

    def place(self, key: str) -> Path:
        """Folder of an entry, there or not."""
        return self.folder / key[:2] / key

    def get(self, request: RunRequest) -> RunOutcome | None:
        """The outcome of the same run, under the name of ``request``; None: it was not made yet."""
        path = self.place(self.key(request)) / "outcome.json"
        try:
            found: RunOutcome = contract.decode(RunOutcome, json.loads(path.read_bytes()), "outcome")
        except (FileNotFoundError, ValueError):
            return None
        found, report = replace(found, run=request.run, attempt=1), found.report
        if report is None:
            return found
        if report.checkpoint and not Path(report.checkpoint.uri).exists():
            return None
        return replace(found, report=replace(report, run=request.run))

    def put(self, request: RunRequest, outcome: RunOutcome) -> RunOutcome:
        """Keep a run that :func:`ended` and its checkpoint; the answer names the checkpoint's new place."""
        report = outcome.report
        assert ended(outcome), "a run that failed is made again"
        final = self.place(self.key(request))
        stage = final.with_name(f".{final.name}.{os.getpid()}")
        with disk_errors(self.folder):
            shutil.rmtree(stage, ignore_errors=True)
            stage.mkdir(parents=True)
            if report is not None and report.checkpoint is not None:
                source = Path(report.checkpoint.uri)
                _link(source, stage / source.name)
                moved = CheckpointRef(str(final / source.name), report.checkpoint.digest)
                outcome = replace(outcome, report=replace(report, checkpoint=moved))
            (stage / "request.json").write_text(contract.to_json(request))
            write_atomic(stage / "outcome.json", json.dumps(contract.encode(outcome)).encode())
            if (found := self.get(request)) is not None:
                shutil.rmtree(stage)
                return found
            shutil.rmtree(final, ignore_errors=True)
            with contextlib.suppress(OSError):  # another process was faster
                stage.rename(final)
            shutil.rmtree(stage, ignore_errors=True)
        return self.get(request) or outcome


def _link(source: Path, target: Path) -> None:
    """The same file or folder under another name, without a copy where the file system allows."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link_file)
    else:
        _link_file(str(source), str(target))


def _link_file(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


class CachedStore(Store):
    """A work folder for the local driver: what the cache holds has ended as soon as it is asked for."""

    cache: Cache

    @classmethod
    def over(cls, folder: Path, cache: Cache) -> CachedStore:
        """The folder ``folder``, made if it is not there, over ``cache``."""
        store = cls.create(folder)
        assert isinstance(store, cls)
        store.cache = cache
        return store

    def save(self, memory: Memory) -> None:
        """Remember ``memory``; the runs in it that were made before end now, with what they took then."""
        super().save(memory)
        for plan in memory.running:
            if self.outcome(plan.request.run, plan.attempt) is not None:
                continue
            found = self.cache.get(plan.request)
            if found is not None:
                self._note(plan.request)
                super().put_outcome(replace(found, attempt=plan.attempt))

    def put_outcome(self, outcome: RunOutcome) -> None:
        """Keep how an attempt ended, and the run itself where it ended well."""
        request = self.request(outcome.run)
        assert request is not None, "a run that ended was asked for"
        # What rode with a run depends on when it was asked for, so such runs are in the work folder alone.
        if ended(outcome) and not request.riders and not outcome.run.startswith("ctl-"):
            outcome = replace(self.cache.put(request, outcome), run=outcome.run, attempt=outcome.attempt)
        super().put_outcome(outcome)

    def _note(self, request: RunRequest) -> None:
        folder = self.run_folder(request.run)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / "request.json", contract.to_json(request).encode())
