"""From a decision to run something to the request that the trainer gets.

Names, intervals, evaluation blocks, salts, seeds and reservations are settled here and nowhere else, so
that the same run asked for twice is the same run. What to run is decided by the callers.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dataefficient.api.compute import Device
from dataefficient.api.spec import Spec
from dataefficient.contract import CheckpointRef, Data, Evaluation, Policy, Role, RunRequest, Train
from dataefficient.cycle.model import Memory, Rider, RunPlan
from dataefficient.planner import stratified
from dataefficient.planner.knobs import Point

BLOCKS = 8
"""Blocks in the first two thirds of an interval, and again in its last third, where the gate looks."""
GATE_BLOCKS = slice(BLOCKS, 2 * BLOCKS)
FIRST_RUN_SECONDS = 6 * 3600.0
"""Reservation of a run that nothing is known of, where the budget does not bound it sooner."""
SLACK = 3.0
"""A run may take this many times its forecast, plus ``GRACE``, before it is ended."""
GRACE = 60.0
SHORTEST = 1.0
"""Seconds per device below which no run is launched."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""Environment variables of a run that bound thread pools, which would take every core otherwise."""
_DEVICES = {Device.CPU: "cpu", Device.NVIDIA: "cuda", Device.TPU: "tpu"}


@dataclass(frozen=True)
class Wanted:
    """A run that someone wants: the parts of a request that differ from run to run."""

    name: str
    role: Role
    point: Point
    train: tuple[datetime, datetime]
    evaluate: tuple[datetime, datetime] | None
    start: CheckpointRef | None = None
    frozen: Mapping[str, CheckpointRef] | None = None
    forecast_seconds: float | None = None
    other_seed: bool = False
    riders: tuple[Wanted, ...] = ()
    """Runs that its process does too; ``forecast_seconds`` of each is what it adds."""
    rides: bool = False
    """Whether it is to ride with the cycle's candidate."""
    fork: bool = False
    """Of a rider: it begins as a copy of the leading run's model."""
    compared: bool = False
    """Whether branches, or small runs, are compared on its evaluation rows: then there are more of them."""

    @property
    def least_seconds(self) -> float | None:
        """Expected device-seconds, its riders' with them; None: not known."""
        if self.forecast_seconds is None:
            return None
        return self.forecast_seconds + sum(r.forecast_seconds or 0.0 for r in self.riders)


def devices(spec: Spec) -> int:
    """Devices that one run occupies."""
    return spec.accelerators[0].per_pod * spec.accelerators[0].pods


def boundaries(start: datetime, end: datetime) -> tuple[datetime, ...]:
    """Ends of 16 time blocks: eight over the first two thirds of the interval, eight over the last."""
    length = end - start
    early = [start + length * (2 * i) / (3 * BLOCKS) for i in range(1, BLOCKS + 1)]
    late = [start + length * (2 * BLOCKS + i) / (3 * BLOCKS) for i in range(1, BLOCKS + 1)]
    return (*early, *late[:-1], end)


def reservations(spec: Spec, wanted: Sequence[Wanted], headroom_seconds: float | None) -> list[float]:
    """Device-seconds set aside for runs that are launched together.

    Where the budget does not hold all of them at their full length, each has its forecast and a part of the
    rest. Runs from the end of ``wanted`` get none, and the list is shorter, where not even forecasts fit.
    """
    forecasts = [w.least_seconds for w in wanted]
    least = [f or SHORTEST * devices(spec) for f in forecasts]
    most = [
        FIRST_RUN_SECONDS * devices(spec) if f is None else SLACK * f + GRACE * devices(spec)
        for f in forecasts
    ]
    if headroom_seconds is None:
        return most
    while least and sum(least) > headroom_seconds:
        least, most = least[:-1], most[:-1]
    extra = sum(most) - sum(least)
    part = min((headroom_seconds - sum(least)) / extra, 1.0) if extra > 0 else 1.0
    return [low + part * (high - low) for low, high in zip(least, most, strict=True)]


def evaluation_share(memory: Memory, *, compared: bool) -> float:
    """Share of the rows of its interval that a run's scores are to tell of."""
    return memory.look_share if compared and memory.look_share is not None else memory.evaluation_share


def scored_share(memory: Memory, *, compared: bool) -> float:
    """Share of the rows of its interval that each model of a run scores."""
    part = stratified.scored(memory.positives, memory.evaluation_negatives)
    return evaluation_share(memory, compared=compared) * part


def plan_run(spec: Spec, memory: Memory, wanted: Wanted, reserved: float) -> RunPlan:
    """The run as it will be launched; a name that was launched before counts its attempts on."""
    riders = tuple(_request(spec, memory, rider) for rider in wanted.riders)
    request = replace(
        _request(spec, memory, wanted), riders=riders, deadline_seconds=reserved / devices(spec)
    )
    before = [e.attempt for e in memory.ledger.entries if e.run == wanted.name]
    return RunPlan(
        request,
        wanted.point,
        devices(spec),
        wanted.forecast_seconds,
        reserved,
        max(before, default=0) + 1,
        riders=tuple(Rider(rider.point, rider.forecast_seconds) for rider in wanted.riders),
    )


def _request(spec: Spec, memory: Memory, wanted: Wanted) -> RunRequest:
    seed = zlib.crc32(memory.resource.encode()) % 1_000_000 + (1 if wanted.other_seed else 0)
    data = spec.data
    base = spec.checkpoints.uri.rstrip("/") + "/runs" if spec.checkpoints.uri else "checkpoints"
    policy = wanted.point.policy if wanted.point.rate < 1.0 else Policy.UNIFORM
    kept = [c.checkpoint.uri for c in (memory.champion, *memory.previous_champions) if c is not None]
    branches = [b.checkpoint.uri for b in (memory.trial, memory.control) if b is not None and b.checkpoint]
    return RunRequest(
        resource=memory.resource,
        cycle=memory.cycle,
        run=wanted.name,
        role=wanted.role,
        data=Data(data.uri, data.time, data.label, data.key, data.group, data.served_prediction),
        train=Train(*wanted.train, policy, wanted.point.rate, f"{memory.resource}/sampling"),
        evaluation=wanted.evaluate
        and Evaluation(
            *wanted.evaluate,
            evaluation_share(memory, compared=wanted.compared),
            f"{memory.resource}/evaluation",
            boundaries(*wanted.evaluate),
            memory.evaluation_negatives,
            spec.kpi.slices,
        ),
        size=wanted.point.size,
        seed=seed,
        output=f"{base}/{wanted.name}",
        start=wanted.start,
        frozen=dict(wanted.frozen or {}),
        keep=tuple(dict.fromkeys((*kept, *branches))),
        config=spec.trainer.config,
        device=_DEVICES[spec.accelerators[0].resource],
        threads=spec.accelerators[0].per_pod if spec.accelerators[0].resource is Device.CPU else 1,
        fork=wanted.fork,
    )


def name(cycle: int, what: str) -> str:
    """Name of a run, unique in the resource."""
    return f"c{cycle:03d}-{what}"
