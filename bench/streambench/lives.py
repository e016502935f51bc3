"""Arms as they lived: cycle by cycle what was spent, and which model served.

The fixed arms follow a rule that needs no measurement; the operator's arm is whatever the state machine
decides in the local driver, with the defaults of the resource. Quality is not here: ``ruler`` measures it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import fsum
from pathlib import Path

import yaml

from dataefficient.api.load import parse_object
from dataefficient.contract import CheckpointRef, Role, RunRequest
from dataefficient.cycle.figures import Forecast
from dataefficient.cycle.machine import advance, begin, continued
from dataefficient.cycle.model import Memory, RunOutcome, Step
from dataefficient.local.drive import Driver, Work
from dataefficient.local.lock import locked
from dataefficient.local.store import Store
from dataefficient.local.watch import Running
from dataefficient.planner.knobs import Point
from dataefficient.report.measure import FAILED, add, by_cycle, report_of, spend_of
from dataefficient.report.statement import Spend
from streambench import requests
from streambench.cache import CachedStore
from streambench.execute import EmptyIntervalError, NotRunError, RunFailedError, Runner
from streambench.requests import Unit

DEVICES = 1


@dataclass(frozen=True)
class Forecasts:
    """What the operator expected of a cycle and what came, for cost (device-seconds) and KPI (log loss)."""

    cost: Forecast | None = None
    actual_cost: float | None = None
    kpi: Forecast | None = None
    actual_kpi: float | None = None


@dataclass(frozen=True)
class Cycle:
    """One cycle of an arm."""

    cycle: int
    point: Point | None
    """None: nothing was trained."""
    spent: Mapping[str, Spend]
    """By role: ``Candidate`` is what trains the next model; all others are search."""
    served: CheckpointRef | None
    """The model that served during this cycle's interval; None in cycle 0."""
    forecasts: Forecasts = field(default_factory=Forecasts)
    reason: str = ""

    @property
    def total(self) -> Spend:
        """Everything that the cycle cost."""
        return add(self.spent.values())

    @property
    def candidate(self) -> Spend:
        """Without search."""
        return self.spent.get(Role.CANDIDATE.value, Spend(0.0, 0.0, 0.0))


@dataclass(frozen=True)
class Life:
    """An arm under one seed."""

    cycles: tuple[Cycle, ...]
    ended: str = ""
    """Why it ended early; empty: it did not."""


def fixed(unit: Unit, runner: Runner, point: Point, learning_rate: float) -> Life:
    """The arm that trains every interval at ``point``; where the stream has no rows, its model serves on."""
    cycles: list[Cycle] = []
    served: CheckpointRef | None = None
    times = [None, *unit.intervals()]
    for at in times:
        if at is None:
            request = requests.cold(unit, point, learning_rate)
        else:
            assert served is not None
            request = requests.warm(unit, point, learning_rate, at, served)
        try:
            outcome = runner.run(request)
        except EmptyIntervalError as error:
            spent = {FAILED: spend_of((request, error.outcome), DEVICES)}
            cycles.append(Cycle(request.cycle, None, spent, served))
            continue
        assert outcome.report is not None
        assert outcome.report.checkpoint is not None
        spent = {Role.CANDIDATE.value: spend_of((request, outcome), DEVICES)}
        cycles.append(Cycle(request.cycle, point, spent, served))
        served = outcome.report.checkpoint
    return Life(tuple(cycles))


class Quiet:
    """A watcher that passes on sentences of runs and nothing else."""

    def __init__(self, runner: Runner, unit: Unit) -> None:
        self._say, self._name = runner.say, unit.resource

    def say(self, sentence: str) -> None:
        """A sentence of the state machine; the result has them all."""

    def started(self, request: RunRequest) -> None:
        """A run was launched."""

    def ended(self, request: RunRequest, outcome: RunOutcome) -> None:
        """A run's attempt ended."""
        self._say(f"{self._name} operator {request.run}: {outcome.device_seconds:.1f} s")

    def remembered(self, memory: Memory) -> None:
        """A decision was made."""

    def draw(self, running: Sequence[Running]) -> None:
        """What runs now."""

    def close(self) -> None:
        """Nothing more comes."""


