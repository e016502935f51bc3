from dataclasses import replace
from datetime import timedelta

import pytest

from cluster import objects
from cluster.living import KEY
from cluster.test_readback import Stage
from cycle.playing import success, with_riders
from dataefficient.cluster.board import Board
from dataefficient.cluster.outcome import Live
from dataefficient.cluster.view import View
from dataefficient.contract import Role
from dataefficient.cycle.model import Observation, Rider


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    stage.close()


def test_waiting_for_a_machine_is_told_until_the_pod_is_bound(stage):
    shown = stage.until(1)
    (plan,) = (run for run in shown.memory.running if run.request.run.endswith("-candidate"))
    board, made = Board(there=lambda: {KEY}), stage.clock.now()
    view = View(objects.resource(), shown.memory, made + timedelta(seconds=30))
    run = plan.request.run
    board.show(replace(view, live={run: Live(created=made)}), ())
    (seen,) = board.views()
    assert seen.overhead["queued"] == 30.0 * plan.devices
    bound = Live(created=made, started=made + timedelta(seconds=40))
    board.show(replace(view, live={run: bound}, now=made + timedelta(seconds=90)), ())
    (seen,) = board.views()
    assert seen.overhead["queued"] == 40.0 * plan.devices


def test_what_an_attempt_spent_beside_training_is_told_once_it_is_taken_in(stage):
    stage.until(1)
    before = stage.board.views()[0].overhead
    stage.until(2)
    after = stage.board.views()[0].overhead
    assert set(after) == {"queued", "startup", "preempted", "failed", "probes", "evaluation"}
    assert after["evaluation"] > before["evaluation"]


def test_of_a_resource_that_is_gone_nothing_is_kept(stage):
    stage.until(1)
    stage.keys.clear()
    assert stage.board.views() == ()
    assert stage.board._overhead == {}


def test_a_run_that_rides_is_counted_for_itself(stage):
    shown = stage.until(1)
    (plan,) = (run for run in shown.memory.running if run.request.run.endswith("-candidate"))
    trial = replace(plan.request, run="c001-trial", role=Role.TRIAL)
    led = replace(
        plan, request=replace(plan.request, riders=(trial,)), riders=(Rider(plan.point, None),), attempt=7
    )
    outcome = success(led, report_of=with_riders)
    board, memory = Board(there=lambda: {KEY}), replace(shown.memory, running=(led,))
    board._note(memory, Observation(stage.clock.now(), (outcome,)))
    board.show(View(objects.resource(), memory, stage.clock.now()), ())
    (seen,) = board.views()
    report = outcome.report
    assert seen.overhead["startup"] == pytest.approx(report.seconds.startup)
    rode = report.riders[0].seconds
    assert seen.overhead["probes"] == pytest.approx(rode.total - rode.evaluate)
    assert seen.overhead["evaluation"] == pytest.approx(report.seconds.evaluate + rode.evaluate)
