"""When an attempt is ended before it ends by itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cluster import objects
from dataefficient.cluster import names
from dataefficient.cluster.ending import (
    LINGER_SECONDS,
    POD_SECONDS,
    START_SECONDS,
    next_look,
    noticed,
    patience,
    why,
)
from dataefficient.cluster.outcome import Live, Outlived
from dataefficient.cluster.waiting import Waiting
from dataefficient.cycle.model import FailureKind

ASKED = datetime(2026, 1, 1, tzinfo=UTC)
BOUND = ASKED + timedelta(seconds=40)
RESOURCE = objects.resource(generation=3, limits={"maxWaitSeconds": 600})
NOWHERE = Live(waiting=Waiting("Unschedulable", "0/3 nodes", FailureKind.UNSCHEDULABLE), asked=ASKED)
UNPULLED = Live(BOUND, Waiting("ImageNotPulled", "no such image", FailureKind.IMAGE_NOT_PULLED), asked=ASKED)
TRAINING = Live(BOUND, asked=ASKED, running=True)


def job(generation=3):
    return {
        "metadata": {"name": "the-job", "annotations": {names.GENERATION_ANNOTATION: str(generation)}},
        "spec": {},
    }


def ended(live, seconds, *, resource=RESOURCE, generation=3, over=None):
    return why(resource, live, job(generation), over, ASKED + timedelta(seconds=seconds))


def test_a_machine_may_be_waited_for_as_long_as_the_resource_says():
    assert ended(NOWHERE, 599) is None
    found = ended(NOWHERE, 600)
    assert found.kind is FailureKind.UNSCHEDULABLE
    assert found.message == "spec.limits.maxWaitSeconds: 600 s are over. 0/3 nodes"


def test_a_pod_that_got_its_machine_while_another_waits_does_not_shorten_the_wait():
    assert ended(replace(NOWHERE, started=BOUND), 599) is None
    assert ended(replace(NOWHERE, started=BOUND), 600).kind is FailureKind.UNSCHEDULABLE


def test_a_machine_that_is_paid_is_not_kept_for_an_image_that_does_not_come():
    assert ended(UNPULLED, 40 + START_SECONDS - 1) is None
    found = ended(UNPULLED, 40 + START_SECONDS)
    assert (found.kind, found.message) == (FailureKind.IMAGE_NOT_PULLED, "no such image")


def test_who_waits_less_for_a_machine_waits_less_for_an_image():
    brief = objects.resource(limits={"maxWaitSeconds": 5})
    assert ended(UNPULLED, 45, resource=brief).kind is FailureKind.IMAGE_NOT_PULLED


def test_an_image_of_no_possible_name_is_not_waited_for():
    hopeless = replace(UNPULLED, waiting=Waiting("ImageNotPulled", "A B", FailureKind.USER_ERROR))
    assert ended(hopeless, 40).kind is FailureKind.USER_ERROR


def test_a_pod_that_is_being_made_ready_is_left_alone():
    assert ended(Live(BOUND, asked=ASKED), 9000) is None
    assert ended(TRAINING, 9000) is None


def test_who_waits_in_a_queue_is_not_given_up():
    assert patience(RESOURCE, Live(podless=True)) is None
    assert next_look(RESOURCE, Live(podless=True), ASKED) is None


def test_a_job_that_makes_no_pod_is_told_after_a_while_and_given_up_in_the_end():
    podless = Live(asked=ASKED, podless=True)
    assert noticed(podless, job(), ASKED).waiting is None
    told = noticed(podless, job(), ASKED + timedelta(seconds=POD_SECONDS)).waiting
    assert (told.kind, "kubectl describe job the-job" in told.message) == ("Unschedulable", True)
    assert "the-job has made no pod" in ended(podless, 600).message


def test_it_is_looked_at_again_when_waiting_alone_changes_something():
    assert next_look(RESOURCE, Live(asked=ASKED, podless=True), ASKED) == ASKED + timedelta(
        seconds=POD_SECONDS
    )
    assert next_look(RESOURCE, UNPULLED, BOUND) == BOUND + timedelta(seconds=START_SECONDS)
    assert next_look(RESOURCE, UNPULLED, BOUND + timedelta(seconds=START_SECONDS)) is None
    assert next_look(RESOURCE, TRAINING, BOUND) is None


OUTLIVED = Live(BOUND, asked=ASKED, outlived=Outlived(BOUND, ("istio-proxy", "logs")))


def test_a_pod_is_not_paid_for_longer_than_its_trainer_where_a_mesh_keeps_it_up():
    assert ended(OUTLIVED, 40 + LINGER_SECONDS - 1) is None
    found = ended(OUTLIVED, 40 + LINGER_SECONDS)
    assert found.kind is FailureKind.NO_REPORT
    assert "istio-proxy and logs would keep its pod running" in found.message
    assert next_look(RESOURCE, OUTLIVED, BOUND) == BOUND + timedelta(seconds=LINGER_SECONDS)


def test_suspending_ends_what_runs():
    found = ended(TRAINING, 50, resource=objects.resource(suspend=True))
    assert found.kind is FailureKind.PREEMPTED
    assert "spec.suspend" in found.message


@pytest.mark.parametrize(("launched_under", "ends"), [(2, True), (3, False)])
def test_only_an_edit_ends_what_the_budget_does_not_hold(launched_under, ends):
    # Without one, another run may have cost a little more than was set aside for it: no reason to stop.
    found = ended(TRAINING, 50, generation=launched_under, over="budget.total.deviceHours")
    assert (found is not None) == ends
    if found is not None:
        assert found.kind is FailureKind.PREEMPTED
        assert found.message.startswith("spec.budget.total.deviceHours ")
