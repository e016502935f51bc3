"""From lives and scores to figures: what an arm saved against a control, and what it lost.

Arms are paired under each seed and on the same rows; over seeds the sums of each time block are added up.
The standard error has two parts, which are independent: rows (the spread of the blocks' differences, as the
planner's own ``paired``) and seeds (the spread of the seeds' gaps). What was not measured
is no number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, median, stdev

from scipy.stats import t as student

from dataefficient.contract import Role
from dataefficient.planner.evidence import paired
from dataefficient.report.measure import add
from dataefficient.report.statement import Spend
from streambench.lives import Cycle, Life
from streambench.ruler import Score

STEADY_FROM = 5
"""First cycle of what is called the steady state."""
CONFIDENCE = 0.95
LOSS_LIMIT, UPPER_LIMIT, AUC_LIMIT, CALIBRATION_LIMIT = 0.001, 0.002, 0.001, 0.02
"""Relative log loss and its upper bound, AUC, and predictions relative to the control's: "within limits"."""


@dataclass(frozen=True)
class Seeded:
    """An arm under one seed, with the score of the model that served in each cycle."""

    seed: int
    life: Life
    scores: Mapping[int, Score]


@dataclass(frozen=True)
class Loss:
    """Relative difference of log loss; positive is worse."""

    gap: float
    standard_error: float
    upper: float
    """One-sided bound of 95 %."""
    blocks: int
    seeds: int
    seed_spread: float | None
    """Standard deviation of the gap between seeds; None with one seed, and then no part of the error."""


@dataclass(frozen=True)
class Comparison:
    """An arm against a control over common seeds and cycles. Savings are shares of the control's cost."""

    seeds: tuple[int, ...]
    steady: float | None
    """All runs, from cycle 5 on. None: fewer cycles."""
    steady_working: float | None
    """Without start-up on both sides."""
    steady_plan: float | None
    """Candidates alone: without search."""
    steady_plan_working: float | None
    whole: float
    whole_working: float
    break_even: int | None
    """First cycle from whose end on less was spent in all; None: not within these cycles."""
    loss: Loss | None
    """From cycle 5 on. None: too few blocks, or other rows."""
    auc: float | None
    calibration: float | None
    """Relative difference of the sum of predictions."""
    gaps: Mapping[str, float]
    """Relative log loss by cycle."""


def pairs(ours: Sequence[Seeded], theirs: Sequence[Seeded]) -> list[tuple[Seeded, Seeded]]:
    """Both arms under the same seeds."""
    control = {s.seed: s for s in theirs}
    return [(s, control[s.seed]) for s in ours if s.seed in control]


def compare(ours: Sequence[Seeded], theirs: Sequence[Seeded]) -> Comparison | None:
    """The comparison; None where they share no seed."""
    both = pairs(ours, theirs)
    if not both:
        return None
    mine, control = [a.life for a, _ in both], [b.life for _, b in both]
    whole, steady = (spent(mine, first) for first in (0, STEADY_FROM))
    their_whole, their_steady = (spent(control, first) for first in (0, STEADY_FROM))
    plan = spent(mine, STEADY_FROM, candidates=True)
    all_saved, all_working = saved(whole, their_whole)
    assert all_saved is not None, "a control's runs take time"
    steady_saved, steady_working = saved(steady, their_steady)
    plan_saved, plan_working = saved(plan, their_steady)
    return Comparison(
        seeds=tuple(a.seed for a, _ in both),
        steady=steady_saved,
        steady_working=steady_working,
        steady_plan=plan_saved,
        steady_plan_working=plan_working,
        whole=all_saved,
        whole_working=all_working or 0.0,
        break_even=break_even(mine, control),
        loss=loss(both, STEADY_FROM),
        auc=auc(both, STEADY_FROM),
        calibration=calibration(both, STEADY_FROM),
        gaps={str(c): gap for c in common(both, 0) if (gap := _gap(both, [c], "loss")) is not None},
    )


# Compute


def spent(lives: Sequence[Life], first: int, *, candidates: bool = False) -> Spend:
    """Device-seconds of the cycles from ``first`` on, over all lives."""
    parts = (
        c.candidate if candidates else c.total for life in lives for c in life.cycles if c.cycle >= first
    )
    return add(parts)


def working(arm: Sequence[Seeded], first: int) -> float:
    """Device-seconds of candidates without start-up, from cycle ``first`` on."""
    return spent([s.life for s in arm], first, candidates=True).working


def saved(ours: Spend, theirs: Spend) -> tuple[float | None, float | None]:
    """Share saved, with and without start-up; None where the control spent nothing."""
    return tuple(  # type: ignore[return-value]  # two by two
        1.0 - a / b if b > 0.0 else None
        for a, b in ((ours.seconds, theirs.seconds), (ours.working, theirs.working))
    )


def break_even(mine: Sequence[Life], control: Sequence[Life]) -> int | None:
    """First cycle from whose end on less was spent in all than by the control."""
    lead, total = {}, 0.0
    for cycle in sorted({c.cycle for life in control for c in life.cycles}):
        a, b = (_at(lives, cycle) for lives in (mine, control))
        total += sum(c.total.seconds for c in b) - sum(c.total.seconds for c in a)
        lead[cycle] = total
    if not lead or total <= 0.0:
        return None
    return max((cycle + 1 for cycle, ahead in lead.items() if ahead <= 0.0), default=0)


