#!/usr/bin/env python3
"""What a trial costs as a rider of the candidate, against a process of its own.

A candidate on two weeks of the flights at full rate, scored on a tenth of them, and a trial that begins from
the same checkpoint and trains a quarter of the rows: as two processes one after the other, and as one. All in
turn, because other work on the machine changes; wall-clock and processor seconds, medians.

    python hack/bench_riders.py [--rounds 7] [--size 8] [--stream examples/flights/flights.parquet]
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from trainer_process import launch

from dataefficient.contract import (
    Data,
    Evaluation,
    Policy,
    Role,
    RunRequest,
    Train,
)

CONFIG = {
    "features": {
        "categorical": ["origin", "destination"],
        "derived": {
            "hour": {"from": "departure", "part": "hour"},
            "weekday": {"from": "departure", "part": "weekday"},
        },
        "crosses": [["origin", "destination"], ["origin", "hour"]],
    }
}
FIRST = datetime(2001, 1, 1, tzinfo=UTC)


def request(stream: Path, output: Path, days: tuple[int, int], *, rate: float, size: int) -> RunRequest:
    """A run over some days of the flights, scored on them unless it is the first."""
    start, end = (FIRST + timedelta(days=day) for day in days)
    ends = tuple(start + (end - start) * (i + 1) / 8 for i in range(8))
    return RunRequest(
        resource="bench/flights",
        cycle=1,
        run=output.name,
        role=Role.CANDIDATE,
        data=Data(str(stream), "departure", "late", ("departure", "origin", "destination")),
        train=Train(start, end, Policy.NEGATIVES, rate, "sampling"),
        evaluation=Evaluation(start, end, 0.1, "evaluation", ends) if days[0] else None,
        size=size,
        seed=1,
        output=str(output),
        config=CONFIG,
    )


def main() -> None:
    """Print the medians of both ways."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=int, default=8)
    parser.add_argument("--stream", type=Path, default=Path("examples/flights/flights.parquet"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = request(options.stream, folder / "start", (0, 59), rate=1.0, size=options.size)
        start = launch(first, folder).report.checkpoint
        candidate, trial = (
            dataclasses.replace(
                request(options.stream, folder / run, (59, 73), rate=rate, size=options.size), start=start
            )
            for run, rate in (("candidate", 1.0), ("trial", 0.25))
        )
        ways = {
            "candidate alone": [candidate],
            "two processes": [candidate, trial],
            "one with a rider": [dataclasses.replace(candidate, riders=(trial,))],
        }
        spent: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(options.rounds):
            for way, asked in ways.items():
                done = [launch(one, folder) for one in asked]
                spent[way].append((sum(d.wall for d in done), sum(d.processor for d in done)))
    print(f"{options.rounds} rounds, size {options.size}, medians (least) in seconds:")
    for way, seconds in spent.items():
        wall, processor = zip(*seconds, strict=True)
        print(
            f"  {way:<18} wall-clock {statistics.median(wall):6.2f} ({min(wall):.2f})   "
            f"processor {statistics.median(processor):6.2f} ({min(processor):.2f})"
        )


if __name__ == "__main__":
    main()
