#!/usr/bin/env python3
"""What is lost by training on the newest part of each interval alone (record 111).

Full data at the largest size and, from its first model on, one lineage for each sample are trained cycle by
cycle, and every model is scored frozen on all rows of the interval after it. Any resource whose trainer is
the reference's will do.

    python hack/bench_recency.py [RESOURCE.yaml] [--cycles 5]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import fmean, stdev

from bench_divergence import EXAMPLE, Span, Stream, gap

from dataefficient.contract import CheckpointRef, Policy
from dataefficient.planner.knobs import Point

RATES = (0.5, 0.25)
ARMS = ("newest", "uniform", "negatives")


def sample(arm: str, rate: float, size: int, span: Span) -> tuple[Point, Span]:
    """Plan and interval of a sample."""
    if arm == "newest":
        return Point(Policy.UNIFORM, 1.0, size), (span[1] - rate * (span[1] - span[0]), span[1])
    return Point(Policy.UNIFORM if arm == "uniform" else Policy.NEGATIVES, rate, size), span


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("resource", nargs="?", type=Path, default=EXAMPLE)
    parser.add_argument("--cycles", type=int, default=5, help="looks at each sample (5)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stream = Stream(options.resource, Path(folder))
        reference: CheckpointRef | None = None
        models: dict[tuple[str, float], CheckpointRef] = {}
        gaps: dict[tuple[str, float], list[float]] = {(arm, rate): [] for rate in RATES for arm in ARMS}
        for cycle, span in stream.intervals(options.cycles):
            for rate in RATES if cycle > 1 else ():
                assert reference is not None
                frozen = {arm: models[arm, rate] for arm in ARMS}
                found = stream.score(cycle, span, {**frozen, "champion": reference})
                for arm in ARMS:
                    gaps[arm, rate].append(gap(found, arm))
            start, reference = reference, stream.train(stream.full, cycle, span, reference)
            for arm, rate in gaps:
                begun = models.get((arm, rate), start)
                point, part = sample(arm, rate, stream.full.size, span)
                models[arm, rate] = stream.train(point, cycle, part, begun) if begun else reference
    print("rows   " + "".join(f"{arm:>22}" for arm in ARMS))
    for rate in RATES:
        told = [gaps[arm, rate] for arm in ARMS]
        cells = (f"{fmean(g):+.3%} ({stdev(g) / len(g) ** 0.5:.3%})" for g in told)
        print(f"{rate:<7g}" + "".join(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    main()
