"""Runs that ride in the process of another, and how its outcome is taken apart again.

Starting a process, a pod or a machine and reading the stream are paid once for all of them. From the outcome
on, each is a run like any other: with its own report, its part of the cost and its line in the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dataefficient.contract import MAX_RIDERS, RunReport, RunRequest
from dataefficient.cycle.launch import Wanted
from dataefficient.cycle.model import Failure, FailureKind, RunOutcome, RunPlan

LEFT_OUT = "the process that it rode in ended well without it; its log says why"


def carpool(wanted: Sequence[Wanted]) -> list[Wanted]:
    """Cold starts that are scored on the same rows, in as few processes as carry them; the longest leads."""
    longest_first = sorted(wanted, key=lambda w: w.train[0])
    size = MAX_RIDERS + 1
    groups = [longest_first[i : i + size] for i in range(0, len(longest_first), size)]
    return [replace(leader, riders=tuple(riders)) for leader, *riders in groups]


def seated(wanted: Sequence[Wanted]) -> list[Wanted]:
    """A cycle's runs, the candidate first, with those in its process that are to ride with it.

    Reports share their length with the scores of frozen models; what finds no seat has a process of its own.
    """
    candidate, *others = wanted
    riders = [w for w in others if w.rides][: max(MAX_RIDERS - len(candidate.frozen or {}), 1)]
    return [replace(candidate, riders=tuple(riders)), *(w for w in others if w not in riders)]


def plans(plan: RunPlan) -> tuple[RunPlan, ...]:
    """The plan and those of its riders, each as that of a run of its own. Only the first reserves."""
    own = replace(plan, request=replace(plan.request, riders=()), riders=())
    riders = zip(plan.request.riders, plan.riders, strict=True)
    return (
        own,
        *(
            replace(
                own,
                request=r,
                point=about.point,
                forecast_seconds=about.forecast_seconds,
                reserved_seconds=0.0,
            )
            for r, about in riders
        ),
    )


def alone(request: RunRequest) -> tuple[RunRequest, ...]:
    """The request and those of its riders, as those of runs of their own."""
    return (replace(request, riders=()), *request.riders)


def apart(request: RunRequest, outcome: RunOutcome) -> tuple[tuple[RunRequest, RunOutcome], ...]:
    """The outcome of a process as the outcomes of its runs, the leading one first.

    What was charged is split by the seconds that each took; the start is the leader's. A failure is the
    leader's, with all that it cost, and that of its riders too.
    """
    if not request.riders:
        return ((request, outcome),)
    report = outcome.report
    own, *riders = alone(request)
    if report is None:
        return ((own, outcome), *((r, replace(outcome, run=r.run, device_seconds=0.0)) for r in riders))
    found = {rider.run: rider for rider in report.riders}
    ended = [(r, _rider(r, found.get(r.run), report, outcome)) for r in riders]
    rest = max(outcome.device_seconds - sum(o.device_seconds for _, o in ended), 0.0)
    return ((own, replace(outcome, device_seconds=rest, report=_leader(request, report))), *ended)


def _leader(request: RunRequest, report: RunReport) -> RunReport:
    names = {r.run for r in request.riders}
    took = sum(rider.seconds.total for rider in report.riders)
    evaluated = report.evaluated
    if evaluated is not None:
        models = {name: scored for name, scored in evaluated.models.items() if name not in names}
        evaluated = replace(evaluated, models=models)
    seconds = replace(report.seconds, total=max(report.seconds.total - took, report.seconds.startup))
    return replace(report, seconds=seconds, evaluated=evaluated, riders=())


def _rider(
    request: RunRequest, rider: RunReport | None, leader: RunReport, outcome: RunOutcome
) -> RunOutcome:
    if rider is None:
        failure = Failure(FailureKind.NO_REPORT, LEFT_OUT)
        return RunOutcome(request.run, outcome.attempt, 0.0, failure=failure)
    evaluated = leader.evaluated
    if evaluated is not None and request.evaluation is not None:
        own = {"self": evaluated.models[rider.run]}
        rider = replace(rider, evaluated=replace(evaluated, models=own, slices=()))
    seconds = outcome.device_seconds * rider.seconds.total / leader.seconds.total
    return RunOutcome(request.run, outcome.attempt, seconds, report=rider)
