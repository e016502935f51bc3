"""Cycle 0: small cold starts on the history, before the first candidate; or later, once they are approved.

A pilot tells what a row costs. Rungs, cold starts at full data on ever longer parts of the history with
one common end, are scored on one later window: they give the learning curve, the convergence point and
how fast a gap is forgotten. Probes of other plans on the longest rung's rows are paired with it. All of
it is paid from the exploration account, and stops where the account ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from itertools import combinations
from math import hypot, sqrt

from dataefficient.api.schedule import interval
from dataefficient.contract import MAX_RIDERS, Role, RunReport
from dataefficient.cycle.costing import HISTORY_ADVANCE
from dataefficient.cycle.figures import ColdStart, Forecast, Surface
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.launch import Wanted, devices, name
from dataefficient.cycle.model import PILOT, Convergence, FailureKind, Memory, Rung, RunOutcome, RunPlan
from dataefficient.cycle.riding import carpool
from dataefficient.cycle.scoring import with_shares
from dataefficient.planner import convergence as converging
from dataefficient.planner.contrasts import Contrast, Spell
from dataefficient.planner.curves import fit_curve
from dataefficient.planner.evidence import paired, paired_ahead
from dataefficient.planner.explore import best_probe
from dataefficient.planner.knobs import Point
from dataefficient.planner.surface import fit_surface

LONGER = 4
"""Times that the pilot, or the common window, is longer after one in which no row lies, as where times are
whole days, or the last day was a holiday."""
RUNGS = (32, 16, 8, 4, 2, 1)
"""Rungs train on the last 1/32, 1/16, ... of it."""
MIN_RUNGS = 3
"""Fewer tell no curve and are not run."""
RUNG_SHARE = 0.6
"""Largest share of the account that rungs may take; the rest is for probes of other plans."""
MAX_PROBES = 8
COLD_STARTS = 64
FEWEST_COLD_STARTS = 4
BOOTSTRAPS = 200
CANDIDATE_SLACK = 1.5
"""Times its forecast that a candidate is left of the budget."""
COLD_DOUBT = 0.8
"""Share of a cold start's harm of sampling that is doubted."""
BIRTH_SHARE = 0.6
"""Share of what cycle 0 may spend on experiments that stays for the trial that is born with the lineage."""
SMALL_SHARE = 0.05
"""Share of the account that starting a process for the second pilot may take; else it rides with another."""


def window(k: Knowledge) -> tuple[datetime, datetime, datetime]:
    """Begin of the history, begin of the common later window, and its end.

    The window is as long as a cycle, or as some where the last one holds no row, at most a quarter of the
    history.
    """
    history = interval(k.spec.schedule, 0)
    assert history is not None
    length = min(k.memory.window_cycles * k.cycle_length, (history.end - history.start) / 4)
    return history.start, history.end - length, history.end


def pilot(k: Knowledge) -> Wanted:
    """The first run: nothing is known of the stream."""
    start, middle, end = window(k)
    train = (middle - (middle - start) / k.memory.pilot_part, middle)
    return Wanted(_pilot_name(k.memory), Role.PROBE, k.reference, train, (middle, end))


def _pilot_name(memory: Memory) -> str:
    part, cycles = memory.pilot_part, memory.window_cycles
    longer = f"part-{part}-" if part != PILOT else ""
    return name(0, longer + (f"window-{cycles}-" if cycles > 1 else "") + "pilot")


def widened(k: Knowledge, outcome: RunOutcome) -> tuple[Memory, str] | None:
    """Memory for a longer pilot after one without a row to train on or to score, and what is told of it.

    None: there is no need, or nothing longer.
    """
    memory = k.memory
    if outcome.failure is not None and outcome.failure.kind is FailureKind.EMPTY_INTERVAL:
        if memory.pilot_part == 1:
            return None
        part = memory.pilot_part // LONGER
        taken = f"the last 1/{part}" if part > 1 else "all of it"
        told = f"The last 1/{memory.pilot_part} of the history holds nothing to learn from"
        return replace(memory, pilot_part=part), f"{told}; the pilot takes {taken}"
    if outcome.report is None or scored(outcome.report):
        return None
    longer = replace(memory, window_cycles=memory.window_cycles * LONGER)
    if window(replace(k, memory=longer)) == window(k):
        return None
    told = "No row lies in the last part of the history, which runs are scored on"
    return longer, f"{told}; it is taken up to {LONGER} times as long"