def _at(lives: Sequence[Life], cycle: int) -> list[Cycle]:
    return [c for life in lives for c in life.cycles if c.cycle == cycle]


def search(arm: Sequence[Seeded]) -> float:
    """Device-seconds of everything but candidates, over the whole life and all seeds."""
    cycles = [c for s in arm for c in s.life.cycles]
    return sum(v.seconds for c in cycles for role, v in c.spent.items() if role != Role.CANDIDATE.value)


def total(arm: Sequence[Seeded]) -> float:
    """Device-seconds of everything, over all seeds."""
    return spent([s.life for s in arm], 0).seconds


# Quality


def common(both: Sequence[tuple[Seeded, Seeded]], first: int) -> list[int]:
    """Cycles from ``first`` on in which, under every seed, both arms were scored on the same rows."""
    cycles = set.intersection(*(set(a.scores) & set(b.scores) for a, b in both))
    return sorted(
        c
        for c in cycles
        if c >= first
        and all((a.scores[c].digest, a.scores[c].n) == (b.scores[c].digest, b.scores[c].n) for a, b in both)
    )


def loss(both: Sequence[tuple[Seeded, Seeded]], first: int) -> Loss | None:
    """Relative log loss with its standard error over rows and seeds."""
    cycles = common(both, first)
    a, b = (_blocks([pair[i] for pair in both], cycles, "loss") for i in (0, 1))
    n = [v for c in cycles for v in both[0][0].scores[c].n]
    pair = paired(a, b, n)
    if pair is None:
        return None
    each = [gap for one in both if (gap := _gap([one], cycles, "loss")) is not None]
    spread = stdev(each) if len(each) > 1 else None
    seed_error = spread / sqrt(len(each)) if spread is not None else 0.0
    error = sqrt(pair.standard_error**2 + seed_error**2)
    freedom = _freedom((pair.standard_error, pair.blocks - 1), (seed_error, len(each) - 1))
    upper = pair.gap + float(student.ppf(CONFIDENCE, freedom)) * error
    return Loss(pair.gap, error, upper, pair.blocks, len(both), spread)


def _freedom(*parts: tuple[float, int]) -> float:
    """Degrees of freedom of a sum of independent errors (Welch and Satterthwaite)."""
    square = sum(error**2 for error, _ in parts)
    fourth = sum(error**4 / freedom for error, freedom in parts if freedom > 0 and error > 0.0)
    return square**2 / fourth if fourth > 0.0 else float(max(parts[0][1], 1))


def _blocks(arm: Sequence[Seeded], cycles: Sequence[int], field: str) -> list[float]:
    """Sums by block, added up over the seeds."""
    return [
        sum(values)
        for c in cycles
        for values in zip(*(getattr(s.scores[c].scored, field) for s in arm), strict=True)
    ]


def _gap(both: Sequence[tuple[Seeded, Seeded]], cycles: Sequence[int], field: str) -> float | None:
    a, b = (sum(_blocks([pair[i] for pair in both], cycles, field)) for i in (0, 1))
    return a / b - 1.0 if b > 0.0 else None


def auc(both: Sequence[tuple[Seeded, Seeded]], first: int) -> float | None:
    """Mean difference of AUC over cycles and seeds; positive is better."""
    found = [
        (mine, theirs)
        for a, b in both
        for c in common(both, first)
        if (mine := a.scores[c].scored.auc) is not None and (theirs := b.scores[c].scored.auc) is not None
    ]
    return fmean(mine - theirs for mine, theirs in found) if found else None


def calibration(both: Sequence[tuple[Seeded, Seeded]], first: int) -> float | None:
    """Predictions relative to the control's, minus one."""
    cycles = common(both, first)
    return _gap(both, cycles, "predicted") if cycles else None


def within(found: Comparison | None) -> bool:
    """Whether the point estimates are within limits; what was not measured is not."""
    if found is None or found.loss is None or found.auc is None or found.calibration is None:
        return False
    return (
        found.loss.gap <= LOSS_LIMIT
        and found.auc >= -AUC_LIMIT
        and abs(found.calibration) <= CALIBRATION_LIMIT
    )


# Forecasts


@dataclass(frozen=True)
class ForecastErrors:
    """How far off the operator's forecasts were: median relative error, and hits of the 80 % interval."""

    cost_error: float | None
    cost_inside: int
    cost_count: int
    kpi_error: float | None
    kpi_inside: int
    kpi_count: int


def forecasts(arm: Sequence[Seeded]) -> ForecastErrors:
    """Errors of all forecasts of all lives."""
    made = [c.forecasts for s in arm for c in s.life.cycles]
    cost = [(f.cost, f.actual_cost) for f in made if f.cost is not None and f.actual_cost is not None]
    kpi = [(f.kpi, f.actual_kpi) for f in made if f.kpi is not None and f.actual_kpi is not None]
    return ForecastErrors(
        median(abs(f.mean / actual - 1.0) for f, actual in cost) if cost else None,
        sum(f.low <= actual <= f.high for f, actual in cost),
        len(cost),
        median(abs(f.mean / actual - 1.0) for f, actual in kpi) if kpi else None,
        sum(f.low <= actual <= f.high for f, actual in kpi),
        len(kpi),
    )
