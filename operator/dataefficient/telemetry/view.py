"""What the collector sees of a resource: a read-only picture that its driver replaces at every visit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dataefficient.api.conditions import Condition
from dataefficient.api.spec import Spec
from dataefficient.cycle.answers import Answer
from dataefficient.cycle.model import Memory, RunOutcome, RunPlan

MAX_RUNS = 12
"""Finished runs of a resource that are exported, the newest: more than any cycle after the first has."""


@dataclass(frozen=True)
class FinishedRun:
    """One run that ended, and how."""

    plan: RunPlan
    outcome: RunOutcome


@dataclass(frozen=True)
class ResourceView:
    """One resource at one time."""

    namespace: str
    name: str
    spec: Spec
    memory: Memory
    conditions: tuple[Condition, ...] = ()
    finished: tuple[FinishedRun, ...] = ()
    """Oldest first; the memory forgets a cycle's runs when it has judged them, its driver should not."""
    answers: tuple[Answer, ...] = ()
    """The newest of each query, those of other cycles included."""
    decided_at: datetime | None = None
    """When the cycle in hand came in hand; None: not known yet."""
    overhead: Mapping[str, float] = field(default_factory=dict)
    """Device-seconds by ``overhead.Cause``."""
