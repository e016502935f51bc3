"""Hold the planner's forecasts against the truth: convergence points, extrapolation, surfaces.

``python hack/bench_curves.py [--full]``: about a minute on two idle cores, three with ``--full``. Prints the
goals and the tables behind them; ``--save FOLDER`` writes them as ``curves.txt`` and ``curves.json`` too. All
seeds are fixed. What is measured and how: ``bench/README.md``.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small problems: threads would only wait for each other
sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from curvebench import report
from curvebench.extrapolation import attempts
from curvebench.measured import curves
from curvebench.real import real_stops
from curvebench.recovery import DESIGNS, recover, seconds
from curvebench.stopping import simulate
from streambench.identity import Machine, commit


class Extent(NamedTuple):
    """How much is run."""

    splits: int
    rows: int
    """Most training rows of a measured curve."""
    curves: int
    """Simulated curves of each shape."""


DEFAULT = Extent(3, 1024, 30)
FULL = Extent(5, 4096, 100)
SURFACES = 150
"""Simulated surfaces of each design, always: with fewer, luck decides near the goal."""


def main() -> None:
    """Run all of it and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--full", action="store_true", help="more curves, splits and rows, and LCDB's free fits"
    )
    parser.add_argument("--save", type=Path, help="an existing folder to write curves.txt and curves.json to")
    given = parser.parse_args()
    if given.save is not None and not given.save.is_dir():
        parser.error(f"--save: {given.save} is not a folder; make it first")
    full = bool(given.full)
    begin = time.monotonic()
    extent = FULL if full else DEFAULT
    measured = list(curves(extent.splits, extent.rows))
    stops = simulate(extent.curves)
    forecasts = [a for c in measured for a in attempts(c, free=full)]
    recoveries = [recover(design, SURFACES) for design in range(len(DESIGNS))]
    taken = seconds()
    machine = Machine.here()
    about = (
        f"{'full' if full else 'default'} run, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, "
        f"{machine.cpu}, {machine.cores} cores, load {os.getloadavg()[0]:.1f}, "
        f"{time.monotonic() - begin:.0f} s"
    )
    found = report.Found(stops, forecasts, real_stops(measured), recoveries, taken, about)
    print(report.text(found), end="")
    if given.save is not None:
        (given.save / "curves.txt").write_text(report.text(found))
        (given.save / "curves.json").write_text(report.record(found))


if __name__ == "__main__":
    main()