def unmeasured(memory: Memory) -> Memory:
    """Memory whose pilot is the shortest again, for when what stopped it is mended."""
    return replace(memory, pilot_part=PILOT, window_cycles=1)


def small_pilot(k: Knowledge) -> Wanted | None:
    """A second pilot on the same rows at the smallest size: cost is affine in size, which takes two sizes."""
    if len(k.knobs.sizes) == 1:
        return None
    point = replace(k.reference, size=k.knobs.sizes[0])
    return replace(pilot(k), name=name(0, "pilot-small"), point=point, compared=True)


def owes_small_pilot(k: Knowledge) -> Wanted | None:
    """The second pilot where it is still to be made."""
    return None if name(0, "pilot-small") in k.runs else small_pilot(k)


def in_own_process(k: Knowledge, second: Wanted) -> Wanted | None:
    """The second pilot with its forecast, where starting a process for it is little of the account."""
    start = k.run_cost(second.point, 0.0)
    if start > SMALL_SHARE * k.memory.account:
        return None
    return replace(second, forecast_seconds=probe_cost(k, second.point, second.train))


def after_pilot(k: Knowledge, report: RunReport) -> Memory:
    """Memory with the row rate, the evaluation shares and the exploration account settled."""
    start, middle, end = window(k)
    trained_span = (middle - start).total_seconds() / k.memory.pilot_part
    rows_span = trained_span + (end - middle).total_seconds()
    blocks = filled_blocks(report) if end - middle == k.cycle_length else None
    k = replace(k, memory=replace(k.memory, row_rate=report.rows.read / rows_span, time_blocks=blocks))
    # Starting a process for the pilot is no experiment: without it nothing is known at all.
    worked = devices(k.spec) * sum(m.reading + m.training + m.evaluating for m in k.memory.measured)
    account = max(_advance(k) - worked, 0.0)
    return with_shares(replace(k, memory=replace(k.memory, account=account)))


def _advance(k: Knowledge) -> float:
    """Device-seconds that cycle 0 may spend on experiments, the pilots' work among them."""
    start, _, end = window(k)
    reference = k.run_cost(k.reference, k.rows(start, end)) + HISTORY_ADVANCE * k.cycle_cost(k.reference)
    return float(k.spec.exploration.share) * reference


def survey(k: Knowledge) -> list[Wanted]:
    """The rungs, in as few processes as the trainer allows; the second pilot with them where it is owed."""
    wanted = rungs(k)
    if not wanted or not k.memory.takes_riders:
        return wanted
    small = owes_small_pilot(k)
    return carpool(wanted if small is None else [*wanted, small])


def rungs(k: Knowledge) -> list[Wanted]:
    """As many rungs as their part of the account pays for, shortest first, and a replica of the first."""
    start, middle, end = window(k)
    wanted: list[Wanted] = []
    left = RUNG_SHARE * purse(k)
    parts = _parts(k.memory)
    for part in parts:
        train = (middle - (middle - start) / part, middle)
        cost = probe_cost(k, k.reference, train, together=k.memory.takes_riders)
        if cost > left or k.rows(*train) < 1.0:
            break
        left -= cost
        label = name(k.memory.cycle, f"rung-{part}")
        rung = Wanted(
            label, Role.PROBE, k.reference, train, (middle, end), forecast_seconds=cost, compared=True
        )
        wanted.append(rung)
        if part == parts[0] and cost <= left:
            left -= cost
            wanted.append(replace(rung, name=name(k.memory.cycle, "replica"), other_seed=True))
    return wanted if len(wanted) > MIN_RUNGS else []


def _parts(memory: Memory) -> list[int]:
    """The rungs that are longer than the pilot, shortest first: what is shorter may hold no row."""
    return [part for part in RUNGS if part < memory.pilot_part]


def purse(k: Knowledge) -> float:
    """Device-seconds that small runs may take; in a later cycle its candidate's part of the budget stays."""
    if k.memory.cycle == 0 and k.memory.takes_riders:
        return max(k.memory.account - BIRTH_SHARE * _advance(k), 0.0)
    if k.memory.cycle == 0 or k.headroom.seconds is None or k.next_interval is None or k.origin is None:
        return k.memory.account
    current = k.next_interval
    rows, scored = k.rows(k.origin.position, current.end), k.rows(current.start, current.end)
    candidate = k.run_cost(k.in_force or k.reference, rows, scored)
    return max(min(k.memory.account, k.headroom.seconds - CANDIDATE_SLACK * candidate), 0.0)


