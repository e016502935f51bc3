"""How the end of a Job is read."""

from dataclasses import replace

import pytest

from cluster import objects
from cluster.objects import COMPLETE, DISRUPTED, FAILED, LATE, SCHEDULED, job, pod
from dataefficient.cluster import names
from dataefficient.cluster.outcome import Live, read, vanished
from dataefficient.contract import parse_time
from dataefficient.cycle.model import FailureKind

RESOURCE = objects.resource()
PLAN = objects.plan(RESOURCE)
REPORT = objects.report_text(PLAN)


def failure(*, conditions=(FAILED,), pods=(), plan=PLAN, **more):
    outcome = read(plan, job(*conditions, **more), list(pods))
    assert outcome.report is None
    return outcome.failure


def test_a_report_in_the_termination_message_is_the_outcome():
    outcome = read(PLAN, job(COMPLETE), [pod(code=0, message=REPORT)])
    assert outcome.failure is None
    assert outcome.report.run == PLAN.request.run


def test_cost_is_the_time_from_the_pods_binding_to_the_end_of_its_last_container():
    ended = pod(code=1, message="boom")
    ended["status"]["initContainerStatuses"] = [
        {"name": "sidecar", "state": {"terminated": {"exitCode": 0, "finishedAt": "2026-01-01T00:01:55Z"}}}
    ]
    assert read(PLAN, job(FAILED), [ended]).device_seconds == 55.0


def test_cost_counts_every_device():
    plan = replace(PLAN, devices=4)
    assert read(plan, job(FAILED), [pod(code=1)]).device_seconds == 4 * 40.0


def test_without_a_pod_the_jobs_own_times_bound_the_cost():
    assert read(PLAN, job(FAILED), []).device_seconds == 120.0


def test_without_any_evidence_the_reservation_stands():
    assert read(PLAN, job(FAILED, startTime=None), []).device_seconds == PLAN.reserved_seconds
    assert vanished(PLAN).device_seconds == PLAN.reserved_seconds


def test_a_pod_that_never_got_a_machine_cost_nothing():
    waiting = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    outcome = read(PLAN, job(LATE), [pod(conditions=[waiting])])
    assert outcome.device_seconds == 0.0
    assert outcome.failure.kind is FailureKind.UNSCHEDULABLE
    assert "0/3 nodes" in outcome.failure.message


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (64, FailureKind.USER_ERROR),
        (65, FailureKind.DATA_ERROR),
        (75, FailureKind.DATA_NOT_READY),
        (76, FailureKind.EMPTY_INTERVAL),
        (77, FailureKind.CHECKPOINT_MISSING),
        (78, FailureKind.NOT_FINITE),
        (1, FailureKind.CRASHED),
        (137, FailureKind.CRASHED),
    ],
)
def test_an_exit_code_means_what_it_means_for_a_process(code, kind):
    found = failure(pods=[pod(code=code, message="Traceback\nno column late; there are a, b\n")])
    assert found.kind is kind
    assert "no column late" in found.message


def test_a_container_killed_for_memory_says_so():
    assert "OOMKilled" in failure(pods=[pod(code=137, reason="OOMKilled")]).message


