"""Pods as they were last seen, so that one that is gone can still be accounted for.

Fed by the watch; bounded; nothing is lost for good with it, since a Job's own times bound what a pod cost.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

_JOB_LABEL = "batch.kubernetes.io/job-name"
_MOST = 1024

Body = Mapping[str, Any]


class Evidence:
    """The last state of recent pods, by Job."""

    def __init__(self) -> None:
        self._pods: OrderedDict[tuple[str, str], dict[str, Body]] = OrderedDict()

    def see(self, pod: Body) -> None:
        """Remember how a pod stands; also one that is being removed."""
        about = pod["metadata"]
        job = (about.get("labels") or {}).get(_JOB_LABEL)
        if job is None:
            return
        key = (about["namespace"], job)
        self._pods.setdefault(key, {})[about["uid"]] = _small(pod)
        self._pods.move_to_end(key)
        while len(self._pods) > _MOST:
            self._pods.popitem(last=False)

    def of(self, job: Body, present: Sequence[Body]) -> list[Body]:
        """The pods of a Job: those that are there, and those that were."""
        about = job["metadata"]
        remembered = self._pods.get((about["namespace"], about["name"]), {})
        now = {pod["metadata"]["uid"]: pod for pod in present}
        mine = {**remembered, **now}.values()
        return [pod for pod in mine if _owner(pod) == about["uid"]]

    def forget(self, namespace: str, job: str) -> None:
        """The attempt is settled."""
        self._pods.pop((namespace, job), None)


def selector(job: str) -> str:
    """The label selector of a Job's pods."""
    return f"{_JOB_LABEL}={job}"


def _owner(pod: Body) -> str | None:
    owners = pod["metadata"].get("ownerReferences") or []
    return next((o["uid"] for o in owners if o.get("controller")), None)


def _small(pod: Body) -> Body:
    about = pod["metadata"]
    kept = ("uid", "name", "namespace", "labels", "ownerReferences", "creationTimestamp")
    return {
        "metadata": {name: about[name] for name in kept if name in about},
        "status": dict(pod.get("status") or {}),
    }
