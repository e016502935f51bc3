"""When an attempt that was launched is ended before it ends by itself, and why.

An attempt may wait for a machine as long as the resource says, and for its container a minute: a machine that
was got is paid. So it is ended, too, where containers that the cluster has added run on after the trainer. It
is ended at once by ``spec.suspend``, and by an edit after which the budget does not hold what is reserved for
it. Pure; ending is ``Runs``'.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from dataefficient.api.spec import Resource
from dataefficient.cluster import names
from dataefficient.cluster.outcome import Live, Outlived
from dataefficient.cluster.waiting import Body, Waiting, without_pod
from dataefficient.cycle.model import Failure, FailureKind, RunOutcome, RunPlan

START_SECONDS = 60.0
"""What a container has to get its image and to start, once a failure to do so was seen. A kubelet tries three
times in it; the next attempt tries again."""
LINGER_SECONDS = 10.0
"""What other containers of its pod have to end after the trainer, as some do that are told to."""
POD_SECONDS = 30.0
"""After which a Job without a pod is told."""
NO_MACHINE = Waiting("Unschedulable", "Pending: its pod has no machine yet", FailureKind.UNSCHEDULABLE)
SUSPENDED = Failure(FailureKind.PREEMPTED, "stopped by spec.suspend; goes on when it is lifted")


def noticed(live: Live, job: Body | None, now: datetime) -> Live:
    """``live`` with what only time tells: that a Job has made no pod for long."""
    late = live.podless and live.asked is not None and now >= live.asked + timedelta(seconds=POD_SECONDS)
    return replace(live, waiting=without_pod(job["metadata"]["name"])) if late and job else live


def why(resource: Resource, live: Live, job: Body, over: str | None, now: datetime) -> Failure | None:
    """Why the attempt must end now; None: it goes on.

    Args:
        live: how it stands.
        over: the part of the budget that does not hold what is reserved for it; None: all of them do.
    """
    if resource.spec.suspend:
        return SUSPENDED
    if over is not None and _generation(job) != resource.metadata.generation:
        return Failure(FailureKind.PREEMPTED, not_covered(over))
    if live.outlived is not None and now >= _lingering(live.outlived):
        return Failure(FailureKind.NO_REPORT, _kept_up(live.outlived))
    until = patience(resource, live)
    if until is None or now < until:
        return None
    found = live.waiting or (without_pod(job["metadata"]["name"]) if live.podless else NO_MACHINE)
    kind, told = found.failure or FailureKind.UNSCHEDULABLE, found.message
    if kind is FailureKind.UNSCHEDULABLE:
        most = resource.spec.limits.max_wait_seconds
        return Failure(kind, f"spec.limits.maxWaitSeconds: {most} s are over. {told}")
    return Failure(kind, told)


def patience(resource: Resource, live: Live) -> datetime | None:
    """When an attempt that waits is given up; None: it does not wait, or waits in a queue."""
    most, found = resource.spec.limits.max_wait_seconds, live.waiting
    placed = found is None or found.failure is not FailureKind.UNSCHEDULABLE
    if live.started is None or not placed:
        return None if live.asked is None else live.asked + timedelta(seconds=most)
    if found is None or found.failure is None:
        return None
    hopeless = found.failure is FailureKind.USER_ERROR
    return live.started + timedelta(seconds=0.0 if hopeless else min(START_SECONDS, most))


def next_look(resource: Resource, live: Live, now: datetime) -> datetime | None:
    """When waiting alone will have changed something."""
    pod = live.asked + timedelta(seconds=POD_SECONDS) if live.podless and live.asked else None
    lingering = None if live.outlived is None else _lingering(live.outlived)
    times = (pod, lingering, patience(resource, live))
    return min((t for t in times if t is not None and t > now), default=None)


def unlaunched(plan: RunPlan, over: str) -> RunOutcome:
    """The end of an attempt that was never launched, since the budget does not hold it any more."""
    failure = Failure(FailureKind.PREEMPTED, not_covered(over))
    return RunOutcome(plan.request.run, plan.attempt, 0.0, failure=failure)


def not_covered(part: str) -> str:
    """What is said of an attempt that the budget does not cover any more."""
    return f"spec.{part} does not cover any more what is reserved for it"


def _lingering(outlived: Outlived) -> datetime:
    return outlived.since + timedelta(seconds=LINGER_SECONDS)


def _kept_up(outlived: Outlived) -> str:
    others = " and ".join(outlived.containers)
    return (
        f"the trainer has ended, and {others} would keep its pod running, which is paid. What a cluster adds "
        "to pods should be a native sidecar, which ends with the trainer, or be kept out by a label or "
        'annotation in spec.trainer.template.metadata, such as sidecar.istio.io/inject: "false"'
    )


def _generation(job: Body) -> int:
    found = (job["metadata"].get("annotations") or {}).get(names.GENERATION_ANNOTATION, "")
    return int(found) if found.isdigit() else 0
