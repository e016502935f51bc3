"""Cost counted in examples: what two drivers would otherwise measure in seconds, each its own.

The drivers are given the function that decides; a test gives them one that first replaces every measured
time by a count. Nothing else of an observation is changed, so what is decided then is the same wherever it is
decided.

As a program it is `detctl`, whose operator decides so: python -P tests/cluster/counting.py operator ...
"""

import sys
from dataclasses import replace

from dataefficient import cli
from dataefficient.cluster import process
from dataefficient.cluster.brain import Brain
from dataefficient.contract import Seconds
from dataefficient.cycle.machine import advance

TRAINED, READ, SCORED = 1 / 128, 1 / 1024, 1 / 256
"""Device-seconds that an example counts for: far above what it takes, so that no deadline is ever met. Powers
of two, so that a sum of costs does not depend on the order in which runs happened to end."""


def in_examples(observation):
    """``observation`` with every run's cost counted; a run that failed counts for one second."""
    return replace(observation, outcomes=tuple(map(_counted, observation.outcomes)))


def counting(spec, memory, observation):
    """``advance``, on counted costs."""
    return advance(spec, memory, in_examples(observation))


class CountingBrain(Brain):
    """The operator's brain, on counted costs."""

    async def __call__(self, spec, memory, observation, acted):
        return await super().__call__(spec, memory, in_examples(observation), acted)


def _counted(outcome):
    if outcome.report is None:
        return replace(outcome, device_seconds=1.0)
    report = _counted_report(outcome.report, startup=1.0)
    return replace(outcome, device_seconds=report.seconds.total, report=report)


def _counted_report(report, *, startup):
    """A report with its cost counted; that of its riders is part of it."""
    riders = tuple(_counted_report(rider, startup=0.0) for rider in report.riders)
    models = len(report.evaluated.models) if report.evaluated else 0
    read, train = READ * report.rows.read, TRAINED * report.rows.kept
    evaluate = SCORED * report.rows.evaluated * max(models - len(riders), 1)
    total = startup + read + train + evaluate + sum(rider.seconds.total for rider in riders)
    return replace(report, seconds=Seconds(startup, read, train, evaluate, total), riders=riders)


if __name__ == "__main__":
    process.Brain = CountingBrain
    sys.exit(cli.run(sys.argv[1:]))
