"""What is declared and what runs will cost: half of what follows from the memory.

Derived anew at every decision and never stored, so that it cannot disagree with what was measured. What is
believed of plans is ``knowledge``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, lru_cache

from dataefficient.api.schedule import Interval, interval, whole_period
from dataefficient.api.spec import Spec
from dataefficient.contract import Role
from dataefficient.cycle.covering import headroom
from dataefficient.cycle.launch import devices, scored_share
from dataefficient.cycle.model import Champion, Measured, Memory
from dataefficient.planner.budget import Headroom
from dataefficient.planner.costs import CostModel, MeasuredRun
from dataefficient.planner.knobs import Knobs, Point, ladder

HISTORY_ADVANCE = 5
"""Cycles whose exploration share is advanced to cycle 0."""
RIDING = 0.1
"""A branch rides where starting a process of its own, and reading in it, takes more than this share of its
work."""


@lru_cache(maxsize=4)
def _cost_model(measured: tuple[Measured, ...]) -> CostModel:
    """Kept from one decision to the next: most of them measure nothing new."""
    return CostModel.fit(
        [
            MeasuredRun(
                size=m.size,
                rows_read=m.read,
                rows_trained=m.trained,
                rows_evaluated=m.evaluated,
                startup=m.startup,
                read=m.reading,
                train=m.training,
                evaluate=m.evaluating,
                carry=m.carrying,
            )
            for m in measured
        ]
    )


@dataclass(frozen=True)
class Costing:
    """Knobs, intervals, costs and the budget, derived from spec and memory at one time."""

    spec: Spec
    memory: Memory
    now: datetime

    @cached_property
    def knobs(self) -> Knobs:
        """The notches that the spec allows."""
        rate = self.spec.knobs.sampling_rate
        return Knobs(
            ladder(float(rate.min), float(rate.max)),
            tuple(sorted(self.spec.knobs.model_size.values)),
            self.spec.sampling.policies,
            self.memory.positives,
        )

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """All points, the reference first.

        Where the lineage's size is no longer allowed it goes on at that size until another one wins.
        """
        points = self.knobs.points()
        if self.origin is None or self.origin.point.size in self.knobs.sizes:
            return points
        size = self.origin.point.size
        return (*points, *(replace(p, size=size) for p in points if p.size == self.reference.size))

    @property
    def reference(self) -> Point:
        """The most data at the largest size."""
        return self.knobs.reference

    @cached_property
    def next_interval(self) -> Interval | None:
        """Interval of the cycle that is being worked on."""
        return interval(self.spec.schedule, self.memory.cycle)

    @property
    def origin(self) -> Champion | None:
        """What the next candidate starts from; None before the first."""
        return self.memory.successor or self.memory.champion

    @property
    def price(self) -> float | None:
        """Price of one device for one hour."""
        price = self.spec.accelerators[0].price_per_device_hour
        return None if price is None else float(price)

    @cached_property
    def costs(self) -> CostModel | None:
        """Measured cost; None before the first run ended."""
        return _cost_model(self.memory.measured) if self.memory.measured else None

    def rows(self, start: datetime, end: datetime) -> float:
        """Expected rows of the stream in an interval."""
        return (self.memory.row_rate or 0.0) * (end - start).total_seconds()

    def run_cost(
        self,
        point: Point,
        trained: float,
        scored: float = 0.0,
        models: int = 2,
        read: float | None = None,
        *,
        compared: bool = False,
    ) -> float:
        """Expected device-seconds of a run.

        Args:
            trained: rows of the training interval, before sampling.
            scored: rows of the evaluation interval, before those to score are taken.
            models: models scored on them.
            read: rows read; the training interval's where None.
            compared: whether branches or small runs are compared on the evaluation rows.
        """
        assert self.costs is not None
        return self.costs.predict(
            size=point.size,
            rows_read=trained if read is None else read,
            rows_trained=trained * point.rate,
            rows_evaluated=scored * scored_share(self.memory, compared=compared) * models,
        ) * devices(self.spec)

    def added_cost(self, point: Point, trained: float, beyond: float = 0.0) -> float:
        """Expected device-seconds of training on ``trained`` rows (before sampling) as a rider.

        Args:
            beyond: rows among them that the process reads for it alone.
        """
        assert self.costs is not None
        carried = self.costs.carrying(point.size) * devices(self.spec)
        return carried + self.run_cost(point, trained, read=beyond) - self.run_cost(point, 0.0)

    def rides(self, point: Point, trained: float) -> bool:
        """Whether a branch rides with the candidate: where a process of its own would be much of its cost.

        Else it runs beside it, and both are done sooner.
        """
        shared = self.run_cost(point, 0.0, read=trained)
        return self.memory.takes_riders and shared > RIDING * self.added_cost(point, trained)

    def branch_cost(self, point: Point, trained: float, beyond: float = 0.0) -> float:
        """Expected device-seconds of training a branch once, as a rider where it rides."""
        if self.rides(point, trained):
            return self.added_cost(point, trained, beyond)
        return self.run_cost(point, trained)

    def look_cost(self, point: Point) -> float:
        """Expected device-seconds of a look at a branch: scoring it, and the candidate's two on more rows."""
        lineage = self.reference if self.origin is None else self.origin.point
        two, more = (self._scoring(lineage, 2, compared=compared) for compared in (False, True))
        return self._scoring(point, 1, compared=True) + more - two

    def _scoring(self, point: Point, models: int, *, compared: bool) -> float:
        scored = self.run_cost(point, 0.0, self.cycle_rows, models, compared=compared)
        return scored - self.run_cost(point, 0.0)

    @cached_property
    def past_costs(self) -> tuple[tuple[float, float], ...]:
        """(forecast, actual) device-seconds of earlier candidates."""
        return tuple(
            (r.plan.cost.mean, next(x.device_seconds for x in r.runs if x.role is Role.CANDIDATE))
            for r in self.memory.history
            if r.plan and r.plan.cost and any(x.role is Role.CANDIDATE for x in r.runs)
        )

    @cached_property
    def cycle_rows(self) -> float:
        """Rows of one ordinary cycle."""
        whole = whole_period(self.spec.schedule)
        return self.rows(whole.start, whole.end)

    @cached_property
    def cycle_length(self) -> timedelta:
        """Event time of one ordinary cycle."""
        whole = whole_period(self.spec.schedule)
        return whole.end - whole.start

    @property
    def runs(self) -> frozenset[str]:
        """Names of the cycle's runs that are done."""
        return frozenset(outcome.run for outcome in self.memory.done)

    def cycle_cost(self, point: Point) -> float:
        """Expected device-seconds of one ordinary cycle's candidate."""
        return self.run_cost(point, self.cycle_rows, self.cycle_rows)

    @cached_property
    def accrual(self) -> float:
        """Device-seconds that exploration earns in a cycle."""
        return float(self.spec.exploration.share) * self.cycle_cost(self.reference)

    def earned(self, cycles: int) -> float:
        """Device-seconds that exploration earns within so many cycles from now, less what was advanced."""
        return self.accrual * max(min(cycles, self.memory.cycle + cycles - HISTORY_ADVANCE), 0)

    @cached_property
    def headroom(self) -> Headroom:
        """What the budget leaves now, reservations taken off."""
        return headroom(self.spec, self.memory, self.now)

    def cheaper(self, points: Sequence[Point], than: Point) -> list[Point]:
        """Those points whose ordinary cycle costs less."""
        limit = self.cycle_cost(than)
        return [p for p in points if p != than and self.cycle_cost(p) < limit]
