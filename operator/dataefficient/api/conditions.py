"""The conditions of the resource, their reasons, and how one is set.

A condition answers one question about the resource with True, False or Unknown, a reason to act on and a
sentence. All are set on the first visit. What leads to them is decided elsewhere.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from dataefficient.api.model import Model, Problem, Rule
from dataefficient.api.quantity import Instant


class ConditionType(enum.StrEnum):
    """The questions, in the order in which they are listed."""

    ACCEPTED = "Accepted"
    """Is the resource valid and allowed here?"""
    READY = "Ready"
    """Does everything work? The summary of the others."""
    PROGRESSING = "Progressing"
    """Is a run under way, or due?"""
    KPI_AVAILABLE = "KPIAvailable"
    """Is there a KPI value to decide on?"""
    TARGET_MET = "TargetMet"
    CONVERGED = "Converged"
    """Has the model seen as much history as its data can use?"""
    WITHIN_BUDGET = "WithinBudget"
    COST_AGREES = "CostAgrees"
    """Do the ledger and Prometheus tell the same cost?"""
    PROMETHEUS_AGREES = "PrometheusAgrees"
    """Do the report and Prometheus tell the same quality?"""


class ConditionStatus(enum.StrEnum):
    """The answers."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Reason(enum.StrEnum):
    """Why a condition is as it is; ``REASONS`` says which belong to which condition."""

    NOT_YET_KNOWN = "NotYetKnown"
    VALID = "Valid"
    INVALID = "Invalid"
    TEMPLATE_REJECTED = "TemplateRejected"
    ADDRESS_NOT_ALLOWED = "AddressNotAllowed"
    SECRET_NOT_USABLE = "SecretNotUsable"  # noqa: S105 - a reason, not a password
    CHECKPOINTS_NEED_URI = "CheckpointsNeedUri"
    BUDGET_ABOVE_CAP = "BudgetAboveCap"
    OPERATING = "Operating"
    NOT_ACCEPTED = "NotAccepted"
    CANDIDATES_REJECTED = "CandidatesRejected"
    RUN_FAILED = "RunFailed"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_NOT_PULLED = "ImageNotPulled"
    RUNNING = "Running"
    WAITING_FOR_INTERVAL = "WaitingForInterval"
    DATA_NOT_READY = "DataNotReady"
    AWAITING_APPROVAL = "AwaitingApproval"
    SUSPENDED = "Suspended"
    FINISHED = "Finished"
    BUDGET_EXHAUSTED = "BudgetExhausted"
    CHECKPOINT_MISSING = "CheckpointMissing"
    REPORTED = "Reported"
    EMPTY = "Empty"
    NOT_FINITE = "NotFinite"
    MULTIPLE = "Multiple"
    STALE = "Stale"
    FAILED = "Failed"
    MET = "Met"
    MISSED = "Missed"
    NO_TARGET = "NoTarget"
    CONVERGED = "Converged"
    NOT_WITHIN_DATA = "NotWithinData"
    NOT_RESOLVABLE = "NotResolvable"
    WITHIN_BUDGET = "WithinBudget"
    NO_BUDGET = "NoBudget"
    INITIAL_REACHED = "InitialReached"
    PER_CYCLE_REACHED = "PerCycleReached"
    WINDOW_REACHED = "WindowReached"
    TOTAL_REACHED = "TotalReached"
    TOO_SMALL_FOR_ONE_RUN = "TooSmallForOneRun"
    AGREES = "Agrees"
    DIFFERS = "Differs"
    NOT_COMPARED = "NotCompared"


_ANSWERS = (Reason.EMPTY, Reason.NOT_FINITE, Reason.MULTIPLE, Reason.STALE, Reason.FAILED)
_COMPARISONS = (Reason.AGREES, Reason.DIFFERS, Reason.NOT_COMPARED, *_ANSWERS)

