"""What a case is: a world, the minute at which it is looked at, and the alerts that fire then.

In every world all alerts are looked at: those that are not named must be silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rules.world import RESOURCE, World, healthy, without_resources


@dataclass(frozen=True)
class Fires:
    """One alert that fires: its labels and its description. The severity is the rule's."""

    description: str
    labels: Mapping[str, str] = field(default_factory=lambda: RESOURCE)


@dataclass(frozen=True)
class Case:
    """A world, the minute at which it is looked at, and what fires then."""

    name: str
    about: str
    """The alert that this world is made for, without the prefix DataEfficient."""
    world: World
    fires: Mapping[str, Fires] = field(default_factory=dict)
    """By alert, without the prefix."""
    minute: int = 100

    @property
    def quiet(self) -> bool:
        """Whether the alert that it is made for must not fire."""
        return self.about not in self.fires


def case(about: str, name: str, world: World, *, minute: int = 100, **fires: Fires) -> Case:
    return Case(name, about, world, fires, minute)


HEALTHY = healthy()
GONE = without_resources(HEALTHY)

LACKS = Fires(
    "ads/flights lacks a series that is always exported, so that the alerts about it cannot fire: a "
    "relabeling that drops series, an operator older than these rules, or visits that fail."
)
