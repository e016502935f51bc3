from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from cycle.playing import LONG_AFTER, Player, failing, resource, success
from dataefficient.api.conditions import ConditionType, first_conditions
from dataefficient.contract import MAX_FROZEN, CheckpointRef, Role, Scored
from dataefficient.cycle.answers import Answer, Cause, Verdict
from dataefficient.cycle.figures import Forecast, Saved
from dataefficient.cycle.model import Branch, Convergence, FailureKind, Memory, Option, Rung, Step, Stopped
from dataefficient.telemetry.choice_series import MAX_OPTIONS
from dataefficient.telemetry.collector import MAX_SERIES, ResourceCollector
from dataefficient.telemetry.overhead import Overhead
from dataefficient.telemetry.process import ProcessMetrics, ProcessState
from dataefficient.telemetry.reference import page
from dataefficient.telemetry.resource_series import RESOURCE_SERIES
from dataefficient.telemetry.run_series import MAX_EXTRA, RUN_SERIES, log_loss
from dataefficient.telemetry.view import MAX_RUNS, FinishedRun, ResourceView

BUDGET = {
    "initial": {"deviceHours": "400"},
    "perCycle": {"deviceHours": "100", "money": "300"},
    "total": {"money": "20000"},
    "window": {"period": "Month", "deviceHours": "4000"},
}


class Stage:
    """Resources that a collector looks at."""

    def __init__(self, *views, leads=True):
        self.views, self.leads, self.registry = list(views), leads, CollectorRegistry()
        ResourceCollector(
            views=lambda: self.views, leads=lambda: self.leads, now=lambda: LONG_AFTER, registry=self.registry
        )

    def families(self):
        text = generate_latest(self.registry).decode()
        return {family.name: family for family in text_string_to_metric_families(text)}

    def samples(self, series=None):
        every = (sample for family in self.families().values() for sample in family.samples)
        return [sample for sample in every if series in (None, sample.name)]

    def value(self, series, **labels):
        found = [
            s
            for s in self.samples()
            if s.name == series and all(s.labels.get(k) == v for k, v in labels.items())
        ]
        assert len(found) == 1, f"{series}: {found}"
        return found[0].value


@pytest.fixture(scope="module")
def lived():
    """A resource that has lived for four cycles, with what its driver kept of the runs."""
    spec = resource(budget=BUDGET, kpi={"tolerance": "0.02", "target": "0.46", "overCycles": 2})
    kept = ()

    def answer(plan):
        nonlocal kept
        outcome = failing(("-control", FailureKind.CRASHED, 9))(plan)
        kept = (*kept, FinishedRun(plan, outcome))
        return outcome

    player = Player(spec, answer=answer)
    player.play(until=lambda memory: memory.cycle == 4)
    while not player.memory.running:
        player.turn()
    return ResourceView(
        "ads", "flights", spec, player.memory, first_conditions(1, LONG_AFTER), kept[-MAX_RUNS:]
    )


def test_quality_cost_and_plan_are_exported_as_the_memory_has_them(lived):
    stage, memory = Stage(lived), lived.memory
    here = {"resource_namespace": "ads", "resource": "flights"}
    levels = [record.kpi for record in memory.history if record.kpi is not None][-2:]
    assert stage.value("dataefficient_kpi_level", **here) == pytest.approx(sum(levels) / 2)
    assert stage.value("dataefficient_kpi_target", **here) == 0.46
    assert stage.value("dataefficient_gap_ratio") == memory.distance
    assert stage.value("dataefficient_gap_bound_ratio") == memory.distance_bound
    assert stage.value("dataefficient_tolerance_ratio") == 0.02
    assert stage.value("dataefficient_sampling_rate_ratio") == memory.plan.point.rate
    assert stage.value("dataefficient_model_size") == memory.plan.point.size
    assert stage.value("dataefficient_cycle") == 4
    assert stage.value("dataefficient_cycles_total") == 4
    assert stage.value("dataefficient_champion_cycle") == memory.champion.cycle
    assert (
        stage.value("dataefficient_champion_position_timestamp_seconds")
        == memory.champion.position.timestamp()
    )
    assert stage.value("dataefficient_convergence_longest_rows") == memory.convergence.longest
    assert stage.value("dataefficient_step", step="Training") == 1
    assert stage.value("dataefficient_step", step="Waiting") == 0
    assert (
        stage.value("dataefficient_plan_forecast_cost_device_seconds", bound="high") == memory.plan.cost.high
    )


