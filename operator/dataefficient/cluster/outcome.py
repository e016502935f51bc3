"""What a Job and its pods say of an attempt: how it ended, what it cost, or what it waits for.

Pure reading of objects as the API server gives them. Only the pod of index 0 reports. Cost is the time from
a pod's binding to a node until its last container's end, image pulls included; where that pod is gone, the
Job's own times bound it; where there is nothing at all, the reservation stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dataefficient.api.compute import TRAINER_CONTAINER
from dataefficient.cluster import names
from dataefficient.contract import ExitCode, RunReport, parse_time
from dataefficient.cycle.model import Failure, FailureKind, RunOutcome, RunPlan
from dataefficient.cycle.verdict import MAX_WORDS, failure_of, last_words, overdue, read_report

Body = Mapping[str, Any]

_INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
_PULLING = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
_BROKEN = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}


@dataclass(frozen=True)
class Waiting:
    """Why an attempt that was launched is not training yet; ``kind`` is the condition's reason."""

    kind: str
    message: str


@dataclass(frozen=True)
class Live:
    """An attempt that has not ended."""

    started: datetime | None = None
    """When its pod got a node."""
    waiting: Waiting | None = None
    exists: bool = True
    """Whether its Job is there; False: it could not be created, as ``waiting`` tells."""


def read(plan: RunPlan, job: Body, pods: Sequence[Body]) -> RunOutcome | Live:
    """How the attempt ended, or how it stands.

    Args:
        job: the attempt's Job.
        pods: its pods, as far as they are still there.
    """
    end = _end(job)
    first = _first(pods)
    if end is None:
        return Live(_scheduled(first) if first else None, _waiting(first) if first else None)
    seconds = device_seconds(plan, job, pods)
    verdict = _verdict(plan, end, first)
    if isinstance(verdict, RunReport):
        # Times of pods are whole seconds, so a short run may seem to have taken none.
        least = min(verdict.seconds.total * plan.devices, plan.reserved_seconds)
        return RunOutcome(plan.request.run, plan.attempt, max(seconds, least), report=verdict)
    return RunOutcome(plan.request.run, plan.attempt, seconds, failure=verdict)


def vanished(plan: RunPlan) -> RunOutcome:
    """An attempt whose Job was launched and is no more: what it took cannot be known."""
    message = "its Job was deleted before its end was seen; what was reserved for it counts as spent"
    failure = Failure(FailureKind.PREEMPTED, message)
    return RunOutcome(plan.request.run, plan.attempt, plan.reserved_seconds, failure=failure)


def ended_at(job: Body) -> datetime | None:
    """When the Job ended; None: it has not."""
    end = _end(job)
    return _time(end.get("lastTransitionTime")) if end else None


def device_seconds(plan: RunPlan, job: Body, pods: Sequence[Body]) -> float:
    """What the attempt cost, in seconds x devices, from the best evidence that is left."""
    end = ended_at(job)
    per_pod = plan.devices / _count(job)
    spans = [_span(pod, end) for pod in pods]
    known = [span for span in spans if span is not None]
    if len(pods) >= _count(job) and len(known) == len(pods):
        return math.fsum(known) * per_pod
    if pods and not known:
        return 0.0  # never bound to a node
    start = _time(job.get("status", {}).get("startTime"))
    if start is None or end is None:
        return plan.reserved_seconds
    return min(max((end - start).total_seconds(), 0.0) * plan.devices, plan.reserved_seconds)


def _count(job: Body) -> int:
    return int(job["spec"].get("parallelism") or 1)


def _end(job: Body) -> Body | None:
    """The condition that ended the Job, or under which the operator stopped it with no pod left."""
    found = _conditions(job)
    for kind in ("Complete", "Failed"):
        if kind in found:
            return found[kind]
    status = job.get("status", {})
    alive = status.get("active") or status.get("terminating")
    stopped = names.STOPPED_ANNOTATION in (job["metadata"].get("annotations") or {})
    if stopped and "Suspended" in found and not alive:
        return found["Suspended"]
    return None