def with_cold_start(k: Knowledge, plan: RunPlan, report: RunReport) -> Memory:
    """Memory with the run among the cold starts, where it is one on all rows."""
    if plan.request.role is not Role.PROBE or plan.point.rate < k.reference.rate or not scored(report):
        return k.memory
    found = ColdStart(plan.point.size, report.rows.kept, own_level(report)[0].loss)
    return replace(k.memory, cold_starts=(*k.memory.cold_starts, found)[-COLD_STARTS:])


def learn_surface(k: Knowledge) -> Memory:
    """Memory with loss by size and rows fitted to the cold starts; as it is where they are too few."""
    fitted = _surface(k.memory.cold_starts, k.memory.key or "")
    return k.memory if fitted is None else replace(k.memory, surface=fitted)


@lru_cache(maxsize=4)
def _surface(cold_starts: tuple[ColdStart, ...], key: str) -> Surface | None:
    """Kept from one decision to the next, as one may be made again."""
    runs = [c for c in cold_starts if c.rows > 0 and c.loss > 0.0]
    if len(runs) < FEWEST_COLD_STARTS:
        return None
    columns = ([c.size for c in runs], [c.rows for c in runs], [c.loss for c in runs])
    fit = fit_surface(*columns, bootstraps=BOOTSTRAPS, seed=0)
    known = {name: p for name, p in fit.parameters.items() if p.not_identified is None}
    missing = {name: p.not_identified for name, p in fit.parameters.items() if p.not_identified is not None}
    return Surface({n: Forecast(p.value, p.low, p.high) for n, p in known.items()}, missing, len(runs), key)


def is_due(k: Knowledge) -> bool:
    """Whether the history is to be measured by small runs: with this trainer it never was."""
    found = k.memory.convergence
    return k.may_measure and (found is None or (found.earlier and bool(rungs(k))))


def is_begun(memory: Memory) -> bool:
    """Whether small runs were launched in this cycle."""
    return any(plan.request.run.startswith(name(memory.cycle, "rung-")) for plan in memory.launched)


def probe_cost(
    k: Knowledge, point: Point, train: tuple[datetime, datetime], *, together: bool = False
) -> float:
    """Expected device-seconds of a cold start that is scored on the common window.

    Args:
        together: whether others are in the same process, so that its start and the window are paid by all.
    """
    _, middle, end = window(k)
    rows, scored = k.rows(*train), k.rows(middle, end)
    alone = k.run_cost(point, rows, scored, models=1, read=rows + scored, compared=True)
    if not together:
        return alone
    shared = k.run_cost(point, 0.0, read=scored)
    return alone - shared * (1.0 - 1.0 / (MAX_RIDERS + 1))


def next_probe(k: Knowledge) -> Wanted | None:
    """The probe that is worth most among those that the account pays for; None ends the measuring."""
    done = {o.run: o for o in k.memory.done if o.report}
    tried = [o for o in k.memory.done if "-probe-" in o.run]
    measured = [part for part in RUNGS if name(k.memory.cycle, f"rung-{part}") in done]
    if not measured or len(tried) >= MAX_PROBES:
        return None
    start, middle, end = window(k)
    seen = k.measured_points
    refused = {s.point for s in k.memory.refusals}
    best_so_far = cheapest_certified(k)
    open_points = [
        p for p in k.cheaper(k.points, best_so_far) if p not in seen | refused and p != k.reference
    ]
    saving = {p: k.cycle_cost(best_so_far) - k.cycle_cost(p) for p in open_points}
    for part in reversed(measured):
        train = (middle - (middle - start) / part, middle)
        cost = {p: probe_cost(k, p, train) for p in open_points}
        rung = done[name(k.memory.cycle, f"rung-{part}")].report
        assert rung is not None
        terms = k.terms(k.se_cycle)
        # What is doubted of a gap depends on the gap: here the largest one that would still certify.
        gap = terms.tolerance / (1.0 + terms.z * COLD_DOUBT)
        errors = {p: _probe_error(k, p, gap, k.se_cycle, rung.rows.kept) for p in open_points}
        point = best_probe(
            open_points,
            k.ultimate,
            terms,
            saving=saving,
            cost=cost,
            spread=errors,
            size=k.reference.size,
            account=purse(k),
        )
        if point is not None:
            label = name(k.memory.cycle, f"probe-{len(tried) + 1}-part-{part}")
            return Wanted(
                label, Role.PROBE, point, train, (middle, end), forecast_seconds=cost[point], compared=True
            )
    return None


