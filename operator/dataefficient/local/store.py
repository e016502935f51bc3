"""The work folder: all that a resource has become on this machine.

    state.json               what is remembered; written before anything is launched
    previous.json            the same, one decision earlier
    resource.yaml            the resource as it was last run; every version under resources/
    runs/RUN/                request, report, outcomes, launches, log, progress of one run
    decisions/cycle-NNN.jsonl.gz   every decision with what it was made from
    checkpoints/, controls/  what trainers write, unless the resource names another place

Reading needs no lock and changes nothing. It decides nothing and launches nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from dataefficient import contract
from dataefficient.api.load import InvalidResource, load_resource
from dataefficient.api.spec import Resource
from dataefficient.contract import CheckpointRef, ContractError, Role, RunRequest
from dataefficient.cycle.model import Memory, RunOutcome
from dataefficient.cycle.riding import alone, apart
from dataefficient.local.errors import WrongInputError
from dataefficient.local.files import disk_errors, write_atomic

LAYOUT = 1
"""Version of the folder's layout; a folder of another one is refused."""

CONTROL_PREFIX = "ctl-"
"""Begins the names of control lineages' runs, which are charged to no arm."""

IMMUTABLE = (
    "metadata.name",
    "metadata.namespace",
    "spec.schedule.startTime",
    "spec.kpi.direction",
    "spec.budget.currency",
    "spec.checkpoints.uri",
)
"""Fields that what is remembered rests on; the API server refuses the same changes."""


class Store:
    """A work folder. Make one with :meth:`create` to write, with :meth:`open` to read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._outcomes: dict[Path, RunOutcome] = {}

    @classmethod
    def create(cls, folder: Path) -> Store:
        """The folder ``folder``, made if it is not there.

        Raises:
            DiskError: it cannot be made.
        """
        with disk_errors(folder):
            (folder / "runs").mkdir(parents=True, exist_ok=True)
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> Store:
        """The existing folder ``folder``, to read.

        Raises:
            WrongInputError: it is not there, or ``detctl run`` has never worked in it.
        """
        store = cls(folder)
        if not store.state_file.is_file():
            raise WrongInputError(
                f"{folder}: not a work folder of detctl run (it has no state.json). "
                "Name the folder that --workdir named, or that detctl run printed."
            )
        return store

    @property
    def state_file(self) -> Path:
        """What is remembered."""
        return self.folder / "state.json"

    @property
    def previous_file(self) -> Path:
        """What was remembered one decision earlier."""
        return self.folder / "previous.json"

    @property
    def resource_file(self) -> Path:
        """The resource as it was last run."""
        return self.folder / "resource.yaml"

    def run_folder(self, run: str) -> Path:
        """The files of ``run``."""
        return self.folder / "runs" / run

    # What is remembered

    def memory(self) -> Memory:
        """What is remembered.

        Raises:
            WrongInputError: the file is damaged or of another version; nothing is overwritten.
        """
        return self.read_memory(self.state_file)

    def has_memory(self) -> bool:
        """Whether anything was ever decided here."""
        return self.state_file.exists()

    def read_memory(self, path: Path) -> Memory:
        """The memory in ``path``; errors as :meth:`memory`."""
        try:
            body = json.loads(path.read_bytes())
            if not isinstance(body, dict) or "memory" not in body:
                raise ContractError("it holds no memory")
            if body.get("layout") != LAYOUT:
                raise WrongInputError(
                    f"{path}: written by another version of this program (layout {body.get('layout')!r}, "
                    f"here {LAYOUT}). Use that version, or start in another folder with --workdir."
                )
            memory: Memory = contract.decode(Memory, body["memory"], "memory")
        except (ValueError, OSError, TypeError) as error:
            raise WrongInputError(
                f"{path}: damaged ({error}). Nothing was overwritten. {self._way_out(path)}"
            ) from error
        return memory

    def _way_out(self, path: Path) -> str:
        if path == self.state_file and self.previous_file.exists():
            return (
                f"To go on one decision earlier: cp {self.previous_file} {path}, then the same command "
                "again; finished runs are not repeated."
            )
        return "Put a copy of it back, or start in another folder with --workdir."

    def save(self, memory: Memory) -> None:
        """Remember ``memory``; durable when this returns.

        Raises:
            DiskError: what was remembered before is whole.
        """
        body = {"layout": LAYOUT, "memory": contract.encode(memory)}
        with disk_errors(self.folder):
            write_atomic(self.state_file, _json(body), previous=self.previous_file)

    # The resource

    def resource(self) -> Resource:
        """The resource as it was last run.

        Raises:
            WrongInputError: the copy was damaged.
        """
        return read_resource(self.resource_file)

    def adopt(self, resource: Resource, text: bytes) -> tuple[str, ...]:
        """Go on with ``resource``, whose file holds ``text``.

        Returns:
            The fields that differ from the last time, as ``path: before -> now``.

        Raises:
            WrongInputError: a field changed that what is remembered rests on.
            DiskError: the copy cannot be written.
        """
        changes: dict[str, str] = {}
        if self.resource_file.exists():
            changes = changed_fields(self.resource(), resource)
            if fixed := [path for path in changes if path in IMMUTABLE]:
                raise WrongInputError(
                    f"{self.folder}: {fixed[0]} cannot be changed ({changes[fixed[0]]}), because what was "
                    "learned rests on it. Put it back, or start in another folder with --workdir."
                )
        with disk_errors(self.folder):
            versions = self.folder / "resources"
            versions.mkdir(exist_ok=True)
            write_atomic(versions / f"{digest(text)}.yaml", text)
            write_atomic(self.resource_file, text)
        return tuple(f"{path}: {change}" for path, change in changes.items())

    def resource_digest(self) -> str:
        """Name of the resource's version in force."""
        return digest(self.resource_file.read_bytes())

    def resource_version(self, name: str) -> Resource:
        """The version that :meth:`resource_digest` once named."""
        return read_resource(self.folder / "resources" / f"{name}.yaml")

    # Runs

    def runs(self) -> Iterator[tuple[RunRequest, RunOutcome | None]]:
        """Every run of the operator with its last finished attempt, by name; controls are apart."""
        for name in self._names():
            if not name.startswith(CONTROL_PREFIX) and (request := self.request(name)) is not None:
                outcome = self.last_outcome(name)
                if outcome is None:
                    yield from ((one, None) for one in alone(request))
                else:
                    yield from apart(request, outcome)

    def request(self, run: str) -> RunRequest | None:
        """What ``run`` was told; None: it was never launched.

        Raises:
            WrongInputError: the file is damaged.
        """
        path = self.run_folder(run) / "request.json"
        try:
            return contract.parse_request(path.read_bytes())
        except FileNotFoundError:
            return None
        except ContractError as error:
            raise WrongInputError(f"{path}: damaged ({error}). Put a copy of it back.") from error

    def outcome(self, run: str, attempt: int) -> RunOutcome | None:
        """How attempt ``attempt`` of ``run`` ended; None: it has not.

        Raises:
            WrongInputError: the file is damaged.
        """
        path = self.run_folder(run) / f"outcome-{attempt}.json"
        if path in self._outcomes:
            return self._outcomes[path]
        try:
            outcome: RunOutcome = contract.decode(RunOutcome, json.loads(path.read_bytes()), "outcome")
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise WrongInputError(
                f"{path}: damaged ({error}). Remove it, and the run is made again."
            ) from error
        self._outcomes[path] = outcome
        return outcome

    def last_outcome(self, run: str) -> RunOutcome | None:
        """How the last finished attempt of ``run`` ended."""
        ends = [int(path.stem.split("-")[1]) for path in self.run_folder(run).glob("outcome-*.json")]
        return self.outcome(run, max(ends)) if ends else None

    def put_outcome(self, outcome: RunOutcome) -> None:
        """Keep how an attempt ended; from then on it is never launched again.

        Raises:
            DiskError: it is not kept.
        """
        with disk_errors(self.folder):
            path = self.run_folder(outcome.run) / f"outcome-{outcome.attempt}.json"
            write_atomic(path, _json(contract.encode(outcome)))

    def _names(self) -> list[str]:
        folder = self.folder / "runs"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def read_resource(path: Path) -> Resource:
    """The resource in ``path``.

    Raises:
        WrongInputError: with every mistake in it.
    """
    try:
        return load_resource(path)
    except InvalidResource as error:
        raise WrongInputError(str(error)) from error


