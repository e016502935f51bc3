"""What was spent and read so far: from runs that are there in full, else from what the history says of them.

A work folder keeps every run. A cluster keeps the last cycles' runs in full, a line of each older one, and
of those before them the sum that was spent. What was charged to a cycle beyond its runs went to attempts
that failed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from dataefficient.contract import Role
from dataefficient.cycle.model import CycleRecord, Memory, RunOutcome
from dataefficient.report.measure import FAILED, Run, report_of
from dataefficient.report.statement import RoleSpend

UNITEMIZED = "Not itemized"
"""Spend of which only the sum is remembered."""
ROLES = (*(r.value for r in (Role.CANDIDATE, Role.TRIAL, Role.PROBE, Role.CONTROL)), FAILED, UNITEMIZED)
"""In the order in which spend is shown."""
_LEAST = 1e-6


@dataclass(frozen=True)
class Part:
    """One run that ended; ``role`` is what its device-seconds count as."""

    cycle: int
    role: str
    seconds: float


@dataclass(frozen=True)
class Read:
    """What the candidate of a finished cycle read; ``positives`` None: not kept."""

    cycle: int
    begin: datetime
    rows: int
    positives: int | None


@dataclass(frozen=True)
class Past:
    """The past of a resource."""

    parts: tuple[Part, ...]
    charged: dict[int, float]
    """Device-seconds by cycle, as the ledger has them, for the cycles that are remembered."""
    beyond: float
    """Device-seconds that the ledger has beyond those and beyond the runs of earlier cycles."""
    first: int
    """The first cycle that is remembered."""
    forgotten: bool
    """Whether there were cycles before that one and none of their runs is there."""
    read: tuple[Read, ...]
    reported: tuple[int, ...]
    """Cycles whose candidate's report is there."""
    summarized: bool
    """Whether some runs that ended are kept as a line alone."""

    def by_role(self, cycle: int | None = None) -> tuple[RoleSpend, ...]:
        """Device-seconds by role, of one cycle or of all."""
        spent: dict[str, float] = defaultdict(float)
        known: dict[int, float] = defaultdict(float)
        for part in self.parts:
            if cycle in (None, part.cycle):
                spent[part.role] += part.seconds
                known[part.cycle] += part.seconds
        cycles = self.charged if cycle is None else {cycle: self.charged.get(cycle, 0.0)}
        spent[FAILED] += sum(max(charged - known[k], 0.0) for k, charged in cycles.items())
        if cycle is None:
            older = any(part.cycle < self.first for part in self.parts)
            spent[FAILED if older else UNITEMIZED] += self.beyond
        return tuple(RoleSpend(role, spent[role]) for role in ROLES if spent[role] > _LEAST)

    @property
    def history_rows(self) -> int | None:
        """Rows that cycle 0 read."""
        return next((one.rows for one in self.read if one.cycle == 0), None)

    @property
    def rows(self) -> int | None:
        """Rows of all finished cycles, each counted once; None: not known for all of them."""
        if not self.read or self.forgotten:
            return None
        return sum(one.rows for one in self.read)

    @property
    def positive_share(self) -> float | None:
        """Share of positive labels where it is known."""
        told = [(one.rows, one.positives) for one in self.read if one.positives is not None]
        rows = sum(n for n, _ in told)
        return sum(p for _, p in told) / rows if rows else None


def past_of(memory: Memory, runs: Sequence[Run]) -> Past:
    """The past that ``memory`` and the runs that are there tell of."""
    ended = [(request, outcome) for request, outcome in runs if outcome is not None]
    here = {request.run for request, _ in ended}
    lines = [(record.cycle, run) for record in memory.history for run in record.runs if run.run not in here]
    # What was seen of a run's cost after its end is in the ledger alone.
    billed = {entry.run: entry.seconds for entry in memory.ledger.entries}
    parts = [
        *(Part(q.cycle, _role(q.role, o), max(o.device_seconds, billed.get(q.run, 0.0))) for q, o in ended),
        *(
            Part(
                cycle,
                run.role.value if run.outcome == "Succeeded" else FAILED,
                max(run.device_seconds, billed.get(run.run, 0.0)),
            )
            for cycle, run in lines
        ),
    ]
    charged = {record.cycle: record.spent_seconds for record in memory.history}
    if (current := memory.ledger.by_cycle.get(str(memory.cycle))) is not None:
        charged.setdefault(memory.cycle, current)
    known: dict[int, float] = defaultdict(float)
    for part in parts:
        known[part.cycle] += part.seconds
    charged = {cycle: max(seconds, known[cycle]) for cycle, seconds in charged.items()}
    older = sum(seconds for cycle, seconds in known.items() if cycle not in charged)
    first = min(charged, default=0)
    reads = _reads(memory, runs)
    return Past(
        parts=tuple(parts),
        charged=charged,
        beyond=max(memory.ledger.settled - sum(charged.values()) - older, 0.0),
        first=first,
        forgotten=first > 0 and not any(part.cycle < first for part in parts),
        read=tuple(_once(reads)),
        reported=tuple(read.cycle for read in reads if read.positives is not None),
        summarized=bool(lines),
    )


def _role(role: Role, outcome: RunOutcome) -> str:
    return role.value if outcome.report is not None else FAILED


def _reads(memory: Memory, runs: Sequence[Run]) -> list[Read]:
    """What each finished cycle's candidate read, by cycle."""
    finished = {record.cycle for record in memory.history}
    first = min(finished, default=0)
    found: dict[int, Read] = {}
    for request, outcome in runs:
        report = report_of((request, outcome))
        done = request.cycle in finished or request.cycle < first
        if request.role is Role.CANDIDATE and report is not None and request.train is not None and done:
            rows = report.rows
            found[request.cycle] = Read(request.cycle, request.train.start, rows.read, rows.positives)
    for record in memory.history:
        if record.cycle not in found and (read := _summary(record)) is not None:
            found[record.cycle] = read
    return [found[cycle] for cycle in sorted(found)]


def _summary(record: CycleRecord) -> Read | None:
    for run in record.runs:
        if run.role is Role.CANDIDATE and run.outcome == "Succeeded" and record.plan is not None:
            return Read(record.cycle, record.plan.train_from, run.rows_read, None)
    return None


def _once(reads: Iterable[Read]) -> list[Read]:
    """Each row counted once: a candidate after a rejected one reads its rows again."""
    found: list[Read] = []
    for read in reads:
        found = [earlier for earlier in found if earlier.begin < read.begin]
        found.append(read)
    return found
