"""Closed-loop simulation of the planner with known truth: runs the scenarios and prints the table.

Takes minutes with the defaults: it is for people at work, tests run a small loop of their own.
"""

from __future__ import annotations

import os

# Before numpy is loaded: one process a core, and matrices too small for threads of their own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import multiprocessing
import sys
from dataclasses import asdict
from functools import partial
from time import perf_counter

import click

from dataefficient.simulator.harness import Result, simulate
from dataefficient.simulator.scenario import SCENARIOS
from dataefficient.simulator.table import render, row


def _simulate(cycles: int, task: tuple[str, int]) -> Result:
    return simulate(task[0], task[1], cycles)


@click.command(help=__doc__)
@click.option("--cycles", default=200, show_default=True, help="Cycles after cycle 0.")
@click.option("--seeds", default=200, show_default=True, help="Seeds of each scenario.")
@click.option("--first-seed", default=0, show_default=True, help="The first of them.")
@click.option("--scenario", "names", multiple=True, type=click.Choice(list(SCENARIOS)), help="Default: all.")
@click.option("--jobs", default=2, show_default=True, help="Processes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per seed instead of the table.")
def main(
    *, cycles: int, seeds: int, first_seed: int, names: tuple[str, ...], jobs: int, as_json: bool
) -> None:
    """Run and print."""
    tasks = [(name, seed) for name in names or SCENARIOS for seed in range(first_seed, first_seed + seeds)]
    begun = perf_counter()
    with multiprocessing.Pool(jobs) as pool:
        results = []
        for result in pool.imap(partial(_simulate, cycles), tasks, chunksize=1):
            results.append(result)
            if sys.stderr.isatty():
                print(f"\r{len(results)}/{len(tasks)}", end="", file=sys.stderr)
    if as_json:
        for result in results:
            print(json.dumps({**asdict(result), "worst_gap": result.worst_gap}))
        return
    print(
        render(
            [row([r for r in results if r.scenario == name]) for name in dict.fromkeys(t[0] for t in tasks)]
        )
    )
    print(f"{cycles} cycles, {seeds} seeds each, {perf_counter() - begun:.0f} s on {jobs} processes")


if __name__ == "__main__":
    main()
