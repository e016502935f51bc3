"""The status: what the operator knows and remembers, in the form that users see.

It is memory and display at once, so it is bounded everywhere: the largest status that these types allow
stays below 64 KiB. Numbers are decimal strings, absent means not known; nothing unknown is ever a number.
How it is computed is not here.
"""

from __future__ import annotations

import enum
from typing import Annotated

from pydantic import Field, StringConstraints

from dataefficient.api.conditions import Condition, ConditionType
from dataefficient.api.model import Model
from dataefficient.api.names import Currency
from dataefficient.api.quantity import Fraction, Instant, Number
from dataefficient.contract import Policy, Role

MAX_HISTORY = 20
MAX_RUNS = 12
MAX_PREVIOUS = 31
MAX_HANDLED = 16
MAX_TOLD = 4
"""Values of ``kpi.slices``."""

Word = Annotated[str, StringConstraints(max_length=63)]
"""A name, a digest's prefix or another single word."""
Digest = Annotated[str, StringConstraints(max_length=80)]
Line = Annotated[str, StringConstraints(max_length=120)]
"""A preformatted cell of a table."""
Sentence = Annotated[str, StringConstraints(max_length=400)]
Place = Annotated[str, StringConstraints(max_length=320)]
"""A checkpoint's address: ``checkpoints.uri`` and what the run appends."""
Count = Annotated[int, Field(ge=0)]


class RunState(enum.StrEnum):
    """How far a run is."""

    INTENDED = "Intended"
    """Reserved and written down, not launched."""
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class Cost(Model):
    """What something costs or cost."""

    device_hours: Number = Field(description="Device hours (core hours for cpu).")
    money: Number | None = Field(default=None, description="In budget.currency; absent without a price.")


class Measured(Model):
    """A number with its interval."""

    value: Number = Field(description="The estimate.")
    low: Number | None = Field(default=None, description="Lower end of its interval; absent: not identified.")
    high: Number | None = Field(
        default=None, description="Upper end of its interval; absent: not identified."
    )


class RunStatus(Model):
    """One run of the cycle in hand."""

    name: Word = Field(description="Name of the run, unique in the resource.")
    role: Role = Field(description="Why it exists.")
    state: RunState = Field(description="How far it is.")
    attempt: Count = Field(default=0, description="Launches so far.")
    policy: Policy = Field(description="Sampling policy.")
    rate: Fraction = Field(description="Share of rows trained on.")
    size: Count = Field(description="Model size.")
    deadline_seconds: Count | None = Field(default=None, description="Seconds after which it is stopped.")
    reserved: Cost | None = Field(default=None, description="What is set aside for it until it is settled.")
    started_at: Instant | None = Field(default=None, description="When the first attempt began.")
    reason: Line = Field(default="", description="Why it failed or waits.")


class SliceStatus(Model):
    """One value of a column of kpi.slices, in the newest cycle that told of any."""

    column: Word = Field(description="The column.")
    value: Word = Field(description="Its value.")
    rows: Count = Field(description="Rows with it that were scored, or that those scored stand for.")
    log_loss: Number = Field(description="Log loss of the candidate on them.")
    difference: Number | None = Field(
        default=None, description="Relative difference to the model that it started from; above 0 is worse."
    )
    standard_error: Number | None = Field(
        default=None, description="Of difference, rows taken as independent, so rather too small."
    )


class KpiStatus(Model):
    """The KPI against what was asked."""

    value: Number | None = Field(default=None, description="Level, pooled over kpi.overCycles.")
    standard_error: Number | None = Field(default=None, description="Its standard error; absent for a query.")
    target: Number | None = Field(default=None, description="kpi.target, repeated.")
    gap: Number | None = Field(
        default=None, description="Relative distance to the reference over the resource's life."
    )
    gap_bound: Number | None = Field(
        default=None, description="Upper bound of gap; what is held against tolerance."
    )
    tolerance: Number | None = Field(default=None, description="kpi.tolerance, repeated.")
    cycle: Count | None = Field(default=None, description="Cycle of the newest value in it.")
    slices: Annotated[tuple[SliceStatus, ...], Field(max_length=MAX_TOLD)] = Field(
        default=(), description="The values of kpi.slices on which the newest candidate did worst, at most 4."
    )
    summary: Word = Field(default="", description="Value and standard error, for the table.")


class Forecast(Model):
    """What a plan is expected to give."""

    kpi: Measured | None = Field(default=None, description="Level of kpi.metric, with its 80 % interval.")
    cost: Cost | None = Field(default=None, description="Expected cost of the cycle.")


