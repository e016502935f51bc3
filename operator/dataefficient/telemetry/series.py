"""What a series is: its name, its meaning, its labels, and how its value is read from a view.

Declaring all three in one place keeps the reference page true (``docs/metrics.md`` is made from it) and
makes what is exported a matter of reading tables. Names follow Prometheus' conventions: prefix, base
units, ``_total`` on what only grows; an age is exported as the time that it counts from.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

PREFIX = "dataefficient_"
RESOURCE_LABELS = ("resource_namespace", "resource")
"""Not ``namespace``: Prometheus would rename it, because its own scrape sets one."""
MAX_LABEL = 128

Subject = TypeVar("Subject")
Values = Iterable[tuple[tuple[str, ...], float | None]]
"""Values of the series' own labels, and the value; None: not known, and then not exported."""


class Kind(enum.StrEnum):
    """Prometheus' metric types that are used here."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True)
class Series(Generic[Subject]):
    """One metric, read from views of one type."""

    name: str
    """Without the prefix and, for a counter, without ``_total``."""
    help: str
    read: Callable[[Subject, datetime], Values]
    labels: tuple[str, ...] = ()
    kind: Kind = Kind.GAUGE

    @property
    def full_name(self) -> str:
        """As it is exported and queried."""
        return PREFIX + self.name + ("_total" if self.kind is Kind.COUNTER else "")

    def values(self, subject: Subject, now: datetime) -> Iterator[tuple[tuple[str, ...], float]]:
        """What is known and finite, label values fit for the text format."""
        for labels, value in self.read(subject, now):
            if value is not None and math.isfinite(value):
                yield tuple(map(label_text, labels)), float(value)


def label_text(value: object) -> str:
    """``value`` as a label's value: valid UTF-8, and bounded, because trainers write some of them."""
    return str(value).encode("utf-8", "replace").decode("utf-8")[:MAX_LABEL]


def one(value: float | None) -> Values:
    """The value of a series without labels of its own."""
    return [((), value)]
