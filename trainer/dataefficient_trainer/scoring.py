"""Sums over the evaluation rows, for every model on the same rows: log loss, predictions, AUC, slices.

Memory does not grow with the stream: AUC comes from histograms of the logit (``BINS`` bins over
[-``SPAN``, ``SPAN``], ties within a bin count half, so that its error is far below its noise), and at
most ``MAX_VALUES`` values of a slice column are followed.

Where a part of the negatives is left out, sums are kept by label and the scored negatives of a block stand
for all of them (post-stratification: Cochran, Sampling Techniques, section 5A.9). How many rows of either
label there are is known without scoring them, so only what differs between the negatives adds to the noise.
AUC needs no such care: it does not hang on how many of either label there are.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from dataefficient.contract import MAX_SLICES, Evaluated, Evaluation, Scored, Slice
from dataefficient_trainer.events import micros
from dataefficient_trainer.features import Times
from dataefficient_trainer.hashing import Hashes, mix

BINS = 8_192
SPAN = 16.0
MAX_VALUES = 4_096
SERVED = ("champion", "start")
"""Names of the model that others are told apart from: the first one that is scored."""
OTHER = "(other)"
"""Slice of the values met after ``MAX_VALUES`` others."""

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]
Blocks = npt.NDArray[np.int64]


def log_loss(logits: Floats, labels: Labels) -> Floats:
    """Log loss of each row in nats: log(1 + e^z) - y z."""
    return np.asarray(np.logaddexp(0.0, logits) - labels * logits)


def area_under_curve(histogram: npt.NDArray[np.int64]) -> float | None:
    """AUC from counts [2, BINS] of negatives and positives by logit; None where one class is missing."""
    negatives, positives = histogram.astype(np.float64)
    if not negatives.sum() or not positives.sum():
        return None
    below = np.cumsum(negatives) - negatives / 2
    return float((positives * below).sum() / (negatives.sum() * positives.sum()))


def log_odds(probabilities: Floats, least: float) -> Floats:
    """Log-odds of probabilities, at least so far from 0 and 1; NaN where there is none."""
    known = (probabilities >= 0.0) & (probabilities <= 1.0)
    usable = np.clip(np.where(known, probabilities, 0.5), least, 1.0 - least)
    return np.where(known, np.log(usable) - np.log1p(-usable), np.nan)


def by_label(block: Blocks, labels: Labels, blocks: int, values: Floats | None = None) -> Floats:
    """Rows, or the sum of their values, by label and block: [2, blocks], negatives first."""
    at = labels.astype(np.int64) * blocks + block
    return np.bincount(at, values, 2 * blocks).astype(np.float64).reshape(2, blocks)


def of_all(sums: Floats, scored: Floats, rows: Floats) -> Floats:
    """Sums by block over all ``rows``, from those over the ``scored`` ones; all are [2, blocks].

    A block with negatives of which none was scored takes them to be as all others are.
    """
    missed = (rows > 0) & (scored == 0)
    mean = sums / np.maximum(scored, 1.0)
    overall = sums.sum(axis=1) / np.maximum(scored.sum(axis=1), 1.0)
    return np.asarray((rows * np.where(missed, overall[:, None], mean)).sum(axis=0))


@dataclass
class Sums:
    """One model's sums over the rows that it scored, [2, blocks]: negatives, positives."""

    loss: Floats
    predicted: Floats
    histogram: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, blocks: int) -> Sums:
        """Nothing scored."""
        return cls(np.zeros((2, blocks)), np.zeros((2, blocks)), np.zeros((2, BINS), np.int64))

    def add(self, block: Blocks, logits: Floats, labels: Labels, loss: Floats) -> None:
        """Add rows."""
        blocks = self.loss.shape[1]
        self.loss += by_label(block, labels, blocks, loss)
        self.predicted += by_label(block, labels, blocks, 1.0 / (1.0 + np.exp(-logits)))
        at = np.clip((logits + SPAN) * (BINS / (2 * SPAN)), 0, BINS - 1).astype(np.int64)
        self.histogram += np.bincount(labels.astype(np.int64) * BINS + at, minlength=2 * BINS).reshape(
            2, BINS
        )


