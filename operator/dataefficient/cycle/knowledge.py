"""What follows from the memory before anything is decided: costs, beliefs, budget left.

Derived anew at every decision and never stored, so that it cannot disagree with what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from math import sqrt
from statistics import median

from dataefficient.api.schedule import Interval, interval
from dataefficient.api.spec import Mode, Spec
from dataefficient.cycle.launch import devices
from dataefficient.cycle.model import Measured, Memory
from dataefficient.planner import belief, budget
from dataefficient.planner.belief import Belief, rate_share
from dataefficient.planner.choice import Situation, Stake, spent_alpha
from dataefficient.planner.costs import CostModel, MeasuredRun
from dataefficient.planner.explore import Terms
from dataefficient.planner.forecast import next_level
from dataefficient.planner.knobs import Knobs, Point, ladder

CERTIFIED_SHARE = 0.75
"""Share of the tolerance that certified plans may use; the rest is for changes of the stream."""
SLOW = 0.8
"""Quantile of the carry-over that trials are planned with: slow forgetting must be excluded by them."""
KEEP_Z = 0.84
"""The plan in force stays while its bound of 80 % lies inside the tolerance."""
DRIFT_SHARE = 0.02
"""Random walk of a plan's distance per cycle, as a share of the tolerance."""
RESOLVING_CYCLES = 8
"""Cycles over which paired comparisons are pooled before a distance is called resolvable."""
ROW_SPREAD = 0.4
"""Paired standard deviation per row between different plans, relative to the loss (levers study: 0.2
between similar arms, 0.4 between different ones)."""
EVALUATION_COST = 0.05
"""Largest share of the reference's cost that scoring may take."""


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
            )
            for m in measured
        ]
    )