def operator(unit: Unit, runner: Runner, folder: Path, planner: str) -> Life:
    """The state machine's life on the stream.

    Args:
        folder: for work folders, one for each resource and each version of what decides.
        planner: digest of what decides.

    Raises:
        NotRunError: it has not been driven to its end, and the time is up.
        RunFailedError: it stopped.
    """
    text = yaml.safe_dump(unit.body).encode()
    version = hashlib.sha256(
        json.dumps([planner, runner.cache.code, text.decode(), unit.cycles]).encode()
    ).hexdigest()
    place = folder / f"{unit.found.stream.name}-s{unit.seed}-{version[:16]}"
    store = CachedStore.over(place, runner.cache)
    with locked(store.folder) as lock:
        memory = _drive(unit, runner, store, lock, text)
    if memory.step is Step.STOPPED and memory.stopped is not None:
        raise RunFailedError(f"{unit.resource} stopped in cycle {memory.cycle}: {memory.stopped.message}")
    return life_of(memory, store, unit.cycles)


def _drive(unit: Unit, runner: Runner, store: CachedStore, lock: int, text: bytes) -> Memory:
    before = store.memory() if store.has_memory() else None
    over = before is not None and (before.step is Step.FINISHED or before.cycle > unit.cycles)
    if before is not None and over:
        return before
    spec = unit.spec
    memory = continued(spec, before) if before is not None else begin(unit.resource)
    store.adopt(parse_object(unit.body, "the benchmark's resource"), text)
    work = Work(spec, Path(), cycles=unit.cycles + 1)
    limited = Limited(runner)
    quiet = Quiet(runner, unit)
    driver = Driver(work, store, lock, quiet, advance=advance, launcher=runner.launcher, now=limited.now)
    return driver.drive(memory)


class Limited:
    """The driver's clock, which says when the benchmark's time is up: nothing is launched after that."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def now(self) -> datetime:
        """The time.

        Raises:
            NotRunError: the time is up; what runs is ended and goes on next time.
        """
        if time.time() >= self._runner.until:
            raise NotRunError("the operator's life has not come to its end")
        return datetime.now(UTC)


def life_of(memory: Memory, store: Store, cycles: int) -> Life:
    """The life that a work folder tells of."""
    runs = list(store.runs())
    places = {
        outcome.report.checkpoint.digest: outcome.report.checkpoint
        for _, outcome in runs
        if outcome is not None and outcome.report is not None and outcome.report.checkpoint is not None
    }
    grouped = by_cycle(runs)
    found: list[Cycle] = []
    serving: CheckpointRef | None = None
    for record in memory.history[: cycles + 1]:
        spent: dict[str, Spend] = {}
        for run in grouped.get(record.cycle, []):
            role = FAILED if report_of(run) is None else run[0].role.value
            spent[role] = add([spent.get(role, Spend(0.0, 0.0, 0.0)), spend_of(run, DEVICES)])
        beyond = record.spent_seconds - fsum(part.seconds for part in spent.values())
        if beyond > 1e-6:
            spent["Failed"] = Spend(beyond, 0.0, 0.0)
        plan = record.plan
        cost = spent.get(Role.CANDIDATE.value)
        forecasts = Forecasts(
            plan.cost if plan else None,
            cost.seconds if cost else None,
            plan.kpi if plan else None,
            record.kpi,
        )
        point, reason = (plan.point, plan.code) if plan else (None, " ".join(record.codes))
        found.append(Cycle(record.cycle, point, spent, serving, forecasts, reason))
        if record.champion is not None:
            serving = places.get(record.champion, serving)
    return Life(tuple(found))
