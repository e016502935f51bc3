"""What the measurements allow to be said, arm by arm, and what not.

A saving is claimed only where its cost stays below the tolerance at the upper bound, on a log that
resolves the tolerance, after seeds were measured, and where the milder steps of the same lever pass too
(a fixed sequence). The error allowed is shared out between the levers, so that the confidence holds for
the whole page. Pure.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

from dataefficient.contract import Policy
from dataefficient.estimate import plan
from dataefficient.estimate.measure import (
    Contrast,
    Measured,
    Results,
    contrast,
    mean_loss,
    of_arm,
    saved,
    seeds,
)
from dataefficient.estimate.plan import Arm
from dataefficient.planner.convergence import convergence_point

CONFIDENCE = 0.95
"""Probability with which no claimed saving of a page costs more than the tolerance."""
RESOLVES = 1 / 3
"""Largest standard error of the time blocks, as a share of the tolerance, at which a saving is claimed."""
FEWEST = 500
"""Held-out rows of the rarer label below which blocks hold too few for their spread to be believed."""


class Lever(enum.StrEnum):
    """What is turned to save."""

    NEGATIVES = "Negatives"
    UNIFORM = "Uniform"
    SCORED = "ScoredNegatives"
    SIZE = "Size"
    BOTH = "RowsAndSize"
    LARGER = "LargerModel"


class Status(enum.StrEnum):
    """What is known of an arm against the tolerance."""

    SAVES = "Saves"
    """The upper bound of its cost lies inside the tolerance."""
    COSTS = "Costs"
    """The lower bound of its cost lies outside."""
    UNDECIDED = "Undecided"
    """The tolerance lies between the bounds."""
    BETTER = "Better"
    """Its loss is lower at the upper bound (larger models)."""


@dataclass(frozen=True)
class Finding:
    """One arm against full data at the default size."""

    arm: Arm
    lever: Lever
    title: str
    status: Status
    gap: float
    """Relative difference of the log loss; positive is worse."""
    low: float
    high: float
    """One-sided bounds at the confidence that each lever gets."""
    block_error: float
    """Standard error from the time blocks."""
    seed_error: float
    """Standard error from seeds."""
    seeds: int
    rows_kept: float
    """Share of the rows trained on."""
    saved: float
    """Share of the training seconds saved; negative: costs more."""

    @property
    def error(self) -> float:
        """Standard error of the gap."""
        return math.hypot(self.block_error, self.seed_error)


class Converged(enum.StrEnum):
    """Whether the history is long enough."""

    YES = "Converged"
    NO = "NotWithinThisLog"
    UNKNOWN = "NotKnown"


@dataclass(frozen=True)
class Rung:
    """One cold start on the latest part of the history."""

    history: float
    rows: int
    loss: float
    """Mean log loss on the held-out rows."""
    gap: float
    """To the whole history, relative."""
    error: float


@dataclass(frozen=True)
class History:
    """What the rungs say."""

    status: Converged
    rows: float | None
    """Rows that are enough; None: not within this log."""
    low: float | None
    high: float | None
    need: float | None
    """Rows that would come within the tolerance of unlimited data, where the curve tells (extrapolated)."""
    reason: str
    rungs: tuple[Rung, ...]


def _of_rows(rate: float) -> str:
    names = {0.5: "half of the rows", 0.25: "a quarter of the rows", 0.1: "a tenth of the rows"}
    return names.get(rate, f"{100 * rate:.0f} % of the rows")


def _of_size(size: int) -> str:
    if size == 1:
        return "the linear model"
    ratio = size / plan.DEFAULT_SIZE
    return {0.5: "a model of half the size", 2.0: "a model of twice the size"}.get(
        ratio, f"a model of size {size}"
    )


def title(arm: Arm, positives: float, pace: float) -> str:
    """An arm in words, e.g. "a quarter of the rows, all positives kept"."""
    parts = []
    if arm.history < 1:
        parts.append(f"the latest 1/{1 / arm.history:g} of the history")
    if arm.rate < 1:
        kept = "all positives kept" if arm.rate >= 2 * positives else "positives and negatives in equal parts"
        how = {
            Policy.UNIFORM: "at random",
            Policy.NEGATIVES: kept,
            Policy.SCORED_NEGATIVES: f"{kept}, negatives by served score",
        }
        parts.append(f"{_of_rows(arm.rate)}, {how[arm.policy]}")
    if arm.size != plan.DEFAULT_SIZE:
        parts.append(_of_size(arm.size))
    if arm.pace != pace:
        parts.append(f"learning rate x {arm.pace / pace:g}")
    return " and ".join(parts) or "all rows"


def lever(arm: Arm) -> Lever:
    """What an arm turns."""
    if arm.size > plan.DEFAULT_SIZE:
        return Lever.LARGER
    if arm.size < plan.DEFAULT_SIZE:
        return Lever.BOTH if arm.rate < 1 else Lever.SIZE
    return {
        Policy.NEGATIVES: Lever.NEGATIVES,
        Policy.UNIFORM: Lever.UNIFORM,
        Policy.SCORED_NEGATIVES: Lever.SCORED,
    }[arm.policy]


def confidence_each(arms: Sequence[Arm]) -> float:
    """Confidence of each statement such that all levers' together hold with :data:`CONFIDENCE`."""
    levers = {lever(a) for a in arms} - {Lever.LARGER}
    return 1.0 - (1.0 - CONFIDENCE) / max(1, len(levers))


