"""What everything shown of a resource is made from: what is declared, remembered and seen just now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from dataefficient.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from dataefficient.api.spec import Resource, Spec
from dataefficient.cluster.names import Key
from dataefficient.cluster.outcome import Live
from dataefficient.cluster.runs import Seen
from dataefficient.cycle.model import Memory, Observation


class Answer(NamedTuple):
    """One condition without its times."""

    kind: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str


@dataclass(frozen=True)
class Refused:
    """Why the resource is not acted on: the reason of the condition Accepted, and a sentence."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class View:
    """One resource at one time."""

    resource: Resource
    memory: Memory
    now: datetime
    live: Mapping[str, Live] = field(default_factory=dict)
    """Launched attempts that have not ended, by run."""
    wait_until: datetime | None = None
    answers: tuple[Answer, ...] = ()
    """What was read back from Prometheus; it has the last word."""
    before: tuple[Condition, ...] = ()
    """Conditions as they stand in the status, for the times of their transitions."""
    handled: tuple[str, ...] = ()
    decided_at: datetime | None = None
    """When the cycle in hand came in hand; see ``ledger.Book``."""


class Readback(Protocol):
    """Reads quality and cost back from where serving and billing measure them."""

    async def read(self, view: View) -> tuple[Answer, ...]:
        """What it says of the resource; never an exception for a server that does not answer."""

    def pass_on(self, key: Key, spec: Spec, memory: Memory, seen: Seen) -> Seen:
        """``seen`` without what must not be decided on before something was answered about it."""

    def news(self, key: Key) -> bool:
        """Whether a reading waits to be handed to a decision."""

    def told(self, key: Key, observation: Observation) -> Observation:
        """``observation`` with the reading in it that waits for a decision, if there is one."""

    def decided(self, key: Key) -> None:
        """The decision with the reading in it is remembered."""

    def refused(self, key: Key, conditions: tuple[Condition, ...]) -> None:
        """The resource is not acted on, and these are its conditions."""

    def forget(self, key: Key) -> None:
        """The resource is gone."""