def test_a_trainer_that_reports_nothing_or_garbage_is_told_apart():
    silent = read(PLAN, job(COMPLETE), [pod(code=0)])
    assert silent.failure.kind is FailureKind.NO_REPORT
    garbage = read(PLAN, job(COMPLETE), [pod(code=0, message=REPORT[: len(REPORT) // 2])])
    assert garbage.failure.kind is FailureKind.GARBAGE


def test_a_pod_removed_before_it_was_read_has_no_report():
    assert read(PLAN, job(COMPLETE), []).failure.kind is FailureKind.NO_REPORT


@pytest.mark.parametrize(
    ("conditions", "pods"),
    [
        ((FAILED,), [pod(code=143, conditions=[SCHEDULED, DISRUPTED])]),
        (
            (
                (
                    "Failed",
                    "PodFailurePolicy",
                    "Pod default/x has condition DisruptionTarget matching",
                    FAILED[3],
                ),
            ),
            [],
        ),
    ],
    ids=["pod there", "pod gone"],
)
def test_a_disrupted_pod_was_preempted(conditions, pods):
    assert failure(conditions=conditions, pods=pods).kind is FailureKind.PREEMPTED


def test_a_pod_past_its_deadline_is_told_with_the_time_it_had():
    late = pod(code=143)
    late["status"]["reason"] = "DeadlineExceeded"
    found = failure(pods=[late])
    assert found.kind is FailureKind.DEADLINE
    assert "600 s" in found.message


def test_a_run_that_had_reported_before_it_was_ended_from_outside_has_succeeded():
    late = pod(code=143, message=REPORT)
    late["status"]["reason"] = "DeadlineExceeded"
    assert read(PLAN, job(FAILED), [late]).report is not None
    taken = pod(code=143, message=REPORT, conditions=[SCHEDULED, DISRUPTED])
    assert read(PLAN, job(FAILED), [taken]).report is not None


def test_an_image_that_cannot_be_pulled_is_what_the_run_waits_for():
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    state = read(PLAN, job(), [pod(waiting=waiting)])
    assert isinstance(state, Live)
    assert state.waiting.kind == "ImageNotPulled"
    assert state.waiting.message == (
        'spec.trainer.template.spec.containers[0].image: "trainer:1" cannot be pulled: Back-off pulling image'
    )


def test_a_sidecar_that_cannot_start_is_named_by_its_place_in_the_resource():
    of = job()
    of["spec"]["template"] = {"spec": {"initContainers": [{"name": "other"}, {"name": "proxy"}]}}
    held = pod()
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}
    held["status"]["initContainerStatuses"] = [{"name": "proxy", "state": {"waiting": waiting}}]
    place = "spec.trainer.template.spec.initContainers[1]"
    assert read(PLAN, of, [held]).waiting.message == f'{place}: cannot be started: secret "x" not found'
    held["status"]["initContainerStatuses"][0]["name"] = "injected"
    assert read(PLAN, of, [held]).waiting.message.startswith("container injected: ")


def test_any_pod_without_a_machine_holds_up_the_run():
    waiting = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    of = job()
    of["spec"]["parallelism"] = 2
    state = read(PLAN, of, [pod(index=1, conditions=[waiting]), pod(index=0)])
    assert state.waiting.kind == "Unschedulable"
    assert state.running


def test_a_pod_without_a_machine_is_what_the_run_waits_for():
    waiting = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
    }
    state = read(PLAN, job(), [pod(conditions=[waiting], waiting=None)])
    assert state.waiting.kind == "Unschedulable"
    assert "nvidia.com/gpu" in state.waiting.message


def test_only_the_pod_of_index_0_reports():
    both = [pod(code=0, message="not a report", index=1), pod(code=0, message=REPORT, index=0)]
    found = job(COMPLETE)
    found["spec"]["parallelism"] = 2
    assert read(PLAN, found, both).report is not None


def test_a_job_that_the_operator_stopped_has_ended_once_its_pods_are_gone():
    stopped = job(("Suspended", "JobSuspended", "", "2026-01-01T00:02:00Z"), suspend=True, terminating=1)
    stopped["metadata"]["annotations"] = {names.STOPPED_ANNOTATION: "Preempted: stopped by spec.suspend"}
    assert isinstance(read(PLAN, stopped, [pod()]), Live)
    stopped["status"]["terminating"] = 0
    outcome = read(PLAN, stopped, [pod(code=143)])
    assert outcome.failure.kind is FailureKind.PREEMPTED
    assert outcome.device_seconds == 40.0


SUSPENDED = ("Suspended", "JobSuspended", "", "2026-01-01T00:02:00Z")


def ended_for(told, **status):
    stopped = job(SUSPENDED, suspend=True, startTime=None, **status)
    stopped["metadata"] |= {
        "annotations": {names.STOPPED_ANNOTATION: told},
        "creationTimestamp": "2026-01-01T00:00:50Z",
    }
    return stopped


def test_why_it_was_stopped_is_read_from_the_job_also_when_its_pod_is_forgotten():
    outcome = read(PLAN, ended_for("ImageNotPulled: no such image: x:1"), [])
    assert (outcome.failure.kind, outcome.failure.message) == (
        FailureKind.IMAGE_NOT_PULLED,
        "no such image: x:1",
    )
    assert outcome.device_seconds == 70.0


def test_what_was_stopped_without_ever_having_a_machine_cost_nothing():
    assert read(PLAN, ended_for("Unschedulable: 0/3 nodes"), []).device_seconds == 0.0


def meshed(code, message="", *, proxy="running", finished="2026-01-01T00:01:40Z", **about):
    """A pod to which a mesh has added a container that knows of no end."""
    body = pod(code=code, message=message, **about)
    if code is not None:
        body["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = finished
    body["status"]["containerStatuses"].append({"name": "istio-proxy", "state": {proxy: {}}})
    return body


def test_a_container_that_runs_on_after_the_trainer_is_seen():
    assert read(PLAN, job(), [meshed(None)]).outlived is None
    found = read(PLAN, job(), [meshed(0, REPORT)]).outlived
    assert (found.since, found.containers) == (parse_time("2026-01-01T00:01:40Z"), ("istio-proxy",))
    assert read(PLAN, job(), [meshed(0, REPORT, proxy="terminated")]).outlived is None


def test_native_sidecars_outlive_no_trainer():
    native = pod(code=0, message=REPORT)
    native["status"]["initContainerStatuses"] = [{"name": "sidecar", "state": {"running": {}}}]
    assert read(PLAN, job(), [native]).outlived is None


def test_a_trainer_that_still_runs_in_another_pod_is_waited_for():
    def found(*pods):
        body = job()
        body["spec"]["parallelism"] = 2
        return read(PLAN, body, list(pods)).outlived

    first, late = meshed(0, REPORT, index=0), "2026-01-01T00:03:00Z"
    assert found(first) is None
    assert found(first, meshed(None, index=1)) is None
    assert found(first, meshed(0, index=1, finished=late)).since == parse_time(late)


OUTLIVED = "NoReport: the trainer has ended, and istio-proxy would keep its pod running"


def test_a_trainer_that_was_outlived_has_ended_as_it_ended():
    outcome = read(PLAN, ended_for(OUTLIVED), [meshed(0, REPORT, proxy="terminated")])
    assert outcome.report.run == PLAN.request.run
    failed = read(PLAN, ended_for(OUTLIVED), [meshed(65, "no column late")]).failure
    assert (failed.kind, failed.message) == (FailureKind.DATA_ERROR, "no column late")
    silent = read(PLAN, ended_for(OUTLIVED), [meshed(0)]).failure
    assert silent.kind is FailureKind.NO_REPORT
    assert "wrote no report" in silent.message


def test_a_trainer_that_was_outlived_and_is_forgotten_has_no_report():
    found = read(PLAN, ended_for(OUTLIVED), []).failure
    assert (found.kind, found.message) == (FailureKind.NO_REPORT, OUTLIVED.removeprefix("NoReport: "))


def test_a_job_that_waits_in_a_queue_has_not_ended():
    queued = job(("Suspended", "JobSuspended", "", "2026-01-01T00:02:00Z"), suspend=True)
    assert isinstance(read(PLAN, queued, []), Live)


def test_a_run_of_less_than_a_second_is_charged_what_it_reported():
    quick = pod(code=0, message=REPORT)
    quick["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = "2026-01-01T00:01:00Z"
    outcome = read(PLAN, job(COMPLETE), [quick])
    assert outcome.device_seconds == min(outcome.report.seconds.total, PLAN.reserved_seconds) > 0
