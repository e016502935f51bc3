"""The pure state machine."""

from __future__ import annotations

from dataefficient.api.spec import Spec
from dataefficient.cycle.model import Decision, Memory, Observation


def advance(spec: Spec, memory: Memory, observation: Observation) -> Decision:
    """The decision that follows from what is declared, remembered and seen."""
    raise NotImplementedError
