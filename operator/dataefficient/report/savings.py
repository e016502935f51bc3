"""What was saved against a control, and what it cost in quality.

Ours and the control's are compared over the same cycles and, for quality, on the same rows: the frozen
model that each started a cycle with. Only what both arms measured enters; a control that was not run
gives no figure at all. Whether a saving is good is for the reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from dataefficient.contract import MIN_PAIRED_BLOCKS, Role
from dataefficient.planner.evidence import Paired, paired
from dataefficient.planner.knobs import Point
from dataefficient.report.measure import (
    Frozen,
    Noise,
    Run,
    add,
    by_cycle,
    frozen_starts,
    quantile,
    report_of,
    spend_of,
    timing_noise,
)
from dataefficient.report.statement import (
    Basis,
    BreakEven,
    Comparison,
    ControlCycle,
    Difference,
    Estimate,
    Lineage,
    Saving,
    Spend,
)
from dataefficient.report.words import compute as device_time
from dataefficient.report.words import ending, span

NOT_RUN = "not measured: run with --control"
NOT_ON_A_CLUSTER = "not measured: controls that train on everything run in detctl run --control only"
DESCRIPTIONS = {
    Lineage.LARGEST: "all rows, largest size",
    Lineage.RIGHT_SIZED: "all rows, right-sized model",
}


@dataclass(frozen=True)
class Ours:
    """Our arm: all runs, what the ledger charged by cycle, and the plans of the finished cycles."""

    runs: Sequence[Run]
    charged: Mapping[int, float]
    points: Mapping[int, Point | None]
    devices: int
    price: float | None


@dataclass(frozen=True)
class ControlRuns:
    """A control lineage as far as it ran: its size, the rule that chose it, its runs, why it ended early,
    and why there is no run where there is none."""

    lineage: Lineage
    size: int | None = None
    rule: str = ""
    runs: Sequence[Run] = ()
    failure: str | None = None
    absent: str = NOT_RUN


def compare(control: ControlRuns, ours: Ours) -> Comparison:
    """The comparison with one control; ``measured`` is False where it has no run that ended well."""
    good = sorted((r for r in control.runs if report_of(r) is not None), key=lambda r: r[0].cycle)
    lineage, size = control.lineage, control.size
    description = DESCRIPTIONS[lineage]
    if not good:
        failed = control.failure is not None
        reason = f"not measured: its run failed, {control.failure}" if failed else control.absent
        return Comparison(lineage, description, reason, measured=False, rule=control.rule, size=size)
    theirs = by_cycle(good)
    cycles = tuple(sorted(set(theirs) & set(ours.points)))
    if not cycles:
        reason = "not measured: the control and the resource share no finished cycle yet"
        return Comparison(lineage, description, reason, measured=False, rule=control.rule, size=size)
    noise = timing_noise([ours.runs, good], ours.devices)
    whole = _saving("Whole life, everything included", cycles, ours, theirs, noise)
    steady_cycles = _steady(cycles, ours.points)
    steady = candidates = None
    if steady_cycles:
        steady = _saving("Steady state, everything included", steady_cycles, ours, theirs, noise)
        scope = "Steady state, training runs alone"
        candidates = _saving(scope, steady_cycles, ours, theirs, noise, alone=True)
    served = {k: f for k, f in frozen_starts(ours.runs, Role.CANDIDATE).items() if k in ours.points}
    quality = _Quality.of(served, frozen_starts(good))
    missing = sorted(set(ours.points) - set(cycles))
    reach = f"over {span(cycles)}"
    reason = f"{reach}; not run in {span(tuple(missing))}" if missing else reach
    if control.failure is not None:
        reason += f"; it ended early: {control.failure}"
    return Comparison(
        lineage,
        description,
        reason,
        measured=True,
        rule=control.rule,
        size=size,
        whole=whole,
        steady=steady,
        candidates=candidates,
        kpi=quality.kpi(),
        kpi_reason=quality.reason(),
        auc=quality.auc(),
        calibration=quality.calibration(),
        break_even=_break_even(cycles, ours, theirs, steady),
        cycles=tuple(_control_cycle(k, theirs[k], ours.devices, quality) for k in cycles),
    )


def _steady(cycles: tuple[int, ...], points: Mapping[int, Point | None]) -> tuple[int, ...]:
    """The last cycles that ran one and the same plan."""
    later = [k for k in cycles if k > 0 and points[k] is not None]
    if not later:
        return ()
    last = points[later[-1]]
    steady: list[int] = []
    for k in reversed(later):
        if points[k] != last:
            break
        steady.append(k)
    return tuple(reversed(steady))


def _saving(
    scope: str,
    cycles: tuple[int, ...],
    ours: Ours,
    theirs: Mapping[int, list[Run]],
    noise: Noise,
    *,
    alone: bool = False,
) -> Saving:
    mine = by_cycle(ours.runs)
    parts = [
        spend_of(run, ours.devices)
        for k in cycles
        for run in mine.get(k, [])
        if not alone or (run[0].role is Role.CANDIDATE and report_of(run) is not None)
    ]
    if not alone:
        parts += [Spend(uncharged(ours, mine, k), 0.0, 0.0) for k in cycles]
    control = [spend_of(run, ours.devices) for k in cycles for run in theirs[k]]
    us, them = add(parts), add(control)
    compute = _saved(us.seconds, them.seconds, noise, parts, control, working_only=False)
    assert compute is not None, "a control's runs take time"
    working = _saved(us.working, them.working, noise, parts, control, working_only=True)
    money = None
    if ours.price is not None:
        rate = ours.price / 3600.0
        money = _scaled(compute, them.seconds * rate)
    return Saving(scope, cycles, us, them, compute, working, money)


def uncharged(ours: Ours, mine: Mapping[int, list[Run]], cycle: int) -> float:
    """What the ledger charged beyond the runs at hand: attempts whose outcome was replaced."""
    known = sum(run[1].device_seconds for run in mine.get(cycle, []) if run[1] is not None)
    return max(0.0, ours.charged.get(cycle, 0.0) - known)


def _saved(
    us: float, them: float, noise: Noise, mine: list[Spend], control: list[Spend], *, working_only: bool
) -> Estimate | None:
    """1 - us / them; the error of the ratio by the delta method."""
    if them <= 0.0:
        return None
    ratio = us / them
    a = noise.half_width(mine, working_only=working_only)
    b = noise.half_width(control, working_only=working_only)
    if a is None or b is None or us <= 0.0:
        return Estimate(1.0 - ratio)
    half = quantile(b[1]) * ratio * sqrt((a[0] / us) ** 2 + (b[0] / them) ** 2)
    # No more can be saved than all of it, however little timing tells.
    return Estimate(1.0 - ratio, 1.0 - ratio - half, min(1.0 - ratio + half, 1.0))


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    low = None if estimate.low is None else estimate.low * factor
    high = None if estimate.high is None else estimate.high * factor
    return Estimate(estimate.value * factor, low, high)


def _break_even(
    cycles: tuple[int, ...], ours: Ours, theirs: Mapping[int, list[Run]], steady: Saving | None
) -> BreakEven:
    if cycles != tuple(range(len(cycles))):
        return BreakEven(None, Basis.NOT_MEASURED, "the control does not cover every cycle from the first")
    mine = by_cycle(ours.runs)
    lead, total = [], 0.0
    for k in cycles:
        control = sum(spend_of(run, ours.devices).seconds for run in theirs[k])
        spent = sum(spend_of(run, ours.devices).seconds for run in mine.get(k, []))
        total += control - spent - uncharged(ours, mine, k)
        lead.append(total)
    if total > 0.0:
        first = max((k + 1 for k in cycles if lead[k] <= 0.0), default=0)
        return BreakEven(first, Basis.MEASURED, f"from the end of cycle {first} on, less was spent in all")
    per_cycle = 0.0
    if steady is not None:
        per_cycle = (steady.theirs.seconds - steady.ours.seconds) / len(steady.cycles)
    if steady is not None and steady.compute.low is not None and steady.compute.low <= 0.0 < per_cycle:
        told = "not foreseeable: what the last cycles saved may be nothing, as far as timing can tell"
        return BreakEven(None, Basis.NOT_MEASURED, told)
    if per_cycle <= 0.0:
        return BreakEven(None, Basis.MEASURED, "not foreseeable: the last cycles saved nothing")
    after = cycles[-1] + ceil(-total / per_cycle)
    how = f"{device_time(-total)} to recover, {device_time(per_cycle)} saved per cycle lately"
    return BreakEven(after, Basis.EXTRAPOLATED, how)


@dataclass(frozen=True)
class _Quality:
    """Frozen models of both arms, on rows that are the same."""

    pairs: Mapping[int, tuple[Frozen, Frozen]]
    control: Mapping[int, Frozen]
    unequal: int

    @classmethod
    def of(cls, ours: Mapping[int, Frozen], control: Mapping[int, Frozen]) -> _Quality:
        both = sorted(set(ours) & set(control))
        same = {
            k: (ours[k], control[k])
            for k in both
            if ours[k].rows.digest == control[k].rows.digest and ours[k].rows.n == control[k].rows.n
        }
        return cls(same, control, len(both) - len(same))

    def _joined(self, field: str) -> Paired | None:
        a = [v for us, _ in self.pairs.values() for v in getattr(us.scored, field)]
        b = [v for _, them in self.pairs.values() for v in getattr(them.scored, field)]
        return paired(a, b, [v for us, _ in self.pairs.values() for v in us.rows.n])

    def _difference(self, pair: Paired) -> Difference:
        rows = sum(us.n for us, _ in self.pairs.values())
        cycles = tuple(self.pairs)
        return Difference(interval(pair), pair.standard_error, rows, pair.blocks, cycles)

    def kpi(self) -> Difference | None:
        """Relative difference of log loss over all blocks of all cycles."""
        pair = self._joined("loss")
        return None if pair is None else self._difference(pair)

    def calibration(self) -> Difference | None:
        """Relative difference of the mean prediction."""
        pair = self._joined("predicted")
        return None if pair is None else self._difference(pair)

    def auc(self) -> Difference | None:
        """Mean difference of AUC over the cycles, weighted by rows; its error from their spread."""
        parts = [
            (us.scored.auc - them.scored.auc, us.n)
            for us, them in self.pairs.values()
            if us.scored.auc is not None and them.scored.auc is not None
        ]
        total = sum(n for _, n in parts)
        if not total:
            return None
        mean = sum(d * n for d, n in parts) / total
        cycles = tuple(self.pairs)
        if len(parts) < 3:
            return Difference(Estimate(mean), None, total, 0, cycles)
        residuals = sum(((d - mean) * n) ** 2 for d, n in parts)
        error = sqrt(len(parts) / (len(parts) - 1) * residuals) / total
        half = quantile(len(parts) - 1) * error
        return Difference(Estimate(mean, mean - half, mean + half), error, total, 0, cycles)

    def gap(self, cycle: int) -> Estimate | None:
        """One cycle's relative difference of log loss."""
        if cycle not in self.pairs:
            return None
        us, them = self.pairs[cycle]
        pair = paired(us.scored.loss, them.scored.loss, us.rows.n)
        return None if pair is None else interval(pair)

    def reason(self) -> str:
        """Why there is no quality difference, or what it rests on."""
        left_out = (
            f"; {ending(self.unequal, 'cycle')} left out: other evaluation rows" if self.unequal else ""
        )
        pair = self._joined("loss")
        if pair is None:
            return f"not measured: fewer than {MIN_PAIRED_BLOCKS} common time blocks{left_out}"
        rows = sum(us.n for us, _ in self.pairs.values())
        return f"{rows:,} common rows in {pair.blocks} time blocks of {span(tuple(self.pairs))}{left_out}"


def interval(pair: Paired) -> Estimate:
    """The difference with its two-sided interval of 95 %."""
    return Estimate(pair.gap, pair.lower(0.975), pair.upper(0.975))


def _control_cycle(cycle: int, runs: list[Run], devices: int, quality: _Quality) -> ControlCycle:
    frozen = quality.control.get(cycle)
    level = frozen.level if frozen else None
    return ControlCycle(cycle, add(spend_of(r, devices) for r in runs).seconds, level, quality.gap(cycle))