@dataclass(frozen=True)
class Knowledge:
    """Everything that decisions read, derived from spec and memory at one time."""

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
        )

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """All points, the reference first."""
        return self.knobs.points()

    @property
    def reference(self) -> Point:
        """The most data at the largest size."""
        return self.knobs.reference

    @cached_property
    def next_interval(self) -> Interval | None:
        """Interval of the cycle that is being worked on."""
        return interval(self.spec.schedule, self.memory.cycle)

    @cached_property
    def tolerance(self) -> float:
        """Relative distance allowed for life; without one, what the target leaves below the reference."""
        if self.spec.kpi.tolerance is not None:
            return float(self.spec.kpi.tolerance)
        if self.target is None or self.level is None:
            return 1e-9
        return max(self.target / (self.level / (1.0 + self.memory.distance)) - 1.0, 1e-9)

    @property
    def certified_tolerance(self) -> float:
        """What a plan's bound must stay inside: a part of the tolerance is kept for what no one measured."""
        return CERTIFIED_SHARE * self.tolerance

    @property
    def target(self) -> float | None:
        """Level that must not be exceeded, where the planner's own metric is what it speaks of."""
        if self.spec.kpi.target is None or self.spec.kpi.query:
            return None
        return float(self.spec.kpi.target)

    @cached_property
    def level_forecast(self) -> tuple[float, float, float] | None:
        """Mean and 80 % interval of the next level."""
        return next_level(self.memory.levels, self.memory.level_spread)

    @property
    def level(self) -> float | None:
        """Expected next level."""
        return self.level_forecast[0] if self.level_forecast else None

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
        self, point: Point, trained: float, scored: float = 0.0, models: int = 2, read: float | None = None
    ) -> float:
        """Expected device-seconds of a run.

        Args:
            trained: rows of the training interval, before sampling.
            scored: rows of the evaluation interval, before its share is taken.
            models: models scored on them.
            read: rows read; the training interval's where None.
        """
        assert self.costs is not None
        return self.costs.predict(
            size=point.size,
            rows_read=trained if read is None else read,
            rows_trained=trained * point.rate,
            rows_evaluated=scored * self.memory.evaluation_share * models,
        ) * devices(self.spec)

    @cached_property
    def cycle_rows(self) -> float:
        """Rows of one ordinary cycle."""
        first = interval(self.spec.schedule, 1)
        assert first is not None
        return self.rows(first.start, first.end)

    def cycle_cost(self, point: Point) -> float:
        """Expected device-seconds of one ordinary cycle's candidate."""
        return self.run_cost(point, self.cycle_rows, self.cycle_rows)

    @cached_property
    def carry_over(self) -> float:
        """Share of a distance that is left after one cycle: the median of what the branches showed."""
        return self._evidence.carry_over(0.5)

    @cached_property
    def _evidence(self) -> belief.Evidence:
        wear = belief.Wear(DRIFT_SHARE * self.tolerance, self.memory.seed_noise)
        known = set(self.points)
        contrasts = [c for c in self.memory.contrasts if {c.point, c.against} <= known]
        prior = belief.informative_prior(self.points[1:], self.knobs, self.tolerance)
        scale = dict(zip(self.points[1:], prior.mean.tolist(), strict=True))
        return belief.Evidence(contrasts, self.reference, cycle=self.memory.cycle + 1, wear=wear, scale=scale)

    @cached_property
    def accrual(self) -> float:
        """Device-seconds that exploration earns in a cycle."""
        return float(self.spec.exploration.share) * self.cycle_cost(self.reference)

    @cached_property
    def certain(self) -> dict[Point, Belief]:
        """What measurements of each plan itself say."""
        return self._evidence.beliefs(self.points[1:], belief.vague_prior(self.points[1:], self.tolerance))

    @cached_property
    def curious(self) -> dict[Point, Belief]:
        """What may be hoped of each plan, measured or not."""
        prior = belief.informative_prior(self.points[1:], self.knobs, self.tolerance)
        return self._evidence.beliefs(self.points[1:], prior)

    @cached_property
    def stakes(self) -> dict[Point, Stake]:
        """Expected distance and bound of every point.

        The bound of a new plan comes from measurements of that plan, or of a harsher one by the law of the
        rate, at the confidence that alpha spending leaves. The plan in force passed that once and needs
        less to stay.
        """
        return {p: self._stake(p, KEEP_Z if p == self.in_force else self.z) for p in self.points}

    @property
    def in_force(self) -> Point | None:
        """The plan that a trial certified last, or the one that ran last."""
        return self.memory.adopted or (self.memory.plan.point if self.memory.plan else None)

    def _stake(self, point: Point, z: float) -> Stake:
        if point == self.reference:
            return Stake(0.0, 0.0)
        known = (p for p in self.measured_points if p.size == point.size)
        if not any(rate_share(point, harsher) is not None for harsher in known):
            return Stake(None, None)
        own = self.curious[point]
        bounds = [max(own.upper(z), 0.0)]
        for harsher, certain in self.certain.items():
            share = rate_share(point, harsher) if harsher != self.reference else None
            if share is not None:
                # With a smaller size only part of the harsher plan's distance falls with the rate.
                share = share if point.size == self.reference.size else 1.0
                bounds.append(share * max(certain.upper(z), 0.0))
        return Stake(own.mean, min(bounds))

    @cached_property
    def measured_points(self) -> frozenset[Point]:
        """Plans that a contrast speaks of."""
        return frozenset(p for c in self.memory.contrasts for p in (c.point, c.against))

    @cached_property
    def z(self) -> float:
        """Standard deviations of a certified bound, under alpha spending over the trials so far."""
        return spent_alpha(float(self.spec.kpi.confidence), 1 + self.memory.looks)

    @cached_property
    def se_cycle(self) -> float:
        """Expected standard error of one cycle's paired comparison: measured, or from its row count."""
        # Cold starts differ far more from each other than branches of one champion do.
        recent = [c.standard_error for c in self.memory.contrasts if c.age is not None][-12:]
        if recent:
            return median(recent)
        return ROW_SPREAD / sqrt(max(self.cycle_rows * self.memory.evaluation_share, 1.0))

    @property
    def resolution(self) -> float:
        """Standard error of a distance pooled over a few cycles."""
        return self.se_cycle / sqrt(RESOLVING_CYCLES)

    @property
    def resolvable(self) -> bool:
        """Whether the stream can tell a distance of the tolerance; what was never measured has a chance."""
        measured = any(c.age is not None for c in self.memory.contrasts)
        margin = 1.0 if measured else 2.0
        return self.resolution <= margin * self.tolerance / 3.0

    @cached_property
    def headroom(self) -> budget.Headroom:
        """What the budget leaves now, reservations taken off."""
        ledger, reserved = self.memory.ledger, sum(r.reserved_seconds for r in self.memory.running)
        start = budget.window_start(self.spec.budget, self.now)
        window = ledger.window if ledger.window_start == start else 0.0
        spending = budget.Spending(
            ledger.settled + reserved,
            ledger.by_cycle.get(str(self.memory.cycle), 0.0) + reserved,
            window + reserved,
        )
        return budget.headroom(self.spec.budget, self.price, spending, self.memory.cycle)

    def situation(self, affordable: float | None) -> Situation:
        """The choice's terms for the cycle being planned."""
        return Situation(
            tolerance=self.tolerance,
            limit=self.certified_tolerance,
            target=self.target,
            level=self.level,
            distance=self.memory.distance,
            affordable=affordable,
            resolvable=self.resolvable,
        )

    def terms(self, se: float) -> Terms:
        """The terms of an experiment whose comparison has the standard error ``se``."""
        return Terms(
            tolerance=self.certified_tolerance,
            se_cycle=se,
            z=self.z,
            carry_over=self._evidence.carry_over(SLOW),
            horizon=self.spec.horizon_cycles,
            wrong=1.0 - float(self.spec.kpi.confidence),
            rollback=self.spec.control.lookback_cycles * self.cycle_cost(self.reference),
        )

    @property
    def enforce(self) -> bool:
        """Whether changes are acted on."""
        return self.spec.mode is Mode.ENFORCE

    def cheaper(self, points: Sequence[Point], than: Point) -> list[Point]:
        """Those points whose ordinary cycle costs less."""
        limit = self.cycle_cost(than)
        return [p for p in points if p != than and self.cycle_cost(p) < limit]
