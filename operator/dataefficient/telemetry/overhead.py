"""Device-seconds that went into something else than training what serves, counted by cause.

Counted from what this process takes in, and not remembered: Prometheus expects counters to begin anew after a
restart, and the memory holds what decisions need. The causes of paid seconds exclude each other; waiting for
a machine is not paid.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from dataefficient.contract import Role
from dataefficient.cycle.model import FailureKind, RunOutcome, RunPlan

_REMEMBERED = 64
"""Attempts that are known as taken in: more than a cycle has."""


class Cause(enum.StrEnum):
    """What device-seconds went into."""

    QUEUED = "queued"
    """Waiting for a machine, from the Job's creation to the pod's binding; not paid."""
    STARTUP = "startup"
    """Before the first row of a run that succeeded: image, process, libraries."""
    PREEMPTED = "preempted"
    """Attempts that were ended from outside."""
    FAILED = "failed"
    """Attempts that failed in any other way."""
    PROBES = "probes"
    """Reading and training of runs other than the candidate: probes, trials and controls."""
    EVALUATION = "evaluation"
    """Scoring, of all runs."""


class Overhead:
    """The counts of one resource since this process first saw it."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys((cause.value for cause in Cause), 0.0)
        self._taken: dict[tuple[str, int], None] = {}
        self._waited: dict[tuple[str, int], float] = {}

    @property
    def seconds(self) -> Mapping[str, float]:
        """Device-seconds by cause."""
        return dict(self._seconds)

    def take_in(self, plan: RunPlan, outcome: RunOutcome) -> None:
        """Count an attempt that ended; one that was counted already changes nothing."""
        attempt = (outcome.run, outcome.attempt)
        if attempt in self._taken:
            return
        self._taken[attempt] = None
        _forget(self._taken)
        for cause, seconds in split(plan, outcome).items():
            self._seconds[cause.value] += seconds

    def wait(self, plan: RunPlan, seconds: float) -> None:
        """Take note that an attempt has waited this many seconds for its machines, so far or in all."""
        attempt = (plan.request.run, plan.attempt)
        more = seconds - self._waited.get(attempt, 0.0)
        if more > 0.0:
            self._waited[attempt] = seconds
            _forget(self._waited)
            self._seconds[Cause.QUEUED.value] += more * plan.devices


def split(plan: RunPlan, outcome: RunOutcome) -> dict[Cause, float]:
    """What of an attempt's device-seconds is overhead, by cause."""
    if outcome.report is None:
        preempted = outcome.failure is not None and outcome.failure.kind is FailureKind.PREEMPTED
        return {Cause.PREEMPTED if preempted else Cause.FAILED: outcome.device_seconds}
    spent = outcome.report.seconds
    working = max(spent.total - spent.startup, 0.0) * plan.devices
    startup = max(outcome.device_seconds - working, 0.0)
    evaluation = min(spent.evaluate * plan.devices, outcome.device_seconds - startup)
    found = {Cause.STARTUP: startup, Cause.EVALUATION: evaluation}
    if plan.request.role is not Role.CANDIDATE:
        found[Cause.PROBES] = outcome.device_seconds - startup - evaluation
    return found


def _forget(known: dict[tuple[str, int], None] | dict[tuple[str, int], float]) -> None:
    for oldest in list(known)[:-_REMEMBERED]:
        del known[oldest]
