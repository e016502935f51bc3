"""One visit to one resource: look at everything, decide, remember, act, tell.

Level-triggered: it is the same visit whatever led to it, and after a kill at any step the next visit ends
where this one would have. The order is what makes that true: the memory is written first, under the condition
that it is still the one that was read; then Jobs are created under names that follow from it; the status is
only told. It decides nothing: ``decide`` does.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from dataefficient import contract
from dataefficient.api.conditions import ConditionStatus, ConditionType, Reason
from dataefficient.api.spec import Resource
from dataefficient.cluster import names, words
from dataefficient.cluster.admission import admit, try_template
from dataefficient.cluster.api import TRAININGS, Api, ApiError, Body
from dataefficient.cluster.brain import Decide
from dataefficient.cluster.ending import SUSPENDED, next_look, noticed, unlaunched
from dataefficient.cluster.ending import why as reason_to_end
from dataefficient.cluster.events import Events
from dataefficient.cluster.ledger import Book, LedgerError, trimmed
from dataefficient.cluster.manifests import job_name
from dataefficient.cluster.names import Key
from dataefficient.cluster.outcome import Live
from dataefficient.cluster.policy import Policy
from dataefficient.cluster.runs import Runs, Seen
from dataefficient.cluster.status import previous, refused, status
from dataefficient.cluster.store import ForeignError, Store
from dataefficient.cluster.telling import tell_of
from dataefficient.cluster.view import Readback, Refused, View
from dataefficient.cycle import approving
from dataefficient.cycle.covering import uncovered
from dataefficient.cycle.model import Decision, Memory, Observation
from dataefficient.telemetry.logs import about

logger = logging.getLogger(__name__)

SOON = 5.0
"""Seconds until a visit that had to wait for something brief."""
REFUSED_AGAIN = 60.0
"""Seconds until a Job that the server refused is tried again: a quota may have room by then."""


@dataclass(frozen=True)
class Quiet:
    """A visit after which nothing is to be decided until something changes."""

    version: str
    generation: int
    until: datetime | None


class Reconciler:
    """Visits resources. One visit at a time for each key."""

    def __init__(
        self,
        *,
        api: Api,
        store: Store,
        runs: Runs,
        events: Events,
        decide: Decide,
        policy: Policy,
        now: Callable[[], datetime],
        readback: Readback | None = None,
        decided: Callable[[float], None],
    ) -> None:
        """Put the parts together.

        Args:
            decided: told the seconds between a run's end and the decision that took it in.
        """
        self._api = api
        self._store = store
        self._runs = runs
        self._events = events
        self._decide = decide
        self._policy = policy
        self._now = now
        self._readback = readback
        self._decided = decided
        self._quiet: dict[Key, Quiet] = {}
        self._swept: dict[Key, int] = {}
        self._waiting: dict[Key, frozenset[tuple[str, str]]] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Visit the resource ``key``.

        Returns:
            Seconds until it must be visited again whatever happens; None: not before something changes.

        Raises:
            ApiError: the server could not be asked, or another wrote meanwhile: visit again.
            NotLeaderError: nothing more may be written from here.
        """
        body = await self._api.get(TRAININGS, key.namespace, key.name)
        if body is None or body["metadata"].get("deletionTimestamp"):
            self._forget(key)
            return None
        admitted = admit(body, self._policy)
        if isinstance(admitted, Resource):
            try:
                return await self._visit(key, body, admitted)
            except (LedgerError, ForeignError) as error:
                admitted = Refused(Reason.INVALID, str(error))
        await self._refuse(body, admitted)
        return None

    def _forget(self, key: Key) -> None:
        self._store.forget(key)
        self._quiet.pop(key, None)
        self._swept.pop(key, None)
        self._waiting.pop(key, None)
        if self._readback is not None:
            self._readback.forget(key)

    async def _refuse(self, body: Body, why: Refused) -> None:
        about, found = body["metadata"], body.get("status") or {}
        told = refused(why, found, about.get("generation", 0), self._now())
        if self._readback is not None:
            self._readback.refused(Key(about["namespace"], about["name"]), previous(told))
        try:
            await self._store.show(body, told)
        except ApiError as error:
            if not error.is_refusal:
                raise
            # So wrong, by the rules of today, that not even its status can be written.
            key = Key(about["namespace"], about["name"])
            await self._events.tell_of(key, about["uid"], why.reason.value, why.message, warning=True)

    async def _visit(self, key: Key, body: Body, resource: Resource) -> float | None:
        found = body.get("status") or {}
        if not _is_tried(found, resource):
            rejected = await try_template(self._api, resource)
            if rejected is not None:
                await self._refuse(body, rejected)
                return None
        book, version = await self._remembered(key, resource, empty=not found)
        with about(cycle=book.memory.cycle):
            return await self._go_on(key, body, resource, book, version)

    async def _go_on(
        self, key: Key, body: Body, resource: Resource, book: Book, version: str | None
    ) -> float | None:
        """The visit from what is remembered on."""
        if version is None and not await self._runs.clear(resource):
            return SOON
        seen = await self._runs.look(resource, book, book.memory.running)
        if self._readback is not None:
            seen = self._readback.pass_on(key, resource.spec, book.memory, seen)
        if seen.departing:
            return SOON
        over = uncovered(resource.spec, book.memory, self._now())
        seen = _without_uncovered(seen, over)
        acted = words.has_acted(resource, book)
        wait_until = None
        approves = approving.is_new(resource.spec, book.memory, words.approval(resource))
        if self._is_quiet(key, resource, version, seen) and not acted and not approves:
            wait_until = self._quiet[key].until
        else:
            book, version, decision = await self._think(resource, book, version, seen, acted=acted)
            wait_until = decision.wait_until
            assert version is not None, "a decision is always remembered"
            self._quiet[key] = Quiet(version, resource.metadata.generation, wait_until)
        # Before anything is launched: where the names for serving are another's, nothing may be spent.
        await self._store.publish(resource, book.memory)
        live = await self._act(key, resource, book, seen, over)
        book, version = await self._mark(resource, book, version, live)
        if key in self._quiet:
            self._quiet[key] = replace(self._quiet[key], version=version)
        word = words.approval(resource)
        if (objection := approving.objection(resource.spec, book.memory, word)) is not None:
            told = f"{names.APPROVE_ANNOTATION}: {objection}"
            await self._events.tell(resource, "NotApproved", told, warning=True)
        await self._show(body, resource, book, live, wait_until)
        return self._again(resource, book.memory, live, wait_until)

    async def _remembered(self, key: Key, resource: Resource, *, empty: bool) -> tuple[Book, str | None]:
        """The book and its version; a new one where nothing is remembered."""
        assert resource.metadata.uid is not None
        held = await self._store.book(key)
        if held is None:
            return Book(Memory(str(key)), resource.metadata.uid, resource.metadata.generation), None
        book, version = held
        if empty or book.uid != resource.metadata.uid:
            told = f"Goes on from cycle {book.memory.cycle}, as ConfigMap {names.ledger(key.name)} remembers."
            await self._events.tell(resource, "Restored", told)
        return book, version

    def _is_quiet(self, key: Key, resource: Resource, version: str | None, seen: Seen) -> bool:
        last = self._quiet.get(key)
        return (
            last is not None
            and not seen.outcomes
            and not (self._readback is not None and self._readback.news(key))
            and last.version == version
            and last.generation == resource.metadata.generation
            and (last.until is None or last.until > self._now())
        )

    async def _think(
        self, resource: Resource, book: Book, version: str | None, seen: Seen, *, acted: bool
    ) -> tuple[Book, str | None, Decision]:
        """Decide, and remember the decision before anything follows from it."""
        key = Key(resource.metadata.namespace, resource.metadata.name)
        asked = words.asked(resource, book)
        observation = Observation(
            self._now(),
            seen.outcomes,
            approval=words.approval(resource),
            run_now=asked.run_now,
            rollback=asked.rollback,
        )
        if self._readback is not None:
            observation = self._readback.told(key, observation)
        before, decision = await self._decide(resource.spec, book.memory, observation, acted)
        for end in seen.ended:
            self._decided(max((self._now() - end).total_seconds(), 0.0))
        same = book.decided_at is not None and decision.memory.cycle == book.memory.cycle
        decided_at = book.decided_at if same else self._now().replace(microsecond=0)
        taken_up = replace(words.taken_up(resource, book), decided_at=decided_at)
        after = _as_kept(trimmed(replace(taken_up, memory=decision.memory)))
        if after != book or version is None:
            if after.memory != before:
                kept = replace(decision, memory=after.memory)
                await self._store.record(resource, before, observation, kept)
            version = await self._store.save(resource, after, version)
        if self._readback is not None:
            self._readback.decided(key)
        self._runs.settle(
            resource, [p for p in book.memory.running if p.request.run in {o.run for o in seen.outcomes}]
        )
        if asked.unreadable:
            await self._events.tell(resource, "NotRolledBack", asked.unreadable, warning=True)
        await tell_of(self._events, resource, after.memory, decision)
        return after, version, decision

    async def _act(
        self, key: Key, resource: Resource, book: Book, seen: Seen, over: Mapping[str, str]
    ) -> dict[str, Live]:
        """Make what runs what should run; how the runs stand then."""
        memory, now = book.memory, self._now()
        ended = {o.run for o in seen.outcomes}
        live = {
            run: noticed(state, seen.jobs.get(run), now)
            for run, state in seen.live.items()
            if run not in ended
        }
        await self._tell_waiting(key, resource, live)
        for run in live.keys() & seen.jobs.keys():
            why = reason_to_end(resource, live[run], seen.jobs[run], over.get(run), now)
            if why is not None and await self._runs.stop(resource, seen.jobs[run], why):
                warning = why is not SUSPENDED
                with about(run=run):
                    await self._events.tell(resource, "RunStopped", f"{run}: {why.message}", warning=warning)
        due = [p for p in memory.running if p.not_before is None or p.not_before <= now]
        for plan in due if not resource.spec.suspend else ():
            run = plan.request.run
            if run not in live:
                with about(run=run, cycle=plan.request.cycle):
                    live[run] = await self._runs.launch(resource, plan)
                    if live[run].exists:
                        told = f"{run}, attempt {plan.attempt}: {plan.point}"
                        await self._events.tell(resource, "RunStarted", told)
        if self._swept.get(key) != memory.cycle:
            await self._runs.sweep(resource, memory.cycle)
            self._swept[key] = memory.cycle
        return live

    async def _mark(
        self, resource: Resource, book: Book, version: str | None, live: dict[str, Live]
    ) -> tuple[Book, str]:
        """Remember which Jobs are there, so that one that goes missing is known to have run."""
        assert version is not None
        plans = [p for p in book.memory.running if p.request.run in live]
        launched = tuple(job_name(resource, p) for p in plans if live[p.request.run].exists)
        if launched != book.launched:
            book = replace(book, launched=launched)
            version = await self._store.save(resource, book, version)
        return book, version

    async def _tell_waiting(self, key: Key, resource: Resource, live: Mapping[str, Live]) -> None:
        """Tell once of each run that waits; what exactly it waits for may be worded anew at any time."""
        found = {(run, state.waiting.kind): state.waiting for run, state in live.items() if state.waiting}
        for (run, kind), waiting in found.items():
            if (run, kind) not in self._waiting.get(key, ()):
                with about(run=run):
                    await self._events.tell(resource, kind, f"{run}: {waiting.message}", warning=True)
        self._waiting[key] = frozenset(found)

    async def _show(
        self,
        body: Body,
        resource: Resource,
        book: Book,
        live: dict[str, Live],
        wait_until: datetime | None,
    ) -> None:
        view = View(
            resource=resource,
            memory=book.memory,
            now=self._now(),
            live=live,
            wait_until=wait_until,
            before=previous(body.get("status") or {}),
            handled=words.shown(book, book.memory),
            decided_at=book.decided_at,
        )
        if self._readback is not None:
            view = replace(view, answers=await self._readback.read(view))
        await self._store.show(body, status(view))

    def _again(
        self, resource: Resource, memory: Memory, live: dict[str, Live], wait_until: datetime | None
    ) -> float | None:
        times = [
            wait_until,
            *(p.not_before for p in memory.running if p.request.run not in live),
            *(next_look(resource, state, self._now()) for state in live.values()),
        ]
        seconds = [(t - self._now()).total_seconds() for t in times if t is not None]
        if any(not state.exists for state in live.values()):
            seconds.append(REFUSED_AGAIN)
        return min(seconds, default=None)


def _without_uncovered(seen: Seen, over: Mapping[str, str]) -> Seen:
    """``seen`` with the end of what waits to be launched and is not covered by the budget any more."""
    ends = (unlaunched(p, over[p.request.run]) for p in seen.unlaunched if p.request.run in over)
    return replace(seen, outcomes=(*seen.outcomes, *ends))


def _as_kept(book: Book) -> Book:
    """What the ConfigMap will say is what goes on, so that a restart decides the same."""
    encoded = json.loads(json.dumps(contract.encode(book), allow_nan=False))
    kept: Book = contract.decode(Book, encoded, "book")
    return kept


def _is_tried(found: Body, resource: Resource) -> bool:
    """Whether the Job of this generation was accepted by the server before."""
    accepted = next((c for c in previous(found) if c.type is ConditionType.ACCEPTED), None)
    return (
        accepted is not None
        and accepted.status is ConditionStatus.TRUE
        and accepted.observed_generation == resource.metadata.generation
    )
