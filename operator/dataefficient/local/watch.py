"""What the driver tells whoever watches it; ``progress`` shows it to people.

Watching changes nothing: a watcher that does nothing leaves the same work folder behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dataefficient.contract import RunRequest
from dataefficient.cycle.model import Memory, RunOutcome
from dataefficient.local.process import Progress


@dataclass(frozen=True)
class Running:
    """A run that is being executed; ``seconds`` since this launch."""

    request: RunRequest
    seconds: float
    progress: Progress


class Watcher(Protocol):
    """Hears of everything as it happens, and is asked to draw itself several times a second."""

    def say(self, sentence: str) -> None:
        """A sentence for the log."""

    def started(self, request: RunRequest) -> None:
        """A run was launched."""

    def ended(self, request: RunRequest, outcome: RunOutcome) -> None:
        """A run's attempt ended."""

    def remembered(self, memory: Memory) -> None:
        """A decision was made."""

    def draw(self, running: Sequence[Running]) -> None:
        """What runs now."""

    def close(self) -> None:
        """Nothing more comes."""
