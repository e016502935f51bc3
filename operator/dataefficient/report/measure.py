"""From runs to an arm's spend and quality, cycle by cycle.

An arm is a chain of models on the same stream: ours, or a control's. What is asked of it here is what it
measured; comparing two arms is ``savings``. Of ours every attempt counts, failed ones too; of a control
only the runs that ended well, so that its bad luck never becomes our saving.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt

from scipy.stats import t as student

from dataefficient.contract import Evaluated, Role, RunReport, RunRequest, Scored
from dataefficient.cycle.model import RunOutcome
from dataefficient.report.statement import Spend

Run = tuple[RunRequest, RunOutcome | None]

FAILED = "Failed attempts"
"""Spend that no usable report answers for."""


def report_of(run: Run) -> RunReport | None:
    """The run's report; None where it has not ended, or failed."""
    return run[1].report if run[1] is not None else None


def spend_of(run: Run, devices: int) -> Spend:
    """Device-seconds of one run; launching counts as start-up."""
    outcome, report = run[1], report_of(run)
    if outcome is None or report is None:
        return Spend(outcome.device_seconds if outcome else 0.0, 0.0, 0.0)
    total = outcome.device_seconds
    working = max(0.0, min(total, devices * (report.seconds.total - report.seconds.startup)))
    return Spend(total, total - working, min(working, devices * report.seconds.evaluate))


def add(parts: Iterable[Spend]) -> Spend:
    """Sum of spends."""
    seconds = startup = evaluating = 0.0
    for part in parts:
        seconds += part.seconds
        startup += part.startup
        evaluating += part.evaluating
    return Spend(seconds, startup, evaluating)


def by_cycle(runs: Sequence[Run]) -> dict[int, list[Run]]:
    """Runs that ended, by their cycle."""
    grouped: dict[int, list[Run]] = defaultdict(list)
    for run in runs:
        if run[1] is not None:
            grouped[run[0].cycle].append(run)
    return dict(grouped)


@dataclass(frozen=True)
class Frozen:
    """A model, frozen at the start of a cycle, on that cycle's evaluation rows."""

    scored: Scored
    rows: Evaluated

    @property
    def n(self) -> int:
        """Evaluation rows."""
        return sum(self.rows.n)

    @property
    def level(self) -> float | None:
        """Mean log loss in nats."""
        return sum(self.scored.loss) / self.n if self.n else None


def frozen_starts(runs: Sequence[Run], role: Role | None = None) -> dict[int, Frozen]:
    """The model that each cycle's run started from, scored before it learned; the last such run counts."""
    found: dict[int, Frozen] = {}
    for run in runs:
        report = report_of(run)
        if report is None or report.evaluated is None or (role is not None and run[0].role is not role):
            continue
        start = report.evaluated.models.get("start")
        if start is not None:
            found[run[0].cycle] = Frozen(start, report.evaluated)
    return found


@dataclass(frozen=True)
class Noise:
    """Relative spread of seconds between runs of one kind: standard deviation and degrees of freedom."""

    working: tuple[float, int] | None
    startup: tuple[float, int] | None

    def half_width(self, parts: Sequence[Spend], *, working_only: bool) -> tuple[float, int] | None:
        """Standard error of a sum of spends, and its degrees of freedom; None where the spread is unknown."""
        if self.working is None or (self.startup is None and not working_only):
            return None
        variance = sum((self.working[0] * p.working) ** 2 for p in parts)
        freedom = self.working[1]
        if not working_only and self.startup is not None:
            variance += sum((self.startup[0] * p.startup) ** 2 for p in parts)
            freedom = min(freedom, self.startup[1])
        return sqrt(variance), freedom


HARDLY = 0.1
"""A run with less than this part of the arm's longest start-up rides in another's process, and hardly starts:
it is no measure of those that do."""
_FEWEST = 3
"""Degrees of freedom below which a spread is not stated."""


def timing_noise(arms: Sequence[Sequence[Run]], devices: int) -> Noise:
    """Spread of seconds per row, and of start-up, pooled over groups of runs with one plan.

    Cycle 0 is left out: it trains a history and not an interval. The logarithm is taken as normal.
    """
    per_row: dict[object, list[float]] = defaultdict(list)
    startups: dict[object, list[float]] = defaultdict(list)
    for arm, runs in enumerate(arms):
        for run in runs:
            request, report = run[0], report_of(run)
            if report is None or request.train is None or request.cycle == 0 or report.rows.read <= 0:
                continue
            spend = spend_of(run, devices)
            kind = (arm, request.role, request.train.policy, request.train.rate, request.size)
            if spend.working > 0.0:
                per_row[kind].append(log(spend.working / report.rows.read))
            if spend.startup > 0.0:
                startups[arm].append(spend.startup)
    started = {
        arm: [log(s) for s in seconds if s >= HARDLY * max(seconds)] for arm, seconds in startups.items()
    }
    return Noise(_pooled(per_row), _pooled(started))


def _pooled(groups: Mapping[object, Sequence[float]]) -> tuple[float, int] | None:
    total, freedom = 0.0, 0
    for values in groups.values():
        mean = sum(values) / len(values)
        total += sum((v - mean) ** 2 for v in values)
        freedom += len(values) - 1
    return (sqrt(total / freedom), freedom) if freedom >= _FEWEST else None


def quantile(freedom: int) -> float:
    """Student's t for a two-sided interval of 95 %."""
    return float(student.ppf(0.975, freedom))
