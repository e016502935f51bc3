"""What Prometheus answered, as the decision sees it and as it is kept beside it.

An answer has exactly one verdict, and only the verdict Ok carries a number: missing data is never a
number. Plain data, like the rest of an observation. How it is asked is the Prometheus client's, what
follows from it is in ``serving``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from dataefficient.planner.knobs import Point


class Verdict(enum.StrEnum):
    """What an answer is worth."""

    OK = "Ok"
    """Exactly one fresh finite number."""
    EMPTY = "Empty"
    """No series matches."""
    NOT_FINITE = "NotFinite"
    """NaN or infinite, as 0/0 is."""
    MULTIPLE = "Multiple"
    """More than one series: which one counts is not known."""
    STALE = "Stale"
    """Too old, or of an age that nothing tells."""
    FAILED = "Failed"
    """No answer, or none that can be read."""


class Cause(enum.StrEnum):
    """Why an answer is not Ok, in a word that programs may match."""

    NO_SERIES = "NoSeries"
    NOT_FINITE = "NotFinite"
    MANY_SERIES = "ManySeries"
    TOO_OLD = "TooOld"
    AGE_UNKNOWN = "AgeUnknown"
    """Neither a bare selector nor a query for its freshness."""
    AGE_IMPOSSIBLE = "AgeImpossible"
    """The freshness query gave no time, or one that lies ahead."""
    BAD_QUERY = "BadQuery"
    """The server cannot parse or type the query."""
    NOT_EXECUTED = "NotExecuted"
    """The server understood the query and could not carry it out."""
    NO_NUMBER = "NoNumber"
    """A matrix, a string or a histogram: not what an instant query for a number gives."""
    TIMEOUT = "Timeout"
    UNREACHABLE = "Unreachable"
    TLS = "TLS"
    """No trust in the server's certificate, or the server's none in ours."""
    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"
    NOT_FOUND = "NotFound"
    """The address is not that of a Prometheus API."""
    THROTTLED = "Throttled"
    SERVER_ERROR = "ServerError"
    REDIRECTED = "Redirected"
    """Not followed, because credentials would go along."""
    TOO_LARGE = "TooLarge"
    NOT_UNDERSTOOD = "NotUnderstood"
    """The answer is not that of Prometheus' HTTP API."""


@dataclass(frozen=True)
class Answer:
    """One query's answer; ``value`` is there if and only if the verdict is Ok."""

    name: str
    """Path of the field that the query comes from, such as ``spec.kpi.query``."""
    query: str
    """As it was sent, variables filled in."""
    asked_at: datetime
    """By the clock of the one who asked."""
    verdict: Verdict
    value: float | None = None
    evaluated_at: datetime | None = None
    """By the server's clock."""
    sampled_at: datetime | None = None
    """Time of the newest data behind the number; None where it was not checked."""
    cause: Cause | None = None
    message: str = ""
    """Why it is not Ok and what to do, as a sentence."""
    warnings: tuple[str, ...] = ()
    """What the server, or the way of asking, warns of."""

    def __post_init__(self) -> None:
        ok = self.verdict is Verdict.OK
        if ok is (self.value is None) or ok is (self.cause is not None):
            raise ValueError(f"{self.verdict.value} with value {self.value} and cause {self.cause}")


@dataclass(frozen=True)
class Heard:
    """What ``kpi.query`` gave in one cycle, as the memory keeps it, and the plan of what served then."""

    cycle: int
    point: Point
    verdict: Verdict
    value: float | None = None
    message: str = ""
