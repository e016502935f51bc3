"""Runs the benchmark and writes what it found.

    PYTHONPATH=bench python -m streambench [--quick] [--streams NAME,...] [--data DIR]

Every run that ended is kept in the work folder: the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from pathlib import Path

from streambench.orchestrate import Plan, benchmark
from streambench.settings import FULL, QUICK
from streambench.streams import ROOT, STREAMS

DATA_VARIABLE = "BENCH_DATA"


def main() -> int:
    """Run, print, save."""
    names = [stream.name for stream in STREAMS]
    parser = argparse.ArgumentParser(prog="streambench", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="twenty minutes instead of hours")
    parser.add_argument("--streams", default="", metavar="NAME,...", help=f"of {', '.join(names)}")
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="streams at once (2), a core each"
    )
    parser.add_argument(
        "--minutes", type=float, default=None, metavar="M", help="begin nothing after M minutes"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get(DATA_VARIABLE) or None,
        metavar="DIR",
        help=f"where streams lie that are not in the repository; default: ${DATA_VARIABLE}",
    )
    parser.add_argument(
        "--work", type=Path, default=ROOT / "work" / "bench", metavar="DIR", help="runs that ended"
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "bench" / "results", metavar="DIR", help="JSON, page and table"
    )
    parser.add_argument(
        "--tolerance", default=FULL.tolerance, help="kpi.tolerance of every resource (%(default)s)"
    )
    parser.add_argument("--note", default="", help="a remark that the result is to bear")
    given = parser.parse_args()
    settings = QUICK if given.quick else FULL
    chosen = tuple(name for name in given.streams.split(",") if name)
    for name in chosen:
        if name not in names:
            parser.error(f"--streams: found {name!r}; allowed: {', '.join(names)}")
    if given.workers < 1:
        parser.error(f"--workers: found {given.workers}; allowed: 1 or more")
    settings = dataclasses.replace(
        settings, streams=chosen or settings.streams or tuple(names), tolerance=given.tolerance
    )
    minutes = given.minutes if given.minutes is not None else (20.0 if given.quick else None)
    until = time.time() + 60.0 * minutes if minutes is not None else float("inf")
    plan = Plan(settings, given.work, given.data, given.workers, until, given.note)
    sys.stdout.write(benchmark(plan, given.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
