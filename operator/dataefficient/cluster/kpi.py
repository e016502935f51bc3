"""The level of the KPI over the last cycles, as the runs reported it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from dataefficient.api.spec import Spec
from dataefficient.cycle.model import Memory


@dataclass(frozen=True)
class Pooled:
    """Mean level over ``cycles`` cycles and its standard error, up to ``last``."""

    level: float
    standard_error: float | None
    cycles: int
    last: int


def pooled(memory: Memory, spec: Spec) -> Pooled | None:
    """Pooled over the last ``kpi.overCycles`` cycles that had a level; None: none had one."""
    found = [(r.cycle, r.kpi, r.kpi_standard_error) for r in memory.history if r.kpi is not None]
    recent = found[-spec.kpi.over_cycles :]
    if not recent:
        return None
    errors = [e for _, _, e in recent if e is not None]
    count = len(recent)
    error = sqrt(sum(e * e for e in errors)) / count if len(errors) == count else None
    return Pooled(sum(level for _, level, _ in recent) / count, error, count, recent[-1][0])
