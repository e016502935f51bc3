"""Measurements by rule, so that verdicts can be tested without training."""

import numpy as np

from dataefficient.estimate.columns import Column, Use
from dataefficient.estimate.measure import Measured
from dataefficient.estimate.plan import RUNGS, Arm, Experiment, tuning
from dataefficient.estimate.verdict import Facts

BLOCKS = 16
ROWS = 10_000
SHARE = 0.2
LEVEL = 0.45


def measured(gap, *, noise=0.0, seed=0, kept=1.0, seconds=1.0, level=LEVEL, rows=ROWS):
    """A run whose log loss is (1 + gap) times ``level``; ``noise`` is the blocks' spread of the gap."""
    random = np.random.default_rng(seed)
    spread = random.standard_normal(BLOCKS) if noise else np.zeros(BLOCKS)
    loss = rows * level * (1 + gap + noise * (spread - spread.mean()))
    return Measured(
        loss=tuple(loss.tolist()),
        predicted=(SHARE * rows,) * BLOCKS,
        n=(rows,) * BLOCKS,
        positives=(int(SHARE * rows),) * BLOCKS,
        digest="same",
        kept=int(1e6 * kept),
        seconds=seconds,
        auc=0.7,
    )


def results(gaps, *, history=(), noise=2e-4, seeds=3, seed_noise=1e-4, level=LEVEL, rows=ROWS):
    """Results of the tuning, the reference with replicas, rungs with ``history`` gaps, and arms by gap."""
    random = np.random.default_rng(7)
    out = {}

    def add(arm, gap, replicas):
        for seed in range(replicas):
            moved = gap + seed_noise * random.standard_normal()
            salt = int(random.integers(1 << 30))
            out[Experiment(arm, seed)] = measured(
                moved,
                noise=noise,
                seed=salt,
                kept=arm.rate,
                seconds=arm.rate * arm.size / 16,
                level=level,
                rows=rows,
            )

    for arm in tuning():
        add(arm, 0.05 if arm.pace == 1.0 else 0.06, 1)
    add(Arm(), 0.0, seeds)
    for share, gap in zip(RUNGS, history, strict=False):
        add(Arm(history=share), gap, seeds)
    for arm, gap in gaps.items():
        add(arm, gap, seeds)
    return out


def facts(**changes):
    """Facts of a log of a million rows over 100 days."""
    values = {
        "path": "log.parquet",
        "log_rows": 1_250_000,
        "log_rows_exact": True,
        "rows": 1_250_000,
        "history_rows": 1_000_000,
        "scored_rows": 250_000,
        "positives": SHARE,
        "history_positives": SHARE,
        "first": "2020-01-01 00:00",
        "last": "2020-04-10 00:00",
        "days": 125.0,
        "history_days": 100.0,
        "blocks": BLOCKS,
        "features": ("site",),
        "columns": (Column("site", "string", Use.CATEGORICAL, "", 0.1, 0.0),),
        "notes": (),
        "tolerance": 0.002,
        "minutes_allowed": 5.0,
        "seconds_used": 100.0,
        "stopped": "everything planned was run",
    }
    return Facts(**{**values, **changes})


def days(rows):
    """Days of the latest rows at 10,000 a day."""
    return rows / 10_000
