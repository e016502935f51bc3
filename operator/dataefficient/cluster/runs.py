"""Runs as Jobs: what became of those that should run, launching the missing ones, ending and sweeping.

Level-triggered: what runs is what the memory says should run and has no outcome yet. A Job's name follows
from the resource, the run and the attempt, so that launching twice launches once. An object of another owner
is never adopted. Nothing is decided here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dataefficient.api.spec import Resource
from dataefficient.cluster import names
from dataefficient.cluster.api import CONFIG_MAPS, JOBS, PODS, Api, ApiError, Body, ConflictError, Kind
from dataefficient.cluster.evidence import Evidence, selector
from dataefficient.cluster.ledger import Book
from dataefficient.cluster.manifests import is_owned, job, job_name, request_map
from dataefficient.cluster.outcome import Live, ended_at, read, vanished
from dataefficient.cluster.waiting import Waiting
from dataefficient.cycle.model import Failure, RunOutcome, RunPlan
from dataefficient.cycle.verdict import MAX_WORDS

logger = logging.getLogger(__name__)

KEPT_CYCLES = 2
"""Jobs of the cycle in hand and of the one before stay, with their logs; older ones are removed."""


@dataclass(frozen=True)
class Seen:
    """What became of the runs that should run."""

    outcomes: tuple[RunOutcome, ...] = ()
    live: Mapping[str, Live] = field(default_factory=dict)
    """By run: launched and not ended."""
    jobs: Mapping[str, Body] = field(default_factory=dict)
    """By run."""
    unlaunched: tuple[RunPlan, ...] = ()
    departing: bool = False
    """An earlier resource of this name still has a run that is ending."""
    ended: tuple[datetime, ...] = ()
    """When those with an outcome ended."""


class Runs:
    """Observes and acts on the Jobs of resources."""

    def __init__(self, *, api: Api, evidence: Evidence) -> None:
        self._api = api
        self._evidence = evidence

    async def look(self, resource: Resource, book: Book, plans: Sequence[RunPlan]) -> Seen:
        """What became of ``plans``.

        Raises:
            ApiError: the server could not be asked.
        """
        if book.uid != resource.metadata.uid:
            return await self._inherited(resource, book, plans)
        outcomes: list[RunOutcome] = []
        live: dict[str, Live] = {}
        jobs: dict[str, Body] = {}
        unlaunched: list[RunPlan] = []
        ended: list[datetime] = []
        for plan in plans:
            run, name = plan.request.run, job_name(resource, plan)
            found = await self._api.get(JOBS, resource.metadata.namespace, name)
            if found is None and name in book.launched:
                outcomes.append(vanished(plan))
            elif found is None:
                unlaunched.append(plan)
            elif not is_owned(found, resource.metadata.uid):
                live[run] = _foreign("Job", name)
            else:
                jobs[run] = found
                state = read(plan, found, await self._pods(resource, found))
                if isinstance(state, RunOutcome):
                    outcomes.append(state)
                    ended += [end for end in [ended_at(found)] if end is not None]
                else:
                    live[run] = state
        return Seen(tuple(outcomes), live, jobs, tuple(unlaunched), ended=tuple(ended))

    async def _inherited(self, resource: Resource, book: Book, plans: Sequence[RunPlan]) -> Seen:
        """Runs of an earlier resource of this name: they end with it, and what they took is not known."""
        outcomes = []
        unlaunched = []
        for plan in plans:
            name = names.child(resource.metadata.name, book.uid, plan.request.run, plan.attempt)
            found = await self._api.get(JOBS, resource.metadata.namespace, name)
            if found is not None and not is_owned(found, book.uid):
                found = None
            if found is not None and ended_at(found) is None:
                return Seen(departing=True)
            if name in book.launched or found is not None:
                outcomes.append(vanished(plan))
            else:
                unlaunched.append(plan)
        return Seen(tuple(outcomes), unlaunched=tuple(unlaunched))

    async def launch(self, resource: Resource, plan: RunPlan) -> Live:
        """Create the attempt's request and Job, where they are not there yet.

        Returns:
            How the run stands: a refusal by the server is something it waits for.
        """
        try:
            for kind, body in ((CONFIG_MAPS, request_map(resource, plan)), (JOBS, job(resource, plan))):
                if not await self._create(resource, kind, body):
                    what = "Job" if kind is JOBS else "ConfigMap"
                    return _foreign(what, body["metadata"]["name"])
        except ApiError as error:
            if not error.is_refusal:
                raise
            return Live(waiting=Waiting("RunFailed", f"its Job was refused: {error}"), exists=False)
        return Live()

    async def stop(self, resource: Resource, found: Body, why: Failure) -> bool:
        """End this attempt: SIGTERM, the pod's grace, and no pod after that.

        Returns:
            Whether it was to be ended only now.
        """
        if ended_at(found) is not None or found["spec"].get("suspend"):
            return False
        about, told = found["metadata"], f"{why.kind.value}: {why.message[:MAX_WORDS]}"
        marked = {"uid": about["uid"], "annotations": {names.STOPPED_ANNOTATION: told}}
        body = {"metadata": marked, "spec": {"suspend": True}}
        await self._api.patch(JOBS, resource.metadata.namespace, about["name"], body)
        return True

    def settle(self, resource: Resource, plans: Sequence[RunPlan]) -> None:
        """These attempts are in the ledger: what was remembered of their pods is not needed any more."""
        for plan in plans:
            self._evidence.forget(resource.metadata.namespace, job_name(resource, plan))

    async def sweep(self, resource: Resource, cycle: int) -> None:
        """Remove the Jobs and requests of cycles that are long over."""
        await self._remove(resource, lambda number: number <= cycle - KEPT_CYCLES)

    async def clear(self, resource: Resource) -> bool:
        """Remove every Job of a resource that begins anew: their names will be needed again.

        Returns:
            Whether nothing of them is left.
        """
        await self._remove(resource, lambda _: True)
        return not await self._api.list(PODS, resource.metadata.namespace, labels=_selector(resource))

    async def _remove(self, resource: Resource, over: Callable[[int], bool]) -> None:
        namespace = resource.metadata.namespace
        for kind in (JOBS, CONFIG_MAPS):
            for body in await self._api.list(kind, namespace, labels=_selector(resource)):
                about = body["metadata"]
                number = about["labels"][names.CYCLE_LABEL]
                if number.isdigit() and over(int(number)) and is_owned(body, resource.metadata.uid):
                    await self._api.delete(kind, namespace, about["name"], uid=about["uid"])

    async def _pods(self, resource: Resource, found: Body) -> list[Body]:
        name = found["metadata"]["name"]
        present = await self._api.list(PODS, resource.metadata.namespace, labels=selector(name))
        return self._evidence.of(found, present)

    async def _create(self, resource: Resource, kind: Kind, body: Body) -> bool:
        """Create an object, or find that it is there already; False: another owner's is in its place."""
        try:
            await self._api.create(kind, resource.metadata.namespace, body)
        except ConflictError:
            found = await self._api.get(kind, resource.metadata.namespace, body["metadata"]["name"])
            if found is None:
                raise
            return is_owned(found, resource.metadata.uid)
        return True


def _selector(resource: Resource) -> str:
    """Selects what belongs to the runs of this resource, and not to those of an earlier one of its name."""
    about = resource.metadata
    assert about.uid is not None
    hashed = names.uid_hash(about.uid)
    return f"{names.RESOURCE_LABEL}={about.name},{names.UID_LABEL}={hashed},{names.CYCLE_LABEL}"


def _foreign(kind: str, name: str) -> Live:
    told = f"a {kind} named {name} is there and belongs to another; remove it, or rename the resource"
    return Live(waiting=Waiting("RunFailed", told), exists=False)
