#!/usr/bin/env python3
"""What plans lose by labels, beside how far their predictions lie from full data's (record 103).

Full data at the largest size and, from its first model on, one lineage for each plan are trained cycle by
cycle, and every model is scored frozen on all rows of the interval after it. Any resource whose trainer is
the reference's will do.

    python hack/bench_divergence.py [RESOURCE.yaml] [--cycles 6]
"""

from __future__ import annotations

import argparse
import copy
import itertools
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from statistics import fmean, stdev

from trainer_process import launch

from dataefficient.api.load import load_resource
from dataefficient.api.schedule import interval
from dataefficient.contract import CheckpointRef, Evaluated, Evaluation, Policy, Role, RunReport, RunRequest
from dataefficient.cycle.launch import FIRST_RUN_SECONDS, Wanted, boundaries, name, plan_run
from dataefficient.cycle.machine import begin
from dataefficient.planner.evidence import paired_ahead
from dataefficient.planner.knobs import Point
from dataefficient_trainer import config as configuration
from dataefficient_trainer.events import Chunk, Chunks, micros
from dataefficient_trainer.launch import stream_of
from dataefficient_trainer.source import open_source

RATES = {Policy.NEGATIVES: (0.71, 0.5, 0.25, 0.125), Policy.UNIFORM: (0.5, 0.25)}
AT_ONCE = 3
"""Plans that one run scores beside full data: a request names at most four frozen models."""
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "flights" / "late-flights.yaml"
Span = tuple[datetime, datetime]


class Stream:
    """The stream of a resource, and the runs on it."""

    def __init__(self, resource: Path, folder: Path) -> None:
        spec = load_resource(resource).spec
        beside = resource.parent / spec.data.uri
        uri = str(beside.resolve()) if beside.exists() else spec.data.uri
        self.spec = spec.model_copy(update={"data": spec.data.model_copy(update={"uri": uri})})
        self._folder, self._numbers = folder, itertools.count()

    def with_changes(self, *, uri: str, config: Mapping[str, object]) -> Stream:
        """The same with another file and more of a configuration."""
        twin, spec = copy.copy(self), self.spec
        data = spec.data.model_copy(update={"uri": uri})
        trainer = spec.trainer.model_copy(update={"config": {**spec.trainer.config, **config}})
        twin.spec = spec.model_copy(update={"data": data, "trainer": trainer})
        return twin

    @property
    def full(self) -> Point:
        """All rows at the largest size."""
        return Point(Policy.UNIFORM, 1.0, max(self.spec.knobs.model_size.values))

    def plans(self) -> tuple[Point, ...]:
        """Samples at the largest size, and all rows at smaller ones."""
        *smaller, largest = sorted(self.spec.knobs.model_size.values)
        samples = (Point(policy, rate, largest) for policy, rates in RATES.items() for rate in rates)
        return (*samples, *(Point(Policy.UNIFORM, 1.0, size) for size in reversed(smaller)))

    def intervals(self, cycles: int) -> Iterator[tuple[int, Span]]:
        """The history as cycle 0, and then cycle after cycle; those without rows are left out."""
        periods = (interval(self.spec.schedule, cycle) for cycle in range(cycles + 2))
        spans = ((period.start, period.end) for period in periods if period is not None)
        yield from enumerate(filter(self._has_rows, spans))

    def _has_rows(self, span: Span) -> bool:
        return any(True for _ in chunks(self.scoring(0, span, {}), span))

    def train(self, point: Point, cycle: int, span: Span, start: CheckpointRef | None) -> CheckpointRef:
        """Train a cycle's interval."""
        wanted = Wanted(name(cycle, "candidate"), Role.CANDIDATE, point, span, None, start=start)
        checkpoint = self._run(self._request(cycle, wanted)).checkpoint
        assert checkpoint is not None
        return checkpoint

    def score(self, cycle: int, span: Span, frozen: Mapping[str, CheckpointRef]) -> Evaluated:
        """Score frozen models on all rows of a cycle's interval."""
        evaluated = self._run(self.scoring(cycle, span, frozen)).evaluated
        assert evaluated is not None
        return evaluated

    def scoring(self, cycle: int, span: Span, frozen: Mapping[str, CheckpointRef]) -> RunRequest:
        """The request that ``score`` makes."""
        request = self._request(cycle, Wanted(name(cycle, "score"), Role.PROBE, self.full, span, None))
        whole = Evaluation(*span, 1.0, "divergence", boundaries(*span))
        return replace(request, train=None, evaluation=whole, frozen=dict(frozen))

    def _request(self, cycle: int, wanted: Wanted) -> RunRequest:
        memory = replace(begin("default/divergence"), cycle=cycle)
        request = plan_run(self.spec, memory, wanted, FIRST_RUN_SECONDS).request
        return replace(request, output=str(self._folder / f"run-{next(self._numbers)}"), threads=1)

    def _run(self, request: RunRequest) -> RunReport:
        return launch(request, self._folder).report


