"""What is asked of the Prometheus server: which one, what serves, and what a run cost.

Declaration only. How a query is asked and what its answer is worth is the Prometheus client's; what
follows from an answer is the state machine's.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, Protocol

from pydantic import Field

from dataefficient.api.model import Cel, Model, Problem, Rule
from dataefficient.api.names import GivenQuery, HttpAddress, Label, Query, SecretName
from dataefficient.api.quantity import Distance, Level

MaxAge = Annotated[int, Field(ge=1, le=2_592_000)]
MAX_AGE = 300
"""Seconds; the look-back of an instant query, beyond which Prometheus itself gives no sample."""
FRESHNESS = (
    "PromQL that gives the Unix time, in seconds, of the newest data behind query, such as "
    'max(timestamp(clicks_total{job="serve"})). Variables as in query. Default none: then query must be a '
    "bare selector, whose sample has a time, or its answer counts as Stale, unless assumeFresh."
)
MAX_AGE_SECONDS = "Seconds after which data are too old to count: the answer is Stale. Default 300."
ASSUME_FRESH = (
    "True takes the answer without looking at the age of its data. Default false. A series that nobody "
    "writes any more is then believed for as long as it is kept."
)


class Fresh(Protocol):
    """The fields of a query whose age is checked."""

    query: str
    freshness_query: str
    assume_fresh: bool


def one_way_to_be_fresh(asked: Fresh) -> Iterator[Problem]:
    """``freshnessQuery`` and ``assumeFresh`` contradict each other."""
    if asked.freshness_query and asked.assume_fresh:
        yield Problem(
            ("assumeFresh",),
            asked.assume_fresh,
            "false beside freshnessQuery",
            "remove one of the two: either the age is checked or it is not",
        )


ONE_WAY_TO_BE_FRESH = Rule(
    needs=("freshness_query", "assume_fresh"),
    check=one_way_to_be_fresh,
    cel=Cel(
        "!self.assumeFresh || !has(self.freshnessQuery) || size(self.freshnessQuery) == 0",
        "assumeFresh contradicts freshnessQuery",
        ".assumeFresh",
    ),
)


def _guardrail_bounds(guardrail: ServingGuardrail) -> Iterator[Problem]:
    if guardrail.min is None and guardrail.max is None:
        yield Problem(("max",), None, "min, max or both", 'add a bound, such as max: "0.2"')


def _guardrail_order(guardrail: ServingGuardrail) -> Iterator[Problem]:
    if guardrail.min is not None and guardrail.max is not None and guardrail.min > guardrail.max:
        yield Problem(
            ("min",), str(guardrail.min), f"at most max, which is {guardrail.max}", "lower min or raise max"
        )


class ServingGuardrail(Model):
    """A bound on a number that Prometheus knows."""

    name: Label = Field(description="Name in conditions, events and metrics. Unique. Required.")
    query: GivenQuery = Field(
        description="PromQL that gives one finite fresh number. Variables: ${namespace} ${name} ${cycle} "
        "${run} ${digest} ${windowSeconds}; run and digest are the candidate's. Required."
    )
    freshness_query: Query = Field(default="", description=FRESHNESS)
    max_age_seconds: MaxAge = Field(default=MAX_AGE, description=MAX_AGE_SECONDS)
    assume_fresh: bool = Field(default=False, description=ASSUME_FRESH)
    min: Level | None = Field(default=None, description="Smallest value allowed. Default: no such bound.")
    max: Level | None = Field(default=None, description="Largest value allowed. Default: no such bound.")

    rules: ClassVar[tuple[Rule, ...]] = (
        ONE_WAY_TO_BE_FRESH,
        Rule(
            needs=("min", "max"),
            check=_guardrail_bounds,
            cel=Cel("has(self.min) || has(self.max)", "needs min, max or both"),
        ),
        Rule(
            needs=("min", "max"),
            check=_guardrail_order,
            cel=Cel(
                "!(has(self.min) && has(self.max)) || double(self.min) <= double(self.max)",
                "serving guardrail min is greater than max",
                ".min",
            ),
        ),
    )


class CostSource(enum.StrEnum):
    """Who measures what a run cost, beside the ledger."""

    NONE = "None"
    KUBE_STATE_METRICS = "KubeStateMetrics"
    """Pod times and requests, in device-seconds."""
    OPENCOST = "OpenCost"
    """Allocated devices at the node's price, in money."""
    DCGM = "DCGM"
    """GPUs seen in use by the run's pods, in device-seconds."""
    GKE = "GKE"
    """Accelerators, TPUs among them, as GKE's system metrics count them, in device-seconds."""


def _query_needs_source(cost: CostCheck) -> Iterator[Problem]:
    if cost.query and cost.source is CostSource.NONE:
        yield Problem(
            ("source",),
            cost.source.value,
            "a source beside query: it says the unit of the answer",
            "name the source that the query stands in for, or remove query",
        )


class CostCheck(Model):
    """What the ledger is compared with."""

    source: CostSource = Field(
        default=CostSource.NONE,
        description="None, KubeStateMetrics (device-seconds from pod times), OpenCost (money), DCGM "
        "(device-seconds of GPUs) or GKE (device-seconds of TPUs and GPUs). Default None: the ledger stands "
        "alone.",
    )
    query: Query = Field(
        default="",
        description="PromQL that replaces the source's own query and answers in the same unit, for the "
        "cost of ${run} within the last ${windowSeconds} seconds. Default: the source's own.",
    )
    max_difference: Distance = Field(
        default=Decimal("0.1"),
        description="Relative difference up to which both count as equal; the condition CostAgrees is False "
        'beyond it. Default "0.1".',
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            needs=("source", "query"),
            check=_query_needs_source,
            cel=Cel(
                "self.source != 'None' || !has(self.query) || size(self.query) == 0",
                "query needs a source",
                ".source",
            ),
        ),
    )


class Prometheus(Model):
    """The server that answers queries."""

    address: HttpAddress | None = Field(
        default=None,
        description="Base address, http or https. Default: the installation's. An address that the "
        "installation does not allow is refused by the condition Accepted.",
    )
    secret_name: SecretName | None = Field(
        default=None,
        description="Secret in the resource's namespace, labelled dataefficient.training/prometheus: "
        '"true", with token, or username and password, and optionally ca.crt, tls.crt and tls.key. '
        "Default none: asked without credentials. A Secret that is missing or not labelled is refused by "
        "the condition Accepted.",
    )
    settle_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        default=120,
        description="Seconds between a run's end and the queries about it, so that its last samples were "
        "scraped. Default 120. Too small: answers are Empty or Stale.",
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=120)] = Field(
        default=10,
        description="Seconds within which the server must answer a query. Default 10. Later answers count "
        "as Failed.",
    )
    cost: CostCheck = Field(default_factory=CostCheck, description="What the ledger is compared with.")
