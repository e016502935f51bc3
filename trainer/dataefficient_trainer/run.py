"""What a run does with its chunks: score each window, then train on it.

The order is the meaning: a window's evaluation rows are scored by every model before the run's own
model trains on that window or a later one. Everything happens at fixed rows of the stream, so that a
run taken up again at a chunk's boundary ends bit for bit like one that was never stopped.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dataefficient.contract import Policy, RunReport, RunRequest
from dataefficient_trainer import outcome, rules
from dataefficient_trainer.batch import Batch
from dataefficient_trainer.config import Config
from dataefficient_trainer.errors import NotFiniteError
from dataefficient_trainer.events import Chunk, Stream, micros
from dataefficient_trainer.features import Cells
from dataefficient_trainer.hashing import salt, uniform
from dataefficient_trainer.lineage import Loaded, needs_scorer, prepare
from dataefficient_trainer.model import Model
from dataefficient_trainer.sampling import WINDOW_ROWS, Kept, negative_scores, sample
from dataefficient_trainer.scoring import Scores
from dataefficient_trainer.serving import Logged
from dataefficient_trainer.state import Clock, State, request_digest
from dataefficient_trainer.teaching import COMPARED, log_odds, soften
from dataefficient_trainer.telemetry import Progress

SCORE_ROWS = 8_192
"""Rows of one forward pass of a frozen model."""

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass
class Drawn:
    """A chunk with its sample drawn and the features of the rows that are used."""

    chunk: Chunk
    kept: Kept
    in_eval: npt.NDArray[np.bool_]
    place: Places
    """Row of ``indices`` and ``values`` of each used row of the chunk."""
    indices: Places
    values: npt.NDArray[np.float32]
    teacher: Floats | None
    """Log-odds that the log's teacher gave the rows that are kept, NaN for all others; None: no teacher."""


