#!/usr/bin/env python3
"""What a cycle late in a long log costs, with the mark of the run before it and without.

The log is text in Criteo's form (39 columns, no header, times by position), or parquet in many files. A
model is trained on its first part; then the last thousandth is trained on from there, as a retraining would,
in processes of their own, alternating. The models must be equal byte for byte. Importing torch counts.

    python hack/bench_marks.py [--rows 2000000] [--files 2000]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from trainer_process import launch

from dataefficient.contract import (
    Data,
    Policy,
    Role,
    RunRequest,
    Train,
    parse_time,
)
from dataefficient_trainer.marks import address
from dataefficient_trainer.source import CRITEO

START = parse_time("2024-01-01T00:00:00Z")
ROUNDS = 5


def text(folder: Path, rows: int) -> tuple[Data, dict[str, object]]:
    """Write the log of text; returns how to read it."""
    random = np.random.default_rng(0)
    words = pa.array([f"{word * 2654435761 & 0xFFFFFFFF:08x}" for word in range(50_000)])
    columns = [pa.array((random.random(rows) < 0.25).astype(np.int8))]
    columns += [pa.array(random.integers(0, 500, rows)) for _ in range(13)]
    columns += [words.take(pa.array(random.integers(0, 50_000, rows))) for _ in range(26)]
    write = pa_csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    pa_csv.write_csv(pa.table(columns, names=list(CRITEO)), folder / "day.tsv", write)
    data = Data(str(folder / "day.tsv"), "time", "label", ("I1", "C1", "C2", "C3"))
    config = {"time": {"rowStart": "2024-01-01T00:00:00Z"}, "features": {"categorical": ["C1", "C2"]}}
    return data, {**config, "hashBuckets": 1024}


def parts(folder: Path, rows: int, files: int) -> tuple[Data, dict[str, object]]:
    """Write the log of many files; returns how to read it."""
    random = np.random.default_rng(0)
    (folder / "log").mkdir()
    for number, numbers in enumerate(np.array_split(np.arange(rows), files)):
        times = np.datetime64("2024-01-01", "us") + numbers.astype("m8[s]")
        columns = {f"C{i}": random.integers(0, 1000, len(numbers)) for i in range(20)}
        label = (random.random(len(numbers)) < 0.25).astype(np.int8)
        part = pa.table({"time": times, "id": numbers, "label": label, **columns})
        pq.write_table(part, folder / "log" / f"{number:06}.parquet")
    config = {"features": {"categorical": ["C1", "C2"]}, "hashBuckets": 1024}
    return Data(str(folder / "log"), "time", "label", ("id",)), config


def measure(write: Callable[[Path], tuple[Data, dict[str, object]]], rows: int, what: str) -> None:
    """Print the median seconds of the last thousandth of a log, with the mark and without."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, config = write(folder)
        seconds = timedelta(seconds=1)
        cut, end = START + (rows - rows // 1000) * seconds, START + rows * seconds
        cold = RunRequest(
            resource="bench/bench", cycle=0, run="c000-candidate", role=Role.CANDIDATE, data=data,
            train=Train(START, cut, Policy.UNIFORM, 0.01, "s"), evaluation=None,
            size=1, seed=0, output=str(folder / "cold"), config=config,
        )  # fmt: skip
        start = launch(cold, folder).report.checkpoint
        assert start is not None
        mark = Path(address(start.uri))
        kept = mark.read_bytes()
        warm = replace(
            cold, cycle=1, run="c001-candidate", start=start, train=Train(cut, end, Policy.UNIFORM, 1.0, "s")
        )
        took: dict[str, list[float]] = {"with": [], "without": []}
        models = set()
        for _ in range(ROUNDS):
            for how, found in took.items():
                mark.unlink(missing_ok=True)
                if how == "with":
                    mark.write_bytes(kept)
                report = launch(replace(warm, output=str(folder / "warm")), folder).report
                assert report.checkpoint is not None
                models.add(report.checkpoint.digest)
                found.append(report.seconds.total)
        assert len(models) == 1, "the models differ"
    with_mark, without = (statistics.median(found) for found in took.values())
    print(
        f"{what}: {with_mark:.2f} s with the mark, {without:.2f} s without, {without / with_mark:.1f} times"
    )


def main() -> None:
    """Print both logs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--files", type=int, default=2_000, help="of the log in parquet")
    options = parser.parse_args()
    rows, files = options.rows, options.files
    measure(lambda folder: text(folder, rows), rows, f"text of {rows:,} rows")
    measure(lambda folder: parts(folder, rows, files), rows, f"parquet of {rows:,} rows in {files:,} files")


if __name__ == "__main__":
    main()
