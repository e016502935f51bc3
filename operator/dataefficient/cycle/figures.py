"""Forecasts, totals and fits as the memory keeps them, and what a person is asked to approve.

Plain frozen data, held by ``model``. Durations are device-seconds unless a name says otherwise.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dataefficient.planner.knobs import Point


@dataclass(frozen=True)
class Forecast:
    """A number and its interval of 80 %."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Saved:
    """Totals over finished cycles, in device-seconds."""

    from_cycle: int
    to_cycle: int
    as_of: datetime
    settled_before: float
    """What the ledger had settled before ``from_cycle``."""
    spent: float
    """All runs, experiments included."""
    full: Forecast
    """What full data at the largest size would have taken; the bounds are those of single cycles, added."""


@dataclass(frozen=True)
class ColdStart:
    """A small run on all rows of a part of the history, scored on the common later window."""

    size: int
    rows: int
    loss: float


@dataclass(frozen=True)
class Surface:
    """The fit of loss(size, rows) = E + A / size^alpha + B / rows^beta to the cold starts."""

    terms: Mapping[str, Forecast]
    """By name, with intervals of 95 %; what the runs do not identify is not there."""
    missing: Mapping[str, str]
    """By name, why."""
    runs: int
    key: str
    """Their comparability key."""


class Ask(enum.StrEnum):
    """What a person is asked to approve."""

    PLAN = "Plan"
    """Another plan, from the next cycle on."""
    MEASUREMENT = "Measurement"
    """Small runs on the history, before the next cycle's candidate."""
    TRIAL = "Trial"
    """A trial of a plan beside the one in force; of another size, it takes over once it is certified."""
    RUN = "Run"
    """The runs of the cycle in hand, which cost more than ``approval.aboveMoney``."""


@dataclass(frozen=True)
class Proposal:
    """What waits for a person in mode Recommend, and the word that approves it."""

    digest: str
    ask: Ask
    since: int
    """Cycle in which it was first asked for as it is."""
    point: Point
    """The plan: another one, the one to try, or the one that runs."""
    holds: bool
    """Whether the cycle in hand does not begin before it is approved."""
    cost: Forecast | None
    """Device-seconds: of the candidate under the plan, or of the experiment as a whole."""
    kpi: Forecast | None
    """Level (log loss) expected under the plan; None: no level is known, or no other plan is meant."""
    saving: float | None
    """Expected share of an ordinary cycle's cost; None: no other plan is meant."""
    told: str
    """The sentence that asks for it, with its digest."""
