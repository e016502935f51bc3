"""What must be true of riders: the runs that one process does beside its own.

Each rider is checked as a run of its own in ``reading``; here is what it must share with the run that leads,
and what of a report belongs to which of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from dataefficient.contract.codec import ContractError, camel, format_time, shown
from dataefficient.contract.messages import MAX_RIDERS, RESERVED_NAMES, RunReport, RunRequest, Train

SHARED = ("resource", "cycle", "data", "config", "device", "threads")
"""What one process can have only once."""
_SLACK = 1e-3
"""Durations are rounded when they are written."""


def check_riders(request: RunRequest) -> None:
    """Hold the riders of a request against the run that leads and against each other.

    Raises:
        ContractError: names the rider and its field.
    """
    if len(request.riders) > MAX_RIDERS:
        raise ContractError(f"request.riders: {len(request.riders)} riders; at most {MAX_RIDERS}")
    if request.fork:
        raise ContractError("request.fork: true, but only a rider can be a fork of the run that leads")
    names, outputs = {*RESERVED_NAMES, *request.frozen, request.run}, {request.output}
    for i, rider in enumerate(request.riders):
        path = f"request.riders[{i}]"
        _check_rider(rider, request, path)
        if rider.run in names:
            raise ContractError(
                f"{path}.run: {rider.run!r} is the name of another run or model of the request"
            )
        if rider.output in outputs:
            raise ContractError(f"{path}.output: {rider.output!r} belongs to another run of the request")
        names.add(rider.run)
        outputs.add(rider.output)


def _check_rider(rider: RunRequest, leader: RunRequest, path: str) -> None:
    for name in SHARED:
        if getattr(rider, name) != getattr(leader, name):
            raise ContractError(
                f"{path}.{camel(name)}: not that of the run that leads, with which it is done"
            )
    if rider.riders:
        raise ContractError(f"{path}.riders: a rider cannot have riders")
    if rider.train is None:
        raise ContractError(f"{path}.train: missing; a rider is a run that trains")
    if rider.evaluation not in (None, leader.evaluation):
        raise ContractError(f"{path}.evaluation: not that of the run that leads; leave it out or repeat that")
    if rider.frozen:
        raise ContractError(f"{path}.frozen: only the run that leads scores other checkpoints")
    if rider.fork:
        _check_fork(rider, rider.train, leader, path)


def _check_fork(rider: RunRequest, train: Train, leader: RunRequest, path: str) -> None:
    if rider.start is not None:
        raise ContractError(f"{path}.start: given, but a fork starts as a copy of the model that leads")
    if leader.train is None:
        raise ContractError(f"{path}.fork: true, but the run that leads trains no model to copy")
    if rider.size != leader.size:
        raise ContractError(
            f"{path}.size: {rider.size}, but a fork is a copy of the model that leads, of size {leader.size}"
        )
    if not leader.train.start <= train.start < leader.train.end:
        first, last = format_time(leader.train.start), format_time(leader.train.end)
        raise ContractError(
            f"{path}.train.start: {format_time(train.start)} is outside the training of the run that leads, "
            f"[{first}, {last}), so that it cannot fork there"
        )


def asked_of(report: RunReport, request: RunRequest) -> Mapping[str, RunRequest]:
    """The riders of a request by their run, once the report's riders are known to be among them.

    Raises:
        ContractError: a rider that was not asked for or is there twice, has scores or riders of its own, or
            they took longer than the process.
    """
    asked = {rider.run: rider for rider in request.riders}
    told = Counter(rider.run for rider in report.riders)
    for i, rider in enumerate(report.riders):
        path = f"report.riders[{i}]"
        if rider.run not in asked:
            among = ", ".join(asked) or "none"
            raise ContractError(f"{path}.run: {shown(rider.run)} is not a rider of the request: {among}")
        if told[rider.run] > 1:
            raise ContractError(f"{path}.run: {rider.run!r} is there twice")
        if rider.riders:
            raise ContractError(f"{path}.riders: a rider cannot have riders")
        if rider.evaluated is not None:
            place = f"report.evaluated.models.{rider.run}"
            raise ContractError(f"{path}.evaluated: given; what a rider scored belongs in {place}")
    took, total = sum(rider.seconds.total for rider in report.riders), report.seconds.total
    if took > total * (1 + _SLACK) + _SLACK:
        raise ContractError(
            f"report.riders: their seconds.total add up to {took:.4g}, more than report.seconds.total, "
            f"{total:.4g}, which covers the whole process"
        )
    return asked