class Plan(Model):
    """What a cycle will run."""

    digest: Digest = Field(description="Digest of the plan, as in decisions and metrics.")
    cycle: Count = Field(description="Cycle that it is for.")
    policy: Policy = Field(description="Sampling policy.")
    rate: Fraction = Field(description="Share of rows trained on.")
    size: Count = Field(description="Model size.")
    from_: Instant = Field(alias="from", description="Begin of the rows trained on.")
    to: Instant = Field(description="End of the rows trained on, exclusive.")
    accelerator: Word = Field(description="Name of the entry of accelerators.")
    deadline_seconds: Count | None = Field(default=None, description="Seconds after which a run is stopped.")
    forecast: Forecast | None = Field(default=None, description="Absent before the first run.")
    reason: Sentence = Field(default="", description="Why this plan and not another.")


class Checkpoint(Model):
    """A published checkpoint."""

    uri: Place = Field(description="Its address.")
    digest: Digest = Field(description="Digest of its content.")
    cycle: Count = Field(description="Cycle that made it.")
    size: Count = Field(description="Model size.")
    position: Instant = Field(description="It has seen the stream up to here, exclusive.")


class ConvergenceState(enum.StrEnum):
    """What is known of the data-convergence point."""

    FOUND = "Found"
    NOT_WITHIN_DATA = "NotWithinData"
    NOT_RESOLVABLE = "NotResolvable"


class Convergence(Model):
    """The data-convergence point: history past which quality barely improves."""

    state: ConvergenceState = Field(description="Found, NotWithinData or NotResolvable.")
    rows: Measured | None = Field(default=None, description="Kept rows at the point; absent unless Found.")
    positives: Count | None = Field(default=None, description="Positives among them.")
    effective_rows: Number | None = Field(default=None, description="Effective sample size of them.")
    history_from: Instant | None = Field(default=None, description="Where the history that suffices begins.")
    standard_error: Number | None = Field(
        default=None,
        description="Relative standard error that was reached, where the point is not resolvable.",
    )
    cycle: Count = Field(description="Cycle in which it was measured.")
    summary: Line = Field(default="", description="For the table.")


class Surface(Model):
    """Fitted loss(size, rows) = e + a / size^alpha + b / rows^beta; an absent term is not identified."""

    e: Measured | None = Field(default=None, description="Irreducible loss.")
    a: Measured | None = Field(default=None, description="Scale of the size term.")
    b: Measured | None = Field(default=None, description="Scale of the data term.")
    alpha: Measured | None = Field(default=None, description="Exponent of the size term.")
    beta: Measured | None = Field(default=None, description="Exponent of the data term.")
    runs: Count = Field(description="Runs that it is fitted on.")
    comparability_key: Digest = Field(default="", description="Runs of another key are not in the fit.")
    summary: Line = Field(default="", description="The fit in one line.")


class WindowSpent(Model):
    """What the current budget window holds."""

    since: Instant = Field(description="When the window began.")
    settled: Cost = Field(description="Spent in it.")


class Spent(Model):
    """The ledger's totals."""

    settled: Cost = Field(description="Proven spend of the whole life; only grows.")
    reserved: Cost | None = Field(default=None, description="Set aside for runs that are not settled.")
    window: WindowSpent | None = Field(default=None, description="The current window; absent without one.")
    currency: Currency = Field(default="USD", description="budget.currency, repeated.")
    summary: Line = Field(default="", description="Spent and budget, for the table.")


class ControlKind(enum.StrEnum):
    """What savings are counted against."""

    FULL = "FullData"
    """Full data at the largest size."""
    RIGHT_SIZED = "RightSized"
    """Full data at the size now in force."""


class Saving(Model):
    """Savings against one control."""

    against: ControlKind = Field(description="FullData or RightSized.")
    from_cycle: Count = Field(description="First cycle counted.")
    to_cycle: Count = Field(description="Last cycle counted.")
    spent: Cost = Field(description="What the cycles cost, experiments included.")
    control: Cost = Field(
        description="What the control cost where it was run, else what the measured cost of runs says of it."
    )
    share: Measured = Field(
        description="1 - spent / control, with its interval; negative: experiments cost more than was saved."
    )
    kpi_difference: Measured | None = Field(
        default=None, description="Relative difference of the KPI; positive is worse than the control."
    )


