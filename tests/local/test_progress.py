import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from dataefficient.api.load import parse_object
from dataefficient.contract import Rows, RunReport, Seconds
from dataefficient.cycle.model import CycleRecord, Failure, FailureKind, Ledger, Observation, RunOutcome
from dataefficient.local.pace import Pace, cycles_until
from dataefficient.local.process import Progress
from dataefficient.local.progress import LiveWatcher, PlainWatcher, kpi_line, money_line, watcher
from dataefficient.local.watch import Running
from local.fake_machine import advance, begin
from local.fake_resource import resource_body

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def spec(tmp_path):
    budget = {"perCycle": {"deviceHours": "0.1"}, "initial": {"deviceHours": "0.2"}}
    accelerators = [{"name": "cpu", "pricePerDeviceHour": "0.04"}]
    return parse_object(
        resource_body(tmp_path, cycles=4, budget=budget, accelerators=accelerators), "test"
    ).spec


@pytest.fixture
def request_(spec):
    return advance(spec, replace(begin(), cycle=1), Observation(NOW)).start[0].request


def memory_at(spec, cycle, **changes):
    record = CycleRecord(
        cycle=cycle - 1,
        start=NOW,
        end=NOW,
        plan=None,
        kpi=0.4612,
        kpi_standard_error=0.0009,
        distance=0.001,
        distance_bound=0.003,
        gate=None,
        spent_seconds=1.0,
        runs=(),
        notes=(),
    )
    ledger = Ledger(settled=72.0, by_cycle={str(cycle): 36.0})
    return replace(begin(), cycle=cycle, history=(record,), ledger=ledger, distance_bound=0.003, **changes)


def screen(spec, width, clock=lambda: 0.0):
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system=None)
    return LiveWatcher(spec, console, None, now=lambda: NOW, pace=Pace(clock)), console, stream


@pytest.mark.parametrize("width", [60, 120])
def test_the_live_lines_say_everything_at_any_width(spec, request_, width):
    live, console, stream = screen(spec, width)
    live.close()
    live.remembered(memory_at(spec, 2))
    stream.truncate(0)
    running = Running(request_, 7.0, Progress(50_000, 100_000, 9_000.0))
    console.print(live.lines([running]))
    told = " ".join(stream.getvalue().split())
    for words in (
        "cycle 2 of 3: 2001-02-08 to 2001-02-15",
        "c001-candidate",
        "50%",
        "9,000 rows/s",
        "KPI 0.4612 ± 0.0009 in cycle 1, target 0.47 met",
        "distance at most 0.30% of 2.00% allowed",
        "spent 0.0200 device hours (0.0008 USD)",
        "budget.perCycle.deviceHours leaves 0.0900 device hours",
        "time left: known after cycle 1",
    ):
        assert words in told
    assert max(map(len, stream.getvalue().splitlines())) <= width


def test_a_run_that_says_nothing_of_itself_is_starting(spec, request_):
    live, console, stream = screen(spec, 100)
    live.close()
    console.print(live.lines([Running(request_, 1.0, Progress())]))
    assert "starting" in stream.getvalue()


def test_time_left_is_the_mean_of_measured_cycles_times_those_left():
    time = [0.0]
    pace = Pace(lambda: time[0])
    for cycle, at in ((0, 0), (1, 100), (2, 110)):
        time[0] = float(at)
        pace.cycle(cycle)
    assert pace.left(9) == pytest.approx(7 * 10)
    time[0] = 114.0
    assert pace.left(9) == pytest.approx(7 * 10 - 4)


def test_time_left_waits_for_the_slower_of_operator_and_controls():
    time = [0.0]
    pace = Pace(lambda: time[0])
    pace.cycle(1)
    time[0] = 10.0
    pace.cycle(2)
    pace.control(1, 20.0)
    pace.control(1, 20.0)
    assert pace.left(9) == pytest.approx(7 * 40)


def test_nothing_measured_gives_no_time_left():
    pace = Pace(lambda: 0.0)
    assert pace.left(9) is None
    pace.cycle(0)
    pace.cycle(1)
    assert pace.left(9) is None


@pytest.mark.parametrize("cycles", [1, 2, 3, 4])
def test_the_last_cycle_follows_from_the_schedule(tmp_path, cycles):
    schedule = parse_object(resource_body(tmp_path, cycles=cycles), "test").spec.schedule
    assert cycles_until(schedule, NOW) == cycles


def test_cycles_that_are_not_due_are_not_counted(spec):
    assert cycles_until(spec.schedule, spec.schedule.start_time - timedelta(1)) == 0
    assert cycles_until(spec.schedule, spec.schedule.start_time + timedelta(8)) == 2


def test_a_pipe_gets_one_plain_line_for_each_run(spec, request_):
    stream = io.StringIO()
    plain = watcher(spec, Console(file=stream, width=40), None)
    assert type(plain) is PlainWatcher
    seconds = Seconds(1.0, 0.2, 1.5, 0.3, 3.0)
    report = RunReport(request_.run, Rows(40_000, 20_000), seconds, None, None, None)
    plain.ended(request_, RunOutcome(request_.run, 1, 3.0, report))
    plain.ended(request_, RunOutcome(request_.run, 2, 3.0, failure=Failure(FailureKind.CRASHED, "x " * 40)))
    first, second = stream.getvalue().splitlines()
    assert first == "c001-candidate: 0.5 of the rows (Uniform), size 4; 40,000 rows in 3.0 s, 20,000 rows/s"
    assert second.startswith("c001-candidate, attempt 2: Crashed: x x")


def test_a_terminal_in_ci_gets_plain_lines(spec, monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert type(watcher(spec, Console(file=io.StringIO(), force_terminal=True), None)) is PlainWatcher


def test_what_is_not_known_is_not_shown_as_a_number(spec):
    assert kpi_line(spec, begin()) == "KPI: measured from cycle 1 on"
    assert "budget.initial.deviceHours leaves 0.2000" in money_line(spec, begin())
