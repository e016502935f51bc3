"""Where a resource is heading: its pace, its budget's end and its calibration, from what is known alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cycle.playing import LONG_AFTER, START, WEEK, Player, resource, schedule, success
from dataefficient.api.schedule import due, interval
from dataefficient.contract import Role
from dataefficient.cycle.model import Memory, Step
from dataefficient.telemetry.outlook_series import COUNTED, OUTLOOK_SERIES, RECENT, cycles_due
from dataefficient.telemetry.view import MAX_RUNS, FinishedRun, ResourceView

BUDGET = {
    "initial": {"deviceHours": "4000"},
    "perCycle": {"deviceHours": "100", "money": "100"},
    "total": {"deviceHours": "4000"},
    "window": {"period": "Month", "deviceHours": "4000"},
}
NOW = START + 5 * WEEK


def value(view, name, now=NOW, **labels):
    """The one value of a series with these labels; None where it is absent."""
    series = next(s for s in OUTLOOK_SERIES if s.name == name)
    found = [
        v for given, v in series.values(view, now) if dict(zip(series.labels, given, strict=True)) == labels
    ]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.fixture(scope="module")
def lived():
    """Four cycles of a weekly resource, of twelve."""
    spec = resource(cycles=12, budget=BUDGET)
    kept = ()

    def answer(plan):
        nonlocal kept
        kept = (*kept, FinishedRun(plan, success(plan)))
        return kept[-1].outcome

    player = Player(spec, answer=answer)
    player.play(until=lambda memory: memory.cycle == 4)
    return ResourceView("ads", "flights", spec, player.memory, finished=kept[-MAX_RUNS:])


def in_window(view, settled, now=NOW):
    """The view whose ledger has so much in the window that ``now`` lies in."""
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return replace(
        view,
        memory=replace(
            view.memory, ledger=replace(view.memory.ledger, window=settled, window_start=month, by_cycle={})
        ),
    )


def costing(view, *seconds):
    """The view whose last cycles cost so much."""
    last = view.memory.history[-1]
    history = tuple(replace(last, cycle=i + 1, spent_seconds=s) for i, s in enumerate(seconds))
    return replace(view, memory=replace(view.memory, history=(view.memory.history[0], *history)))


def test_the_cycle_in_hand_has_a_due_time_and_a_length(lived):
    assert value(lived, "cycle_due_timestamp_seconds") == (START + 4 * WEEK).timestamp()
    assert value(lived, "cycle_interval_seconds") == WEEK.total_seconds()


def test_the_first_cycle_has_the_length_of_the_second_and_not_of_the_history():
    view = ResourceView("ads", "new", resource(), Memory("ads/new"))
    assert value(view, "cycle_interval_seconds") == WEEK.total_seconds()
    assert value(view, "cycle_due_timestamp_seconds") == START.timestamp()


def test_after_the_last_cycle_nothing_is_due(lived):
    over = replace(lived, memory=replace(lived.memory, cycle=13, step=Step.FINISHED))
    assert value(over, "cycle_due_timestamp_seconds") is None
    assert value(over, "cycle_interval_seconds") == WEEK.total_seconds()


def test_the_last_decision_is_told_only_where_it_is_known(lived):
    assert value(lived, "last_decision_timestamp_seconds") is None
    assert value(replace(lived, decided_at=NOW), "last_decision_timestamp_seconds") == NOW.timestamp()


def test_the_limit_is_the_tighter_of_hours_and_money(lived):
    assert value(lived, "budget_limit_device_seconds", part="perCycle") == 50 * 3600
    assert value(lived, "budget_limit_device_seconds", part="window") == 4000 * 3600
    hours = replace(lived, spec=resource(accelerators=[{"name": "cpu"}]))
    assert value(hours, "budget_limit_device_seconds", part="window") is None


def test_the_forecast_adds_each_cycle_that_is_due_before_the_windows_end(lived):
    # On 2001-04-02 cycle 4 is in hand and due since 03-26; cycles 5 to 8 end on 04-02, 09, 16, 23 and 30.
    view = costing(in_window(lived, 1000.0), 100.0, 200.0, 300.0)
    first_of_may = datetime(2001, 5, 1, tzinfo=UTC)
    assert value(view, "budget_window_end_timestamp_seconds") == first_of_may.timestamp()
    ends = [due(view.spec.schedule, cycle) for cycle in range(4, 13)]
    cycles = sum(end < first_of_may for end in ends)
    assert cycles == 6
    assert value(view, "budget_forecast_device_seconds", part="window") == 1000.0 + cycles * 200.0
    assert value(view, "budget_settled_device_seconds", part="window") == 1000.0


def test_what_the_cycle_in_hand_has_cost_is_not_counted_twice(lived):
    view = costing(in_window(lived, 1000.0), 200.0)
    memory = view.memory
    for so_far, rest in ((50.0, 150.0), (900.0, 0.0)):
        ledger = replace(memory.ledger, by_cycle={"4": so_far})
        told = replace(view, memory=replace(memory, ledger=ledger))
        found = value(told, "budget_forecast_device_seconds", part="window")
        assert found == 1000.0 + rest + 5 * 200.0


def test_only_the_newest_cycles_count_and_never_the_first(lived):
    view = costing(in_window(lived, 0.0), *([10_000.0] * 3), *([100.0] * RECENT))
    assert value(view, "budget_forecast_device_seconds", part="window") == 6 * 100.0
    alone = costing(in_window(lived, 0.0))
    assert value(alone, "budget_forecast_device_seconds", part="window") is None
    assert value(alone, "budget_settled_device_seconds", part="window") == 0.0


def test_the_whole_budget_has_a_forecast_where_the_schedule_ends(lived):
    view = costing(lived, 100.0)
    settled = lived.memory.ledger.settled
    in_hand = lived.memory.ledger.by_cycle.get("4", 0.0)
    rest = max(100.0 - in_hand, 0.0)
    assert value(view, "budget_forecast_device_seconds", part="total") == pytest.approx(
        settled + rest + 8 * 100.0
    )
    endless = schedule(12)
    del endless["endTime"]
    endless_spec = resource(budget=BUDGET, schedule=endless)
    assert value(replace(view, spec=endless_spec), "budget_forecast_device_seconds", part="total") is None


def test_what_is_suspended_or_over_will_cost_no_more(lived):
    view = costing(in_window(lived, 1000.0), 100.0)
    over = replace(view, memory=replace(view.memory, step=Step.FINISHED))
    asleep = replace(view, spec=view.spec.model_copy(update={"suspend": True}))
    for quiet in (over, asleep):
        assert value(quiet, "budget_forecast_device_seconds", part="window") == 1000.0
    assert value(asleep, "suspended") == 1
    assert value(view, "suspended") == 0


def test_spend_of_an_earlier_window_is_not_of_this_one(lived):
    view = costing(in_window(lived, 1000.0, NOW - timedelta(days=40)), 100.0)
    assert value(view, "budget_settled_device_seconds", part="window") == 0.0


def test_without_a_budget_there_is_nothing_to_exhaust(lived):
    free = replace(lived, spec=resource())
    for name in ("budget_limit", "budget_settled", "budget_forecast"):
        series = next(s for s in OUTLOOK_SERIES if s.name == f"{name}_device_seconds")
        assert list(series.values(free, NOW)) == []


RHYTHMS = [
    {"everySeconds": 7200},
    {"cron": "0 6 * * 1-5", "timeZone": "Europe/Berlin"},
    {"cron": "0 * * * *"},
]


def of_rhythm(rhythm, **more):
    given = {k: v for k, v in schedule(5).items() if k not in ("everySeconds", "endTime")}
    return resource(schedule={**given, **rhythm, **more}).schedule


@pytest.mark.parametrize("rhythm", RHYTHMS, ids=str)
@pytest.mark.parametrize("days", [0, 0.01, 1, 3, 31])
def test_cycles_are_counted_as_they_come_due(rhythm, days):
    made = of_rhythm(rhythm, labelDelaySeconds=600)
    before = due(made, 7) + timedelta(days=days)
    counted = 0
    while due(made, 7 + counted) < before:
        counted += 1
    assert cycles_due(made, 7, before) == counted


def test_none_is_counted_that_the_end_of_the_schedule_cuts_off():
    made = of_rhythm({"everySeconds": 7200}, endTime="2001-03-01T00:00:00Z")
    last = next(k for k in range(1, 1000) if interval(made, k + 1) is None)
    assert cycles_due(made, 3, LONG_AFTER) == last - 2
    assert cycles_due(made, last + 1, LONG_AFTER) == 0


@pytest.mark.parametrize("end", [{}, {"endTime": "2002-01-01T00:00:00Z"}], ids=["endless", "ends"])
def test_very_many_are_counted_by_their_length(end):
    made = of_rhythm({"cron": "* * * * *"}, **end)
    until = datetime(2002, 1, 1, tzinfo=UTC)
    exact = int((until - due(made, 1)).total_seconds() / 60)
    assert exact > COUNTED
    assert cycles_due(made, 1, until) == pytest.approx(exact, abs=1)


def evaluated_champion(lived, predicted, positives):
    """The view with the champion's run, which predicted so many positives and found so many."""
    run = next(r for r in reversed(lived.finished) if r.plan.request.role is Role.CANDIDATE)
    report = run.outcome.report
    models = {"self": replace(report.evaluated.models["self"], predicted=(predicted,))}
    evaluated = replace(report.evaluated, n=(10**6,), positives=(positives,), models=models)
    outcome = replace(run.outcome, report=replace(report, evaluated=evaluated))
    champion = replace(lived.memory.champion, checkpoint=report.checkpoint)
    view = replace(lived, finished=(replace(run, outcome=outcome),))
    return replace(view, memory=replace(view.memory, champion=champion)), report.checkpoint.digest


def test_calibration_is_that_of_what_serves_with_its_error(lived):
    view, digest = evaluated_champion(lived, 12_000.0, 10_000)
    assert value(view, "champion_calibration_ratio", digest=digest) == 1.2
    assert value(view, "champion_calibration_standard_error_ratio", digest=digest) == 0.01


def test_calibration_without_positives_or_of_an_unknown_champion_is_absent(lived):
    view, digest = evaluated_champion(lived, 12_000.0, 0)
    assert value(view, "champion_calibration_ratio", digest=digest) is None
    assert value(view, "champion_calibration_standard_error_ratio", digest=digest) is None
    known, digest = evaluated_champion(lived, 1.0, 1)
    other = replace(known, finished=())
    assert value(other, "champion_calibration_ratio", digest=digest) is None