class Savings(Model):
    """The dated savings statement."""

    as_of: Instant = Field(description="When it was made.")
    against: Annotated[tuple[Saving, ...], Field(max_length=2)] = Field(
        description="One entry per control.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["against"]},
    )
    summary: Line = Field(default="", description="For the table.")


class Asked(enum.StrEnum):
    """What is asked for."""

    PLAN = "Plan"
    MEASUREMENT = "Measurement"
    TRIAL = "Trial"
    RUN = "Run"


class Recommendation(Model):
    """What waits for approval."""

    digest: Digest = Field(
        description="Write it into the annotation dataefficient.training/approve to approve this."
    )
    asked: Asked = Field(
        description="Plan (from the next cycle on), Measurement (small runs on the history), Trial (of a "
        "plan beside the one in force) or Run (the cycle in hand costs more than approval.aboveMoney)."
    )
    holds: bool = Field(description="Whether the cycle in hand does not begin before it is approved.")
    since_cycle: Count = Field(description="Cycle in which it was first asked for.")
    policy: Policy = Field(description="Sampling policy.")
    rate: Fraction = Field(description="Share of rows trained on.")
    size: Count = Field(description="Model size.")
    forecast: Forecast | None = Field(
        default=None, description="Level of kpi.metric under the plan; cost of a cycle or of the experiment."
    )
    saving: Measured | None = Field(default=None, description="Expected share of the cycle's cost saved.")
    reason: Sentence = Field(description="Why, and at which quality cost.")


class Outcome(enum.StrEnum):
    """How a cycle ended."""

    PUBLISHED = "Published"
    REJECTED = "Rejected"
    SKIPPED = "Skipped"
    """Its interval held no rows."""
    FAILED = "Failed"


class Cycle(Model):
    """One finished cycle."""

    cycle: Count = Field(description="Its number.")
    from_: Instant = Field(alias="from", description="Begin of its interval.")
    to: Instant = Field(description="End of its interval, exclusive.")
    outcome: Outcome = Field(description="Published, Rejected, Skipped or Failed.")
    policy: Policy | None = Field(default=None, description="Sampling policy; absent when skipped.")
    rate: Fraction | None = Field(default=None, description="Share of rows trained on; absent when skipped.")
    size: Count | None = Field(default=None, description="Model size; absent when skipped.")
    kpi: Measured | None = Field(default=None, description="Level of kpi.metric on its evaluation rows.")
    gap: Measured | None = Field(
        default=None, description="Distance to the reference that it was decided on."
    )
    cost: Cost | None = Field(default=None, description="Settled cost of all its runs.")
    forecast: Forecast | None = Field(default=None, description="What its plan expected.")
    reason: Sentence = Field(default="", description="The decision in a sentence.")


class Status(Model):
    """Everything the operator tells and remembers."""

    observed_generation: Count = Field(default=0, description="Generation of the spec that was last seen.")
    conditions: Annotated[tuple[Condition, ...], Field(max_length=len(ConditionType))] = Field(
        default=(),
        description="Answers to one question each.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    cycle: Count | None = Field(default=None, description="Cycle in hand; absent before the first.")
    step: Word = Field(default="", description="Step within the cycle.")
    runs: Annotated[tuple[RunStatus, ...], Field(max_length=MAX_RUNS)] = Field(
        default=(),
        description="Runs of the cycle in hand.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    kpi: KpiStatus | None = Field(default=None, description="The KPI against what was asked.")
    plan: Plan | None = Field(default=None, description="The plan in force.")
    champion: Checkpoint | None = Field(default=None, description="The published checkpoint.")
    previous_champions: Annotated[tuple[Checkpoint, ...], Field(max_length=MAX_PREVIOUS)] = Field(
        default=(), description="Older champions that are kept, newest first."
    )
    convergence: Convergence | None = Field(default=None, description="The data-convergence point.")
    surface: Surface | None = Field(default=None, description="Quality by model size and rows.")
    spent: Spent | None = Field(default=None, description="What was spent.")
    savings: Savings | None = Field(default=None, description="What was saved, and against which control.")
    recommendation: Recommendation | None = Field(
        default=None, description="What waits for approval, in mode Recommend."
    )
    handled_requests: Annotated[tuple[Word, ...], Field(max_length=MAX_HANDLED)] = Field(
        default=(),
        description="Requests that were heard: digests that were approved, words of the annotation resume, "
        "and run-now:WORD and rollback:WORD of the others. Of each kind the newest last.",
    )
    history: Annotated[tuple[Cycle, ...], Field(max_length=MAX_HISTORY)] = Field(
        default=(), description="The last cycles, oldest first."
    )
