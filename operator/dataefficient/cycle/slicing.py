"""What a report says of the values of ``kpi.slices``, as figures of one row.

They are told and not judged: a value has few rows, the worst of many are looked at, and a candidate that
is published serves all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from dataefficient.api.spec import Spec
from dataefficient.contract import Slice
from dataefficient.cycle.model import Memory


@dataclass(frozen=True)
class Sliced:
    """One value of a column.

    Attributes:
        rows: scored, or that those scored stand for.
        loss: mean log loss of the candidate.
        gap: relative difference to the model that it started from; None: it started from none.
        error: standard error of that, rows taken as independent; None: not told.
    """

    column: str
    value: str
    rows: int
    loss: float
    gap: float | None
    error: float | None


@dataclass(frozen=True)
class Slices:
    """Values of ``kpi.slices`` on which the newest candidate did worst, worst first."""

    cycle: int
    values: tuple[Sliced, ...]


def sliced(part: Slice) -> Sliced:
    """The figures of a value; it has rows."""
    before = part.start_loss or None
    return Sliced(
        part.column,
        part.value,
        part.n,
        part.loss / part.n,
        None if before is None else part.loss / before - 1.0,
        None if before is None or part.error is None else part.error / before,
    )


def told(memory: Memory, spec: Spec) -> Slices | None:
    """What the newest cycle has told of any value; None: none has, or the resource names no column."""
    record = next((record for record in reversed(memory.history) if record.slices), None)
    if record is None or not spec.kpi.slices:
        return None
    return Slices(record.cycle, tuple(map(sliced, record.slices)))
