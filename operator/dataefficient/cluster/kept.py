"""What the cluster keeps of one resource, for people who look: its spec, its memory, its recorded decisions.

Only reads, and only what it names: ``get`` on the resource and on ConfigMaps is enough. What is not there is
told with the reason that the resource's own conditions give. Sentences and figures are made by others.
"""

from __future__ import annotations

from dataclasses import dataclass

from dataefficient.api.conditions import ConditionStatus, ConditionType
from dataefficient.api.errors import InvalidResource
from dataefficient.api.load import parse_object
from dataefficient.api.spec import Resource
from dataefficient.cluster import decisions, ledger, names
from dataefficient.cluster.api import CONFIG_MAPS, TRAININGS, Api, ApiError, Body
from dataefficient.cluster.decisions import Files
from dataefficient.cluster.ledger import LedgerError
from dataefficient.cluster.names import Key
from dataefficient.cluster.status import previous
from dataefficient.cycle.model import Memory


class NotKeptError(LookupError):
    """There is no such resource, or nothing to look at yet; the message says what to do."""


@dataclass(frozen=True)
class Kept:
    """A resource on a cluster, as it is remembered."""

    resource: Resource
    memory: Memory
    decided: Files
    """The recorded decisions of the last cycles; see ``decisions``."""


async def kept(api: Api, key: Key) -> Kept:
    """What is kept of the resource ``key``.

    Raises:
        NotKeptError: it is not there, or nothing was decided yet, or its memory cannot be read.
        ApiError: the server refused, or did not answer.
    """
    body = await api.get(TRAININGS, key.namespace, key.name)
    held = await api.get(CONFIG_MAPS, key.namespace, names.ledger(key.name))
    ours = held is not None and ledger.is_ours(held, key.name)
    if body is None:
        raise NotKeptError(await missing(api, key, remembered=ours))
    if held is None or not ours:
        raise NotKeptError(_undecided(key, body))
    try:
        memory = ledger.read(held).memory
        resource = parse_object(body, str(key))
    except (LedgerError, InvalidResource) as error:
        raise NotKeptError(str(error)) from error
    recorded = names.decisions(key.name, body["metadata"]["uid"])
    return Kept(resource, memory, decisions.files(await api.get(CONFIG_MAPS, key.namespace, recorded)))


async def missing(api: Api, key: Key, *, remembered: bool = False) -> str:
    """What is said of a resource that is not there, with those that are.

    Args:
        remembered: whether its ledger is there.
    """
    told = f"namespace {key.namespace} has no DataEfficientTraining {key.name}"
    if remembered:
        return (
            f"{told}, though ConfigMap {names.ledger(key.name)} still remembers one; apply it again, and it "
            "goes on from there"
        )
    try:
        there = sorted(b["metadata"]["name"] for b in await api.list(TRAININGS, key.namespace))
    except ApiError as error:
        if error.status == 404:
            return (
                "the cluster does not know the kind DataEfficientTraining; install the chart, or name "
                "another cluster with --context"
            )
        there = []
    if there:
        return f"{told}; there are {', '.join(there)}"
    return f"{told}; name its namespace with --namespace ('kubectl get det -A' lists them all)"


def _undecided(key: Key, body: Body) -> str:
    told = f"nothing was decided yet for {key}"
    for condition in previous(body.get("status") or {}):
        if condition.type is ConditionType.ACCEPTED and condition.status is ConditionStatus.FALSE:
            return f"{told}: the operator does not accept it. {condition.message}"
    if body.get("status"):
        return f"{told}; the operator has seen it ('kubectl describe det {key.name} -n {key.namespace}')"
    return f"{told}: no operator has seen it; see that one runs and watches namespace {key.namespace}"