REASONS: dict[ConditionType, frozenset[Reason]] = {
    kind: frozenset({Reason.NOT_YET_KNOWN, *reasons})
    for kind, reasons in {
        ConditionType.ACCEPTED: (
            Reason.VALID,
            Reason.INVALID,
            Reason.TEMPLATE_REJECTED,
            Reason.ADDRESS_NOT_ALLOWED,
            Reason.SECRET_NOT_USABLE,
            Reason.CHECKPOINTS_NEED_URI,
            Reason.BUDGET_ABOVE_CAP,
        ),
        ConditionType.READY: (
            Reason.OPERATING,
            Reason.NOT_ACCEPTED,
            Reason.CANDIDATES_REJECTED,
            Reason.RUN_FAILED,
            Reason.UNSCHEDULABLE,
            Reason.IMAGE_NOT_PULLED,
            Reason.CHECKPOINT_MISSING,
            Reason.BUDGET_EXHAUSTED,
            Reason.AWAITING_APPROVAL,
            Reason.SUSPENDED,
            Reason.FINISHED,
        ),
        ConditionType.PROGRESSING: (
            Reason.RUNNING,
            Reason.WAITING_FOR_INTERVAL,
            Reason.DATA_NOT_READY,
            Reason.AWAITING_APPROVAL,
            Reason.NOT_ACCEPTED,
            Reason.RUN_FAILED,
            Reason.UNSCHEDULABLE,
            Reason.IMAGE_NOT_PULLED,
            Reason.BUDGET_EXHAUSTED,
            Reason.SUSPENDED,
            Reason.FINISHED,
        ),
        ConditionType.KPI_AVAILABLE: (Reason.REPORTED, *_ANSWERS),
        ConditionType.TARGET_MET: (Reason.MET, Reason.MISSED, Reason.NO_TARGET),
        ConditionType.CONVERGED: (Reason.CONVERGED, Reason.NOT_WITHIN_DATA, Reason.NOT_RESOLVABLE),
        ConditionType.WITHIN_BUDGET: (
            Reason.WITHIN_BUDGET,
            Reason.NO_BUDGET,
            Reason.INITIAL_REACHED,
            Reason.PER_CYCLE_REACHED,
            Reason.WINDOW_REACHED,
            Reason.TOTAL_REACHED,
            Reason.TOO_SMALL_FOR_ONE_RUN,
        ),
        ConditionType.COST_AGREES: _COMPARISONS,
        ConditionType.PROMETHEUS_AGREES: _COMPARISONS,
    }.items()
}
"""The reasons that each condition may carry."""

MAX_MESSAGE = 1024


def _reason_belongs(condition: Condition) -> list[Problem]:
    allowed = REASONS[condition.type]
    if condition.reason in allowed:
        return []
    return [
        Problem(
            ("reason",), condition.reason.value, f"one of {', '.join(sorted(allowed))}", "use one of these"
        )
    ]


class Condition(Model):
    """One answer, in the form of Kubernetes' conditions."""

    type: ConditionType = Field(description="The question.")
    status: ConditionStatus = Field(description="True, False or Unknown.")
    reason: Reason = Field(description="Why, in one word that programs may match.")
    message: Annotated[str, StringConstraints(max_length=MAX_MESSAGE)] = Field(
        description="Why, in a sentence, with what to do."
    )
    last_transition_time: Instant = Field(description="When status last changed.")
    observed_generation: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Generation of the spec that this speaks of."
    )

    rules: ClassVar[tuple[Rule, ...]] = (Rule(needs=("type", "reason"), check=_reason_belongs),)


def first_conditions(generation: int, now: datetime) -> tuple[Condition, ...]:
    """Every condition, Unknown, as set on the first visit."""
    return tuple(
        Condition(
            type=kind,
            status=ConditionStatus.UNKNOWN,
            reason=Reason.NOT_YET_KNOWN,
            message="Not yet known.",
            last_transition_time=now,
            observed_generation=generation,
        )
        for kind in ConditionType
    )


def with_condition(
    conditions: tuple[Condition, ...],
    kind: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: str,
    *,
    generation: int,
    now: datetime,
) -> tuple[Condition, ...]:
    """``conditions`` with one answer replaced or added; a longer message is cut at 1,024 characters.

    ``lastTransitionTime`` moves to ``now`` only when the status changes, and equal arguments give an equal
    result, so that an unchanged condition costs no write.

    Raises:
        ValueError: the reason does not belong to the condition.
    """
    before = next((c for c in conditions if c.type is kind), None)
    unchanged = before is not None and before.status is status
    after = Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 3]}...",
        last_transition_time=before.last_transition_time if before and unchanged else now,
        observed_generation=generation,
    )
    order = list(ConditionType)
    rest = (c for c in conditions if c.type is not kind)
    return tuple(sorted((*rest, after), key=lambda c: order.index(c.type)))
