#!/usr/bin/env python3
"""What a teacher in the log is worth to samples and smaller models (record 110).

The teacher is a pipeline that trains on all rows at the largest size and logs what its newest model predicts
before the next retraining. Beside it lineages part from its first model on, one for each plan and weight of
the teacher, and every model is scored frozen on all rows of the interval after it. Any resource whose trainer
is the reference's and whose stream is one parquet file in the order of time will do.

    python hack/bench_distillation.py [RESOURCE.yaml] [--cycles 5]
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from bench_divergence import EXAMPLE, Span, Stream, chunks, gap

from dataefficient.contract import CheckpointRef, Policy, RunRequest
from dataefficient.planner.knobs import Point
from dataefficient_trainer.events import micros
from dataefficient_trainer.features import Cells
from dataefficient_trainer.lineage import prepare

COLUMN = "logged_by_the_teacher"
WEIGHTS = (0.0, 0.5, 0.8)
"""Of the teacher; as many as one run scores beside full data."""
Floats = npt.NDArray[np.float64]


def predicted(request: RunRequest, span: Span) -> Floats:
    """What the request's frozen champion predicts of an interval's rows."""
    parts, model = [], None
    for chunk in chunks(request, span):
        model = model or prepare(request, chunk.stream).frozen["champion"]
        indices, values = chunk.features(np.arange(len(chunk.times)), Cells())
        with torch.no_grad():
            logits = model.logits(torch.from_numpy(indices), torch.from_numpy(values), finished=True)
        parts.append(torch.sigmoid(logits).double().numpy())
    return np.concatenate(parts)


def with_column(source: str, target: Path, time: str, found: list[tuple[Span, Floats]]) -> None:
    """Write the stream with what was predicted of its intervals; rows of others have no prediction."""
    table = pq.read_table(source)
    times = table[time].cast(pa.timestamp("us")).to_numpy().astype("M8[us]").astype(np.int64)
    column = np.full(len(times), np.nan)
    for span, values in found:
        first, last = np.searchsorted(times, (micros(span[0]), micros(span[1])))
        column[first:last] = values
    pq.write_table(table.append_column(COLUMN, pa.array(column, from_pandas=True)), target)


def plans(stream: Stream) -> tuple[Point, ...]:
    """All rows, samples, and all rows at the next smaller size."""
    *smaller, largest = sorted(stream.spec.knobs.model_size.values)
    found = [stream.full, Point(Policy.NEGATIVES, 0.25, largest)]
    found += [Point(Policy.NEGATIVES, 0.125, largest), Point(Policy.UNIFORM, 0.25, largest)]
    return (*found, *(Point(Policy.UNIFORM, 1.0, size) for size in smaller[-1:]))


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("resource", nargs="?", type=Path, default=EXAMPLE)
    parser.add_argument("--cycles", type=int, default=5, help="looks at each plan (5)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stream = Stream(options.resource, folder)
        intervals = list(stream.intervals(options.cycles))
        teachers: list[CheckpointRef] = []
        logged: list[tuple[Span, Floats]] = []
        for cycle, span in intervals:
            if teachers:
                logged.append(
                    (span, predicted(stream.scoring(cycle, span, {"champion": teachers[-1]}), span))
                )
            teachers.append(stream.train(stream.full, cycle, span, teachers[-1] if teachers else None))
        uri = folder / "taught.parquet"
        with_column(stream.spec.data.uri, uri, stream.spec.data.time, logged)
        losses: defaultdict[tuple[Point, float], list[float]] = defaultdict(list)
        streams = {}
        for weight in WEIGHTS:
            config = {"distillation": {"teacher": COLUMN, "weight": weight}}
            streams[weight] = stream.with_changes(uri=str(uri), config=config)
        for plan in plans(stream):
            models = dict.fromkeys(WEIGHTS, teachers[0])
            for cycle, span in intervals[1:]:
                if cycle > 1:
                    frozen = {f"weight-{i}": models[weight] for i, weight in enumerate(WEIGHTS)}
                    found = stream.score(cycle, span, frozen | {"champion": teachers[cycle - 1]})
                    for i, weight in enumerate(WEIGHTS):
                        losses[plan, weight].append(gap(found, f"weight-{i}"))
                models = {w: streams[w].train(plan, cycle, span, models[w]) for w in WEIGHTS}
    print(f"{'plan':42}" + "".join(f"  teacher's weight {weight:g}" for weight in WEIGHTS))
    for plan in plans(stream):
        told = [losses[plan, weight] for weight in WEIGHTS]
        cells = (f"{fmean(g):+.3%} ({stdev(g) / len(g) ** 0.5:.3%})" for g in told)
        print(f"{plan!s:42}" + "".join(f"{cell:>20}" for cell in cells))


if __name__ == "__main__":
    main()