def test_spend_is_told_by_role_in_device_seconds_and_in_money(lived):
    stage, ledger = Stage(lived), lived.memory.ledger
    total = 0.0
    for role in ledger.by_role:
        seconds = stage.value("dataefficient_spent_device_seconds_total", role=role)
        money = stage.value("dataefficient_spent_money_total", role=role, currency="USD")
        assert money == pytest.approx(seconds / 3600 * 2)
        total += seconds
    assert total == pytest.approx(ledger.settled)
    reserved = sum(run.reserved_seconds for run in lived.memory.running)
    assert reserved > 0
    assert stage.value("dataefficient_reserved_device_seconds", role="Candidate") <= reserved
    assert stage.value("dataefficient_budget_device_seconds", part="perCycle") == 360_000
    assert stage.value("dataefficient_budget_money", part="total") == 20_000
    assert stage.value("dataefficient_budget_used_device_seconds", part="total") == pytest.approx(
        ledger.settled + reserved
    )
    by_cycle = ledger.by_cycle
    names = {
        s.labels["part"] for s in stage.samples() if s.name == "dataefficient_budget_used_device_seconds"
    }
    assert names == {"perCycle", "total", "window"}, "cycle 0, which initial binds, is over"
    assert stage.value("dataefficient_budget_used_device_seconds", part="perCycle") == pytest.approx(
        by_cycle.get("4", 0.0) + reserved
    )


def test_a_forecast_stands_beside_what_came_of_it(lived):
    stage, last = Stage(lived), lived.memory.history[-1]
    candidate = next(run for run in last.runs if run.role is Role.CANDIDATE)
    assert stage.value("dataefficient_last_cycle_cost_device_seconds") == candidate.device_seconds
    assert (
        stage.value("dataefficient_last_cycle_forecast_cost_device_seconds", bound="mean")
        == last.plan.cost.mean
    )
    assert stage.value("dataefficient_last_cycle_kpi") == last.kpi
    assert stage.value("dataefficient_last_cycle_forecast_kpi", bound="low") == last.plan.kpi.low
    assert stage.value("dataefficient_last_cycle_spent_device_seconds") == last.spent_seconds
    assert stage.value("dataefficient_last_cycle_published") == 1


def test_the_learning_curve_is_told_point_by_point_from_the_fewest_rows(lived):
    rungs = (Rung(1_000, 0.5, 0.02), Rung(2_000, 0.46, 0.01), Rung(4_000, 0.45, 0.01))
    found = Convergence(1_500.0, 1_000.0, 2_000.0, 4_000.0, "", rungs[::-1])
    stage = Stage(replace(lived, memory=replace(lived.memory, convergence=found)))
    for anchor, rung in enumerate(rungs, start=1):
        assert stage.value("dataefficient_learning_curve_rows", anchor=str(anchor)) == rung.rows
        assert stage.value("dataefficient_learning_curve_log_loss", anchor=str(anchor)) == rung.loss
        error = "dataefficient_learning_curve_log_loss_standard_error"
        assert stage.value(error, anchor=str(anchor)) == rung.standard_error


def test_the_plans_that_were_weighed_are_told_with_the_one_that_was_chosen(lived):
    stage, plan = Stage(lived), lived.memory.plan
    (chosen,) = [s.labels["option"] for s in stage.samples("dataefficient_plan_option_chosen") if s.value]
    assert chosen == str(plan.point)
    for option in plan.options:
        where = {"option": str(option.point)}
        assert stage.value("dataefficient_plan_option_cost_device_seconds", **where) == option.cost_seconds
    unmeasured = [option for option in plan.options if option.gap_bound is None]
    known = {s.labels["option"] for s in stage.samples("dataefficient_plan_option_gap_bound_ratio")}
    assert known == {str(o.point) for o in plan.options} - {str(o.point) for o in unmeasured}


