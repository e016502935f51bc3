"""Hand-made run plans for the tests of the simulated world."""

from datetime import datetime, timedelta

from dataefficient.contract import CheckpointRef, Data, Evaluation, Policy, Role, RunRequest, Train
from dataefficient.cycle.model import RunPlan
from dataefficient.planner.knobs import Point
from dataefficient.simulator.stream import HISTORY_FROM

WEEK = timedelta(days=7)
LATER = HISTORY_FROM + 500 * WEEK
FULL = Point(Policy.UNIFORM, 1.0, 32)


def when(cycles: float) -> datetime:
    return HISTORY_FROM + cycles * WEEK


def plan(
    run: str,
    point: Point = FULL,
    *,
    train: tuple[float, float] | None = None,
    score: tuple[float, float] | None = None,
    start: CheckpointRef | None = None,
    frozen: dict[str, CheckpointRef] | None = None,
    blocks: int = 12,
    share: float = 0.1,
    seed: int = 0,
    role: Role = Role.PROBE,
    cycle: int = 1,
    attempt: int = 1,
    reserved: float = 1e12,
) -> RunPlan:
    evaluation = None
    if score is not None:
        begin, end = when(score[0]), when(score[1])
        ends = [begin + (end - begin) * i / blocks for i in range(1, blocks)]
        evaluation = Evaluation(begin, end, share, "evaluation", (*ends, end))
    request = RunRequest(
        resource="default/simulated",
        cycle=cycle,
        run=run,
        role=role,
        data=Data("events.parquet", "time", "click", ("id",)),
        train=Train(when(train[0]), when(train[1]), point.policy, point.rate, "sampling") if train else None,
        evaluation=evaluation,
        size=point.size,
        seed=seed,
        output=f"checkpoints/{run}",
        start=start,
        frozen=frozen or {},
    )
    return RunPlan(request, point, 1, None, reserved, attempt)
