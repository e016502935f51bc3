"""A small made-up life of a resource: nine cycles, both controls, numbers that can be checked by hand.

Ours trains 100 s (20 s of it start-up) in cycle 0 and 20 s (4 s) later, with a trial of 10 s in cycle 2;
the largest control trains 100 s and 50 s (4 s), the right-sized one 60 s and 30 s (4 s).
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dataefficient.api.load import parse_resource
from dataefficient.contract import (
    CheckpointRef,
    Data,
    Evaluated,
    Evaluation,
    Policy,
    Role,
    Rows,
    RunReport,
    RunRequest,
    Scored,
    Seconds,
    Train,
)
from dataefficient.cycle.model import (
    Champion,
    Convergence,
    CycleRecord,
    Forecast,
    Gate,
    Ledger,
    Measured,
    Memory,
    Option,
    Plan,
    Rung,
    RunOutcome,
    RunSummary,
    Step,
)
from dataefficient.planner.contrasts import Contrast, Spell
from dataefficient.planner.knobs import Point
from dataefficient.report.savings import ControlRuns
from dataefficient.report.statement import Lineage

YAML = """
apiVersion: dataefficient.training/v1alpha1
kind: DataEfficientTraining
metadata: {name: late-flights}
spec:
  mode: Enforce
  schedule: {historyFrom: "2001-01-01T00:00:00Z", startTime: "2001-03-01T00:00:00Z",
             everySeconds: 1209600, endTime: "2001-06-30T00:00:00Z"}
  data: {uri: flights.parquet, time: departure, label: late, key: [departure, origin, destination]}
  kpi: {target: "0.47", tolerance: "0.005"}
  knobs: {samplingRate: {min: "0.1"}, modelSize: {values: [4, 8, 16]}}
  budget: {currency: USD}
  accelerators: [{name: cpu, resource: cpu, pricePerDeviceHour: "0.04"}]
  trainer: {template: {spec: {containers: [{name: trainer, command: [python, -m, dataefficient_trainer]}]}}}
"""
FULL = Point(Policy.UNIFORM, 1.0, 16)
HALF = Point(Policy.NEGATIVES, 0.5, 8)
QUARTER = Point(Policy.NEGATIVES, 0.25, 8)
CYCLES = 9
BLOCKS = 16
ROWS = 1000
"""Evaluation rows of one block."""
BEGIN = datetime(2001, 3, 1, tzinfo=UTC)
EVERY = timedelta(days=14)


def resource(text: str = YAML):
    return parse_resource(text, "made-up.yaml")


def wiggle(cycle: int, block: int) -> float:
    """Common to all models: the stream's own ups and downs, in nats."""
    return 0.02 * ((cycle * 7 + block * 3) % 5 - 2) / 2


def jitter(cycle: int, block: int, seed: int) -> float:
    """A model's own noise, in nats, balanced over blocks."""
    return 0.0008 * ((cycle * 5 + block * 7 + seed * 3) % 9 - 4) / 4


def scored(cycle: int, level: float, seed: int, calibration: float = 1.0, auc: float = 0.70) -> Scored:
    loss = tuple(ROWS * (level + wiggle(cycle, b) + jitter(cycle, b, seed)) for b in range(BLOCKS))
    return Scored(loss, tuple(200.0 * calibration for _ in range(BLOCKS)), auc + 0.001 * (cycle % 3))


def evaluated(cycle: int, start: Scored | None) -> Evaluated:
    models = {"self": scored(cycle, 0.455, 9)}
    if start is not None:
        models["start"] = start
    return Evaluated((ROWS,) * BLOCKS, (200,) * BLOCKS, f"rows-{cycle}", models)


def interval(cycle: int) -> tuple[datetime, datetime]:
    if cycle == 0:
        return datetime(2001, 1, 1, tzinfo=UTC), BEGIN
    return BEGIN + (cycle - 1) * EVERY, BEGIN + cycle * EVERY