def test_of_many_plans_the_chosen_one_is_always_told(lived):
    plan = lived.memory.plan
    points = [replace(plan.point, size=size) for size in range(1, 100)]
    options = tuple(Option(p, 1.0, None, None, "Never measured") for p in points)
    options += (Option(plan.point, 1e6, 0.1, 0.2, "Chosen"), Option(points[5], 5.0, 0.1, 0.2, "Over"))
    stage = Stage(replace(lived, memory=replace(lived.memory, plan=replace(plan, options=options))))
    told = [s.labels["option"] for s in stage.samples("dataefficient_plan_option_chosen")]
    assert len(told) == MAX_OPTIONS
    assert told[:2] == [str(plan.point), str(points[5])]


def test_each_reason_of_a_decision_is_told_with_its_newest_cycle(lived):
    stopped = Stopped("BudgetExhausted", "budget.total", Step.WAITING)
    memory = replace(lived.memory, codes=("TrialStarted",), stopped=stopped)
    stage = Stage(replace(lived, memory=memory))
    assert stage.value("dataefficient_decision_cycle", code="TrialStarted") == 4
    assert stage.value("dataefficient_decision_cycle", code="BudgetExhausted") == 4
    published = [record.cycle for record in memory.history if "Published" in record.codes]
    assert stage.value("dataefficient_decision_cycle", code="Published") == published[-1]


def test_savings_and_price_are_told(lived):
    stage, saved = Stage(lived), lived.memory.saved
    assert stage.value("dataefficient_savings_spent_device_seconds") == saved.spent
    assert stage.value("dataefficient_savings_full_data_device_seconds", bound="low") == saved.full.low
    assert stage.value("dataefficient_savings_cycles") == saved.to_cycle - saved.from_cycle + 1
    assert stage.value("dataefficient_price_per_device_hour", currency="USD") == 2


def test_a_run_is_bound_to_its_name_and_digest(lived):
    stage = Stage(lived)
    run = next(r for r in reversed(lived.finished) if r.plan.request.role is Role.CANDIDATE)
    report = run.outcome.report
    where = {"run": report.run, "digest": report.checkpoint.digest, "resource": "flights"}
    value = stage.value("dataefficient_run_log_loss", model="self", **where)
    assert value == log_loss(report)
    assert value == sum(report.evaluated.models["self"].loss) / sum(report.evaluated.n)
    assert stage.value("dataefficient_run_rows", kind="kept", **where) == report.rows.kept
    assert stage.value("dataefficient_run_seconds", phase="train", **where) == report.seconds.train
    assert stage.value("dataefficient_run_device_seconds", **where) == run.outcome.device_seconds
    assert stage.value("dataefficient_run_calibration_ratio", model="self", **where) == pytest.approx(
        1, abs=0.01
    )
    entropy = stage.value("dataefficient_run_normalized_entropy", model="self", **where)
    assert entropy == pytest.approx(value / 0.5004, rel=1e-3)


def test_a_failed_run_is_told_without_numbers_that_it_did_not_report(lived):
    plan = lived.finished[-1].plan
    failed = FinishedRun(plan, failing(("", FailureKind.CRASHED, 9))(plan))
    stage = Stage(replace(lived, finished=(failed,)))
    assert stage.value("dataefficient_run_info", result="Crashed", digest="") == 1
    exported = {s.name for s in stage.samples() if "run" in s.labels}
    assert "dataefficient_run_log_loss" not in exported
    assert "dataefficient_run_device_seconds" in exported


def test_what_is_not_known_is_absent():
    view = ResourceView("ads", "new", resource(), Memory("ads/new"))
    names = {sample.name for sample in Stage(view).samples()}
    assert "dataefficient_cycle" in names
    for absent in (
        "kpi_level",
        "gap_ratio",
        "kpi_target",
        "convergence_rows",
        "champion_cycle",
        "model_size",
        "learning_curve_rows",
        "plan_option_cost_device_seconds",
        "savings_spent_device_seconds",
        "budget_window_end_timestamp_seconds",
        "decision_cycle",
        "overhead_device_seconds_total",
    ):
        assert f"dataefficient_{absent}" not in names


def test_what_is_not_finite_is_absent(lived):
    bad = replace(lived.memory, account=float("nan"), distance=float("inf"))
    names = {sample.name for sample in Stage(replace(lived, memory=bad)).samples()}
    assert "dataefficient_exploration_account_device_seconds" not in names
    assert "dataefficient_gap_ratio" not in names