class Run:
    """One run, fed with the chunks of its intervals.

    Args:
        request: what was asked.
        config: its parsed configuration.
        stream: the opened stream.
        loaded: checkpoints that the process has in memory.
        progress: where people look; None: nobody does.
        leader: the request that this one rides with; None: this one leads.

    Attributes:
        rows: rows of its chunks that are done.
    """

    def __init__(
        self,
        *,
        request: RunRequest,
        config: Config,
        stream: Stream,
        loaded: Loaded,
        progress: Progress | None = None,
        leader: RunRequest | None = None,
    ) -> None:
        self.request, self.config, self.stream, self.progress = request, config, stream, progress
        train, evaluation, layout = request.train, request.evaluation, stream.layout
        self._carrying = Clock({"models": 0.0})
        with self._carrying.charge("models"):
            models = prepare(request, stream, leads=leader is None, loaded=loaded)
        self.frozen, self.start = models.frozen, models.start
        scores = None
        if evaluation is not None:
            names = (("self",) if train else ()) + tuple(self.frozen)
            scores = Scores(evaluation, names, stream.slices if leader is None else ())
        pending = Batch.empty(layout.places, layout.numbers)
        self.state = State(models.own, scores, pending, models.shares)
        if scores is not None and scores.served is not None and request.data.served_prediction:
            self.state.logged = Logged.empty(len(scores.boundaries))
        self.pace = rules.pace(
            size=request.size,
            rate=train.rate if train else 1.0,
            scales=request.scales,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
        )
        self.train_span = (micros(train.start), micros(train.end)) if train else (0, 0)
        self.eval_span = (micros(evaluation.start), micros(evaluation.end)) if evaluation else (0, 0)
        spans = [s for s in (self.train_span, self.eval_span) if s[1] > s[0]]
        self.span = (min(s[0] for s in spans), max(s[1] for s in spans))
        self.rows = 0
        self._earlier_seconds = 0.0
        # What a fork becomes follows from the run that leads too.
        whole = request if leader is None or not request.fork else replace(leader, riders=(request,))
        self._digest = request_digest(whole)

    @property
    def waits(self) -> bool:
        """True for a fork that has not begun."""
        return self.request.fork and self.state.train_from is None

    @property
    def beside(self) -> float:
        """Seconds of loading and saving models."""
        return self._carrying.seconds["models"]

    @property
    def spent(self) -> float:
        """Seconds that this process has worked for the run alone."""
        return sum(self.state.clock.seconds.values()) - self._earlier_seconds + self.beside

    def resume(self) -> None:
        """Go on from the state that an earlier process left."""
        self.rows = self.state.read(self.request, self._digest)
        self._earlier_seconds = sum(self.state.clock.seconds.values())
        self._take_up_fork()

    def write(self) -> None:
        """Leave the state for a later process; a fork that has not begun has none."""
        if not self.waits:
            self.state.write(self.request, self._digest, self.rows)

    def fork(self, leader: Run, chunk: Chunk) -> None:
        """Begin as a copy of what the leading run is before a chunk; the chunk's first row is the first one.

        Rows that wait for the leading run's next batch are copied too: they are behind the chunk's first row.
        """
        theirs, own = leader.state, self.state
        assert theirs.model is not None
        with own.clock.charge("train"):
            own.model, own.pending, own.shares = theirs.model.copy(), theirs.pending, replace(theirs.shares)
            if needs_scorer(self.request):
                own.scorer = own.model.copy()
        if own.scores is not None and theirs.scores is not None:
            own.scores.continue_from(theirs.scores)
        own.train_from = max(int(chunk.times[0]), leader.train_span[0])
        self.rows = chunk.row
        self._take_up_fork()

    def _take_up_fork(self) -> None:
        if self.state.train_from is not None:
            self.train_span = (self.state.train_from, self.train_span[1])
            self.start = self.state.scorer

    def feed(self, chunk: Chunk) -> None:
        """Score and train a chunk, unless that is done."""
        if chunk.row < self.rows:
            return
        if chunk.times[0] < self.span[1]:
            self._chunk(chunk)
        self.rows = chunk.row + len(chunk.times)

    def finish(self) -> RunReport:
        """Train what is left, write the checkpoint and say what was done.

        Raises:
            TrainerError: of the kind that says what is wrong.
        """
        with self.state.clock.charge("train"):
            self._train_pending(rest=True)
        self._publish(self.rows, force=True)
        outcome.check_rows(self.request, self.stream, self.state)
        with self._carrying.charge("models"):
            saved = outcome.save(self.request, self.stream, self.state)
        return outcome.report(self.request, self.stream, self.state, pace=self.pace, saved=saved)

    def _chunk(self, chunk: Chunk) -> None:
        """Sample, extract, score and train one chunk, window by window."""
        state, times, edges = self.state, chunk.times, self._edges(chunk.times)
        drawn = self._draw(chunk, edges)
        rows = np.flatnonzero(drawn.in_eval)
        frozen_losses = self._score_frozen(drawn, rows)
        own_losses: list[Floats] = []

        def score(stop: int) -> None:
            """Score what the model has not been scored on before a row of the chunk."""
            if state.scores is not None and state.model is not None:
                done = sum(map(len, own_losses))
                own_losses.append(self._score_own(drawn, rows[done : np.searchsorted(rows, stop)]))

        for start, stop in edges:
            if self.train_span[1] <= times[start]:
                score(start)
                with state.clock.charge("train"):
                    self._train_pending(rest=True)
            chosen = start + np.flatnonzero(drawn.kept.keep[start:stop])
            if len(chosen):
                if self._steps(len(chosen)):
                    score(stop)
                with state.clock.charge("train"):
                    self._train(drawn, chosen)
            self._publish(chunk.row + stop)
        score(len(times))
        self._add_slices(chunk, rows, own_losses, frozen_losses)

    def _steps(self, fresh: int) -> bool:
        """Whether the model changes with so many more rows; until it does, windows are scored together."""
        return self._new or len(self.state.pending) + fresh >= self.pace.batch

    @property
    def _new(self) -> bool:
        """Whether no row was ever given to the model."""
        model, pending = self.state.model, self.state.pending
        return model is not None and model.step == 0 and not len(pending)

    def _edges(self, times: Places) -> list[tuple[int, int]]:
        """Windows of the chunk, cut also where training ends."""
        end = int(np.searchsorted(times, self.train_span[1]))
        return list(itertools.pairwise(sorted({*range(0, len(times), WINDOW_ROWS), end, len(times)})))

    # ------------------------------------------------------------------ sampling

    def _draw(self, chunk: Chunk, edges: list[tuple[int, int]]) -> Drawn:
        """Decide which rows are used, and extract their features."""
        times, usable, counts = chunk.times, chunk.labels >= 0, self.state.counts
        in_train = (times >= self.train_span[0]) & (times < self.train_span[1])
        in_eval = (times >= self.eval_span[0]) & (times < self.eval_span[1])
        wanted = in_train | in_eval
        counts.unusable += int((wanted & ~usable).sum())
        counts.read += int((wanted & usable).sum())
        if self.state.scores is not None:
            in_eval &= usable
            rows = np.flatnonzero(in_eval)
            in_eval[rows] = self._choose(self.state.scores, chunk, rows)
        with self.state.clock.charge("read"):
            kept = self._sample(chunk, in_train & usable, edges)
            used = in_eval | kept.keep
            indices, values = chunk.features(np.flatnonzero(used), self.state.cells)
            teacher = self._teacher(chunk, kept.keep)
        return Drawn(chunk, kept, in_eval, np.cumsum(used) - 1, indices, values, teacher)

    def _teacher(self, chunk: Chunk, keep: npt.NDArray[np.bool_]) -> Floats | None:
        column, found = self.config.teacher, np.full(len(keep), np.nan)
        if column is None:
            return None
        rows = np.flatnonzero(keep)
        found[rows] = log_odds(chunk.numbers(column, rows), column)
        return found

    def _choose(self, scores: Scores, chunk: Chunk, rows: Places) -> npt.NDArray[np.bool_]:
        """Which of these rows of the evaluation's interval are scored."""
        uniforms = uniform(chunk.keys[rows], salt(scores.evaluation.salt))
        return scores.choose(chunk.times[rows], chunk.labels[rows], uniforms)

    def _sample(self, chunk: Chunk, in_train: npt.NDArray[np.bool_], edges: list[tuple[int, int]]) -> Kept:
        n, train, shares, counts = len(chunk.times), self.request.train, self.state.shares, self.state.counts
        keep, probability = np.zeros(n, bool), np.ones(n)
        offset, weight, target = np.zeros(n), np.zeros(n), np.zeros(n)
        if train is None:
            return Kept(keep, probability, offset, weight, target)
        uniforms = uniform(chunk.groups, salt(train.salt))
        scored = train.policy is Policy.SCORED_NEGATIVES and train.rate < 1.0
        scores = self._negative_scores(chunk, in_train) if scored else None
        for start, stop in edges:
            rows = start + np.flatnonzero(in_train[start:stop])
            labels = chunk.labels[rows]
            score = scores[rows] if scores is not None else None
            if score is not None and not shares.scored:
                shares.score, shares.scored = float(score.mean()) if len(score) else 0.0, 1.0
            window = sample(
                train.policy, train.rate, uniforms[rows], labels=labels, shares=shares, scores=score
            )
            keep[rows], probability[rows], offset[rows] = window.keep, window.probability, window.offset
            weight[rows], target[rows] = window.weight, window.target
            negative = labels == 0
            shares.add(len(rows), int(labels.sum()))
            if score is not None:
                shares.add_scores(score[negative])
        weights = 1.0 / probability[keep]
        counts.train_rows += int(in_train.sum())
        counts.positives += int(chunk.labels[in_train].sum())
        counts.kept += int(keep.sum())
        counts.kept_positives += int(chunk.labels[keep].sum())
        counts.weight += float(weights.sum())
        counts.square += float((weights * weights).sum())
        return Kept(keep, probability, offset, weight, target)

    def _negative_scores(self, chunk: Chunk, in_train: npt.NDArray[np.bool_]) -> Floats | None:
        """Scores of the training rows: from the logged prediction, else from the start checkpoint."""
        rows, column = np.flatnonzero(in_train), self.request.data.served_prediction
        scores = np.zeros(len(chunk.times))
        if column:
            scores[rows] = negative_scores(chunk.numbers(column, rows))
            return scores
        if self.start is None:
            return None
        indices, values = chunk.features(rows, Cells())
        scores[rows] = negative_scores(1.0 / (1.0 + np.exp(-self._logits(self.start, indices, values))))
        return scores

    # ------------------------------------------------------------------ scoring

    def _logits(
        self, model: Model, indices: Places, values: npt.NDArray[np.float32], *, finished: bool = True
    ) -> Floats:
        out = np.empty(len(indices))
        for at in range(0, len(indices), SCORE_ROWS):
            part = slice(at, at + SCORE_ROWS)
            rows, numbers = torch.from_numpy(indices[part]), torch.from_numpy(values[part])
            logits = model.logits(rows.to(model.device), numbers.to(model.device), finished=finished)
            out[part] = logits.cpu().numpy()
        return out

    def _score_frozen(self, drawn: Drawn, rows: Places) -> dict[str, Floats]:
        """Count the evaluation rows and score them by every frozen model; returns the losses by model."""
        scores = self.state.scores
        if scores is None or not len(rows):
            return {}
        with self.state.clock.charge("evaluate"):
            chunk, at = drawn.chunk, drawn.place[rows]
            times, labels = chunk.times[rows], chunk.labels[rows]
            self.state.counts.evaluated += len(rows)
            scores.add_rows(times, labels, chunk.keys[rows])
            indices, values = drawn.indices[at], drawn.values[at]
            logits = {name: self._logits(model, indices, values) for name, model in self.frozen.items()}
            scores.add_divergence(times, logits, labels)
            losses = {name: scores.add_model(name, times, logits[name], labels) for name in self.frozen}
            logged, column = self.state.logged, self.request.data.served_prediction
            if logged is not None and scores.served is not None and column is not None:
                predictions = chunk.numbers(column, rows)
                logged.add(scores.blocks(times), predictions, losses[scores.served], labels)
            return losses

    def _score_own(self, drawn: Drawn, rows: Places) -> Floats:
        scores, model = self.state.scores, self.state.model
        assert scores is not None
        assert model is not None
        if not len(rows):
            return np.empty(0)
        with self.state.clock.charge("evaluate"):
            at = drawn.place[rows]
            times = drawn.chunk.times[rows]
            finished = bool(times[0] >= self.train_span[1])  # windows end where training does
            logits = self._logits(model, drawn.indices[at], drawn.values[at], finished=finished)
            return scores.add_model("self", times, logits, drawn.chunk.labels[rows])

    def _add_slices(self, chunk: Chunk, rows: Places, own: list[Floats], frozen: dict[str, Floats]) -> None:
        scores = self.state.scores
        if scores is None or not len(rows):
            return
        with self.state.clock.charge("evaluate"):
            losses = np.concatenate(own) if own else frozen[scores.names[0]]
            for column in scores.slice_columns:
                texts, labels = chunk.texts(column, rows), chunk.labels[rows]
                scores.add_slices(column, texts, labels, losses, frozen.get("start"))

    # ------------------------------------------------------------------ training

    def _train(self, drawn: Drawn, rows: Places) -> None:
        """Add a window's kept rows, shuffled by seed and position, and train all full batches."""
        state, chunk = self.state, drawn.chunk
        assert state.model is not None
        shuffled = np.random.default_rng((self.request.seed, chunk.row + int(rows[0]))).permutation(rows)
        at = drawn.place[shuffled]
        offset, weight, target = (
            of[shuffled] for of in (drawn.kept.offset, drawn.kept.weight, drawn.kept.target)
        )
        learned = self._learned(drawn, shuffled, offset)
        fresh = Batch(
            torch.from_numpy(drawn.indices[at]),
            torch.from_numpy(drawn.values[at]),
            *(torch.from_numpy(of.astype(np.float32)) for of in (learned, offset, weight, target)),
        )
        if self._new:
            state.model.start_at(float(fresh.weight.numpy().sum()), float(fresh.target.numpy().sum()))
        state.pending = state.pending.extend(fresh)
        self._train_pending(rest=False)

    def _learned(self, drawn: Drawn, rows: Places, offset: Floats) -> npt.NDArray[Any]:
        """What is learned of kept rows: their labels, or what a teacher makes of them."""
        labels, distillation = drawn.chunk.labels[rows], self.config.distillation
        if drawn.teacher is None or distillation is None:
            return labels
        teacher, heeded, model = drawn.teacher[rows] + offset, self.state.heeded, self.state.model
        assert model is not None
        taught = np.flatnonzero(~np.isnan(teacher))
        some = taught[::COMPARED]
        if len(some):
            at = drawn.place[rows[some]]
            own = self._logits(model, drawn.indices[at], drawn.values[at], finished=False)
            heeded.compare(teacher[some], own + offset[some], labels[some])
        weight = distillation.weight * heeded.trust
        heeded.rows += len(taught)
        heeded.weight += weight * len(taught)
        return soften(labels, teacher, weight)

    def _train_pending(self, *, rest: bool) -> None:
        """Train full batches of the waiting rows; with ``rest`` the last, smaller one too."""
        size, pending, model = self.pace.batch, self.state.pending, self.state.model
        end = len(pending) if rest else len(pending) // size * size
        if not end:
            return
        assert model is not None
        rows = pending.rows(0, end).to(model.device)
        model.observe_numbers(rows.values)
        for at in range(0, end, size):
            self._step(model, rows.rows(at, at + size))
        self.state.pending = pending.rows(end, None)

    def _step(self, model: Model, batch: Batch) -> None:
        counts = self.state.counts
        loss = model.train_step(batch, self.pace)
        if not np.isfinite(loss):
            raise NotFiniteError(
                f"the training loss became {loss} at step {counts.steps + 1} of this run (learning rates "
                f"{self.pace.sparse:g} and {self.pace.dense:g}); stopped before that step and wrote no "
                "checkpoint: lower trainer.config.learningRate"
            )
        counts.losses += loss
        counts.steps += 1

    def _publish(self, rows: int, *, force: bool = False) -> None:
        if self.progress is None:
            return
        counts, model = self.state.counts, self.state.model
        trained = {"train_loss": counts.losses / counts.steps} if counts.steps else {}
        self.progress.update(
            rows,
            force=force,
            phases=self.state.clock.seconds,
            gradient_norm=model.gradient_norm if model is not None else None,
            kept_rows=counts.kept,
            evaluated_rows=counts.evaluated,
            bad_rows=counts.unusable + self.stream.bad,
            **trained,
        )