def chunks(request: RunRequest, span: Span) -> Iterator[Chunk]:
    """Rows of an interval, as the trainer reads them."""
    config = configuration.parse(request.config)
    stream = stream_of(request, config, open_source(request.data.uri, config.format, config.columns))
    ends = (micros(span[0]), micros(span[1]))
    found = Chunks(stream, ends, 0)
    for piece in stream.pieces([ends]):
        yield from found.add(piece)
    yield from found.rest()


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("resource", nargs="?", type=Path, default=EXAMPLE)
    parser.add_argument("--cycles", type=int, default=6, help="looks at each plan (6)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stream = Stream(options.resource, Path(folder))
        plans = stream.plans()
        full = stream.full
        models: dict[Point, CheckpointRef] = {}
        looks: defaultdict[Point, list[tuple[float, float]]] = defaultdict(list)
        losses: list[float] = []
        for cycle, span in stream.intervals(options.cycles):
            if cycle > 1:
                for part in (plans[i : i + AT_ONCE] for i in range(0, len(plans), AT_ONCE)):
                    frozen = {f"plan-{plans.index(p)}": models[p] for p in part}
                    found = stream.score(cycle, span, {"champion": models[full], **frozen})
                    for p in part:
                        looks[p].append(_look(found, f"plan-{plans.index(p)}"))
                losses.append(_log_loss(found))
            start = models.get(full)
            fresh = {p: stream.train(p, cycle, span, models.get(p, start)) for p in (plans if cycle else ())}
            models = {**fresh, full: stream.train(full, cycle, span, start)}
            if not cycle:
                models = dict.fromkeys((full, *plans), models[full])
    if losses:
        print(f"{full}: log loss {fmean(losses):.5f} in the mean of {len(losses)} cycles")
    print(f"{'plan':44}  looks  lost by labels (s.e.)  divergence  part lost")
    for plan, told in looks.items():
        gaps, apart = [gap for gap, _ in told], fmean(d for _, d in told)
        error = stdev(gaps) / len(gaps) ** 0.5 if len(gaps) > 1 else float("nan")
        lost = fmean(gaps)
        print(f"{plan!s:44}  {len(told):5}  {lost:+12.3%} ({error:6.3%})  {apart:10.3%}  {lost / apart:9.2f}")


def gap(found: Evaluated, model: str) -> float:
    """Relative loss of a model beyond full data's, as looks are judged."""
    difference = paired_ahead(found.models[model], found.models["champion"], found.n, found.positives)
    assert difference is not None
    return difference.gap


def _look(found: Evaluated, model: str) -> tuple[float, float]:
    """Relative loss beyond full data's, as looks are judged, and the divergence relative to the loss."""
    divergence = found.models[model].divergence
    assert divergence is not None
    return gap(found, model), divergence / _log_loss(found)


def _log_loss(found: Evaluated) -> float:
    """Full data's own."""
    return sum(found.models["champion"].loss) / sum(found.n)


if __name__ == "__main__":
    main()
