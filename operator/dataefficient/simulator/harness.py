"""The closed loop: the real state machine against a simulated world, and what became of it in truth.

The machine sees reports and nothing else; this module also sees the truth and compares. It is a driver as
any other (it launches what is asked and delivers outcomes), with an exact ledger of its own.

What is measured, for one scenario and seed:

- the true gap of the published model to the reference's, over the interval that it serves, after every cycle;
- budget overruns: settled spending above a cap (there is no grace: an attempt is killed at its reservation);
- over the last half, the mean noise-free cost of the candidates and of all runs, each over that of the best
  fixed plan: the cheapest point whose gap, had it run since cycle 1, stays inside the tolerance there;
- spending after 5 and after 20 cycles, the history's included, over what the reference costs, which pays for
  its own evaluation (itself and its predecessor on the same share) in every cycle but 0;
- how often the forecasts' 80 % intervals held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import perf_counter

from dataefficient.api.load import parse_object
from dataefficient.api.spec import Resource
from dataefficient.contract import Policy, Role, format_time
from dataefficient.cycle.figures import Forecast
from dataefficient.cycle.machine import advance, begin
from dataefficient.cycle.model import CycleRecord, Memory, Observation, RunOutcome, RunPlan, Step
from dataefficient.cycle.riding import apart
from dataefficient.planner import stratified
from dataefficient.planner.knobs import Knobs, Point, ladder
from dataefficient.simulator.scenario import LOWEST_RATE, SCENARIOS, SIZES, TOLERANCE, Scenario
from dataefficient.simulator.stream import HISTORY_FROM
from dataefficient.simulator.world import World

MAX_STEPS_PER_CYCLE = 60
"""More decisions than this without a cycle's end are a loop."""
KNOBS = Knobs(ladder(LOWEST_RATE, 1.0), SIZES, (Policy.UNIFORM, Policy.NEGATIVES))
"""What the simulated resource may choose from."""


@dataclass(frozen=True)
class Coverage:
    """How many outcomes lay inside their forecast's interval."""

    inside: int = 0
    total: int = 0

    def add(self, forecast: Forecast | None, actual: float | None) -> Coverage:
        """With one more; a missing forecast or outcome counts nothing."""
        if forecast is None or actual is None:
            return self
        return Coverage(self.inside + (forecast.low <= actual <= forecast.high), self.total + 1)


@dataclass(frozen=True)
class Result:
    """What became of one scenario and seed."""

    scenario: str
    seed: int
    cycles: int
    """Cycles that were finished, cycle 0 not counted."""
    gaps: tuple[float, ...]
    """True gap after each cycle >= 1."""
    points: tuple[Point, ...]
    """Point that the published model was trained under last, after each cycle >= 1."""
    overruns: tuple[str, ...]
    steady_ratio: float | None
    steady_ratio_all: float | None
    best: Point
    overhead_5: float | None
    overhead_20: float | None
    kpi: Coverage
    cost: Coverage
    decisions: int
    spent: Mapping[str, float]
    """Device-seconds by role."""
    ledger_error: float
    """Largest difference between the machine's ledger and the driver's, relative."""
    stopped: str | None
    seconds: float

    @property
    def worst_gap(self) -> float:
        """Largest true gap; below all numbers where no cycle was finished."""
        return max(self.gaps, default=float("-inf"))

    @property
    def cycles_outside(self) -> int:
        """Cycles after which the true gap exceeded the tolerance."""
        return sum(gap > TOLERANCE for gap in self.gaps)

    @property
    def exceeded(self) -> bool:
        """Whether the true gap ever exceeded the tolerance."""
        return self.worst_gap > TOLERANCE


