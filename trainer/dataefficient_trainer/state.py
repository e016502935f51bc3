"""What a run carries from row to row besides the model, and how a killed run takes it up again.

A resumable state is written at a chunk's end and names the request it belongs to: any other request
starts from the beginning.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from dataefficient.contract import RunRequest, to_json
from dataefficient_trainer import checkpoint
from dataefficient_trainer.batch import Batch
from dataefficient_trainer.features import Cells
from dataefficient_trainer.model import Model
from dataefficient_trainer.sampling import Shares
from dataefficient_trainer.scoring import Scores
from dataefficient_trainer.serving import Logged
from dataefficient_trainer.source import notice
from dataefficient_trainer.teaching import Heeded


@dataclass
class Clock:
    """Seconds by purpose."""

    seconds: dict[str, float] = field(default_factory=lambda: {"read": 0.0, "train": 0.0, "evaluate": 0.0})

    @contextlib.contextmanager
    def charge(self, purpose: str) -> Iterator[None]:
        """Add the time of a block to a purpose."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[purpose] += time.perf_counter() - started


@dataclass
class Counts:
    """Counters of the training and evaluation rows."""

    read: int = 0
    unusable: int = 0
    train_rows: int = 0
    positives: int = 0
    kept: int = 0
    kept_positives: int = 0
    evaluated: int = 0
    weight: float = 0.0
    square: float = 0.0
    """Sums of w and w^2 over kept rows, w = 1/probability."""
    losses: float = 0.0
    """Sum of the batches' mean losses since the start."""
    steps: int = 0


@dataclass
class State:
    """All that decides the rest of a run, apart from the request and the stream."""

    model: Model | None
    scores: Scores | None
    pending: Batch
    """Kept rows that wait for a full batch, on the CPU."""
    shares: Shares
    counts: Counts = field(default_factory=Counts)
    cells: Cells = field(default_factory=Cells)
    heeded: Heeded = field(default_factory=Heeded)
    logged: Logged | None = None
    """Of a run whose log carries predictions, beside the published model's; None: not compared."""
    clock: Clock = field(default_factory=Clock)
    scorer: Model | None = None
    """Of a fork: the model as it was copied, where its sampling needs scores."""
    train_from: int | None = None
    """Of a fork: microseconds from which on it has trained; None before it has begun."""
    forked: list[str] = field(default_factory=list)
    """Of the run that leads: its riders that have begun as forks."""
    failed: dict[str, str] = field(default_factory=dict)
    """Of the run that leads: its riders that failed, and why."""

    def write(self, request: RunRequest, digest: str, rows: int) -> None:
        """Save the state after ``rows`` rows of the run's chunks; ``digest`` says what it belongs to."""
        tensors: dict[str, torch.Tensor] = {}
        for name, model in (("model", self.model), ("scorer", self.scorer)):
            if model is not None:
                tensors |= {f"{name}.{k}": v for k, v in model.tensors().items()}
        tensors |= {f"pending.{k}": v.contiguous() for k, v in self.pending.tensors().items()}
        facts: dict[str, Any] = {
            "request": digest,
            "rows": rows,
            "counts": dataclasses.asdict(self.counts),
            "cells": dataclasses.asdict(self.cells),
            "heeded": dataclasses.asdict(self.heeded),
            "logged": None if self.logged is None else self.logged.to_json(),
            "shares": dataclasses.asdict(self.shares),
            "seconds": self.clock.seconds,
            "trainFrom": self.train_from,
            "forked": self.forked,
            "failed": self.failed,
        }
        if self.scores is not None:
            sums, facts["scores"] = self.scores.state()
            tensors |= {f"scores.{k}": torch.from_numpy(np.ascontiguousarray(v)) for k, v in sums.items()}
        checkpoint.save(checkpoint.join(request.output, checkpoint.RESUME), tensors, facts)

    def read(self, request: RunRequest, digest: str) -> int:
        """Take up the state of an earlier launch of this request; returns the rows already done, or 0."""
        found = checkpoint.load_state(checkpoint.join(request.output, checkpoint.RESUME))
        if found is None:
            return 0
        tensors, facts = found
        if facts.get("request") != digest:
            notice("the resumable state in output belongs to another request; starting from the beginning")
            return 0

        def part(prefix: str) -> dict[str, torch.Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        if self.model is not None:
            self.model.load(part("model."))
            if scorer := part("scorer."):
                self.scorer = self.model.copy()
                self.scorer.load(scorer)
        self.pending = Batch(**part("pending."))
        self.counts, self.cells = Counts(**facts["counts"]), Cells(**facts["cells"])
        self.heeded = Heeded(**facts.get("heeded", {}))  # not in a state from before there were teachers
        if self.logged is not None and facts.get("logged") is not None:
            self.logged = Logged.from_json(facts["logged"])
        self.shares, self.clock.seconds = Shares(**facts["shares"]), facts["seconds"]
        self.train_from, self.forked, self.failed = facts["trainFrom"], facts["forked"], facts["failed"]
        if self.scores is not None:
            self.scores.restore({k: v.numpy() for k, v in part("scores.").items()}, facts["scores"])
        rows = int(facts["rows"])
        notice(f"{request.run} continues after {rows:,} rows")
        return rows


def request_digest(request: RunRequest) -> str:
    """Of all that decides the result; not of what may differ between two launches of one run."""
    same = dataclasses.replace(_lasting(request), riders=tuple(_lasting(r) for r in request.riders))
    return hashlib.sha256(to_json(same).encode()).hexdigest()


def _lasting(request: RunRequest) -> RunRequest:
    return dataclasses.replace(request, deadline_seconds=None, keep=())