def run(name, role, cycle, point, seconds, startup, start, device_seconds=None):
    begin, end = interval(cycle)
    reference = (
        CheckpointRef(f"checkpoints/{cycle - 1}", f"digest-{cycle - 1}") if start is not None else None
    )
    request = RunRequest(
        resource="default/late-flights",
        cycle=cycle,
        run=name,
        role=role,
        data=Data("flights.parquet", "departure", "late", ("departure",)),
        train=Train(begin, end, point.policy, point.rate, "salt"),
        evaluation=Evaluation(begin, end, 0.1, "salt", (end,)),
        size=point.size,
        seed=1,
        output=f"checkpoints/{name}",
        start=reference,
    )
    read = 1_000_000 if cycle == 0 else 230_000
    report = RunReport(
        name,
        Rows(read, int(read * point.rate), positives=read // 5),
        Seconds(startup, 1.0, seconds - startup - 3.0, 2.0, seconds),
        CheckpointRef(f"checkpoints/{name}", f"digest-{name}"),
        end,
        evaluated(cycle, start),
    )
    return request, RunOutcome(name, 1, seconds if device_seconds is None else device_seconds, report)


def point_of(cycle: int) -> Point:
    return FULL if cycle == 0 else HALF if cycle < 4 else QUARTER


SPREAD = (0.0, 0.1, -0.1, 0.05, -0.05, 0.0, 0.1, -0.1, 0.0)
"""Seconds more or less in each cycle; they cancel out over all cycles."""


def ours():
    runs = []
    for k in range(CYCLES):
        start = None if k == 0 else scored(k, 0.460, 1, calibration=1.02)
        seconds, startup = (100.0, 20.0) if k == 0 else (20.0 + SPREAD[k], 4.0)
        runs.append(run(f"c{k:03d}-candidate", Role.CANDIDATE, k, point_of(k), seconds, startup, start))
    runs.append(run("c002-trial", Role.TRIAL, 2, QUARTER, 10.0, 4.0, None))
    return runs


def control(lineage: Lineage, size: int, first: float, later: float, level: float) -> ControlRuns:
    point = Point(Policy.UNIFORM, 1.0, size)
    runs = []
    for k in range(CYCLES):
        start = None if k == 0 else scored(k, level, 2, calibration=1.0, auc=0.702)
        seconds = first if k == 0 else later + SPREAD[k]
        startup = 20.0 if k == 0 else 4.0
        runs.append(run(f"ctl-c{k:03d}-size-{size}", Role.CONTROL, k, point, seconds, startup, start))
    return ControlRuns(lineage, size, "made up", tuple(runs))


def controls() -> list[ControlRuns]:
    return [
        control(Lineage.LARGEST, 16, 100.0, 50.0, 0.4598),
        control(Lineage.RIGHT_SIZED, 8, 60.0, 30.0, 0.4597),
    ]


OPTIONS = (
    Option(FULL, 50.0, 0.0, 0.0, "Inside the tolerance, but not cheaper"),
    Option(HALF, 26.0, 0.0004, 0.003, "Inside the tolerance, but not cheaper"),
    Option(QUARTER, 20.0, 0.0009, 0.0041, "Chosen"),
)


def record(cycle: int) -> CycleRecord:
    begin, end = interval(cycle)
    point = point_of(cycle)
    plan = Plan(
        cycle,
        point,
        begin,
        end,
        Forecast(21.0, 17.0, 26.0),
        None if cycle == 0 else Forecast(0.461, 0.452, 0.470),
        "The cheapest of 3 plans inside the tolerance: its distance is at most 0.41% of 0.50% allowed",
        "CheapestInsideTolerance",
        OPTIONS,
    )
    name = f"c{cycle:03d}-candidate"
    seconds = 100.0 if cycle == 0 else 20.0 + SPREAD[cycle]
    read = 1_000_000 if cycle == 0 else 230_000
    kept = int(read * point.rate)
    summary = RunSummary(
        name, Role.CANDIDATE, point, read, kept, 16_000, seconds, seconds, f"digest-{name}", "Succeeded"
    )
    gate = Gate(-0.004, 0.001, 0.002, published=True, reason="The candidate stays within 0.20%")
    return CycleRecord(
        cycle=cycle,
        start=begin,
        end=end,
        plan=plan,
        kpi=None if cycle == 0 else 0.460 + 0.004 * ((cycle * 7) % 5 - 2),
        kpi_standard_error=None if cycle == 0 else 0.0018,
        distance=0.0004 * min(cycle, 3),
        distance_bound=0.001 * min(cycle, 4),
        gate=None if cycle == 0 else gate,
        spent_seconds=seconds + (10.0 if cycle == 2 else 0.0),
        runs=(summary,),
        notes=("Trial of 0.25 of the rows (Negatives), size 8",) if cycle == 2 else (),
        champion=f"digest-{name}",
    )


def measured(size: int, rate: float) -> Measured:
    trained = int(230_000 * rate)
    training = trained * (40e-6 + 5e-6 * size)
    return Measured(size, 230_000, trained, 46_000, 4.0, 1.0, training, 1.5, 6.5 + training)


def _cold(point, cycle, gap, error):
    return Contrast((Spell(point, 1.0),), (Spell(FULL, 1.0),), cycle, None, gap, error)


def memory() -> Memory:
    history = tuple(record(k) for k in range(CYCLES))
    spent = sum(r.spent_seconds for r in history)
    rungs = tuple(
        Rung(n, 0.452 + 40.0 / n**0.75, 0.002) for n in (31_250, 62_500, 125_000, 250_000, 500_000, 1_000_000)
    )
    return Memory(
        resource="default/late-flights",
        cycle=CYCLES,
        step=Step.FINISHED,
        plan=replace(history[-1].plan, point=QUARTER),
        champion=Champion(CheckpointRef("c", "d"), CYCLES - 1, QUARTER, BEGIN, 0.004),
        contrasts=(
            _cold(HALF, 2, 0.0005, 0.0004),
            _cold(QUARTER, 4, 0.0011, 0.0005),
            _cold(Point(Policy.UNIFORM, 0.25, 16), 4, 0.0062, 0.0007),
            _cold(Point(Policy.UNIFORM, 0.5, 16), 4, 0.0021, 0.0006),
            _cold(Point(Policy.UNIFORM, 1.0, 8), 0, 0.0002, 0.0004),
            _cold(Point(Policy.NEGATIVES, 0.125, 8), 6, 0.0049, 0.0008),
        ),
        convergence=Convergence(
            410_000.0,
            250_000.0,
            520_000.0,
            1_000_000.0,
            "from 410,000 examples on, the loss stays within 0.25 %",
            rungs,
        ),
        measured=tuple(measured(size, rate) for size in (4, 8, 16) for rate in (1.0, 0.25)),
        row_rate=230_000 / EVERY.total_seconds(),
        ledger=Ledger(settled=spent, by_role={"Candidate": spent - 10.0, "Trial": 10.0}),
        history=history,
    )