def resource(scenario: Scenario, cycles: int, reference_seconds: float) -> Resource:
    """The resource that is simulated: tolerance 0.2 %, five rates, two policies, three sizes, one core.

    Args:
        reference_seconds: what the reference costs in a cycle; budgets are shares of it.
    """
    length = timedelta(days=scenario.cycle_days)
    start = HISTORY_FROM + scenario.history * length
    budget: dict[str, object] = {}
    if scenario.budget.per_cycle is not None:
        budget["perCycle"] = {"deviceHours": _hours(scenario.budget.per_cycle * reference_seconds)}
    if scenario.budget.total_cycles is not None:
        budget["total"] = {"deviceHours": _hours(scenario.budget.total_cycles * reference_seconds)}
    body = {
        "apiVersion": "dataefficient.training/v1alpha1",
        "kind": "DataEfficientTraining",
        "metadata": {"name": "simulated"},
        "spec": {
            "mode": "Enforce",
            "schedule": {
                "historyFrom": format_time(HISTORY_FROM),
                "startTime": format_time(start),
                "everySeconds": int(length.total_seconds()),
                "endTime": format_time(start + cycles * length),
            },
            "data": {"uri": "events.parquet", "time": "time", "label": "click", "key": ["id"]},
            "kpi": {"tolerance": str(TOLERANCE), "maxRegression": "0.002", "confidence": "0.95"},
            "sampling": {"policies": [policy.value for policy in KNOBS.policies]},
            "knobs": {
                "samplingRate": {"min": str(LOWEST_RATE), "max": "1"},
                "modelSize": {"values": list(SIZES)},
            },
            "horizonCycles": 20,
            "exploration": {"share": "0.1"},
            "control": {"everyCycles": 10, "lookbackCycles": 3},
            "budget": budget,
            "limits": {"maxAttempts": 5},
            "trainer": {"template": {"spec": {"containers": [{"name": "trainer", "command": ["train"]}]}}},
        },
    }
    return parse_object(body, "simulated")


def _hours(seconds: float) -> str:
    return f"{seconds / 3600.0:.6f}"