def test_without_a_price_there_is_no_money(lived):
    free = resource(accelerators=[{"name": "cpu"}])
    names = {sample.name for sample in Stage(replace(lived, spec=free)).samples()}
    assert not [name for name in names if "money" in name]


def test_a_deleted_resource_leaves_no_series_and_another_stays(lived):
    stage = Stage(lived, replace(lived, name="other"))
    assert {s.labels["resource"] for s in stage.samples()} == {"flights", "other"}
    del stage.views[0]
    assert {s.labels["resource"] for s in stage.samples()} == {"other"}
    stage.views.clear()
    assert stage.samples() == []


def test_only_the_leader_exports_resources(lived):
    stage = Stage(lived, leads=False)
    assert stage.samples() == []
    stage.leads = True
    assert stage.samples()


def test_conditions_and_verdicts_are_one_of_all_their_states(lived):
    answers = (
        Answer("spec.kpi.query", "x", LONG_AFTER, Verdict.OK, 0.25),
        Answer("spec.servingGuardrails[0].query", "x", LONG_AFTER, Verdict.STALE, cause=Cause.TOO_OLD),
    )
    stage = Stage(replace(lived, answers=answers))
    for condition in ConditionType:
        states = [
            stage.value("dataefficient_condition", type=condition.value, status=status)
            for status in ("True", "False", "Unknown")
        ]
        assert states == [0, 0, 1]
    assert stage.value("dataefficient_query_value") == 0.25
    assert stage.value("dataefficient_query_verdict", query="spec.kpi.query", verdict="Ok") == 1
    assert stage.value("dataefficient_query_verdict", query="spec.kpi.query", verdict="Stale") == 0
    assert (
        stage.value("dataefficient_query_verdict", query="spec.servingGuardrails[0].query", verdict="Stale")
        == 1
    )


def largest(lived):
    """A view with every label filled as far as the types and contracts allow."""
    base = next(r for r in reversed(lived.finished) if r.plan.request.role is Role.CANDIDATE)
    report, memory = base.outcome.report, lived.memory
    evaluated = report.evaluated
    names = ["self", "start", *(f"frozen{i}" for i in range(MAX_FROZEN))]
    models = {name: replace(evaluated.models["self"], auc=0.7) for name in names}
    full = replace(
        report,
        evaluated=replace(evaluated, models=models),
        extra={f"extra{i}" + "x" * 300: 1.0 for i in range(50)},
    )
    runs = tuple(
        FinishedRun(
            base.plan, replace(base.outcome, run=f"c{i:03d}-candidate", report=replace(full, run=f"c{i:03d}"))
        )
        for i in range(MAX_RUNS + 5)
    )
    names = ["spec.kpi.query", "cost", "quality", *(f"spec.servingGuardrails[{i}].query" for i in range(8))]
    forecast = Forecast(1.0, 1.0, 1.0)
    branch = Branch(Role.TRIAL, base.plan.point, 1, 1)
    record = replace(memory.history[-1], plan=replace(memory.history[-1].plan, cost=forecast, kpi=forecast))
    return replace(
        lived,
        finished=runs,
        decided_at=LONG_AFTER,
        answers=tuple(Answer(name, "x", LONG_AFTER, Verdict.OK, 1.0) for name in names),
        overhead=Overhead().seconds,
        memory=replace(
            memory,
            plan=replace(
                memory.plan,
                cost=forecast,
                kpi=forecast,
                options=tuple(Option(replace(base.plan.point, size=i), 1.0, 0.1, 0.2, "") for i in range(99)),
            ),
            trial=branch,
            control=branch,
            convergence=Convergence(1.0, 1.0, 1.0, 1.0, "", tuple(Rung(i, 0.5, 0.1) for i in range(20))),
            codes=tuple(f"Code{i}" for i in range(60)),
            saved=Saved(0, 4, LONG_AFTER, 0.0, 1.0, forecast),
            history=(*memory.history, record),
            ledger=replace(memory.ledger, by_role={role.value: 1.0 for role in Role}),
        ),
    )


