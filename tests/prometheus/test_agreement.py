from datetime import UTC, datetime

import pytest

from dataefficient.api.conditions import REASONS, ConditionStatus, ConditionType, Reason
from dataefficient.api.serving import CostSource
from dataefficient.cycle.answers import Answer, Cause, Verdict
from dataefficient.prometheus import agreement
from dataefficient.prometheus.agreement import RunCost, cost, kpi_availability, quality

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BAD = [verdict for verdict in Verdict if verdict is not Verdict.OK]
RUN = RunCost("c003-candidate", settled=1000.0, reserved=3000.0, devices=2, price_per_hour=3.6)
PODS = CostSource.KUBE_STATE_METRICS


def ok(value):
    return Answer("asked", "sum(x)", NOW, Verdict.OK, value)


def bad(verdict):
    return Answer("asked", "sum(x)", NOW, verdict, cause=Cause.NO_SERIES, message="why and what to do")


def test_an_answer_has_a_number_if_and_only_if_it_is_ok():
    with pytest.raises(ValueError, match="Ok"):
        Answer("asked", "x", NOW, Verdict.OK)
    with pytest.raises(ValueError, match="Stale"):
        Answer("asked", "x", NOW, Verdict.STALE, 1.0, cause=Cause.TOO_OLD)
    with pytest.raises(ValueError, match="Empty"):
        Answer("asked", "x", NOW, Verdict.EMPTY)


def test_a_report_that_is_given_back_agrees():
    finding = quality("c003-candidate", 0.4571234, ok(0.4571234))
    assert (finding.status, finding.reason) == (ConditionStatus.TRUE, Reason.AGREES)


def test_a_report_that_comes_back_as_another_number_differs_and_both_are_told():
    finding = quality("c003-candidate", 0.457, ok(0.458))
    assert (finding.status, finding.reason) == (ConditionStatus.FALSE, Reason.DIFFERS)
    for part in ("c003-candidate", "0.457", "0.458", "sum(x)"):
        assert part in finding.message


@pytest.mark.parametrize("verdict", BAD)
def test_without_a_number_nothing_is_said_to_agree_or_differ(verdict):
    for finding in (quality("run", 1.0, bad(verdict)), cost(RUN, bad(verdict), PODS, 0.1).finding):
        assert (finding.status, finding.reason) == (ConditionStatus.UNKNOWN, Reason(verdict.value))
        assert "why and what to do" in finding.message
    assert cost(RUN, bad(verdict), PODS, 0.1).counted == RUN.settled


@pytest.mark.parametrize("verdict", BAD)
def test_a_kpi_query_without_a_number_makes_the_kpi_unavailable(verdict):
    finding = kpi_availability(bad(verdict), reported=True)
    assert (finding.status, finding.reason) == (ConditionStatus.FALSE, Reason(verdict.value))


def test_a_kpi_is_available_once_it_is_reported_and_answered():
    assert kpi_availability(None, reported=True).status is ConditionStatus.TRUE
    assert kpi_availability(ok(0.1), reported=True).status is ConditionStatus.TRUE
    assert kpi_availability(ok(0.1), reported=False).status is ConditionStatus.UNKNOWN


@pytest.mark.parametrize(
    ("measured", "reason", "counted"),
    [
        (1000.0, Reason.AGREES, 1000.0),
        (1100.0, Reason.AGREES, 1100.0),
        (900.0, Reason.AGREES, 1000.0),
        (1200.0, Reason.DIFFERS, 1200.0),
        (500.0, Reason.DIFFERS, 1000.0),
        (3000.0, Reason.DIFFERS, 3000.0),
        (9000.0, Reason.DIFFERS, 3000.0),
        (0.0, Reason.DIFFERS, 1000.0),
        (-1.0, Reason.DIFFERS, 1000.0),
    ],
)
def test_the_larger_cost_counts_up_to_what_was_reserved(measured, reason, counted):
    found = cost(RUN, ok(measured), PODS, 0.1)
    assert (found.finding.reason, found.counted) == (reason, counted)


def test_a_settled_cost_above_its_reservation_is_not_lowered():
    over = RunCost("run", settled=3500.0, reserved=3000.0, devices=1, price_per_hour=None)
    assert cost(over, ok(9000.0), PODS, 0.1).counted == 3500.0


def test_the_granularity_of_the_source_is_no_difference():
    short = RunCost("run", settled=10.0, reserved=60.0, devices=2, price_per_hour=None)
    assert cost(short, ok(13.9), PODS, 0.01).finding.reason is Reason.AGREES
    assert cost(short, ok(14.5), PODS, 0.01).finding.reason is Reason.DIFFERS
    assert cost(short, ok(50.0), CostSource.DCGM, 0.01).finding.reason is Reason.AGREES


def test_money_is_compared_by_the_price():
    found = cost(RUN, ok(2.0), CostSource.OPENCOST, 0.1)
    assert found.counted == 2000.0
    assert found.finding.reason is Reason.DIFFERS
    unpriced = RunCost("run", 1000.0, 3000.0, 1, None)
    found = cost(unpriced, ok(2.0), CostSource.OPENCOST, 0.1)
    assert (found.finding.reason, found.counted) == (Reason.NOT_COMPARED, 1000.0)


def test_without_a_source_the_ledger_stands_alone():
    found = cost(RUN, None, CostSource.NONE, 0.1)
    assert (found.finding.reason, found.counted) == (Reason.NOT_COMPARED, 1000.0)
    assert quality("run", 1.0, None).reason is Reason.NOT_COMPARED


def test_every_reason_belongs_to_its_condition():
    assert set(agreement._REASONS.values()) <= REASONS[ConditionType.COST_AGREES]
    assert set(agreement._REASONS.values()) <= REASONS[ConditionType.KPI_AVAILABLE]