def findings(results: Results, pace: float, tolerance: float, positives: float) -> tuple[Finding, ...]:
    """All arms over the whole history against the reference, mildest first within each lever."""
    full = plan.reference(pace)
    arms = sorted(
        {e.arm for e in results if e.arm.history == 1.0 and e.arm != full},
        key=lambda a: (lever(a), -a.rate, -a.size, a.pace),
    )
    confidence = confidence_each(arms)
    replicas, whole = seeds(results).replicas, of_arm(results, full)
    out: list[Finding] = []
    for arm in arms:
        against, runs = contrast(results, arm, full), of_arm(results, arm)
        if against is None:
            continue
        milder = [
            f for f in out if f.lever is lever(arm) and (f.arm.rate > arm.rate or f.arm.size > arm.size)
        ]
        status = _status(against, tolerance, confidence, larger=lever(arm) is Lever.LARGER)
        sharp = resolved(against, runs[0], tolerance)
        if status is Status.SAVES and not (sharp and replicas and _passes(milder)):
            status = Status.UNDECIDED
        out.append(
            Finding(
                arm=arm,
                lever=lever(arm),
                title=title(arm, positives, pace),
                status=status,
                gap=against.gap,
                low=against.lower(confidence),
                high=against.upper(confidence),
                block_error=against.block_error,
                seed_error=against.seed_error,
                seeds=len(runs),
                rows_kept=runs[0].kept / max(1, whole[0].kept),
                saved=saved(results, arm, full),
            )
        )
    return tuple(out)


def rarer(run: Measured) -> int:
    """Held-out rows of the rarer label."""
    return min(sum(run.positives), sum(run.n) - sum(run.positives))


def resolved(against: Contrast, run: Measured, tolerance: float) -> bool:
    """Whether the held-out rows can tell differences as small as the tolerance."""
    return rarer(run) >= FEWEST and against.block_error <= RESOLVES * tolerance


def _passes(milder: list[Finding]) -> bool:
    """Whether every milder step of the lever passed, at one of its learning rates."""
    steps = {(f.arm.rate, f.arm.size) for f in milder}
    won = {(f.arm.rate, f.arm.size) for f in milder if f.status is Status.SAVES}
    return steps == won


def _status(against: Contrast, tolerance: float, confidence: float, *, larger: bool) -> Status:
    if larger:
        return Status.BETTER if against.upper(confidence) < 0 else Status.UNDECIDED
    if against.upper(confidence) <= tolerance:
        return Status.SAVES
    return Status.COSTS if against.lower(confidence) > tolerance else Status.UNDECIDED


