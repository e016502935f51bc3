from datetime import UTC, datetime

import pytest

from cycle.playing import resource
from dataefficient.contract import Policy
from dataefficient.cycle.answers import Answer, Cause, Heard, Verdict
from dataefficient.cycle.serving import Ruling, level, rule
from dataefficient.planner.knobs import Point

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FULL = Point(Policy.UNIFORM, 1.0, 32)
HALF = Point(Policy.UNIFORM, 0.5, 32)
KPI = {"tolerance": "0.02", "target": "0.1", "direction": "Maximize", "query": "ctr", "overCycles": 2}
LATENCY = {"name": "latency", "query": "p99", "max": "0.2", "min": "0.01"}
BAD = [verdict for verdict in Verdict if verdict is not Verdict.OK]


def ok(value):
    return Answer("asked", "x", NOW, Verdict.OK, value)


def bad(verdict):
    return Answer("asked", "x", NOW, verdict, cause=Cause.NO_SERIES, message="why")


def heard(*cycles):
    """Of (plan, value or answer) by cycle."""
    cycles = [(point, found if isinstance(found, Answer) else ok(found)) for point, found in cycles]
    return [Heard(i, point, a.verdict, a.value, a.message) for i, (point, a) in enumerate(cycles)]


def ruling(*cycles, kpi=KPI, guardrails=(), guarded=None):
    spec = resource(kpi=kpi, servingGuardrails=list(guardrails))
    return rule(
        spec.kpi, spec.serving_guardrails, reference=FULL, heard=heard(*cycles), guarded=guarded or {}
    )


def test_without_queries_nothing_follows():
    assert ruling(kpi={"tolerance": "0.02"}) == Ruling()


def test_a_target_that_is_met_changes_nothing():
    assert ruling((FULL, 0.11), (HALF, 0.12)) == Ruling()


def test_a_number_without_a_target_changes_nothing():
    assert ruling((HALF, 0.0), kpi={"tolerance": "0.02", "query": "ctr"}) == Ruling()


@pytest.mark.parametrize("verdict", BAD)
def test_what_is_not_known_holds_the_plan_and_blocks_nothing(verdict):
    found = ruling((HALF, 0.11), (HALF, bad(verdict)))
    assert found.hold
    assert verdict.value in found.hold[0]
    assert not found.block
    assert not found.withdraw
    found = ruling((HALF, 0.11), guardrails=[LATENCY], guarded={"latency": bad(verdict)})
    assert found.hold
    assert not found.block


def test_from_what_was_never_asked_nothing_follows():
    assert ruling() == Ruling()
    assert ruling((FULL, 0.11), guardrails=[LATENCY]) == Ruling()


def test_a_missed_target_holds_the_plan():
    found = ruling((FULL, 0.05), (FULL, 0.05))
    assert found.hold
    assert not found.withdraw


def test_a_target_met_before_the_plan_and_missed_under_it_withdraws_it():
    found = ruling((FULL, 0.12), (FULL, 0.12), (HALF, 0.05), (HALF, 0.05))
    assert found.hold
    assert "0.12" in found.withdraw[0]
    assert not found.block


@pytest.mark.parametrize(
    "cycles",
    [
        [(FULL, 0.05), (FULL, 0.05), (HALF, 0.05), (HALF, 0.05)],
        [(FULL, 0.12), (FULL, 0.12), (HALF, 0.05)],
        [(HALF, 0.05), (HALF, 0.05)],
        [(FULL, bad(Verdict.EMPTY)), (HALF, 0.05), (HALF, 0.05)],
        [(HALF, 0.12), (HALF, 0.12), (FULL, 0.05), (FULL, 0.05)],
    ],
    ids=["missed before, too", "not yet pooled", "nothing before", "unknown before", "the reference itself"],
)
def test_a_fall_that_is_not_shown_to_be_the_plans_withdraws_nothing(cycles):
    found = ruling(*cycles)
    assert found.hold
    assert not found.withdraw


def test_one_missed_cycle_is_pooled_with_the_one_before():
    assert ruling((HALF, 0.14), (HALF, 0.07)) == Ruling()


def test_cycles_without_a_number_are_left_out_of_the_level():
    spec = resource(kpi={**KPI, "overCycles": 3})
    found = heard((FULL, 9.0), (HALF, 0.1), (HALF, bad(Verdict.STALE)), (HALF, 0.2))
    assert level(spec.kpi, found) == pytest.approx(0.15)
    assert level(spec.kpi, heard((HALF, bad(Verdict.STALE)))) is None


@pytest.mark.parametrize("value", [0.21, 0.001])
def test_a_guardrail_out_of_bounds_blocks_the_candidate(value):
    found = ruling((HALF, 0.11), guardrails=[LATENCY], guarded={"latency": ok(value)})
    assert found.block
    assert "latency" in found.block[0]
    assert not found.hold


@pytest.mark.parametrize("value", [0.01, 0.2])
def test_a_guardrail_holds_at_its_bounds(value):
    assert ruling((HALF, 0.11), guardrails=[LATENCY], guarded={"latency": ok(value)}) == Ruling()


def test_minimize_meets_at_or_below():
    kpi = {"target": "0.1", "query": "loss", "overCycles": 1}
    assert ruling((FULL, 0.1), kpi=kpi) == Ruling()
    assert ruling((FULL, 0.11), kpi=kpi).hold
