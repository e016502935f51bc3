#!/usr/bin/env python3
"""What a model loses as it goes on at a smaller size, beside one that was small from the beginning.

Three lineages train every cycle of a resource's stream at full data, scored on its rows before they learn
from them: the largest size, a smaller one from the first row on, and one that is converted from the largest
after some cycles. Prints log loss of the latter two relative to the first, with standard errors over blocks.

    python hack/bench_sizes.py [--resource FILE] [--size 16] [--at 3] [--cycles 7]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from dataefficient.api.load import load_resource
from dataefficient.api.schedule import interval
from dataefficient.api.spec import Spec
from dataefficient.contract import (
    CheckpointRef,
    Data,
    Evaluation,
    Policy,
    Role,
    RunReport,
    RunRequest,
    Train,
)
from dataefficient.cycle.launch import boundaries
from dataefficient.planner.evidence import Paired, paired
from dataefficient_trainer.launch import launch


@dataclass
class Lineage:
    """A model that goes on from cycle to cycle."""

    spec: Spec
    data: Path
    size: int
    folder: Path
    start: CheckpointRef | None = None

    def train(self, cycle: int) -> RunReport:
        """Train a cycle's rows; cycle 0 is the history."""
        spec, span = self.spec, interval(self.spec.schedule, cycle)
        assert span is not None
        columns = spec.data
        data = Data(str(self.data), columns.time, columns.label, columns.key, columns.group)
        output = self.folder / str(cycle)
        output.mkdir(parents=True)
        request = RunRequest(
            resource="bench/sizes", cycle=cycle, run=f"c{cycle:03}-size", role=Role.CANDIDATE, data=data,
            train=Train(span.start, span.end, Policy.UNIFORM, 1.0, "s"),
            evaluation=Evaluation(span.start, span.end, 1.0, "e", boundaries(span.start, span.end)),
            size=self.size, seed=0, output=str(output), start=self.start, config=spec.trainer.config,
        )  # fmt: skip
        report = launch(request, output / "told.json", lambda: False, time.time())
        self.start = report.checkpoint
        return report


def apart(mine: RunReport, other: RunReport) -> str:
    """Relative difference of the models' own log loss."""
    assert mine.evaluated is not None
    assert other.evaluated is not None
    a, b = mine.evaluated.models["self"], other.evaluated.models["self"]
    found: Paired | None = paired(a.loss, b.loss, mine.evaluated.n)
    return "too few rows" if found is None else f"{found.gap:+.3%} ({found.standard_error:.3%})"


def main() -> None:
    """Print a line for each cycle."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--resource", type=Path, default=Path("examples/flights/late-flights.yaml"))
    parser.add_argument("--size", type=int, default=16, help="the smaller one")
    parser.add_argument("--at", type=int, default=3, help="first cycle of the converted model")
    parser.add_argument("--cycles", type=int, default=7)
    options = parser.parse_args()
    spec = load_resource(options.resource).spec
    data = (options.resource.parent / spec.data.uri).resolve()
    largest = max(spec.knobs.model_size.values)
    print(f"sizes {largest} and {options.size}; relative to {largest}, in brackets the standard error")
    with tempfile.TemporaryDirectory() as folder:
        large, small, converted = (
            Lineage(spec, data, size, Path(folder) / name)
            for name, size in (("large", largest), ("small", options.size), ("converted", options.size))
        )
        for cycle in range(options.cycles + 1):
            if cycle == options.at:
                converted.start = large.start
            whole = large.train(cycle)
            line = f"cycle {cycle}: always small {apart(small.train(cycle), whole)}"
            if cycle >= options.at:
                line += f", converted {apart(converted.train(cycle), whole)}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