def _verdict(plan: RunPlan, end: Body, pod: Body | None) -> RunReport | Failure:
    ended = _terminated(pod) if pod else None
    text = str(ended.get("message") or "") if ended else ""
    code = ended.get("exitCode") if ended else None
    if end["type"] == "Complete":
        if pod is None:
            return Failure(FailureKind.NO_REPORT, "its pod was removed before the report was read")
        return _report(plan, text)
    # Ended from outside: a report that is whole is written last, so the run had finished.
    if text.startswith("{") and isinstance(report := read_report(text, plan.request), RunReport):
        return report
    if end["type"] == "Suspended":
        return Failure(FailureKind.PREEMPTED, "stopped by spec.suspend; goes on when it is lifted")
    disrupted = _conditions(pod).get("DisruptionTarget") if pod else None
    if disrupted is not None or "DisruptionTarget" in str(end.get("message")):
        why = str((disrupted or end).get("message") or "its pod was taken away")
        return Failure(FailureKind.PREEMPTED, why[:MAX_WORDS])
    if end.get("reason") == "DeadlineExceeded" or (pod and _is_overdue(pod)):
        return _overdue(plan, pod)
    if pod is None:
        return Failure(FailureKind.CRASHED, f"its pod is gone: {_told(end)}")
    if ended is None:
        return Failure(FailureKind.CRASHED, f"no trainer ended: {_told(pod.get('status', {}))}")
    if code == ExitCode.OK:
        return _report(plan, text)
    reason = ended.get("reason")
    words = last_words(text) or (str(reason) if reason not in (None, "Error") else "")
    return failure_of(int(code) if code is not None else None, words)


def _report(plan: RunPlan, text: str) -> RunReport | Failure:
    if not text:
        return Failure(
            FailureKind.NO_REPORT,
            "the trainer ended with exit code 0 and wrote no report to its termination message",
        )
    return read_report(text, plan.request)


def _overdue(plan: RunPlan, pod: Body | None) -> Failure:
    if pod is None or _scheduled(pod) is None:
        waiting = _waiting(pod) if pod else None
        why = f": {waiting.message}" if waiting else ""
        return Failure(FailureKind.DEADLINE, f"no machine was found within limits.maxWaitSeconds{why}")
    waiting = _waiting(pod)
    if waiting is not None:
        return Failure(FailureKind.DEADLINE, waiting.message)
    return overdue(plan.reserved_seconds / plan.devices)


def _is_overdue(pod: Body) -> bool:
    return bool(pod.get("status", {}).get("reason") == "DeadlineExceeded")


def _told(body: Body) -> str:
    told = " ".join(str(body[key]) for key in ("reason", "message") if body.get(key))
    return told[:MAX_WORDS] or "without a word"


def _waiting(pod: Body) -> Waiting | None:
    bound = _conditions(pod, status="False").get("PodScheduled")
    if bound is not None and bound.get("reason") in ("Unschedulable", "SchedulingGated"):
        return Waiting("Unschedulable", f"no machine for it yet: {bound.get('message') or bound['reason']}")
    for container in _containers(pod):
        waiting = container.get("state", {}).get("waiting") or {}
        reason = str(waiting.get("reason"))
        said = f": {waiting['message']}" if waiting.get("message") else ""
        if reason in _PULLING:
            return Waiting("ImageNotPulled", f"the image {container.get('image')} cannot be pulled{said}")
        if reason in _BROKEN:
            return Waiting("RunFailed", f"the container {container.get('name')} cannot start{said}")
    return None


def _first(pods: Sequence[Body]) -> Body | None:
    """The pod that reports: the newest of index 0."""
    counted = [p for p in pods if p["metadata"].get("labels", {}).get(_INDEX_LABEL, "0") == "0"]
    return max(counted, key=lambda p: str(p["metadata"].get("creationTimestamp")), default=None)


def _terminated(pod: Body) -> Body | None:
    for status in pod.get("status", {}).get("containerStatuses") or []:
        if status.get("name") == TRAINER_CONTAINER:
            ended: Body | None = status.get("state", {}).get("terminated")
            return ended
    return None


def _containers(pod: Body) -> Iterator[Body]:
    status = pod.get("status", {})
    for kind in ("initContainerStatuses", "containerStatuses"):
        yield from status.get(kind) or []


def _scheduled(pod: Body) -> datetime | None:
    bound = _conditions(pod).get("PodScheduled")
    return _time(bound.get("lastTransitionTime")) if bound else None


def _span(pod: Body, end: datetime | None) -> float | None:
    """Seconds for which the pod held its devices; None: it never did."""
    start = _scheduled(pod)
    if start is None:
        return None
    ends = [
        _time(ended.get("finishedAt"))
        for container in _containers(pod)
        if (ended := container.get("state", {}).get("terminated"))
    ]
    last = max((e for e in ends if e is not None), default=None) or end
    return max((last - start).total_seconds(), 0.0) if last is not None else None


def _conditions(body: Body, *, status: str = "True") -> dict[str, Body]:
    found = body.get("status", {}).get("conditions") or []
    return {c["type"]: c for c in found if c.get("status") == status}


def _time(text: object) -> datetime | None:
    return parse_time(text) if isinstance(text, str) else None
