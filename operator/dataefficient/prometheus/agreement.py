"""The report and the ledger held against what Prometheus says of the same run.

Where they differ a condition says so; nothing else changes, with one exception: of two costs the larger
counts, up to what was reserved for the run, because a budget that is exceeded unseen is the worse mistake.
Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dataefficient.api.conditions import ConditionStatus, Reason
from dataefficient.api.serving import CostSource
from dataefficient.cycle.answers import Answer, Verdict
from dataefficient.prometheus.costs import SOURCES, Unit

ROUNDING = 1e-9
"""A gauge goes through decimal text and back; more than this is another number."""
_HOUR = 3600.0
_REASONS = {
    Verdict.EMPTY: Reason.EMPTY,
    Verdict.NOT_FINITE: Reason.NOT_FINITE,
    Verdict.MULTIPLE: Reason.MULTIPLE,
    Verdict.STALE: Reason.STALE,
    Verdict.FAILED: Reason.FAILED,
}


@dataclass(frozen=True)
class Finding:
    """The answer of a condition."""

    status: ConditionStatus
    reason: Reason
    message: str


@dataclass(frozen=True)
class RunCost:
    """What the ledger holds of one run, in device-seconds."""

    run: str
    settled: float
    reserved: float
    """Set aside when the run was launched: no evidence raises the cost beyond it."""
    devices: int
    price_per_hour: float | None
    """Of one device; None: unknown."""


@dataclass(frozen=True)
class CostFinding:
    """The condition's answer and the device-seconds that count from now on."""

    finding: Finding
    counted: float


def unanswered(answer: Answer) -> Finding:
    """The finding of an answer that carries no number.

    Raises:
        KeyError: the answer is Ok.
    """
    return Finding(ConditionStatus.UNKNOWN, _REASONS[answer.verdict], f"{answer.name}: {answer.message}")


def kpi_availability(answer: Answer | None, *, reported: bool) -> Finding:
    """Whether there is a KPI to decide on: from the runs, and from ``kpi.query`` where one is given."""
    if answer is not None and answer.value is None:
        message = f"{answer.name} is {answer.verdict.value}: {answer.message}"
        return Finding(ConditionStatus.FALSE, _REASONS[answer.verdict], message)
    if not reported:
        return Finding(ConditionStatus.UNKNOWN, Reason.NOT_YET_KNOWN, "No run has reported the KPI yet.")
    told = "" if answer is None else f" kpi.query gives {answer.value:.6g}."
    return Finding(ConditionStatus.TRUE, Reason.REPORTED, f"The runs report the KPI.{told}")


def quality(run: str, reported: float, answer: Answer | None) -> Finding:
    """Whether Prometheus gives back what the run reported."""
    if answer is None:
        told = "No Prometheus is declared and the installation has no default."
        return Finding(ConditionStatus.UNKNOWN, Reason.NOT_COMPARED, told)
    if answer.value is None:
        return unanswered(answer)
    if math.isclose(reported, answer.value, rel_tol=ROUNDING, abs_tol=ROUNDING):
        told = f"{run} reported {reported:.6g}, and Prometheus gives it back."
        return Finding(ConditionStatus.TRUE, Reason.AGREES, told)
    told = f"{run} reported {reported:.9g}, Prometheus gives {answer.value:.9g} for {answer.query}"
    hint = "is a recording rule, a relabeling or another operator writing this series?"
    return Finding(ConditionStatus.FALSE, Reason.DIFFERS, f"{told}; {hint}")


def cost(run: RunCost, answer: Answer | None, source: CostSource, max_difference: float) -> CostFinding:
    """Whether the source's cost of a run is that of the ledger, and which of the two counts."""
    if answer is None or source is CostSource.NONE:
        told = "The ledger stands alone: prometheus.cost.source is None, or there is no Prometheus."
        return CostFinding(Finding(ConditionStatus.UNKNOWN, Reason.NOT_COMPARED, told), run.settled)
    if answer.value is None:
        return CostFinding(unanswered(answer), run.settled)
    meaning = SOURCES[source]
    measured = answer.value
    if meaning.unit is Unit.MONEY:
        if run.price_per_hour is None:
            told = f"{source.value} answers in money, and accelerators[0].pricePerDeviceHour is not given."
            return CostFinding(Finding(ConditionStatus.UNKNOWN, Reason.NOT_COMPARED, told), run.settled)
        measured = answer.value / run.price_per_hour * _HOUR
    if measured < 0.0:
        told = f"{source.value} gives {answer.value:.6g}, and no cost is negative; correct the query"
        return CostFinding(Finding(ConditionStatus.FALSE, Reason.DIFFERS, told), run.settled)
    counted = max(run.settled, min(measured, run.reserved))
    apart = abs(measured - run.settled)
    allowed = max_difference * max(measured, run.settled) + meaning.granularity_seconds * run.devices
    told = f"{run.run}: the ledger has {run.settled:.0f} device-seconds, {source.value} {measured:.0f}"
    if apart <= allowed:
        return CostFinding(Finding(ConditionStatus.TRUE, Reason.AGREES, f"{told}."), counted)
    says = f"; {counted:.0f} count" + (
        ", all that was reserved" if measured > run.reserved == counted else ""
    )
    return CostFinding(Finding(ConditionStatus.FALSE, Reason.DIFFERS, told + says), counted)