@dataclass
class Scores:
    """Accumulates the evaluation of a run; ``state`` and ``restore`` carry it over a restart."""

    evaluation: Evaluation
    names: tuple[str, ...]
    slice_columns: tuple[str, ...] = ()
    digest: list[int] = field(default_factory=lambda: [0, 0])
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """By column and value: rows that those scored stand for, loss of the run's model, loss of ``start``, and
    the sum of the squares of their differences."""

    def __post_init__(self) -> None:
        self.boundaries = np.array([micros(b) for b in self.evaluation.boundaries], np.int64)
        blocks = len(self.boundaries)
        self.rows, self.scored = np.zeros((2, blocks)), np.zeros((2, blocks))
        self.sums = {name: Sums.empty(blocks) for name in self.names}
        self.served = next((name for name in SERVED if name in self.names), None)
        self.divergence = {
            name: np.zeros((2, blocks))
            for name in self.names
            if self.served and name not in {"self", *SERVED}
        }
        self.values = {column: {} for column in self.slice_columns}

    def blocks(self, times: Times) -> Blocks:
        """Block of each time."""
        return np.minimum(np.searchsorted(self.boundaries, times, side="right"), len(self.boundaries) - 1)

    def choose(self, times: Times, labels: Labels, uniforms: Floats) -> npt.NDArray[np.bool_]:
        """Count the rows of the evaluation among these and tell which are scored: all its positives, and
        the negatives of the part asked for, which is nested in every larger one.

        Args:
            times, labels: rows with a usable label and a time inside the evaluation.
            uniforms: each row's key hash in [0, 1).
        """
        share = self.evaluation.share
        inside = uniforms < share
        self.rows += by_label(self.blocks(times[inside]), labels[inside], len(self.boundaries))
        part = share * self.evaluation.negatives
        return np.asarray(inside & ((labels > 0) | (uniforms < part)))

    def add_rows(self, times: Times, labels: Labels, keys: Hashes) -> None:
        """Count rows that are scored, and fold keys and labels into the digest, whatever their order."""
        self.scored += by_label(self.blocks(times), labels, len(self.boundaries))
        rows = mix(keys * np.uint64(2) + labels.astype(np.uint64))
        for lane, hashes in enumerate((rows, mix(~rows))):
            self.digest[lane] = (self.digest[lane] + int(hashes.sum(dtype=np.uint64))) & 0xFFFFFFFFFFFFFFFF

    def add_model(self, name: str, times: Times, logits: Floats, labels: Labels) -> Floats:
        """Add one model's scores of rows; returns each row's loss."""
        loss = log_loss(logits, labels)
        self.sums[name].add(self.blocks(times), logits, labels, loss)
        return loss

    def add_divergence(self, times: Times, logits: Mapping[str, Floats], labels: Labels) -> None:
        """Add how far the frozen models' scores of rows lie from the served one's."""
        if self.served is None:
            return
        block, blocks = self.blocks(times), len(self.boundaries)
        served = logits[self.served]
        probability = 1.0 / (1.0 + np.exp(-served))
        for name in self.divergence:
            apart = (1.0 / (1.0 + np.exp(-logits[name])) - probability) * (logits[name] - served) / 2.0
            self.divergence[name] += by_label(block, labels, blocks, apart)

    def add_slices(
        self, column: str, texts: Any, labels: Labels, loss: Floats, start_loss: Floats | None
    ) -> None:
        """Add rows to the values of a slice column (an Arrow dictionary array of text)."""
        names = [name if name is not None else "(missing)" for name in texts.dictionary.to_pylist()] + [
            "(missing)"
        ]
        codes = np.asarray(texts.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)).astype(
            np.int64
        )
        weight = np.where(labels > 0, 1.0, 1.0 / self.evaluation.negatives)
        before = np.zeros_like(loss) if start_loss is None else start_loss
        parts = (weight, weight * loss, weight * before, (weight * (loss - before)) ** 2)
        sums = np.stack([np.bincount(codes, part, len(names)) for part in parts], axis=1)
        table = self.values[column]
        for code in np.flatnonzero(sums[:, 0]):
            name = names[code] if names[code] in table or len(table) < MAX_VALUES else OTHER
            entry = table.setdefault(name, [0.0] * len(parts))
            table[name] = [total + float(part) for total, part in zip(entry, sums[code], strict=True)]

    # ------------------------------------------------------------------ results

    def worst_slices(self) -> tuple[Slice, ...]:
        """At most 8 values, the worst first.

        With ``start``: by loss relative to ``start``'s; without: by loss per row.
        Values with fewer than 1 % of the rows are left out.
        """
        first, total = self.names[0], float(self.rows.sum())
        with_start = "start" in self.names and first != "start"
        ranked = []
        for column, table in self.values.items():
            for value, (n, loss, start, square) in table.items():
                if n >= max(20, 0.01 * total):
                    excess = loss / max(start, 1e-12) if with_start else loss / n
                    beside = (start, sqrt(square)) if with_start else (None, None)
                    ranked.append(
                        (-excess, column, value, Slice(column, value[:64], round(n), loss, *beside))
                    )
        return tuple(entry for *_, entry in sorted(ranked, key=lambda r: r[:3])[:MAX_SLICES])

    def _of_all(self, sums: Floats) -> Floats:
        return of_all(sums, self.scored, self.rows)

    def result(self) -> Evaluated:
        """What the report says of the evaluation."""
        models = {
            name: Scored(
                tuple(self._of_all(s.loss).tolist()),
                tuple(self._of_all(s.predicted).tolist()),
                area_under_curve(s.histogram),
                self._divergence(name),
            )
            for name, s in self.sums.items()
        }
        digest = f"{self.digest[0]:016x}{self.digest[1]:016x}"
        n, positives = (
            tuple(count.astype(np.int64).tolist()) for count in (self.rows.sum(axis=0), self.rows[1])
        )
        return Evaluated(n, positives, digest, models, self.worst_slices())

    def _divergence(self, name: str) -> float | None:
        """Mean over all rows of a model's half Jeffreys divergence from the served one."""
        rows = self.rows.sum()
        if name not in self.divergence or not rows:
            return None
        return float(self._of_all(self.divergence[name]).sum() / rows)

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Arrays and JSON that ``restore`` reads."""
        arrays: dict[str, npt.NDArray[Any]] = {"rows": self.rows, "scored": self.scored}
        for i, name in enumerate(self.names):
            sums = self.sums[name]
            arrays |= {
                f"{i}.loss": sums.loss,
                f"{i}.predicted": sums.predicted,
                f"{i}.histogram": sums.histogram,
            }
            if name in self.divergence:
                arrays[f"{i}.divergence"] = self.divergence[name]
        return arrays, {"digest": self.digest, "values": self.values}

    def continue_from(self, other: Scores) -> None:
        """Begin with what another run's own model has scored so far."""
        self.rows, self.scored, self.digest = other.rows.copy(), other.scored.copy(), list(other.digest)
        self.sums["self"] = copy.deepcopy(other.sums["self"])

    def restore(self, arrays: dict[str, npt.NDArray[Any]], body: dict[str, Any]) -> None:
        """Continue from a state of the same request."""
        self.rows, self.scored = arrays["rows"], arrays["scored"]
        for i, name in enumerate(self.names):
            self.sums[name] = Sums(arrays[f"{i}.loss"], arrays[f"{i}.predicted"], arrays[f"{i}.histogram"])
            if name in self.divergence:
                self.divergence[name] = arrays[f"{i}.divergence"]
        self.digest, self.values = body["digest"], body["values"]
