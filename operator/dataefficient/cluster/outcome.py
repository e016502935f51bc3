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
from dataefficient.cluster.waiting import Waiting, waiting
from dataefficient.contract import ExitCode, RunReport, parse_time
from dataefficient.cycle.model import Failure, FailureKind, RunOutcome, RunPlan
from dataefficient.cycle.verdict import MAX_WORDS, failure_of, last_words, overdue, read_report

Body = Mapping[str, Any]

_INDEX_LABEL = "batch.kubernetes.io/job-completion-index"


@dataclass(frozen=True)
class Outlived:
    """Trainers that have all ended, in pods that run on for other containers, such as a mesh adds to them."""

    since: datetime
    """When the last trainer ended."""
    containers: tuple[str, ...]
    """What still runs."""


@dataclass(frozen=True)
class Live:
    """An attempt that has not ended."""

    started: datetime | None = None
    """When its pod got a node."""
    waiting: Waiting | None = None
    exists: bool = True
    """Whether its Job is there; False: it could not be created, as ``waiting`` tells."""
    asked: datetime | None = None
    """When its Job began to ask for machines; None: it waits in a queue."""
    podless: bool = False
    """Its Job has made no pod yet."""
    running: bool = False
    """Its trainer runs."""
    created: datetime | None = None
    """When its Job was made."""
    outlived: Outlived | None = None


def read(plan: RunPlan, job: Body, pods: Sequence[Body]) -> RunOutcome | Live:
    """How the attempt ended, or how it stands.

    Args:
        job: the attempt's Job.
        pods: its pods, as far as they are still there.
    """
    end = _end(job)
    first = _first(pods)
    if end is None:
        return Live(
            _scheduled(first) if first else None,
            waiting(job, _by_index(pods)),
            asked=_time(job.get("status", {}).get("startTime")),
            podless=not pods,
            running=first is not None and _state(first, "running") is not None,
            created=_time(job["metadata"].get("creationTimestamp")),
            outlived=_outlived(job, pods),
        )
    seconds = device_seconds(plan, job, pods)
    verdict = _verdict(plan, job, end, pods)
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
    if (pods or stopped_for(job).kind is FailureKind.UNSCHEDULABLE) and not known:
        return 0.0  # never bound to a node
    # A Job that was suspended has lost its start.
    start = _time(job.get("status", {}).get("startTime") or job["metadata"].get("creationTimestamp"))
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


def stopped_for(job: Body) -> Failure:
    """Why the operator suspended the Job, as it was written down on it."""
    found = str((job["metadata"].get("annotations") or {}).get(names.STOPPED_ANNOTATION) or "")
    kind, _, why = found.partition(": ")
    return Failure(FailureKind(kind) if kind in set(FailureKind) else FailureKind.PREEMPTED, why or "stopped")


def _verdict(plan: RunPlan, job: Body, end: Body, pods: Sequence[Body]) -> RunReport | Failure:
    pod = _first(pods)
    ended = _state(pod, "terminated") if pod else None
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
        stopped = stopped_for(job)
        # What is stopped because nothing will be reported any more had ended before, and its end says why.
        if ended is None or stopped.kind is not FailureKind.NO_REPORT:
            return stopped
    disrupted = _conditions(pod).get("DisruptionTarget") if pod else None
    if disrupted is not None or "DisruptionTarget" in str(end.get("message")):
        why = str((disrupted or end).get("message") or "its pod was taken away")
        return Failure(FailureKind.PREEMPTED, why[:MAX_WORDS])
    if end.get("reason") == "DeadlineExceeded" or (pod and _is_overdue(pod)):
        return _overdue(plan, job, pods)
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


def _overdue(plan: RunPlan, job: Body, pods: Sequence[Body]) -> Failure:
    found, pod = waiting(job, _by_index(pods)), _first(pods)
    why = f": {found.message}" if found else ""
    if pod is None or _scheduled(pod) is None:
        return Failure(FailureKind.UNSCHEDULABLE, f"no machine was found in time{why}")
    if found is not None and found.failure is not None:
        return Failure(found.failure, found.message)
    return overdue(plan.reserved_seconds / plan.devices)


def _is_overdue(pod: Body) -> bool:
    return bool(pod.get("status", {}).get("reason") == "DeadlineExceeded")


def _told(body: Body) -> str:
    told = " ".join(str(body[key]) for key in ("reason", "message") if body.get(key))
    return told[:MAX_WORDS] or "without a word"


def _outlived(job: Body, pods: Sequence[Body]) -> Outlived | None:
    newest = {_index(pod): pod for pod in reversed(_by_index(pods))}.values()
    ended = [_time((_state(pod, "terminated") or {}).get("finishedAt")) for pod in newest]
    times = [end for end in ended if end is not None]
    # Native sidecars end with the trainer, by the kubelet's hand.
    running = {
        str(status.get("name"))
        for pod in newest
        for status in pod.get("status", {}).get("containerStatuses") or []
        if "running" in status.get("state", {})
    }
    if len(times) < _count(job) or not running:
        return None
    return Outlived(max(times), tuple(sorted(running)))


def _first(pods: Sequence[Body]) -> Body | None:
    """The pod that reports: the newest of index 0."""
    return next((pod for pod in _by_index(pods) if _index(pod) == 0), None)


def _by_index(pods: Sequence[Body]) -> list[Body]:
    """The pods by their index, the newest of each first."""
    newest = sorted(pods, key=lambda p: str(p["metadata"].get("creationTimestamp")), reverse=True)
    return sorted(newest, key=_index)


def _index(pod: Body) -> int:
    return int(pod["metadata"].get("labels", {}).get(_INDEX_LABEL, 0))


def _state(pod: Body, kind: str) -> Body | None:
    """That state of the trainer's container: running or terminated."""
    for status in pod.get("status", {}).get("containerStatuses") or []:
        if status.get("name") == TRAINER_CONTAINER:
            found: Body | None = status.get("state", {}).get(kind)
            return found
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