def cheapest_certified(k: Knowledge) -> Point:
    """The cheapest point that would be certified now; the reference where there is none."""
    inside = [p for p in k.points if (b := k.stakes[p].bound) is not None and b <= k.certified_tolerance]
    return min([*inside, k.reference], key=k.cycle_cost)


def learn_curve(k: Knowledge) -> Memory:
    """Memory with the learning curve's conclusions, from the rungs that ended."""
    start, middle, _ = window(k)
    reports = {o.run: o.report for o in k.memory.done if o.report and scored(o.report)}
    cycle = k.memory.cycle
    rung_reports = [reports[run] for part in RUNGS if (run := name(cycle, f"rung-{part}")) in reports]
    memory = replace(k.memory, seed_noise=_seed_noise(k.memory, reports))
    if not rung_reports and memory.convergence is not None:
        return memory
    if not rung_reports:
        reason = "no part of the history was measured: exploration.share does not pay for it"
        unknown = Convergence(None, None, None, k.rows(start, middle), reason, cycle=cycle)
        return replace(memory, convergence=unknown)
    largest, spread = own_level(rung_reports[-1])
    longest = max(k.rows(start, middle), float(largest.rows))
    pilot_report = reports.get(_pilot_name(k.memory))
    if pilot_report is not None and same_rows(pilot_report, rung_reports[0]):
        rung_reports.insert(0, pilot_report)
    memory = replace(memory, convergence=replace(_converge(k, rung_reports, longest), cycle=cycle))
    return memory if cycle > 0 else replace(memory, levels=(largest.loss,), level_spread=spread)


def filled_blocks(report: RunReport) -> int | None:
    """Time blocks in which rows were scored; None: nothing was to be scored."""
    return None if report.evaluated is None else sum(1 for n in report.evaluated.n if n)


def scored(report: RunReport) -> bool:
    """Whether the run's own model was scored on any row."""
    return report.evaluated is not None and "self" in report.evaluated.models and sum(report.evaluated.n) > 0


def own_level(report: RunReport) -> tuple[Rung, float]:
    """Log loss of the run's own model, and its standard deviation between time blocks."""
    assert report.evaluated is not None
    own, n = report.evaluated.models["self"], report.evaluated.n
    spread = _block_spread(report)
    return Rung(report.rows.kept, sum(own.loss) / sum(n), spread / sqrt(sum(1 for x in n if x))), spread


def _block_spread(report: RunReport) -> float:
    """Standard deviation of the mean loss between blocks."""
    assert report.evaluated is not None
    own, n = report.evaluated.models["self"], report.evaluated.n
    means = [s / x for s, x in zip(own.loss, n, strict=True) if x]
    centre = sum(means) / len(means)
    return sqrt(sum((m - centre) ** 2 for m in means) / max(len(means) - 1, 1))


def _seed_noise(memory: Memory, reports: Mapping[str, RunReport]) -> float:
    """Pools the replica's difference with the prior value, which counts as two observations."""
    cycle = memory.cycle
    shortest = next(iter(_parts(memory)), 1)
    first, second = reports.get(name(cycle, f"rung-{shortest}")), reports.get(name(cycle, "replica"))
    difference = None if first is None or second is None else compare(first, second)
    if difference is None:
        return memory.seed_noise
    return sqrt((2.0 * memory.seed_noise**2 + difference[0] ** 2 / 2.0) / 3.0)


