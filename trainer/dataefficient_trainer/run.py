"""One run from request to report: read in time order, score each window, then train on it.

The order is the meaning: a window's evaluation rows are scored by every model before the run's own
model trains on that window or a later one. All state that the order depends on can be written and
taken up again at the boundary of a chunk, so that a killed run ends bit for bit like one that was not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dataefficient.contract import (
    CheckpointRef,
    Policy,
    Rows,
    RunReport,
    RunRequest,
    Seconds,
    format_time,
    to_json,
)
from dataefficient_trainer import checkpoint, rules
from dataefficient_trainer.config import Config
from dataefficient_trainer.errors import CheckpointError, DataError, EmptyInterval, Interrupted, NotFinite
from dataefficient_trainer.events import Chunk, Stream, micros
from dataefficient_trainer.features import Cells
from dataefficient_trainer.hashing import salt, uniform
from dataefficient_trainer.model import Model
from dataefficient_trainer.sampling import WINDOW_ROWS, Kept, Shares, negative_scores, sample
from dataefficient_trainer.scoring import Scores
from dataefficient_trainer.source import notice
from dataefficient_trainer.telemetry import Progress

SCORE_ROWS = 8_192
"""Rows of one forward pass of a frozen model."""

Floats = npt.NDArray[np.float64]
Rows64 = npt.NDArray[np.int64]


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
    """Counters of the training and evaluation rows; part of the resumable state."""

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
class Batchable:
    """Kept rows that wait for a full batch: table rows, numbers, label, offset."""

    indices: Rows64
    values: npt.NDArray[np.float32]
    label: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: Any) -> Batchable:
        """Some rows."""
        return Batchable(self.indices[rows], self.values[rows], self.label[rows], self.offset[rows])

    def extend(self, other: Batchable) -> Batchable:
        """These rows, then the others."""
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Batchable(*(np.concatenate(pair) for pair in pairs)) if len(self) else other


class Run:
    """The state of one run.

    Args:
        request: what was asked.
        config: its parsed configuration.
        stream: the opened stream.
        stopped: True once SIGTERM has arrived.
        progress: where people look.
    """

    def __init__(
        self,
        request: RunRequest,
        config: Config,
        stream: Stream,
        stopped: Callable[[], bool],
        progress: Progress,
    ) -> None:
        self.request, self.config, self.stream = request, config, stream
        self.stopped, self.progress = stopped, progress
        self.clock, self.counts, self.cells, self.shares = Clock(), Counts(), Cells(), Shares()
        self.identity = {
            "layout": stream.layout.to_json(),
            "label": {"column": stream.label, "atLeast": config.label.at_least},
        }
        self.first_row_at: float | None = None
        self.frozen: dict[str, Model] = {}
        self.model: Model | None = None
        self._prepare_models()
        train = request.train
        layout = stream.layout
        self.pending = Batchable(
            np.empty((0, layout.fields), np.int64),
            np.empty((0, layout.numbers), np.float32),
            np.empty(0, np.float32),
            np.empty(0, np.float32),
        )
        self.pace = rules.pace(
            size=request.size,
            rate=train.rate if train else 1.0,
            scales=request.scales,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
        )
        self.scores: Scores | None = None
        if request.evaluation is not None:
            names = (("self",) if train else ()) + tuple(self.frozen)
            self.scores = Scores(request.evaluation, names, config.slices)
        self.train_span = (micros(train.start), micros(train.end)) if train else (0, 0)
        evaluation = request.evaluation
        self.eval_span = (micros(evaluation.start), micros(evaluation.end)) if evaluation else (0, 0)
        self.scored_policy = (
            train is not None and train.policy is Policy.SCORED_NEGATIVES and train.rate < 1.0
        )
        if self.scored_policy and not request.data.served_prediction and request.start is None:
            notice("a cold start has no scores for ScoredNegatives; negatives are sampled alike (Negatives)")

    # ------------------------------------------------------------------ models

    def _new_model(self, size: int) -> Model:
        layout = self.stream.layout
        return Model(
            fields=layout.fields,
            table_rows=layout.table_rows,
            numbers=layout.numbers,
            size=size,
            seed=self.request.seed,
            device=self.request.device,
        )

    def _load(self, ref: CheckpointRef, name: str) -> tuple[Model, dict[str, Any]]:
        tensors, facts = checkpoint.load(ref, name)
        for key, own in self.identity.items():
            if facts.get(key) != own:
                raise CheckpointError(
                    f"{name}: {ref.uri} is a checkpoint of another model: its {key} differs from this run's "
                    "(features, hashBuckets or label were changed); start cold"
                )
        model = self._new_model(int(facts["size"]))
        model.load(tensors)
        return model, facts

    def _prepare_models(self) -> None:
        request = self.request
        if request.start is not None:
            start, facts = self._load(request.start, "start")
            if request.evaluation is not None or request.train is not None:
                self.frozen["start"] = start
            if request.train is not None:
                if start.size != request.size:
                    raise CheckpointError(
                        f"start: {request.start.uri} has size {start.size} and the run asks for {request.size}; "
                        "start cold for another size"
                    )
                self.shares = Shares(**facts["shares"])
                if facts["position"] > format_time(request.train.start):
                    notice(
                        f"training starts at {format_time(request.train.start)}, before the position "
                        f"{facts['position']} of the start checkpoint: rows are seen twice"
                    )
                self.model = self._new_model(request.size)
                self.model.load({k: v.clone() for k, v in start.tensors().items()})
        elif request.train is not None:
            self.model = self._new_model(request.size)
        for name, ref in request.frozen.items():
            self.frozen[name], _ = self._load(ref, f"frozen.{name}")

    # ------------------------------------------------------------------ the loop

    def execute(self) -> RunReport:
        """Do everything; the caller writes the report.

        Raises:
            TrainerError: of the kind that says what is wrong.
        """
        spans = [s for s in (self.train_span, self.eval_span) if s[1] > s[0]]
        low, high = min(s[0] for s in spans), max(s[1] for s in spans)
        rows = self._resume()
        snapshot_at = time.monotonic() + self.config.snapshot_seconds
        chunks = self.stream.chunks(low, high, rows)
        while True:
            with self.clock.charge("read"):
                chunk = next(chunks, None)
            if chunk is None:
                break
            if self.first_row_at is None:
                self.first_row_at = time.time()
            self._chunk(chunk)
            rows = chunk.row + len(chunk.times)
            if self.stopped():
                self._snapshot(rows)
                raise Interrupted(
                    f"stopped by SIGTERM after {rows:,} rows; the same request continues from there"
                )
            if time.monotonic() >= snapshot_at:
                self._snapshot(rows)
                snapshot_at = time.monotonic() + self.config.snapshot_seconds
        with self.clock.charge("train"):
            self._train_pending(rest=True)
        self._publish(rows, force=True)
        self._check_rows()
        return self._finish()

    def _chunk(self, chunk: Chunk) -> None:
        """Sample, extract, score and train one chunk, window by window."""
        times, labels = chunk.times, chunk.labels
        usable = labels >= 0
        in_train = (times >= self.train_span[0]) & (times < self.train_span[1])
        in_eval = (times >= self.eval_span[0]) & (times < self.eval_span[1])
        wanted = in_train | in_eval
        self.counts.unusable += int((wanted & ~usable).sum())
        in_train &= usable
        self.counts.read += int((wanted & usable).sum())
        evaluation = self.request.evaluation
        if evaluation is not None:
            in_eval &= usable & (uniform(chunk.keys, salt(evaluation.salt)) < evaluation.share)
        edges = self._edges(times)
        with self.clock.charge("read"):
            kept = self._sample(chunk, in_train, edges)
            rows = np.flatnonzero(in_eval | kept.keep)
            indices, values = chunk.features(rows, self.cells)
        place = np.cumsum(in_eval | kept.keep) - 1
        self._score_frozen(chunk, np.flatnonzero(in_eval), place, indices, values)
        own_losses = []
        for start, stop in edges:
            if self.train_span[1] <= times[start]:
                with self.clock.charge("train"):
                    self._train_pending(rest=True)
            if self.scores is not None and self.model is not None:
                own_losses.append(
                    self._score_own(
                        chunk, start + np.flatnonzero(in_eval[start:stop]), place, indices, values
                    )
                )
            chosen = start + np.flatnonzero(kept.keep[start:stop])
            if len(chosen):
                with self.clock.charge("train"):
                    self._train(chunk, chosen, kept, place, indices, values)
            self._publish(chunk.row + stop)
        self._slices(chunk, np.flatnonzero(in_eval), own_losses)

    def _edges(self, times: Rows64) -> list[tuple[int, int]]:
        """Windows of the chunk, cut also where training ends."""
        cuts = {
            *range(0, len(times), WINDOW_ROWS),
            int(np.searchsorted(times, self.train_span[1])),
            len(times),
        }
        ordered = sorted(cuts)
        return list(zip(ordered[:-1], ordered[1:], strict=True))

    def _sample(self, chunk: Chunk, in_train: npt.NDArray[np.bool_], edges: list[tuple[int, int]]) -> Kept:
        n = len(chunk.times)
        keep, probability, offset = np.zeros(n, bool), np.ones(n), np.zeros(n)
        train = self.request.train
        if train is None:
            return Kept(keep, probability, offset)
        uniforms = uniform(chunk.groups, salt(train.salt))
        scores = self._negative_scores(chunk, in_train) if self.scored_policy else None
        for start, stop in edges:
            rows = start + np.flatnonzero(in_train[start:stop])
            labels = chunk.labels[rows]
            score = scores[rows] if scores is not None else None
            window = sample(train.policy, train.rate, uniforms[rows], labels, self.shares, score)
            keep[rows], probability[rows], offset[rows] = window.keep, window.probability, window.offset
            negative = labels == 0
            self.shares.add(
                len(rows),
                int(labels.sum()),
                float(score[negative].sum()) if score is not None else 0.0,
                int(negative.sum()) if score is not None else 0,
            )
        counts, weights = self.counts, 1.0 / probability[keep]
        counts.train_rows += int(in_train.sum())
        counts.positives += int(chunk.labels[in_train].sum())
        counts.kept += int(keep.sum())
        counts.kept_positives += int(chunk.labels[keep].sum())
        counts.weight += float(weights.sum())
        counts.square += float((weights * weights).sum())
        return Kept(keep, probability, offset)

    def _negative_scores(self, chunk: Chunk, in_train: npt.NDArray[np.bool_]) -> Floats | None:
        """Scores of the training rows: from the logged prediction, else from the start checkpoint."""
        rows = np.flatnonzero(in_train)
        scores = np.zeros(len(chunk.times))
        column = self.request.data.served_prediction
        if column:
            scores[rows] = negative_scores(chunk.numbers(column, rows))
            return scores
        if "start" not in self.frozen:
            return None
        indices, values = chunk.features(rows, Cells())
        logits = self._logits(self.frozen["start"], indices, values)
        scores[rows] = negative_scores(1.0 / (1.0 + np.exp(-logits)))
        return scores

    def _logits(self, model: Model, indices: Rows64, values: npt.NDArray[np.float32]) -> Floats:
        out = np.empty(len(indices))
        for at in range(0, len(indices), SCORE_ROWS):
            part = slice(at, at + SCORE_ROWS)
            logits = model.logits(
                torch.from_numpy(indices[part]).to(model.device),
                torch.from_numpy(values[part]).to(model.device),
            )
            out[part] = logits.cpu().numpy()
        return out

    def _score_frozen(
        self, chunk: Chunk, rows: Rows64, place: Rows64, indices: Rows64, values: npt.NDArray[np.float32]
    ) -> None:
        self._start_losses: Floats | None = None
        if self.scores is None or not len(rows):
            return
        with self.clock.charge("evaluate"):
            times, labels, at = chunk.times[rows], chunk.labels[rows], place[rows]
            self.counts.evaluated += len(rows)
            self.scores.add_rows(times, labels, chunk.keys[rows])
            for name, model in self.frozen.items():
                losses = self.scores.add_model(
                    name, times, self._logits(model, indices[at], values[at]), labels
                )
                if name == "start":
                    self._start_losses = losses
            self._frozen_losses = losses if self.frozen else None

    def _score_own(
        self, chunk: Chunk, rows: Rows64, place: Rows64, indices: Rows64, values: npt.NDArray[np.float32]
    ) -> Floats:
        assert self.scores is not None and self.model is not None  # noqa: PT018
        if not len(rows):
            return np.empty(0)
        with self.clock.charge("evaluate"):
            at = place[rows]
            logits = self._logits(self.model, indices[at], values[at])
            return self.scores.add_model("self", chunk.times[rows], logits, chunk.labels[rows])

    def _slices(self, chunk: Chunk, rows: Rows64, own: list[Floats]) -> None:
        if self.scores is None or not len(rows):
            return
        with self.clock.charge("evaluate"):
            losses = np.concatenate(own) if own else self._frozen_losses
            for column in self.config.slices:
                if losses is not None:
                    self.scores.add_slices(column, chunk.texts(column, rows), losses, self._start_losses)

    # ------------------------------------------------------------------ training

    def _train(
        self,
        chunk: Chunk,
        rows: Rows64,
        kept: Kept,
        place: Rows64,
        indices: Rows64,
        values: npt.NDArray[np.float32],
    ) -> None:
        """Add a window's kept rows, shuffled by seed and position, and train all full batches."""
        assert self.model is not None
        shuffled = np.random.default_rng((self.request.seed, chunk.row + int(rows[0]))).permutation(rows)
        at = place[shuffled]
        fresh = Batchable(
            indices[at],
            values[at],
            chunk.labels[shuffled].astype(np.float32),
            kept.offset[shuffled].astype(np.float32),
        )
        self.model.observe_numbers(torch.from_numpy(fresh.values).to(self.model.device))
        self.pending = self.pending.extend(fresh)
        self._train_pending(rest=False)

    def _train_pending(self, *, rest: bool) -> None:
        size, at = self.pace.batch, 0
        while len(self.pending) - at >= (1 if rest else size):
            self._step(self.pending.take(slice(at, at + size)))
            at += size
        if at:
            self.pending = self.pending.take(slice(at, None))

    def _step(self, batch: Batchable) -> None:
        assert self.model is not None
        device = self.model.device
        loss = self.model.train_step(
            torch.from_numpy(batch.indices).to(device),
            torch.from_numpy(batch.values).to(device),
            torch.from_numpy(batch.label).to(device),
            torch.from_numpy(batch.offset).to(device),
            self.pace,
        )
        if not np.isfinite(loss):
            raise NotFinite(
                f"the training loss became {loss} at step {self.model.step + 1}, after {self.counts.steps} steps of "
                f"this run (learning rates {self.pace.sparse:g} and {self.pace.dense:g}); nothing was written: "
                "lower trainer.config.learningRate"
            )
        self.counts.losses += loss
        self.counts.steps += 1

    def _publish(self, rows: int, *, force: bool = False) -> None:
        counts = self.counts
        self.progress.update(
            rows,
            force=force,
            kept_rows=counts.kept,
            evaluated_rows=counts.evaluated,
            bad_rows=counts.unusable + self.stream.bad,
            train_loss=counts.losses / max(counts.steps, 1),
        )

    # ------------------------------------------------------------------ resuming

    def _request_digest(self) -> str:
        """Of all that decides the result; not of what may differ between two launches of one run."""
        same = dataclasses.replace(self.request, threads=1, deadline_seconds=None, keep=())
        return hashlib.sha256(to_json(same).encode()).hexdigest()

    def _snapshot(self, rows: int) -> None:
        tensors: dict[str, torch.Tensor] = {}
        if self.model is not None:
            tensors |= {f"model.{k}": v for k, v in self.model.tensors().items()}
            tensors |= {
                f"pending.{f.name}": torch.from_numpy(np.ascontiguousarray(getattr(self.pending, f.name)))
                for f in dataclasses.fields(self.pending)
            }
        facts: dict[str, Any] = {
            "request": self._request_digest(),
            "rows": rows,
            "counts": dataclasses.asdict(self.counts),
            "cells": dataclasses.asdict(self.cells),
            "shares": dataclasses.asdict(self.shares),
            "seconds": self.clock.seconds,
        }
        if self.scores is not None:
            arrays, facts["scores"] = self.scores.state()
            tensors |= {f"scores.{k}": torch.from_numpy(v) for k, v in arrays.items()}
        checkpoint.save(checkpoint.join(self.request.output, checkpoint.RESUME), tensors, facts)

    def _resume(self) -> int:
        """Take up the state of an earlier launch of this request; returns the rows already done."""
        state = checkpoint.load_state(checkpoint.join(self.request.output, checkpoint.RESUME))
        if state is None:
            return 0
        tensors, facts = state
        if facts.get("request") != self._request_digest():
            notice("the resumable state in output belongs to another request; starting from the beginning")
            return 0

        def part(prefix: str) -> dict[str, torch.Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        if self.model is not None:
            self.model.load(part("model."))
            self.pending = Batchable(**{k: v.numpy() for k, v in part("pending.").items()})
        self.counts, self.cells = Counts(**facts["counts"]), Cells(**facts["cells"])
        self.shares, self.clock.seconds = Shares(**facts["shares"]), facts["seconds"]
        if self.scores is not None:
            self.scores.restore({k: v.numpy() for k, v in part("scores.").items()}, facts["scores"])
        rows = int(facts["rows"])
        notice(f"continuing after {rows:,} rows")
        self.progress.resume_at(rows)
        return rows

    # ------------------------------------------------------------------ the end

    def _check_rows(self) -> None:
        request, counts = self.request, self.counts
        train = request.train
        if counts.read == 0:
            if counts.unusable:
                raise DataError(
                    f"data.label: none of the {counts.unusable:,} rows of the interval has a usable label in column "
                    f"{self.stream.label!r}"
                )
            spans = [(s.start, s.end) for s in (train, request.evaluation) if s is not None]
            text = " and ".join(f"[{format_time(a)}, {format_time(b)})" for a, b in spans)
            raise EmptyInterval(f"no row of {request.data.uri} has its {request.data.time} in {text}")
        if train is None:
            return
        if counts.train_rows == 0:
            raise EmptyInterval(
                f"no row of {request.data.uri} with a usable label has its {request.data.time} in the training "
                f"interval [{format_time(train.start)}, {format_time(train.end)})"
            )
        if counts.positives in {0, counts.train_rows}:
            found = f"all {counts.train_rows:,} training rows have the label {int(counts.positives > 0)}"
            if request.start is None:
                raise DataError(
                    f"data.label: {found} (column {self.stream.label!r}); nothing can be learnt from that"
                )
            notice(f"{found}; the model was trained on them all the same")

    def _finish(self) -> RunReport:
        request, counts, clock = self.request, self.counts, self.clock.seconds
        saved = None
        if self.model is not None and request.train is not None:
            facts = {
                **self.identity,
                "size": request.size,
                "position": format_time(request.train.end),
                "shares": dataclasses.asdict(self.shares),
                "resource": request.resource,
                "run": request.run,
            }
            saved = checkpoint.save(
                checkpoint.join(request.output, checkpoint.CHECKPOINT), self.model.tensors(), facts
            )
        extra = {
            "missingCells": self.cells.missing,
            "malformedCells": self.cells.malformed,
            "notFiniteCells": self.cells.not_finite,
        }
        if counts.steps:
            extra |= {
                "steps": counts.steps,
                "batch": self.pace.batch,
                "trainLoss": counts.losses / counts.steps,
            }
            extra |= {"sparseRate": self.pace.sparse, "denseRate": self.pace.dense}
        return RunReport(
            run=request.run,
            rows=Rows(
                read=counts.read,
                kept=counts.kept,
                bad=counts.unusable + self.stream.bad,
                positives=counts.positives,
                kept_positives=counts.kept_positives,
                evaluated=counts.evaluated,
                effective=counts.weight**2 / counts.square if counts.square else 0.0,
            ),
            seconds=Seconds(0.0, clock["read"], clock["train"], clock["evaluate"], 0.0),
            checkpoint=saved,
            position=request.train.end if request.train else None,
            evaluated=self.scores.result() if self.scores else None,
            kept_checkpoints=checkpoint.existing(request.keep),
            extra={k: float(v) for k, v in extra.items()},
        )