def absolute(request: RunRequest, resource_folder: Path, work_folder: Path) -> RunRequest:
    """``request`` with absolute paths: data beside the resource's file, checkpoints in the work folder."""

    def resolve(reference: CheckpointRef) -> CheckpointRef:
        return replace(reference, uri=place(reference.uri, work_folder))

    return replace(
        request,
        data=replace(request.data, uri=place(request.data.uri, resource_folder)),
        output=place(request.output, work_folder),
        start=resolve(request.start) if request.start else None,
        frozen={name: resolve(reference) for name, reference in request.frozen.items()},
        keep=tuple(place(uri, work_folder) for uri in request.keep),
        riders=tuple(absolute(rider, resource_folder, work_folder) for rider in request.riders),
    )


def place(uri: str, folder: Path) -> str:
    """``uri`` as it is if it is an address, else as a path seen from ``folder``."""
    return uri if "://" in uri else str((folder / uri).absolute())


def changed_fields(before: Resource, now: Resource) -> dict[str, str]:
    """Fields that differ, as dotted path to ``before -> now``."""
    old, new = (_flat(r.model_dump(mode="json", by_alias=True), "") for r in (before, now))
    return {
        path: f"{old.get(path, 'nothing')} -> {new.get(path, 'nothing')}"
        for path in {**old, **new}
        if old.get(path) != new.get(path)
    }


def digest(text: bytes) -> str:
    """Short name of a version of the resource."""
    return hashlib.sha256(text).hexdigest()[:16]


def is_control(request: RunRequest) -> bool:
    """Whether the run belongs to a control lineage outside the ledger."""
    return request.role is Role.CONTROL and request.run.startswith(CONTROL_PREFIX)


def _flat(value: Any, path: str) -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {k: v for name, item in value.items() for k, v in _flat(item, f"{path}.{name}").items()}
    return {} if value is None else {path.lstrip("."): value}


def _json(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