def test_the_number_of_series_of_a_resource_is_bounded(lived):
    samples = Stage(largest(lived)).samples()
    assert len(samples) <= MAX_SERIES
    assert len(samples) > 0.6 * MAX_SERIES, "the bound says little"
    assert len({s.labels["run"] for s in samples if "run" in s.labels}) == MAX_RUNS
    assert len({s.labels["name"] for s in samples if s.name == "dataefficient_run_extra"}) == MAX_EXTRA
    assert max(len(value) for s in samples for value in s.labels.values()) <= 128
    exported = {s.name for s in samples}
    assert exported == {s.full_name for s in (*RESOURCE_SERIES, *RUN_SERIES)}, "every series was filled"


def test_numbers_that_an_alert_reads_are_exported_before_others(lived):
    run = lived.finished[-1]
    many = {f"a{i}": 1.0 for i in range(20)} | {"servedGap": 0.1, "servedGapError": 0.01}
    report = replace(success(run.plan).report, extra=many)
    view = replace(lived, finished=(FinishedRun(run.plan, replace(success(run.plan), report=report)),))
    told = {s.labels["name"] for s in Stage(view).samples() if s.name == "dataefficient_run_extra"}
    assert told == {"servedGap", "servedGapError", *(f"a{i}" for i in (0, 1, 10, 11, 12, 13))}


def test_text_of_a_trainer_cannot_break_the_scrape(lived):
    run = lived.finished[-1]
    report = replace(success(run.plan).report, extra={'a"b\\c\nd\ud800': 1.0})
    report = replace(report, checkpoint=CheckpointRef("uri", "\ud800\n"))
    view = replace(lived, finished=(FinishedRun(run.plan, replace(success(run.plan), report=report)),))
    assert Stage(view).value("dataefficient_run_extra", name='a"b\\c\nd?') == 1


def test_an_evaluation_without_rows_gives_no_quality(lived):
    run = next(r for r in reversed(lived.finished) if r.plan.request.role is Role.CANDIDATE)
    report = success(run.plan).report
    empty = replace(report.evaluated, n=(0,), positives=(0,), models={"self": Scored((0.0,), (0.0,))})
    report = replace(report, evaluated=empty)
    view = replace(lived, finished=(FinishedRun(run.plan, replace(success(run.plan), report=report)),))
    names = {s.name for s in Stage(view).samples()}
    assert not {"dataefficient_run_log_loss", "dataefficient_run_calibration_ratio"} & names


def test_the_operators_own_series_are_read_at_the_scrape():
    registry, queued = CollectorRegistry(), [3]
    metrics = ProcessMetrics(registry, ProcessState(lambda: True, lambda: 2, lambda: queued[0], lambda: 17))
    metrics.visits.labels("done").inc()
    metrics.visit_seconds.observe(0.2)
    metrics.note_failure(409)
    metrics.note_answer(Answer("q", "x", LONG_AFTER, Verdict.OK, 1.0), 0.5)
    get = registry.get_sample_value
    assert get("dataefficient_operator_leader") == 1
    assert get("dataefficient_operator_resources") == 2
    assert get("dataefficient_operator_queue_depth") == 3
    queued[0] = 0
    assert get("dataefficient_operator_queue_depth") == 0
    assert get("dataefficient_operator_api_requests_total") == 17
    assert get("dataefficient_operator_visits_total", {"result": "done"}) == 1
    assert get("dataefficient_operator_visit_seconds_count") == 1
    assert get("dataefficient_operator_api_errors_total", {"code": "409"}) == 1
    assert get("dataefficient_operator_prometheus_answers_total", {"verdict": "Ok"}) == 1
    assert get("dataefficient_operator_prometheus_query_seconds_sum") == 0.5


def test_names_follow_the_conventions():
    for series in (*RESOURCE_SERIES, *RUN_SERIES):
        assert series.full_name.startswith("dataefficient_")
        assert series.full_name == series.full_name.lower()
        assert series.full_name.endswith("_total") == (series.kind.value == "counter")
        assert series.help.endswith(".")
        assert not {"namespace", "pod", "instance", "job", "name"} & set(series.labels) - {"name"}
    names = [series.full_name for series in (*RESOURCE_SERIES, *RUN_SERIES)]
    assert len(names) == len(set(names))


def test_the_reference_page_is_what_the_declarations_say():
    shown = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert shown.read_text() == page(), "run: python hack/reference_pages"