def _converge(k: Knowledge, reports: Sequence[RunReport], longest: float) -> Convergence:
    """Fit of the rungs, shortest first; the standard errors are those of differences on the same rows."""
    measured = [own_level(report)[0] for report in reports]
    if len({r.rows for r in measured}) < 3:
        reason = (
            f"only {len(measured)} parts of the history could be paid for: exploration.share is too small"
        )
        return Convergence(None, None, None, longest, reason, tuple(measured))
    last = reports[-1]
    examples = [float(r.rows) for r in measured]
    losses = [r.loss for r in measured]
    errors = []
    for rung, report in zip(measured, reports, strict=True):
        difference = compare(report, last)
        relative = k.se_cycle if difference is None or report is last else difference[1]
        errors.append(rung.loss * sqrt(relative**2 + k.memory.seed_noise**2))
    fit = fit_curve(examples, losses, errors, seed=0)
    point = converging.converge(fit, tolerance_relative=k.tolerance / 2.0, longest=longest)
    return Convergence(point.point, point.low, point.high, point.longest, point.reason, tuple(measured))


def same_rows(a: RunReport, b: RunReport) -> bool:
    """Whether two runs were scored on equal rows."""
    return a.evaluated is not None and b.evaluated is not None and a.evaluated.digest == b.evaluated.digest


def compare(a: RunReport, b: RunReport, *, ahead: bool = False) -> tuple[float, float] | None:
    """Relative loss of ``a``'s model over ``b``'s and its standard error; None unless the rows are equal.

    Args:
        ahead: what is to be expected of rows to come, instead of what was measured on these.
    """
    if a.evaluated is None or b.evaluated is None or not same_rows(a, b):
        return None
    mine, other, rows = a.evaluated.models["self"], b.evaluated.models["self"], a.evaluated
    result = (
        paired_ahead(mine, other, rows.n, rows.positives) if ahead else paired(mine.loss, other.loss, rows.n)
    )
    return None if result is None else (result.gap, result.standard_error)


def learn_probe(k: Knowledge, outcome: RunOutcome, point: Point) -> Memory:
    """Memory with the probe's contrast against the rung of the same rows."""
    reports = {o.run: o.report for o in k.memory.done if o.report}
    rung = reports.get(name(k.memory.cycle, f"rung-{outcome.run.rpartition('-')[2]}"))
    difference = compare(outcome.report, rung, ahead=True) if outcome.report and rung else None
    if difference is None or rung is None:
        return k.memory
    gap, error = difference
    contrast = Contrast(
        mine=(Spell(point, 1.0),),
        against=(Spell(k.reference, 1.0),),
        cycle=0,
        age=None,
        gap=gap,
        standard_error=_probe_error(k, point, gap, error, rung.rows.kept),
    )
    return replace(k.memory, contrasts=(*k.memory.contrasts, contrast))


def _probe_error(k: Knowledge, point: Point, gap: float, error: float, rows: int) -> float:
    """Standard error of what a probe tells of a lineage, where its paired difference has ``error``.

    A shorter history overstates the harm of dropping rows, several times where rows are few, and understates
    that of a smaller size. So harm that a cold start shows under sampling is doubted by most of itself, and
    a size counts as measured only where the rung has converged; else its contrast carries one tolerance of
    doubt more.

    Args:
        rows: that the rung trained on.
    """
    found = k.memory.convergence
    converged = found is not None and found.examples is not None and rows >= found.examples
    unlike = 0.0 if converged or point.size == k.reference.size else k.tolerance
    short = COLD_DOUBT * max(gap, 0.0) if point.rate < k.reference.rate else 0.0
    return hypot(error, unlike, short, sqrt(2.0) * k.memory.seed_noise, _unevenness(k.memory.convergence))


def _unevenness(found: Convergence | None) -> float:
    """By how much more history made a model worse at most, relative to its loss.

    Where that happens the stream moves, or hardly anything was learned yet. Then to have dropped rows may
    look harmless by as much.
    """
    losses = [rung.loss for rung in sorted(found.measured, key=lambda r: r.rows)] if found is not None else []
    return max((longer / shorter - 1.0 for shorter, longer in combinations(losses, 2)), default=0.0)


def history_window(k: Knowledge) -> tuple[datetime, datetime]:
    """What cycle 0 trains on: the history, or its end where that has converged."""
    start, _, end = window(k)
    found = k.memory.convergence
    if not k.enforce or found is None or found.examples is None or not k.memory.row_rate:
        return start, end
    length = (end - start) * min(found.examples / max(k.rows(start, end), 1.0), 1.0)
    return end - length, end
