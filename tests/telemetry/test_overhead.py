from dataclasses import replace

import pytest

from cycle.playing import Player, failing, resource, success
from dataefficient.contract import Role, Seconds
from dataefficient.cycle.model import FailureKind
from dataefficient.telemetry.overhead import Cause, Overhead, split


@pytest.fixture(scope="module")
def plan():
    """Of a candidate on two devices."""
    player = Player(resource())
    player.play(until=lambda memory: memory.cycle == 1 and memory.running)
    return replace(player.memory.running[0], devices=2)


def reported(plan, *, charged, role=Role.CANDIDATE):
    """A run of 10 s, 1 s of it start-up and 2 s evaluation, that was charged with so many device-seconds."""
    outcome = success(plan)
    report = replace(outcome.report, seconds=Seconds(1.0, 3.0, 4.0, 2.0, 10.0))
    plan = replace(plan, request=replace(plan.request, role=role))
    return plan, replace(outcome, device_seconds=charged, report=report)


def test_startup_is_all_that_was_charged_before_the_first_row(plan):
    found = split(*reported(plan, charged=30.0))
    assert found == {Cause.STARTUP: 30.0 - 2 * 9.0, Cause.EVALUATION: 2 * 2.0}


def test_of_a_run_that_only_measures_the_rest_is_probes(plan):
    found = split(*reported(plan, charged=30.0, role=Role.TRIAL))
    assert found[Cause.PROBES] == 30.0 - 12.0 - 4.0
    assert sum(found.values()) == 30.0


def test_no_more_is_told_than_was_charged(plan):
    found = split(*reported(plan, charged=3.0, role=Role.PROBE))
    assert found[Cause.STARTUP] == 0.0
    assert found[Cause.EVALUATION] == 3.0
    assert found[Cause.PROBES] == 0.0


@pytest.mark.parametrize(
    ("kind", "cause"), [(FailureKind.PREEMPTED, Cause.PREEMPTED), (FailureKind.CRASHED, Cause.FAILED)]
)
def test_an_attempt_that_gave_nothing_is_overhead_as_a_whole(plan, kind, cause):
    outcome = failing(("", kind, 9))(plan)
    assert split(plan, outcome) == {cause: outcome.device_seconds}


def test_every_cause_is_counted_from_nothing_and_each_attempt_once(plan):
    overhead = Overhead()
    assert overhead.seconds == dict.fromkeys(Cause, 0.0)
    plan, outcome = reported(plan, charged=30.0)
    overhead.take_in(plan, outcome)
    overhead.take_in(plan, outcome)
    assert overhead.seconds["startup"] == 12.0
    overhead.take_in(plan, replace(outcome, attempt=outcome.attempt + 1))
    assert overhead.seconds["startup"] == 24.0


def test_waiting_grows_with_the_attempt_that_waits_and_never_shrinks(plan):
    overhead = Overhead()
    for seconds in (5.0, 8.0, 8.0, 7.0):
        overhead.wait(plan, seconds)
    assert overhead.seconds["queued"] == 2 * 8.0
    overhead.wait(replace(plan, attempt=plan.attempt + 1), 1.0)
    assert overhead.seconds["queued"] == 2 * 9.0
