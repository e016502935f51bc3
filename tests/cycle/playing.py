"""A driver without processes, made-up reports and resources for the tests of the state machine."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

from dataefficient.api.load import parse_object
from dataefficient.contract import (
    CheckpointRef,
    Evaluated,
    Rows,
    RunReport,
    Scored,
    Seconds,
    format_time,
    parse_report,
    to_json,
)
from dataefficient.cycle import riding
from dataefficient.cycle.approving import is_new
from dataefficient.cycle.machine import advance, begin
from dataefficient.cycle.model import Decision, Failure, FailureKind, Memory, Observation, RunOutcome, Step

HISTORY_FROM = datetime(2001, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
HISTORY = 8
"""Weeks before the first cycle."""
START = HISTORY_FROM + HISTORY * WEEK
LONG_AFTER = START + 500 * WEEK
ROWS_PER_WEEK = 400_000
STALE = 0.002
"""What a frozen model loses to one that learns, relative."""
MAX_TURNS = 60
"""More decisions than this without the end of a cycle are a loop."""


def resource(*, cycles=6, sizes=(8, 32), **spec):
    """Spec of a resource with weekly cycles; ``spec`` replaces whole fields."""
    body = {
        "apiVersion": "dataefficient.training/v1alpha1",
        "kind": "DataEfficientTraining",
        "metadata": {"name": "made-up"},
        "spec": {
            "mode": "Enforce",
            "schedule": schedule(cycles),
            "data": {"uri": "events.parquet", "time": "time", "label": "click", "key": ["id"]},
            "kpi": {"tolerance": "0.02", "maxRegression": "0.02"},
            "knobs": {"samplingRate": {"min": "0.2", "max": "1"}, "modelSize": {"values": list(sizes)}},
            "exploration": {"share": "0.3"},
            "control": {"everyCycles": 4, "lookbackCycles": 2},
            "limits": {"maxAttempts": 3},
            "accelerators": [{"name": "cpu", "resource": "cpu", "pricePerDeviceHour": "2"}],
            "trainer": {"template": {"spec": {"containers": [{"name": "trainer", "command": ["train"]}]}}},
            **spec,
        },
    }
    return parse_object(body, "made-up").spec


def schedule(cycles, **more):
    return {
        "historyFrom": format_time(HISTORY_FROM),
        "startTime": format_time(START),
        "everySeconds": int(WEEK.total_seconds()),
        "endTime": format_time(START + cycles * WEEK),
        **more,
    }


def with_riders(plan, random, **how):
    """The report of a process: that of the leading run, and those of its riders as a trainer gives them."""
    leader, *riders = (made_up_report(own, random, **how) for own in riding.plans(plan))
    added = [replace(r.seconds, startup=0.0, total=r.seconds.total - r.seconds.startup) for r in riders]
    scored = {r.run: r.evaluated.models["self"] for r in riders if r.evaluated}
    evaluated = leader.evaluated
    if scored:
        evaluated = replace(evaluated, models={**evaluated.models, **scored})
    total = leader.seconds.total + sum(seconds.total for seconds in added)
    report = replace(
        leader,
        seconds=replace(leader.seconds, total=total),
        evaluated=evaluated,
        takes_riders=True,
        riders=tuple(replace(r, seconds=s, evaluated=None) for r, s in zip(riders, added, strict=True)),
    )
    return parse_report(to_json(report), plan.request)


def made_up_report(plan, random, *, harm=lambda point: 0.0, noise=0.001, level=0.45, scores_all=False):
    """A report that keeps the contract: losses from ``harm(point)`` and noise that no other run shares.

    What a checkpoint's plan lost is in its digest, so that it is lost again where it is scored frozen.
    All runs that score the same rows find the same counts and the same difficulty of each block.
    """
    request, train, evaluation = plan.request, plan.request.train, plan.request.evaluation
    weeks = (train.end - train.start) / WEEK
    read = round(ROWS_PER_WEEK * weeks)
    kept = round(read * train.rate)
    evaluated, scored = None, 0
    if evaluation is not None:
        read += (
            0 if train.end >= evaluation.end else round(ROWS_PER_WEEK * (evaluation.end - train.end) / WEEK)
        )
        evaluated = _evaluated(request, plan.point, random, harm, noise, level)
        part = 1.0 if scores_all else evaluation.negatives
        scored = round(sum(p + part * (n - p) for n, p in zip(evaluated.n, evaluated.positives, strict=True)))
    scoring = 1e-6 * scored * len(evaluated.models) if evaluated else 0.0
    busy = kept * (1e-5 + 1e-6 * request.size) + scoring + 2e-6 * read
    seconds = Seconds(2.0, 2e-6 * read, kept * (1e-5 + 1e-6 * request.size), scoring, 2.0 + busy)
    digest = f"{request.run}-{plan.attempt}-{random.randrange(10**9)}:{harm(plan.point)}"
    report = RunReport(
        run=request.run,
        rows=Rows(read, kept, 0, read // 5, kept // 5, scored, float(kept)),
        seconds=seconds,
        checkpoint=CheckpointRef(request.output, digest),
        position=train.end,
        evaluated=evaluated,
        kept_checkpoints=request.keep,
    )
    return parse_report(to_json(report), request)


def _evaluated(request, point, random, harm, noise, level):
    evaluation = request.evaluation
    common = Random(f"{evaluation.start}{evaluation.end}{evaluation.share}")
    edges = (evaluation.start, *evaluation.boundaries)
    spans = [(b - a) / WEEK for a, b in pairwise(edges)]
    n = tuple(max(1, round(evaluation.share * ROWS_PER_WEEK * s)) for s in spans)
    difficulty = [level * (1.0 + 0.01 * common.gauss(0.0, 1.0)) for _ in n]
    gaps = {"self": harm(point)}
    for name, checkpoint in (("start", request.start), *request.frozen.items()):
        if checkpoint is not None:
            gaps[name] = STALE + float(checkpoint.digest.rpartition(":")[2])
    models = {
        name: Scored(
            tuple(
                round(x * d * max(1.0 + gap + noise * random.gauss(0.0, 1.0), 0.0), 4)
                for x, d in zip(n, difficulty, strict=True)
            ),
            tuple(round(0.2 * x, 1) for x in n),
        )
        for name, gap in gaps.items()
    }
    return Evaluated(n, tuple(x // 5 for x in n), f"{common.randrange(2**32):08x}", models)


def success(plan, random=None, *, report_of=made_up_report, **how):
    report = report_of(plan, random or Random(plan.request.run), **how)
    seconds = min(report.seconds.total * plan.devices, plan.reserved_seconds)
    return RunOutcome(plan.request.run, plan.attempt, seconds, report=report)


def failure(plan, kind, seconds=1.0, message="the trainer's own words"):
    charged = min(seconds, plan.reserved_seconds)
    return RunOutcome(plan.request.run, plan.attempt, charged, failure=Failure(kind, message))


Answer = Callable[..., RunOutcome]


@dataclass
class Player:
    """Drives ``advance``: every run ends at once, as ``answer(plan)`` says."""

    spec: object
    answer: Answer = success
    word: Callable[[Memory], str] = lambda memory: ""
    """What a person has written by then, as a function of the memory."""
    memory: Memory = field(default_factory=lambda: begin("default/made-up"))
    now: datetime = LONG_AFTER
    events: list = field(default_factory=list)
    decisions: list = field(default_factory=list)
    observations: list = field(default_factory=list)
    launches: list = field(default_factory=list)

    def ask(self, *outcomes) -> Decision:
        before = self.memory
        observation = Observation(self.now, outcomes, approval=self.word(before))
        decision = advance(self.spec, before, observation)
        self.observations.append((before, observation))
        self.decisions.append(decision)
        self.memory = decision.memory
        self.launches.extend(decision.start)
        self.events.extend(decision.events)
        return decision

    def turn(self) -> Decision:
        """End all that runs, or wait for what is waited for, and ask once."""
        if self.memory.running:
            waits = [p.not_before for p in self.memory.running if p.not_before]
            self.now = max([self.now, *waits])
            return self.ask(*(self.answer(plan) for plan in self.memory.running))
        if self.decisions and self.decisions[-1].wait_until:
            self.now = self.decisions[-1].wait_until
        return self.ask()

    def play(self, until=lambda memory: False) -> Memory:
        """Turns until something holds, or nothing more is to be done."""
        cycle, since = self.memory.cycle, 0
        while not until(self.memory):
            decision = self.turn()
            if self.memory.step in (Step.FINISHED, Step.STOPPED):
                break
            heard = is_new(self.spec, self.memory, self.word(self.memory))
            if not self.memory.running and decision.wait_until is None and not heard:
                break
            since = 0 if self.memory.cycle != cycle else since + 1
            cycle = self.memory.cycle
            assert since < MAX_TURNS, f"cycle {cycle} never ends"
        return self.memory

    def codes(self, cycle=None):
        return [c for r in self.memory.history if cycle in (None, r.cycle) for c in r.codes]


def failing(*rules, otherwise=success):
    """An answer: runs whose name ends so, in attempts up to a number, fail with a kind.

    Each rule is (end of the name, kind, last attempt that fails).
    """

    def answer(plan):
        for end, kind, last in rules:
            if plan.request.run.endswith(end) and plan.attempt <= last:
                return failure(plan, kind)
        return otherwise(plan)

    return answer


def agreeing(*asks):
    """A word: approves what waits, of these kinds, or whatever it is."""

    def word(memory):
        asked = memory.proposal
        return asked.digest if asked is not None and (not asks or asked.ask in asks) else ""

    return word


def carrying(by=lambda point: 0.0, **how):
    """An answer of a trainer that takes riders; models of these points lose so much."""
    return lambda plan: success(plan, report_of=with_riders, harm=by, **how)


def converting(by=lambda point: 0.0, **how):
    """As ``carrying``, of a trainer that also starts from models of another size."""

    def report_of(plan, random, **rest):
        report = with_riders(plan, random, **rest)
        return replace(report, converts_sizes=True)

    return lambda plan: success(plan, report_of=report_of, harm=by, **how)


def worse(by):
    """An answer: models of these points lose so much: a function of the point."""
    return lambda plan: success(plan, harm=by)


__all__ = [
    "Failure",
    "FailureKind",
    "Player",
    "agreeing",
    "converting",
    "failing",
    "failure",
    "made_up_report",
    "replace",
    "resource",
    "schedule",
    "success",
    "worse",
]
