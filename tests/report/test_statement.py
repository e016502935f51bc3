import json
from dataclasses import replace

import pytest

from dataefficient.contract import Role, decode, encode
from dataefficient.cycle.machine import begin
from dataefficient.cycle.model import FailureKind, Step, Stopped
from dataefficient.report import Statement, build_statement
from dataefficient.report.statement import Basis
from report import made_up


@pytest.fixture(scope="module")
def statement():
    return build_statement(made_up.resource(), made_up.memory(), made_up.ours(), made_up.controls())


def test_a_statement_survives_json(statement):
    body = json.loads(json.dumps(encode(statement), allow_nan=False))
    assert decode(Statement, body, "statement") == statement


def test_the_same_store_gives_the_same_statement(statement):
    again = build_statement(
        made_up.resource(), made_up.memory(), reversed(made_up.ours()), made_up.controls()[::-1]
    )
    assert again == statement


def test_the_headline_says_saving_and_quality_in_one_sentence(statement):
    assert statement.headline == (
        "46 % less compute than training the largest model on everything, "
        "with log loss 0.04 % worse, inside the 0.5 % allowed."
    )
    assert "Against a right-sized model on all rows it is 10 % less in all" in statement.detail


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (0.4598, "inside the 0.5 % allowed"),
        (0.4600, "no measurable loss of quality"),
        (0.45778, "is not certain"),
        (0.4550, "outside the 0.5 % allowed"),
    ],
)
def test_a_distance_is_called_safe_only_where_its_bound_is(level, words):
    controls = [made_up.control(made_up.Lineage.LARGEST, 16, 100.0, 50.0, level)]
    found = build_statement(made_up.resource(), made_up.memory(), made_up.ours(), controls)
    assert words in found.headline


def test_without_controls_no_saving_is_claimed():
    found = build_statement(made_up.resource(), made_up.memory(), made_up.ours(), [])
    assert "no saving is stated" in found.headline
    assert "4.5 min" in found.headline
    standing = {c.what: c.basis for c in found.claims}
    assert standing["Saving against all rows, largest size"] is Basis.NOT_MEASURED


def test_each_cycle_carries_plan_forecast_actual_and_decision(statement):
    row = statement.cycles[4]
    assert row.point == made_up.QUARTER
    assert row.kpi.value == pytest.approx(made_up.memory().history[4].kpi)
    assert row.kpi.high - row.kpi.value == pytest.approx(1.96 * 0.0018)
    assert row.forecast_cost.mean == 21.0
    assert row.cost == pytest.approx(20 + made_up.SPREAD[4])
    assert row.published
    assert "cheapest of 3 plans" in row.reason


def test_spend_is_told_by_role(statement):
    assert {p.role: round(p.seconds, 6) for p in statement.by_role} == {"Candidate": 260, "Trial": 10}
    assert {p.role for p in statement.cycles[2].by_role} == {"Candidate", "Trial"}


def test_rows_read_again_after_a_rejection_count_once():
    runs = {request.run: (request, outcome) for request, outcome in made_up.ours()}
    request, outcome = runs["c003-candidate"]
    rows = replace(outcome.report.rows, read=460_000, positives=92_000)
    runs["c003-candidate"] = (
        replace(request, train=replace(request.train, start=made_up.interval(2)[0])),
        replace(outcome, report=replace(outcome.report, rows=rows)),
    )
    found = build_statement(made_up.resource(), made_up.memory(), runs.values(), [])
    assert found.stream.rows == 1_000_000 + 8 * 230_000
    assert found.stream.positive_share == pytest.approx(0.2)


def test_a_point_beyond_the_longest_rung_is_extrapolated():
    memory = made_up.memory()
    far = replace(memory, convergence=replace(memory.convergence, longest=4e6))
    found = build_statement(made_up.resource(), far, made_up.ours(), [])
    assert found.convergence.basis is Basis.EXTRAPOLATED
    assert found.convergence.curve[-1].examples == pytest.approx(4e6)


def test_the_fitted_curve_passes_its_rungs(statement):
    curve = statement.convergence.curve
    assert curve[0].mean == pytest.approx(statement.convergence.rungs[0].loss, rel=2e-3)
    assert all(p.low <= p.mean <= p.high for p in curve)


def test_not_within_this_data_keeps_its_reason():
    memory = made_up.memory()
    reason = "not within this data: the loss still falls"
    open_ended = replace(memory.convergence, examples=None, low=None, high=None, reason=reason)
    found = build_statement(
        made_up.resource(), replace(memory, convergence=open_ended), made_up.ours(), made_up.controls()
    )
    assert found.convergence.point is None
    assert found.convergence.reason == reason


def test_unmeasured_plans_have_no_gap(statement):
    known = {c.point for c in statement.surface.cells if c.gap is not None}
    assert known == set().union(*(c.points for c in made_up.memory().contrasts))


def test_a_resource_that_never_ran_has_a_statement_without_figures():
    found = build_statement(made_up.resource(), begin("default/late-flights"), [], [])
    assert found.headline == "No cycle has finished yet, so there is nothing to state."
    assert found.spent == 0.0
    assert found.surface is None
    assert found.convergence is None


def test_a_stopped_resource_says_why():
    stopped = Stopped(FailureKind.DATA_ERROR.value, "data.label: no column late", Step.TRAINING)
    memory = replace(made_up.memory(), step=Step.STOPPED, stopped=stopped)
    found = build_statement(made_up.resource(), memory, made_up.ours(), [])
    assert "data.label: no column late" in found.state


def test_a_convergence_point_without_cold_starts_is_not_measured_and_says_why():
    memory = made_up.memory()
    none = replace(memory.convergence, examples=None, measured=(), reason="Not measured: too dear")
    found = build_statement(
        made_up.resource(), replace(memory, convergence=none), made_up.ours(), made_up.controls()
    )
    (claim,) = [c for c in found.claims if c.what == "Data-convergence point"]
    assert (claim.basis, claim.how) == (Basis.NOT_MEASURED, "not measured: too dear")


def test_start_up_is_told_of_where_it_is_much_of_what_was_spent():
    slow = [
        made_up.run(q.run, q.role, q.cycle, made_up.point_of(q.cycle), 20.0, 12.0 + 0.1 * (k % 2), None)
        for k, (q, _) in enumerate(made_up.ours())
        if q.role is Role.CANDIDATE
    ]
    controls = [made_up.control(made_up.Lineage.LARGEST, 16, 100.0, 50.0, 0.4598)]
    told = build_statement(made_up.resource(), made_up.memory(), slow, controls).detail
    assert "Start-up, which does not grow with the data, is 40 % of ours; without it, it is " in told
    assert "in all, " in told
    quick = build_statement(made_up.resource(), made_up.memory(), made_up.ours(), controls).detail
    assert "Start-up" not in quick