def history(results: Results, pace: float, tolerance: float, rows: int) -> History:
    """Whether the history has converged, from cold starts on its latest parts.

    The point is claimed only where a measured rung at or below it passes at its own upper bound.
    """
    full = plan.reference(pace)
    runs = of_arm(results, full)
    rungs: list[Rung] = []
    if runs:
        scored = sum(runs[0].n)
        whole = float(mean_loss(runs).sum()) / scored
        spread = seeds(results).deviation
        for share in sorted((1.0, *plan.RUNGS)):
            arm = dataclasses.replace(full, history=share)
            ours = of_arm(results, arm)
            against = contrast(results, arm, full) if share < 1 else None
            if not ours or (share < 1 and against is None):
                continue
            own = (against.block_error**2 if against else 0.0) + spread**2 / (share * len(ours))
            loss = float(mean_loss(ours).sum()) / scored
            rungs.append(Rung(share, round(share * rows), loss, loss / whole - 1.0, own**0.5))
    if len(rungs) < 3 or rungs[-1].history < 1:
        reason = f"{len(rungs)} lengths of history were measured; at least 3 and the whole one are needed"
        return History(Converged.UNKNOWN, None, None, None, None, reason, tuple(rungs))
    whole = rungs[-1].loss
    point = convergence_point(
        [r.rows for r in rungs],
        [r.loss for r in rungs],
        [r.error * whole for r in rungs],
        tolerance_relative=tolerance,
        confidence=CONFIDENCE,
        seed=0,
    )
    shown = rows * _shown(results, full, tolerance)
    if point.point is None and shown >= rows:
        return History(Converged.NO, None, point.low, point.high, point.need, point.reason, tuple(rungs))
    if point.point is None or shown >= rows:
        reason = "the curve looks flat, but no shorter history was shown to stay inside the tolerance"
        if point.point is None:
            reason = f"the latest {shown:,.0f} rows stay inside the tolerance, but the curve may still fall"
        return History(Converged.UNKNOWN, None, point.low, point.high, point.need, reason, tuple(rungs))
    enough, high = max(point.point, shown), max(point.high, shown)
    return History(Converged.YES, enough, point.low, high, point.need, point.reason, tuple(rungs))


def _shown(results: Results, full: Arm, tolerance: float) -> float:
    """The shortest measured history that passes with all longer ones; 1 where none does."""
    shown = 1.0
    for share in sorted(plan.RUNGS, reverse=True):
        against = contrast(results, dataclasses.replace(full, history=share), full)
        if against is None or not resolved(against, of_arm(results, full)[0], tolerance):
            break
        if against.upper(CONFIDENCE) > tolerance:
            break
        shown = share
    return shown


def knowledge(
    results: Results, pace: float, tolerance: float, positives: float, *, served: bool
) -> plan.Knowledge:
    """What the strategy may know after these results, at the learning rate that was settled on."""
    found = findings(results, pace, tolerance, positives)
    undecided = [
        f
        for f in found
        if f.status is Status.UNDECIDED and f.lever is not Lever.LARGER and f.gap <= tolerance
    ]
    return plan.Knowledge(
        positives,
        served,
        pace,
        refused=frozenset(f.arm for f in found if f.status is Status.COSTS),
        open=tuple(f.arm for f in sorted(undecided, key=lambda f: -f.saved)),
        passed=tuple(f.arm for f in found if f.status is Status.SAVES),
    )


def tuned(results: Results, *, hurry: bool) -> tuple[float | None, Arm | None]:
    """The learning rate to settle on, None until it is known; and a further one that is to be tried first.

    The one with the least loss among those tried, by the first seed. Where it lies at the edge, one
    further is tried; in a ``hurry`` what was tried is enough, and without any the trainer's own stays.
    """
    losses = {e.arm: sum(m.loss) for e, m in results.items() if e.seed == 0}
    tried = {a.pace: losses[a] for a in plan.tuning() if a in losses}
    best = min(tried, key=lambda p: tried[p], default=1.0)
    if len(tried) < len(plan.tuning()):
        return (best, None) if hurry else (None, None)
    further = plan.beyond(best)
    if further is None:
        return best, None
    if further not in losses:
        return (best, None) if hurry else (None, further)
    return (further.pace if losses[further] < tried[best] else best), None
