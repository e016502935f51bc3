"""What is measured: the stream, the KPI and the guardrails.

Declaration only. How gaps are bounded over a resource's life is the planner's, how queries are asked
the Prometheus client's.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field

from dataefficient.api.model import Cel, Model, Problem, Rule
from dataefficient.api.names import Column, Query, Uri
from dataefficient.api.quantity import Amount, Confidence, Distance, Level, Unique
from dataefficient.api.serving import (
    ASSUME_FRESH,
    FRESHNESS,
    MAX_AGE,
    MAX_AGE_SECONDS,
    ONE_WAY_TO_BE_FRESH,
    MaxAge,
)


def _label_is_no_key(data: Data) -> Iterator[Problem]:
    if data.label in data.key:
        yield Problem(
            ("key", data.key.index(data.label)),
            data.label,
            "columns other than the label",
            "a sample by the label's hash would be biased; name the columns that identify an event",
        )


class Data(Model):
    """The stream: one row per event, in time order."""

    uri: Uri = Field(
        description="File, folder or address of the events, Parquet, CSV, TSV or JSON lines; read through "
        "fsspec. A relative path is resolved against the resource's file locally and the image's work "
        "folder on a cluster. Required. What cannot be read fails the first run with the reason."
    )
    time: Column = Field(description="Column of the event time. Required.")
    label: Column = Field(description="Column of the label, 0 or 1. Required.")
    key: Annotated[tuple[Column, ...], Field(min_length=1, max_length=16), Unique()] = Field(
        description="Columns that identify an event, 1 to 16. Sampling hashes them, so they must not change "
        "when the row is written again. Required. Too few: rows are kept or dropped in lumps.",
    )
    group: Column | None = Field(
        default=None,
        description="Column whose rows are kept or dropped together, such as a request. Default: none.",
    )
    served_prediction: Column | None = Field(
        default=None,
        description="Column of the probability that was served, for ScoredNegatives and first estimates. "
        "Default: none.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            needs=("label", "key"),
            check=_label_is_no_key,
            cel=Cel("!(self.label in self.key)", "key must not contain the label", ".key"),
        ),
    )


class Metric(enum.StrEnum):
    """Quality that every run reports with its standard error."""

    LOG_LOSS = "log_loss"
    NORMALIZED_ENTROPY = "normalized_entropy"


class Direction(enum.StrEnum):
    """Which way the KPI improves."""

    MINIMIZE = "Minimize"
    MAXIMIZE = "Maximize"


def _target_or_tolerance(kpi: Kpi) -> Iterator[Problem]:
    if kpi.target is None and kpi.tolerance is None:
        yield Problem(
            ("tolerance",),
            None,
            "tolerance, target or both",
            'say what must be achieved, such as tolerance: "0.002"',
        )


def _maximize_needs_query(kpi: Kpi) -> Iterator[Problem]:
    if kpi.direction is Direction.MAXIMIZE and not kpi.query:
        yield Problem(
            ("direction",),
            kpi.direction.value,
            f"Minimize, since {kpi.metric.value} falls as it improves; Maximize goes with a query",
            "write Minimize, or give the query whose level grows",
        )


def _freshness_needs_query(kpi: Kpi) -> Iterator[Problem]:
    if kpi.freshness_query and not kpi.query:
        yield Problem(
            ("freshnessQuery",),
            kpi.freshness_query,
            "nothing without query, whose age it tells",
            "give query, or remove freshnessQuery",
        )


class Kpi(Model):
    """What the model must achieve."""

    metric: Metric = Field(
        default=Metric.LOG_LOSS,
        description="log_loss or normalized_entropy, as the runs report it; gate and planner use it. Default "
        "log_loss.",
    )
    direction: Direction = Field(
        default=Direction.MINIMIZE,
        description="Which way target is met: Minimize (at or below) or Maximize (at or above; only with "
        "query). Default Minimize. Cannot be changed.",
    )
    target: Level | None = Field(
        default=None,
        description="Level to reach, pooled over overCycles, as a decimal string; the level of query where "
        "one is given. Default none. At least one of target and tolerance must be given.",
    )
    over_cycles: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3,
        description="Cycles over which the level is pooled before it is held against target. Default 3.",
    )
    query: Query = Field(
        default="",
        description="PromQL about what serves, such as CTR or revenue: one finite fresh number. It can "
        "block, hold or withdraw a plan. Variables: ${namespace} ${name} ${cycle} ${run} ${digest} "
        "${windowSeconds}; run and digest are the champion's. Default none.",
    )
    freshness_query: Query = Field(default="", description=FRESHNESS)
    max_age_seconds: MaxAge = Field(default=MAX_AGE, description=MAX_AGE_SECONDS)
    assume_fresh: bool = Field(default=False, description=ASSUME_FRESH)
    tolerance: Distance | None = Field(
        default=None,
        description="Largest relative distance to what full data at the largest size would have given, over "
        'the resource\'s whole life, as a fraction such as "0.002". Default none: nothing is economised '
        "beyond what target allows. At least one of target and tolerance must be given.",
    )
    max_regression: Distance = Field(
        default=Decimal("0.002"),
        description="A candidate worse than the frozen champion by more than this fraction, and by more than "
        'noise explains (at 99 %), is not published. Default "0.002".',
    )
    confidence: Confidence = Field(
        default=Decimal("0.95"),
        description='Probability of the bounds that decisions rest on, 0.5 to below 1. Default "0.95".',
    )
    slices: Annotated[tuple[Column, ...], Field(max_length=8), Unique()] = Field(
        default=(),
        description="Columns, at most 8, such as a country: of their values, the up to 8 on which a "
        "candidate does worst against the model that it started from are reported. They are told and not "
        "judged. Default none.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            needs=("target", "tolerance"),
            check=_target_or_tolerance,
            cel=Cel(
                "has(self.target) || has(self.tolerance)", "needs tolerance, target or both", ".tolerance"
            ),
        ),
        Rule(
            needs=("direction", "metric", "query"),
            check=_maximize_needs_query,
            cel=Cel(
                "self.direction == 'Minimize' || (has(self.query) && size(self.query) > 0)",
                "Maximize goes with a query",
                ".direction",
            ),
        ),
        ONE_WAY_TO_BE_FRESH,
        Rule(
            needs=("query", "freshness_query"),
            check=_freshness_needs_query,
            cel=Cel(
                "!has(self.freshnessQuery) || size(self.freshnessQuery) == 0 || "
                "(has(self.query) && size(self.query) > 0)",
                "freshnessQuery goes with query",
                ".freshnessQuery",
            ),
        ),
        Rule(
            needs=(),
            cel=Cel("self.direction == oldSelf.direction", "direction cannot be changed", ".direction"),
        ),
    )


class GuardrailMetric(enum.StrEnum):
    """What a guardrail may watch."""

    CALIBRATION = "calibration"
    """Mean predicted probability over mean label; 1 is right."""
    LOG_LOSS = "log_loss"
    NORMALIZED_ENTROPY = "normalized_entropy"
    AUC = "auc"


class RelativeTo(enum.StrEnum):
    """What ``maxDifference`` is measured against."""

    CHAMPION = "Champion"


def _guardrail_bounds(guardrail: Guardrail) -> Iterator[Problem]:
    if guardrail.max_difference is None and guardrail.min is None and guardrail.max is None:
        yield Problem(
            ("maxDifference",),
            None,
            "maxDifference, min or max",
            'add a bound, such as maxDifference: "0.02"',
        )


def _guardrail_order(guardrail: Guardrail) -> Iterator[Problem]:
    if guardrail.min is not None and guardrail.max is not None and guardrail.min > guardrail.max:
        yield Problem(
            ("min",), str(guardrail.min), f"at most max, which is {guardrail.max}", "lower min or raise max"
        )


class Guardrail(Model):
    """A bound that a candidate must keep to be published."""

    metric: GuardrailMetric = Field(
        description="calibration, log_loss, normalized_entropy or auc, on the evaluation rows. Required."
    )
    relative_to: RelativeTo = Field(
        default=RelativeTo.CHAMPION,
        description="What maxDifference is measured against: Champion, the published checkpoint on the same "
        "rows. Default Champion.",
    )
    max_difference: Amount | None = Field(
        default=None,
        description="Largest change for the worse, in the metric's own unit, as a decimal string. Default: "
        "no such bound.",
    )
    min: Level | None = Field(default=None, description="Smallest value allowed. Default: no such bound.")
    max: Level | None = Field(default=None, description="Largest value allowed. Default: no such bound.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            needs=("max_difference", "min", "max"),
            check=_guardrail_bounds,
            cel=Cel(
                "has(self.maxDifference) || has(self.min) || has(self.max)",
                "needs maxDifference, min or max",
            ),
        ),
        Rule(
            needs=("min", "max"),
            check=_guardrail_order,
            cel=Cel(
                "!(has(self.min) && has(self.max)) || double(self.min) <= double(self.max)",
                "guardrail min is greater than max",
                ".min",
            ),
        ),
    )
