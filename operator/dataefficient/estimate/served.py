"""The prediction that was served, against a model trained on the log itself, on the same rows.

A logged score makes two things free: dropping negatives by score, and a first look at whether what is
served is what the log would give. Pure but for reading the working copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataefficient.estimate.findings import CONFIDENCE
from dataefficient.estimate.log import Roles
from dataefficient.estimate.measure import Measured, mean_loss
from dataefficient.estimate.runs import Layout
from dataefficient.estimate.working import Working
from dataefficient.planner.evidence import paired

_TINY = 1e-7
_SKEW_LOSS = 0.02
"""Relative log loss behind our model from which a served score is suspicious."""
_SKEW_CALIBRATION = 0.05
"""Distance of mean score over mean label from 1 that is suspicious."""


@dataclass(frozen=True)
class Served:
    """The served prediction on the held-out rows; the gap is None where it cannot be paired."""

    column: str
    rows: int
    unusable: int
    """Held-out rows whose score is missing or not a probability."""
    log_loss: float | None
    calibration: float | None
    our_calibration: float
    gap: float | None
    """Relative log loss of the served score over our model; positive: ours is better."""
    low: float | None
    high: float | None


def compare(working: Working, roles: Roles, layout: Layout, runs: list[Measured]) -> Served | None:
    """Score the served prediction on the held-out rows and pair it with the reference's runs."""
    if roles.served is None or not runs:
        return None
    table = pq.read_table(working.path, columns=[roles.served, roles.label]).slice(layout.cut)
    score = pc.cast(table[roles.served], "float64").to_numpy().astype(np.float64)
    label = table[roles.label].to_numpy().astype(np.float64)
    good = np.isfinite(score) & (score >= 0) & (score <= 1)
    ours = runs[0]
    our_calibration = float(np.mean([sum(m.predicted) for m in runs])) / max(1, sum(ours.positives))
    if not good.any():
        return Served(roles.served, len(score), len(score), None, None, our_calibration, None, None, None)
    clipped = np.clip(score, _TINY, 1 - _TINY)
    loss = -(label * np.log(clipped) + (1 - label) * np.log1p(-clipped))
    usable = label[good]
    calibration = float(score[good].sum() / usable.sum()) if usable.sum() else None
    blocks = _by_block(layout, loss)
    counts = tuple(len(b) for b in blocks)
    pair = (
        paired([float(b.sum()) for b in blocks], mean_loss(runs).tolist(), ours.n)
        if good.all() and counts == ours.n
        else None
    )
    return Served(
        roles.served,
        len(score),
        int((~good).sum()),
        float(loss[good].mean()),
        calibration,
        our_calibration,
        pair.gap if pair else None,
        pair.lower(CONFIDENCE) if pair else None,
        pair.upper(CONFIDENCE) if pair else None,
    )


def _by_block(layout: Layout, values: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    ends = [round(b.timestamp() * 1_000_000) for b in layout.boundaries]
    return np.split(values, np.searchsorted(layout.times[layout.cut :], ends[:-1], side="left"))


def served_sentences(served: Served) -> list[str]:
    """What the comparison says, the alarm first."""
    out = []
    if served.log_loss is None:
        return [f"The served prediction {served.column} is no probability in the held-out rows: not used."]
    if served.unusable:
        out.append(
            f"{served.unusable:,} of {served.rows:,} held-out rows have no usable {served.column}, so it was "
            "not paired with our model."
        )
    if served.gap is not None and served.low is not None and served.high is not None:
        if served.low > _SKEW_LOSS:
            out.append(
                f"Alarm, skew: the served prediction is worse than our model by {100 * served.gap:.1f} % log "
                f"loss (at least {100 * served.low:.1f} %) on the same rows. Features at serving may differ "
                "from those logged, or the served model is stale."
            )
        elif served.high < 0:
            out.append(
                f"The served prediction is better than our model by {100 * (-served.gap):.1f} % log loss: "
                "your model knows more than these features do, so the figures here are about a weaker model "
                "than yours. If what is trained is not to replace it, fewer rows do where it teaches: "
                f"trainer.config.distillation: {{teacher: {served.column}}}."
            )
        else:
            out.append(
                "The served prediction and our model are within "
                f"{100 * max(abs(served.low), abs(served.high)):.1f} % log loss."
            )
    if served.calibration is not None and abs(served.calibration - 1) > _SKEW_CALIBRATION:
        out.append(
            f"Alarm, calibration: the served prediction averages {served.calibration:.2f} times the label's "
            f"share (our model {served.our_calibration:.2f}) on the held-out rows."
        )
    out.append(
        "Since the score is logged, dropping negatives by score (policy ScoredNegatives) needs no extra "
        "scoring."
    )
    return out