@dataclass
class _Loop:
    """One closed loop in progress."""

    world: World
    cycles: int
    caps: Mapping[str, float]
    started: float = field(default_factory=perf_counter)
    decisions: int = 0
    gaps: list[float] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    plans: dict[int, RunPlan] = field(default_factory=dict)
    spent: dict[int, float] = field(default_factory=dict)
    by_role: dict[str, float] = field(default_factory=dict)
    candidate_seconds: dict[int, float] = field(default_factory=dict)
    overruns: list[str] = field(default_factory=list)
    kpi: Coverage = Coverage()
    cost: Coverage = Coverage()
    ledger_error: float = 0.0

    def launch(self, plan: RunPlan, now: datetime) -> RunOutcome:
        """Run an attempt and charge it."""
        outcome = self.world.run(plan, now)
        cycle = plan.request.cycle
        for request, part in apart(plan.request, outcome):
            role, seconds = request.role, part.device_seconds
            self.spent[cycle] = self.spent.get(cycle, 0.0) + seconds
            self.by_role[role.value] = self.by_role.get(role.value, 0.0) + seconds
            if role is Role.CANDIDATE:
                self.plans[cycle] = plan
                if part.report is not None and plan.attempt == 1:
                    self.candidate_seconds[cycle] = seconds
        kind = "perCycle" if cycle else "initial"
        for name, amount in ((kind, self.spent[cycle]), ("total", sum(self.spent.values()))):
            if amount > self.caps.get(name, float("inf")) * (1.0 + 1e-6):
                self.overruns.append(f"cycle {cycle}: {name} {amount / self.caps[name]:.3f} of the cap")
        return outcome

    def record(self, record: CycleRecord, memory: Memory) -> None:
        """Compare a finished cycle with the truth."""
        own = sum(self.spent.values())
        self.ledger_error = max(self.ledger_error, abs(memory.ledger.settled - own) / max(own, 1e-9))
        if record.plan is not None:
            self.kpi = self.kpi.add(record.plan.kpi, record.kpi)
            self.cost = self.cost.add(record.plan.cost, self.candidate_seconds.get(record.cycle))
        if record.cycle >= 1 and memory.champion is not None:
            after = float(self.world.scenario.history + record.cycle)
            self.gaps.append(self.world.distance(memory.champion.checkpoint.digest, after))
            self.points.append(memory.champion.point)

    def overhead(self, after: int) -> float | None:
        """Spending up to a cycle over the reference's, minus 1; None if it was not reached."""
        if len(self.gaps) < after or 1 not in self.plans:
            return None
        world, history = self.world, float(self.world.scenario.history)
        own = world.plan_seconds(KNOBS.reference, 0.0, history, share=0.0, models=0)
        for cycle in range(1, after + 1):
            at = history + cycle - 1.0
            own += world.plan_seconds(KNOBS.reference, at, at + 1.0, share=self.share(cycle), models=2)
        return sum(self.spent.get(cycle, 0.0) for cycle in range(after + 1)) / own - 1.0

    def share(self, cycle: int) -> float:
        """Share of the rows that a cycle's candidate, or the last one before it, is scored on."""
        known = [c for c in self.plans if c <= cycle] or list(self.plans)
        evaluation = self.plans[max(known)].request.evaluation if known else None
        if evaluation is None:
            return 0.0
        return evaluation.share * stratified.scored(self.world.scenario.base_rate, evaluation.negatives)

    def best(self) -> Point:
        """The cheapest point that stays inside the tolerance over the last half."""
        world, first = self.world, self.world.scenario.history
        half = self.cycles // 2
        points = sorted(KNOBS.points(), key=lambda p: world.plan_seconds(p, 0.0, 1.0, share=0.1, models=2))
        for point in points:
            gaps = world.truth.trajectory(point, first, first + self.cycles - 1)
            if max(gaps[half:]) <= TOLERANCE:
                return point
        return KNOBS.reference

    def steady(self, best: Point) -> tuple[float, float] | None:
        """Cost of the candidates and of all runs over the best fixed plan's, in the last half."""
        cycles = [c for c in range(self.cycles // 2 + 1, self.cycles + 1) if c in self.plans]
        if not cycles:
            return None
        own = fixed = whole = 0.0
        for cycle in cycles:
            at = self.world.scenario.history + cycle - 1.0
            fixed += self.world.plan_seconds(best, at, at + 1.0, share=self.share(cycle), models=2)
            plan = self.plans[cycle]
            own += self.world.expected_seconds(replace(plan.request, frozen={})) * plan.devices
            whole += self.spent[cycle]
        return own / fixed, whole / fixed


def simulate(name: str, seed: int, cycles: int) -> Result:
    """Run a scenario by name for so many cycles after cycle 0.

    Raises:
        RuntimeError: the machine goes round without finishing a cycle, or waits for nothing.
    """
    return simulate_scenario(SCENARIOS[name](seed), cycles)


def simulate_scenario(scenario: Scenario, cycles: int) -> Result:
    """As :func:`simulate`, for a given scenario."""
    world = World(scenario)
    reference_seconds = world.plan_seconds(KNOBS.reference, 0.0, 1.0, share=0.1, models=2)
    spec = resource(scenario, cycles, reference_seconds).spec
    shares = {"perCycle": scenario.budget.per_cycle, "total": scenario.budget.total_cycles}
    # As they are declared: a cap has as many digits as a person writes.
    caps = {k: 3600.0 * float(_hours(v * reference_seconds)) for k, v in shares.items() if v is not None}
    loop = _Loop(world, cycles, caps)
    memory, now, last, since = begin("default/simulated"), HISTORY_FROM, -1, 0
    outcomes: tuple[RunOutcome, ...] = ()
    while True:
        decision = advance(spec, memory, Observation(now, outcomes))
        memory, outcomes = decision.memory, ()
        loop.decisions, since = loop.decisions + 1, since + 1
        for record in memory.history:
            if record.cycle > last:
                loop.record(record, memory)
                last, since = record.cycle, 0
        if memory.step in (Step.FINISHED, Step.STOPPED):
            break
        if since > MAX_STEPS_PER_CYCLE:
            raise RuntimeError(f"{scenario.name} seed {scenario.seed}: cycle {memory.cycle} never ends")
        if memory.running:
            outcomes = tuple(loop.launch(plan, max(now, plan.not_before or now)) for plan in memory.running)
            waited = [plan.not_before for plan in memory.running if plan.not_before is not None]
            longest = max(o.device_seconds / p.devices for o, p in zip(outcomes, memory.running, strict=True))
            now = max([now, *waited]) + timedelta(seconds=longest)
        elif decision.wait_until is None or decision.wait_until <= now:
            raise RuntimeError(f"{scenario.name} seed {scenario.seed}: waits for nothing at {memory.step}")
        else:
            now = decision.wait_until
    return _result(loop, memory)


def _result(loop: _Loop, memory: Memory) -> Result:
    best = loop.best()
    steady = loop.steady(best)
    return Result(
        scenario=loop.world.scenario.name,
        seed=loop.world.scenario.seed,
        cycles=len(loop.gaps),
        gaps=tuple(loop.gaps),
        points=tuple(loop.points),
        overruns=tuple(loop.overruns),
        steady_ratio=steady[0] if steady else None,
        steady_ratio_all=steady[1] if steady else None,
        best=best,
        overhead_5=loop.overhead(5),
        overhead_20=loop.overhead(20),
        kpi=loop.kpi,
        cost=loop.cost,
        decisions=loop.decisions,
        spent=dict(loop.by_role),
        ledger_error=loop.ledger_error,
        stopped=memory.stopped.code if memory.stopped is not None else None,
        seconds=perf_counter() - loop.started,
    )
