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

from dataefficient.local.errors import Exit, InterruptedRunError, LocalError
from streambench.orchestrate import Plan, benchmark
from streambench.settings import FULL, QUICK, TOLERANCE
from streambench.streams import ROOT, STREAMS

DATA_VARIABLE = "BENCH_DATA"
NAMES = tuple(stream.name for stream in STREAMS)
QUICK_MINUTES = 20.0


def main() -> int:
    """Run, print, save."""
    given = _arguments()
    minutes = given.minutes if given.minutes is not None else (QUICK_MINUTES if given.quick else None)
    until = time.time() + 60.0 * minutes if minutes is not None else float("inf")
    settings = dataclasses.replace(
        QUICK if given.quick else FULL,
        streams=given.streams or (QUICK.streams if given.quick else NAMES),
        tolerance=given.tolerance,
    )
    try:
        text = benchmark(
            Plan(settings, given.work, given.data, given.workers, until, given.note), given.output
        )
    except (KeyboardInterrupt, InterruptedRunError):
        sys.stderr.write("streambench: interrupted; the same command goes on where it stopped\n")
        return Exit.INTERRUPTED
    except LocalError as error:
        sys.stderr.write(f"streambench: {error}\n")
        return error.code
    sys.stdout.write(text)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="streambench", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_MINUTES:.0f} minutes instead of hours")
    parser.add_argument(
        "--streams", type=_streams, default=(), metavar="NAME,...", help=f"of {', '.join(NAMES)}"
    )
    parser.add_argument(
        "--workers", type=_workers, default=2, metavar="N", help="streams at once, a core each (%(default)s)"
    )
    parser.add_argument(
        "--minutes", type=_minutes, default=None, metavar="M", help="begin nothing new after M minutes"
    )
    parser.add_argument(
        "--data",
        type=_folder,
        default=os.environ.get(DATA_VARIABLE) or None,
        metavar="DIR",
        help=f"where streams lie that are not in the repository; default: ${DATA_VARIABLE}",
    )
    parser.add_argument(
        "--work", type=Path, default=ROOT / "work" / "bench", metavar="DIR", help="for runs that ended"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "bench" / "results",
        metavar="DIR",
        help="for page, text and JSON",
    )
    parser.add_argument(
        "--tolerance",
        type=_tolerance,
        default=TOLERANCE,
        help="kpi.tolerance of every resource (%(default)s)",
    )
    parser.add_argument("--note", default="", help="a remark that the result is to bear")
    return parser.parse_args()


def _streams(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    for name in chosen:
        if name not in NAMES:
            raise argparse.ArgumentTypeError(f"found {name!r}; allowed: {', '.join(NAMES)}")
    return chosen


def _workers(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: an integer of 1 or more")
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not minutes >= 0.0:
        raise argparse.ArgumentTypeError(
            f"found {text!r}; allowed: a number of 0 or more; 0 only reads the runs"
        )
    return minutes


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(
            f"found {text!r}, which is no folder; name the one that holds the streams"
        )
    return Path(text)


def _tolerance(text: str) -> str:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(
            f"found {text!r}; allowed: a fraction above 0 and below 1, such as 0.001"
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
