"""A small synthetic stream, requests about it, and launches in this process; helpers, no tests."""

from __future__ import annotations

import dataclasses
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dataefficient.contract import (
    Data,
    Evaluation,
    Policy,
    Role,
    RunReport,
    RunRequest,
    Train,
    parse_report,
    to_json,
)
from dataefficient_trainer import launch as launching

DAY = timedelta(days=1)
START = datetime(2024, 1, 1, tzinfo=UTC)
PICTURE = 6
"""Numbers of a vector."""
FEATURES = {
    "features": {
        "categorical": ["user", "item"],
        "numeric": ["price"],
        "derived": {"hour": {"from": "at", "part": "hour"}},
    }
}


def table(rows: int = 20_000, days: int = 10, seed: int = 0) -> pa.Table:
    """Clicks whose log-odds add up over user and item, with an interaction; about 17 % positive."""
    random = np.random.default_rng(seed)
    user, item = random.integers(0, 40, rows), random.integers(0, 25, rows)
    strength = np.random.default_rng(7).normal(0, 1, (40, 25)) * 0.7
    logit = -2 + np.linspace(-1, 1, 40)[user] + np.linspace(-0.8, 0.8, 25)[item] + strength[user, item]
    label = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    seconds = np.sort(random.integers(0, days * 86_400, rows))
    times = (np.datetime64("2024-01-01", "us") + seconds.astype("m8[s]")).astype("M8[us]")
    return pa.table(
        {
            "at": times,
            "id": np.arange(rows, dtype=np.int64) + 1000,
            "user": user.astype(np.int32),
            "item": pa.array([f"item-{i}" for i in item]),
            "price": random.gamma(2.0, 3.0, rows),
            "click": label,
        }
    )


def tagged(rows: int = 20_000, *, empty: bool = False) -> pa.Table:
    """Clicks that hang on one to five tags of each row, as a column of lists; some have none where asked."""
    random = np.random.default_rng(5)
    tags = [list(random.choice(12, random.integers(1, 6), replace=False)) for _ in range(rows)]
    effect = np.linspace(-2.0, 2.0, 12)
    logit = np.array([effect[t].sum() for t in tags]) - 1.0
    label = (random.random(rows) < 1.0 / (1.0 + np.exp(-logit))).astype(np.int8)
    words: list[list[str] | None] = [[f"tag-{i}" for i in t] for t in tags]
    if empty:
        words = [None if i % 7 == 0 else [] if i % 7 == 1 else w for i, w in enumerate(words)]
    base = table(rows).drop_columns(["click"])
    return base.append_column("tags", pa.array(words, pa.list_(pa.string()))).append_column(
        "click", pa.array(label)
    )


def pictured(rows: int = 20_000) -> pa.Table:
    """Clicks that hang on what can be seen of each row, a column of vectors."""
    random = np.random.default_rng(11)
    seen = random.normal(size=(rows, PICTURE)) * 0.1 + 3.0
    logit = (seen - 3.0) @ np.linspace(-15.0, 15.0, PICTURE) - 1.0
    label = (random.random(rows) < 1.0 / (1.0 + np.exp(-logit))).astype(np.int8)
    image = pa.FixedSizeListArray.from_arrays(pa.array(seen.astype(np.float32).reshape(-1)), PICTURE)
    base = table(rows).drop_columns(["click"])
    return base.append_column("image", image).append_column("click", pa.array(label))


def written(rows: pa.Table, folder: Path) -> Path:
    """The clicks as parquet, in row groups of two days."""
    path = folder / "clicks.parquet"
    pq.write_table(rows, path, row_group_size=4_000)
    return path


def day(number: float) -> datetime:
    """Start of a day of the stream, from 0."""
    return START + number * DAY


def training(
    start: float = 0, end: float = 10, *, policy: Policy = Policy.UNIFORM, rate: float = 1.0
) -> Train:
    return Train(day(start), day(end), policy, rate, "sampling")


def evaluation(
    start: float = 5, end: float = 10, *, share: float = 0.5, blocks: int = 5, negatives: float = 1.0
) -> Evaluation:
    ends = tuple(day(start + (end - start) * (i + 1) / blocks) for i in range(blocks))
    return Evaluation(day(start), day(end), share, "evaluation", ends, negatives)


def make_request(uri: Path | str, output: Path, **changes: object) -> RunRequest:
    """A cold run over the whole stream; ``changes`` replace its fields."""
    base = RunRequest(
        resource="default/clicks",
        cycle=0,
        run="c000-candidate",
        role=Role.CANDIDATE,
        data=Data(str(uri), "at", "click", ("id",)),
        train=training(),
        evaluation=evaluation(),
        size=4,
        seed=1,
        output=str(output),
        config=FEATURES,
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def rider(leader: RunRequest, name: str, **changes: object) -> RunRequest:
    """A cold rider that scores what the leader scores; ``changes`` replace its fields."""
    base: dict[str, object] = {"run": f"c000-{name}", "output": f"{leader.output}-{name}", "start": None}
    return dataclasses.replace(leader, **{**base, "frozen": {}, **changes})  # type: ignore[arg-type]


def with_riders(leader: RunRequest, **riders: dict[str, object]) -> RunRequest:
    """The leader with riders, each by its name and with its changes."""
    return dataclasses.replace(leader, riders=tuple(rider(leader, n, **c) for n, c in riders.items()))


def launch(request: RunRequest, **options: object) -> RunReport:
    """Run in this process; the report is read back and held against the request, as the operator does."""
    path = Path(request.output) / "termination.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    stopped = options.get("stopped", lambda: False)
    launching.launch(request, path, stopped, time.time())  # type: ignore[arg-type]
    return parse_report(path.read_text(), request)


def loss(report: RunReport, model: str = "self") -> float:
    """Mean log loss of a model over all blocks."""
    assert report.evaluated is not None
    return sum(report.evaluated.models[model].loss) / sum(report.evaluated.n)


def write_request(request: RunRequest, folder: Path) -> dict[str, str]:
    """Write a request and return the environment of its process."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "request.json").write_text(to_json(request))
    return {
        "DATAEFFICIENT_REQUEST": str(folder / "request.json"),
        "DATAEFFICIENT_REPORT": str(folder / "report.json"),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ":".join(p for p in sys.path if p),
    }
