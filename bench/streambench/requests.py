"""The runs of arms that do not decide: the operator's own requests, asked for by a fixed rule.

They are built where the operator builds its own (``cycle.launch``), so that names apart nothing differs: the
same intervals, salts, seeds and evaluation rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dataefficient.api.load import parse_object
from dataefficient.api.schedule import interval
from dataefficient.api.spec import Spec
from dataefficient.contract import CheckpointRef, Evaluation, Policy, Role, RunRequest
from dataefficient.cycle.launch import FIRST_RUN_SECONDS, Wanted, boundaries, name, plan_run
from dataefficient.cycle.machine import begin
from dataefficient.planner.knobs import Point
from streambench.streams import Found

MODELS_A_RUN = 4
"""Models that one scoring run scores: as many as a request may name."""


@dataclass(frozen=True)
class Unit:
    """One stream under one seed. ``learning_rate`` multiplies the trainer's own, for all arms alike."""

    found: Found
    seed: int
    tolerance: str
    cycles: int
    """Cycles after the history that are run."""
    learning_rate: float = 1.0

    @property
    def body(self) -> dict[str, Any]:
        """The resource."""
        return self.found.resource(self.seed, self.tolerance, self.learning_rate)

    @property
    def spec(self) -> Spec:
        """Its specification."""
        return parse_object(self.body, "the benchmark's resource").spec

    @property
    def resource(self) -> str:
        """``namespace/name``."""
        return f"default/{self.found.stream.name}-s{self.seed}"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Ascending."""
        return tuple(sorted(self.found.parts["sizes"]))

    def intervals(self) -> Iterator[tuple[int, datetime, datetime]]:
        """Cycles 1, 2, ... with their intervals."""
        schedule = self.spec.schedule
        for cycle in range(1, self.cycles + 1):
            period = interval(schedule, cycle)
            if period is None:
                return
            yield cycle, period.start, period.end

    def holdouts(self) -> tuple[datetime, datetime]:
        """Where the two parts of the history begin on which learning rates and sizes are chosen.

        A published model serves one interval unchanged, so each is as long as an interval, and at most a
        quarter of the history. Two, since models differ far more from one fortnight to the next than from
        each other.
        """
        start, end = self.spec.schedule.history_from, self.spec.schedule.start_time
        _, first, last = next(self.intervals())
        length = min(last - first, (end - start) / 4)
        return end - 2 * length, end - length


def on_history(unit: Unit, size: int, learning_rate: float, before: CheckpointRef | None) -> RunRequest:
    """Train on the history up to a hold-out, then score the finished model on all of it.

    Args:
        before: what the same request for the first hold-out left; None: this is the first.
    """
    schedule, (first, second) = unit.spec.schedule, unit.holdouts()
    train = (schedule.history_from, first) if before is None else (first, second)
    evaluate = (first, second) if before is None else (second, schedule.start_time)
    wanted = Wanted(
        name(0, f"tune-{size}-{learning_rate:.4g}-{1 if before is None else 2}"),
        Role.PROBE,
        Point(Policy.UNIFORM, 1.0, size),
        train,
        evaluate,
        start=before,
    )
    request = _request(unit, 0, wanted)
    assert request.evaluation is not None
    # All rows: nothing is charged for it, and differences between learning rates are small.
    whole = replace(request.evaluation, share=1.0)
    return replace(request, evaluation=whole, config=_with_rate(request.config, learning_rate))


def cold(unit: Unit, point: Point, learning_rate: float) -> RunRequest:
    """Cycle 0 of a fixed arm."""
    schedule = unit.spec.schedule
    wanted = Wanted(
        name(0, "fixed"),
        Role.CANDIDATE,
        point,
        (schedule.history_from, schedule.start_time),
        (unit.holdouts()[1], schedule.start_time),
    )
    request = _request(unit, 0, wanted)
    return replace(request, config=_with_rate(request.config, learning_rate))


def warm(
    unit: Unit, point: Point, learning_rate: float, at: tuple[int, datetime, datetime], start: CheckpointRef
) -> RunRequest:
    """A later cycle of a fixed arm."""
    cycle, *span = at
    wanted = Wanted(
        name(cycle, "fixed"), Role.CANDIDATE, point, (span[0], span[1]), (span[0], span[1]), start=start
    )
    request = _request(unit, cycle, wanted)
    return replace(request, config=_with_rate(request.config, learning_rate))


def scoring(
    unit: Unit, at: tuple[int, datetime, datetime], models: Mapping[str, CheckpointRef]
) -> RunRequest:
    """Score frozen models on every row of a cycle's interval. It belongs to no arm and is charged to none."""
    cycle, start, end = at
    wanted = Wanted(
        name(cycle, "score"), Role.PROBE, Point(Policy.UNIFORM, 1.0, unit.sizes[-1]), (start, end), None
    )
    whole = Evaluation(start, end, 1.0, f"{unit.resource}/evaluation", boundaries(start, end))
    return replace(_request(unit, cycle, wanted), train=None, evaluation=whole, frozen=dict(models))


def _request(unit: Unit, cycle: int, wanted: Wanted) -> RunRequest:
    memory = replace(begin(unit.resource), cycle=cycle)
    return plan_run(unit.spec, memory, wanted, FIRST_RUN_SECONDS).request


def _with_rate(config: Mapping[str, Any], learning_rate: float) -> dict[str, Any]:
    return {**config, "learningRate": learning_rate}
