"""A trainer that trains nothing: it answers run requests with reports that follow from a known truth.

It keeps the trainer contract (blocks, counts, digests, ``self`` scored as it learns, ``start`` and the frozen
checkpoints beside it, failures by kind), so the real state machine cannot tell it from a trainer. Reports are
built as objects and never go through JSON. The driver's part, what is charged for an attempt and when it
is killed, is here too.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from math import exp, sqrt
from random import Random

from dataefficient.contract import (
    CheckpointRef,
    Evaluated,
    Evaluation,
    Policy,
    Rows,
    RunReport,
    RunRequest,
    Scored,
    Seconds,
)
from dataefficient.cycle.model import Failure, FailureKind, RunOutcome, RunPlan
from dataefficient.planner import stratified
from dataefficient.planner.knobs import Point
from dataefficient.simulator.scenario import SIZES, Scenario
from dataefficient.simulator.stream import Blocks, Stream
from dataefficient.simulator.truth import Knowledge, Truth

SEEN = 0.01
"""Relative loss that a frozen model gains, unfairly, on rows that it was trained on."""


class World:
    """One simulated stream, trainer and machine."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.truth = Truth(scenario)
        self.stream = Stream(scenario)
        self.models: dict[str, Knowledge] = {}
        """By digest of their checkpoint."""
        self._progress: dict[str, float] = {}

    def run(self, plan: RunPlan, now: datetime) -> RunOutcome:
        """One attempt of a run that is launched at ``now``: its report or its failure, and what it cost.

        The same plan and attempt give the same outcome, whatever ran before but for the checkpoints it needs.
        """
        request, s = plan.request, self.scenario
        random = Random(zlib.crc32(f"{s.seed}|{s.name}|{request.run}|{plan.attempt}".encode()))
        normal, slow, not_ready, garbage, crash, done = (
            random.gauss(0.0, 1.0),
            *(random.random() for _ in range(5)),
        )
        failure = self._refusal(request, now, not_ready)
        if failure is not None:
            charged = min(s.startup_seconds * plan.devices, plan.reserved_seconds)
            return RunOutcome(request.run, plan.attempt, charged, failure=failure)
        own = self._seconds(request, normal, slow)
        added = [self._added(rider, normal, slow) for rider in request.riders]
        seconds = replace(own, total=own.total + sum(rider.total for rider in added))
        startup, work = seconds.startup * plan.devices, (seconds.total - seconds.startup) * plan.devices
        before = self._progress.get(request.run, 0.0)
        charged = startup + work * (1.0 - before)
        if crash < s.faults.crash:
            charged = startup + work * (1.0 - before) * done
            failure = Failure(FailureKind.CRASHED, "signal 9")
        if charged > plan.reserved_seconds * (1.0 + 1e-9):
            charged = plan.reserved_seconds
            failure = Failure(FailureKind.DEADLINE, f"killed after {charged:.0f} device-seconds")
        if failure is not None:
            self._progress[request.run] = before + max(charged - startup, 0.0) / work
        elif garbage < s.faults.garbage:
            failure = Failure(FailureKind.GARBAGE, "report: not JSON")
        if failure is not None:
            return RunOutcome(request.run, plan.attempt, charged, failure=failure)
        return RunOutcome(request.run, plan.attempt, charged, report=self._report(request, seconds, added))

    def distance(self, digest: str, after: float) -> float:
        """True relative gap to the reference on the cycle that follows time ``after``, where the checkpoint
        serves as it is and the reference has just been retrained."""
        model = self.models[digest]
        late = self.truth.stale(after - model.position + 0.5) - self.truth.stale(0.5)
        return self.truth.gap(model) + late

    def expected_seconds(self, request: RunRequest) -> float:
        """Mean device-seconds of a run on one device, without noise and slow runs."""
        return self._seconds(request, 0.0, 1.0).total

    def plan_seconds(self, point: Point, start: float, end: float, *, share: float, models: int) -> float:
        """Mean seconds of training ``point`` on [start, end), in cycles, ``models`` scored on ``share``."""
        rows = self.stream.rows(start, end)
        return sum(self._parts(rows, point.rate * rows, share * rows * models, point.size))

    def _parts(
        self, read: float, trained: float, scored: float, size: int
    ) -> tuple[float, float, float, float]:
        s, i = self.scenario, SIZES.index(size)
        return (
            s.startup_seconds,
            s.read_seconds * read,
            s.train_seconds[i] * trained,
            s.score_seconds[i] * scored,
        )

    def _seconds(self, request: RunRequest, normal: float, uniform: float) -> Seconds:
        read = self._read(request)
        trained = request.train.rate * self._trained(request) if request.train is not None else 0.0
        startup, reading, training, scoring = self._parts(read, trained, self._scored(request), request.size)
        factor = self._factor(normal, uniform)
        startup, reading, training, scoring = (factor * x for x in (startup, reading, training, scoring))
        return Seconds(startup, reading, training, scoring, startup + reading + training + scoring)

    def _factor(self, normal: float, uniform: float) -> float:
        s = self.scenario
        return exp(s.cost_noise * normal) * (1.5 if uniform < s.slow_probability else 1.0)

    def _added(self, rider: RunRequest, normal: float, uniform: float) -> Seconds:
        """What a rider takes of its process; it scores its own model alone, and the process reads for it."""
        assert rider.train is not None
        trained = rider.train.rate * self._trained(rider)
        _, _, training, scoring = self._parts(0.0, trained, self._evaluated(rider), rider.size)
        factor = self._factor(normal, uniform)
        return Seconds(0.0, 0.0, factor * training, factor * scoring, factor * (training + scoring))

    def _trained(self, request: RunRequest) -> float:
        """Rows of the training interval."""
        train, at = request.train, self.stream.at
        return self.stream.rows(at(train.start), at(train.end)) if train is not None else 0.0

    def _evaluated(self, request: RunRequest) -> float:
        evaluation, at = request.evaluation, self.stream.at
        if evaluation is None:
            return 0.0
        part = stratified.scored(self.scenario.base_rate, evaluation.negatives)
        return evaluation.share * part * self.stream.rows(at(evaluation.start), at(evaluation.end))

    def _scored(self, request: RunRequest) -> float:
        """Rows scored times models."""
        models = (request.train is not None) + (request.start is not None) + len(request.frozen)
        return models * self._evaluated(request)

    def _read(self, request: RunRequest) -> float:
        """Rows of the union of the training and the evaluation interval."""
        train, evaluation, at = request.train, request.evaluation, self.stream.at
        if train is None or evaluation is None:
            span = train or evaluation
            return self.stream.rows(at(span.start), at(span.end)) if span is not None else 0.0
        shared = max(0.0, min(at(train.end), at(evaluation.end)) - max(at(train.start), at(evaluation.start)))
        both = self.stream.rows(at(train.start), at(train.end)) + self.stream.rows(
            at(evaluation.start), at(evaluation.end)
        )
        return both - self.stream.rows(0.0, shared)

    def _refusal(self, request: RunRequest, now: datetime, not_ready: float) -> Failure | None:
        """Why the trainer would end right after its start-up, if it would."""
        train, s = request.train, self.scenario
        last = max(part.end for part in (train, request.evaluation) if part is not None)
        if last > now:
            return Failure(FailureKind.DATA_NOT_READY, f"the stream ends before {last.isoformat()}")
        if not_ready < s.faults.not_ready:
            return Failure(FailureKind.DATA_NOT_READY, "the newest file is still being written")
        if request.size not in SIZES:
            return Failure(FailureKind.USER_ERROR, f"size {request.size} is not one of {SIZES}")
        if train is not None and train.start >= train.end:
            return Failure(FailureKind.EMPTY_INTERVAL, "no row lies in the training interval")
        if train is not None and train.policy is not Policy.UNIFORM and train.rate <= s.base_rate:
            return Failure(FailureKind.USER_ERROR, "the rate is below the share of positives, all kept")
        for name, reference in (("start", request.start), *request.frozen.items()):
            if reference is not None and reference.digest not in self.models:
                return Failure(FailureKind.CHECKPOINT_MISSING, f"{name}: no checkpoint {reference.digest}")
        return None

    def _report(self, request: RunRequest, seconds: Seconds, added: Sequence[Seconds]) -> RunReport:
        if not self.models:
            self.truth.set_reference(request.seed)
        report = self._alone(request, seconds, request)
        riders = [self._alone(r, s, request) for r, s in zip(request.riders, added, strict=True)]
        evaluated = report.evaluated
        if evaluated is not None:
            scored = {r.run: r.evaluated.models["self"] for r in riders if r.evaluated is not None}
            evaluated = replace(evaluated, models={**evaluated.models, **scored})
        riders = [replace(rider, evaluated=None) for rider in riders]
        return replace(
            report,
            evaluated=evaluated,
            riders=tuple(riders),
            takes_riders=True,
            converts_sizes=True,
            tells_divergence=True,
        )

    def _alone(self, request: RunRequest, seconds: Seconds, leader: RunRequest) -> RunReport:
        """The report of one run of a process that ``leader`` leads."""
        begun = self._begun(request, leader)
        model = None if request.train is None else self._train(request, begun)
        checkpoint = None
        if model is not None:
            digest = f"{zlib.crc32(f'{self.scenario.seed}|{request.run}|{model}'.encode()):08x}"
            self.models[digest] = model
            checkpoint = CheckpointRef(request.output, digest)
        evaluated = self._evaluate(request, model, begun) if request.evaluation is not None else None
        return RunReport(
            run=request.run,
            rows=self._rows(request, evaluated),
            seconds=seconds,
            checkpoint=checkpoint,
            position=request.train.end if request.train is not None else None,
            evaluated=evaluated,
            kept_checkpoints=request.keep,
        )

    def _begun(self, request: RunRequest, leader: RunRequest) -> Knowledge | None:
        """What a run begins with: its start, or for a fork the leader's model; None: a cold start."""
        if request.train is None:
            return None
        if request.start is not None:
            start = self.models[request.start.digest]
            return self.truth.converted(start, request.size, self.stream.at(request.train.start))
        if not request.fork or leader.train is None:
            return None
        at = replace(leader, train=replace(leader.train, end=request.train.start))
        return self._train(at, self._begun(leader, leader))

    def _rows(self, request: RunRequest, evaluated: Evaluated | None) -> Rows:
        scored = round(self._evaluated(request)) if evaluated is not None else 0
        read = round(self._read(request))
        train = request.train
        if train is None:
            return Rows(read=read, kept=0, evaluated=scored)
        interval = self._trained(request)
        positives, kept = interval * self.scenario.base_rate, interval * train.rate
        if train.policy is Policy.UNIFORM:
            kept_positives, effective = positives * train.rate, kept
        else:
            kept_positives = positives
            weights = (interval - positives) ** 2 / max(kept - positives, 1.0)
            effective = interval**2 / (positives + weights)
        return Rows(
            read=read,
            kept=round(kept),
            positives=round(positives),
            kept_positives=round(kept_positives),
            evaluated=scored,
            effective=effective,
        )

    def _train(self, request: RunRequest, begun: Knowledge | None) -> Knowledge:
        train, at = request.train, self.stream.at
        assert train is not None
        point = Point(train.policy if train.rate < 1.0 else Policy.UNIFORM, train.rate, request.size)
        if begun is None:
            return self.truth.cold(point, at(train.start), at(train.end), request.seed)
        return self.truth.warm(begun, point, at(train.start), at(train.end))

    def _evaluate(self, request: RunRequest, model: Knowledge | None, begun: Knowledge | None) -> Evaluated:
        evaluation = request.evaluation
        assert evaluation is not None
        blocks = self._blocks(evaluation)
        scored = {}
        if model is not None:
            scored["self"] = self._own(request, model, blocks, begun)
        for name, reference in (("start", request.start), *request.frozen.items()):
            if reference is not None:
                frozen = self.models[reference.digest]
                scored[name] = self._score(blocks, frozen, self._frozen(frozen, blocks.middles))
        served = request.frozen.get("champion") or request.start
        for name, reference in request.frozen.items():
            if served is not None and name != "champion":
                apart = self._divergence(served.digest, reference.digest, request.run)
                scored[name] = replace(scored[name], divergence=apart * sum(blocks.level) / len(blocks.level))
        return Evaluated(n=blocks.n, positives=blocks.positives, digest=blocks.digest, models=scored)

    def _divergence(self, served: str, other: str, run: str) -> float:
        """How far two models' predictions lie apart, relative to the level.

        The D at which the poorer one loses its share of D and, by following later, sqrt(lag D).
        """
        s = self.scenario
        apart = abs(self.truth.gap(self.models[other]) - self.truth.gap(self.models[served]))
        root = (sqrt(s.lag + 4.0 * s.divergence_lost * apart) - sqrt(s.lag)) / (2.0 * s.divergence_lost)
        chance = Random(zlib.crc32(f"{s.seed}|{s.name}|{run}|{other}".encode())).gauss(0.0, s.divergence_sd)
        return root**2 * exp(chance)

    def _blocks(self, evaluation: Evaluation) -> Blocks:
        return self.stream.blocks(evaluation)

    def _frozen(self, model: Knowledge, times: tuple[float, ...]) -> list[float]:
        gap = self.truth.gap(model)
        return [gap + (self.truth.stale(t - model.position) if t >= model.position else -SEEN) for t in times]

    def _own(self, request: RunRequest, model: Knowledge, blocks: Blocks, begun: Knowledge | None) -> Scored:
        """The model as it learns: before the training interval what it started from, after it frozen."""
        train, at, truth = request.train, self.stream.at, self.truth
        assert train is not None
        begin, end = at(train.start), at(train.end)
        during = tuple(min(max(t, begin), end) for t in blocks.middles)
        point = Point(train.policy if train.rate < 1.0 else Policy.UNIFORM, train.rate, request.size)
        if begun is None:
            gaps = truth.along_cold(model, point, during)
        else:
            gaps = truth.along(begun, point, begin, during)
        gaps = [g + truth.stale(t - end) for g, t in zip(gaps, blocks.middles, strict=True)]
        return self._score(blocks, model, gaps)

    def _score(self, blocks: Blocks, model: Knowledge, gaps: list[float]) -> Scored:
        noise = (blocks.noise @ model.fingerprint).tolist()
        loss = tuple(
            max(n * level * (1.0 + gap + chance), 0.0)
            for n, level, gap, chance in zip(blocks.n, blocks.level, gaps, noise, strict=True)
        )
        return Scored(loss=loss, predicted=blocks.predicted)
