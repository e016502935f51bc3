"""Reading back from Prometheus, beside the visits: no visit waits for a server that is slow or away.

Each occasion is asked once, ``settleSeconds`` after it was first seen; what comes back marks the resource,
and the next visit shows it and hands it to the decision. Lost at a restart are readings that were not yet
handed over; what serves is then asked again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from dataefficient.api.conditions import Condition as Shown
from dataefficient.api.conditions import ConditionStatus, ConditionType, Reason
from dataefficient.api.spec import Spec
from dataefficient.cluster import asking
from dataefficient.cluster.api import ApiError
from dataefficient.cluster.asking import Occasion, Reading
from dataefficient.cluster.board import Board
from dataefficient.cluster.guarding import Guarding
from dataefficient.cluster.names import Key
from dataefficient.cluster.reaching import NobodyToAskError, Reach
from dataefficient.cluster.runs import Seen
from dataefficient.cluster.view import Answer as Condition
from dataefficient.cluster.view import View
from dataefficient.cycle import serving
from dataefficient.cycle.answers import Answer
from dataefficient.cycle.model import Memory, Observation
from dataefficient.prometheus.access import AccessRefused
from dataefficient.telemetry.view import FinishedRun

logger = logging.getLogger(__name__)


@dataclass
class _State:
    """What is under way and known for one resource."""

    asked: Occasion | None = None
    task: asyncio.Task[None] | None = None
    reading: Reading = field(default_factory=Reading)
    fresh: bool = False
    """The reading has something for a decision, and is in none that is remembered."""
    handed: Reading | None = None
    """The reading that the last decision was given."""


class PrometheusReadback:
    """``view.Readback`` over HTTP. Belongs to one event loop; ``close`` ends what it has begun."""

    def __init__(
        self,
        *,
        reach: Reach,
        board: Board,
        mark: Callable[[Key], None],
        now: Callable[[], datetime],
        answered: Callable[[Answer, float], None],
    ) -> None:
        """Set up.

        Args:
            mark: called with a resource about which something has come back.
            answered: told every answer and the seconds that it took.
        """
        self._reach = reach
        self._board = board
        self._mark = mark
        self._now = now
        self._answered = answered
        self._states: dict[Key, _State] = {}
        self._guarding = Guarding(ask=self._guard, mark=mark)

    async def read(self, view: View) -> tuple[Condition, ...]:
        """The conditions that the newest reading gives; begins another one where there is an occasion."""
        about = view.resource.metadata
        key = Key(about.namespace, about.name)
        state = self._states.setdefault(key, _State())
        on = asking.occasion(view, self._board.finished(key))
        # Before anything serves there is nothing to ask, but a Secret that cannot be used is told at once.
        askable = on.champion is not None or view.resource.spec.prometheus.secret_name is not None
        if on != state.asked and (state.task is None or state.task.done()) and askable:
            # One at a time: where cycles are shorter than settling, the newest occasion is asked next.
            state.asked = on
            work = self._ask(key, view.resource.spec, view.memory, on, state)
            state.task = asyncio.create_task(work)
        conditions = (*state.reading.conditions, *_target(view.resource.spec, view.memory))
        guarded = tuple(view.memory.guarded.values())
        self._board.show(replace(view, answers=conditions), (*state.reading.answers, *guarded))
        return conditions

    def pass_on(self, key: Key, spec: Spec, memory: Memory, seen: Seen) -> Seen:
        """``seen`` without the end of a candidate whose serving guardrails were not answered yet."""
        return self._guarding.pass_on(key, spec, memory, seen)

    def news(self, key: Key) -> bool:
        """Whether a reading waits to be handed to a decision."""
        state = self._states.get(key)
        return state is not None and state.fresh

    def told(self, key: Key, observation: Observation) -> Observation:
        """``observation`` with what was answered about a candidate in it, and since the last one."""
        guarded = self._guarding.answers(key, observation.outcomes)
        observation = replace(observation, guardrails=dict(guarded))
        state = self._states.get(key)
        if state is None or not state.fresh:
            return observation
        reading = state.handed = state.reading
        return replace(observation, costs=reading.costs, kpi=reading.kpi)

    def decided(self, key: Key) -> None:
        """The decision with the reading in it is remembered."""
        state = self._states.get(key)
        if state is not None and state.handed is state.reading:  # another may have come meanwhile
            state.fresh = False

    def refused(self, key: Key, conditions: tuple[Shown, ...]) -> None:
        """The resource is not acted on: nothing is asked about it, and its conditions are shown."""
        self._board.refuse(key, conditions)

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        self._guarding.forget(key)
        state = self._states.pop(key, None)
        if state is not None and state.task is not None:
            state.task.cancel()

    async def close(self) -> None:
        """End what is under way."""
        await self._guarding.close()
        tasks = [state.task for state in self._states.values() if state.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, key: Key, spec: Spec, memory: Memory, on: Occasion, state: _State) -> None:
        if on.champion is not None:
            await asyncio.sleep(spec.prometheus.settle_seconds)
        try:
            state.reading = await self._reading(key, spec, memory, on)
        except AccessRefused as error:
            before, state.reading = state.reading, _without_access(spec, str(error))
            state.asked = None  # nothing tells when it is mended: looked at again at each visit
            if state.reading != before:
                self._mark(key)
            return
        except ApiError as error:
            told = f"Secret {spec.prometheus.secret_name} cannot be read now: {error}"
            state.reading = asking.without_server(spec, told, Reason.FAILED)
            state.asked = None  # asked again at the next visit, whatever brings it
            return
        except Exception:
            logger.exception("A fault of the operator: nothing is read back on this occasion")
            return
        state.fresh = state.reading.kpi is not None or bool(state.reading.costs)
        self._mark(key)

    async def _reading(self, key: Key, spec: Spec, memory: Memory, on: Occasion) -> Reading:
        try:
            async with self._reach.server(key.namespace, spec) as server:
                return await asking.read(server, key, spec, memory, on, now=self._now, told=self._note)
        except NobodyToAskError as error:
            return asking.without_server(spec, f"{error}.")

    async def _guard(self, key: Key, spec: Spec, run: FinishedRun) -> dict[str, Answer]:
        """The answers about a candidate; where nobody can be asked, each says why."""
        try:
            async with self._reach.server(key.namespace, spec) as server:
                return await asking.guard(server, key, spec, run, now=self._now, told=self._note)
        except (NobodyToAskError, AccessRefused, ApiError) as error:
            why = str(error)
        except Exception:
            logger.exception("A fault of the operator: the guardrails of this candidate are not known")
            why = "a fault of the operator; see its log"
        return asking.unguarded(key, spec, run, why, self._now())

    def _note(self, answer: Answer, seconds: float) -> None:
        self._answered(answer, seconds)
        if answer.warnings:
            logger.warning("%s: %s", answer.name, "; ".join(answer.warnings))


def _without_access(spec: Spec, why: str) -> Reading:
    reading = asking.without_server(spec, why, Reason.FAILED)
    refused = Condition(ConditionType.ACCEPTED, ConditionStatus.FALSE, Reason.SECRET_NOT_USABLE, why)
    return replace(reading, conditions=(refused, *reading.conditions))


def _target(spec: Spec, memory: Memory) -> tuple[Condition, ...]:
    """TargetMet where the target is a level of ``kpi.query``."""
    kpi, kind = spec.kpi, ConditionType.TARGET_MET
    if not kpi.query:
        return ()
    if kpi.target is None:
        told = "kpi.target is not given; kpi.tolerance decides."
        return (Condition(kind, ConditionStatus.UNKNOWN, Reason.NO_TARGET, told),)
    level = serving.level(kpi, memory.heard)
    if level is None:
        told = "kpi.query has given no level yet to hold against the target."
        return (Condition(kind, ConditionStatus.UNKNOWN, Reason.NOT_YET_KNOWN, told),)
    met = serving.meets(kpi, level)
    told = f"{level:.6g} against a target of {kpi.target}, over {kpi.over_cycles} cycles."
    status, reason = (ConditionStatus.TRUE, Reason.MET) if met else (ConditionStatus.FALSE, Reason.MISSED)
    return (Condition(kind, status, reason, told),)
