"""Reading back from Prometheus, beside the visits: no visit waits for a server that is slow or away.

Each occasion is asked once, ``settleSeconds`` after it was first seen; what comes back marks the resource,
and the next visit shows it and hands it to the decision. Lost at a restart are readings that were not yet
handed over; what serves is then asked again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from dataefficient.api.conditions import ConditionStatus, ConditionType, Reason
from dataefficient.api.spec import Spec
from dataefficient.cluster import asking
from dataefficient.cluster.api import Api, ApiError
from dataefficient.cluster.asking import Occasion, Reading
from dataefficient.cluster.board import Board
from dataefficient.cluster.names import Key
from dataefficient.cluster.policy import Policy
from dataefficient.cluster.secrets import prometheus_access
from dataefficient.cluster.view import Answer as Condition
from dataefficient.cluster.view import View
from dataefficient.cycle import serving
from dataefficient.cycle.model import Memory, Observation
from dataefficient.prometheus.access import Access, AccessRefused, chosen_address
from dataefficient.prometheus.question import Server
from dataefficient.prometheus.server import HttpServer

logger = logging.getLogger(__name__)


class Connect(Protocol):
    """Reaches a server; ``HttpServer`` is one."""

    def __call__(
        self, address: str, *, access: Access, timeout_seconds: float
    ) -> AbstractAsyncContextManager[Server]:
        """The server at ``address``, for as long as the context lasts."""


@dataclass
class _State:
    """What is under way and known for one resource."""

    asked: Occasion | None = None
    task: asyncio.Task[None] | None = None
    reading: Reading = field(default_factory=Reading)
    fresh: bool = False
    """The reading was not handed to a decision yet."""


class PrometheusReadback:
    """``view.Readback`` over HTTP. Belongs to one event loop; ``close`` ends what it has begun."""

    def __init__(
        self,
        *,
        api: Api,
        board: Board,
        policy: Policy,
        mark: Callable[[Key], None],
        now: Callable[[], datetime],
        connect: Connect = HttpServer,
    ) -> None:
        self._api = api
        self._board = board
        self._policy = policy
        self._mark = mark
        self._now = now
        self._connect = connect
        self._states: dict[Key, _State] = {}

    async def read(self, view: View) -> tuple[Condition, ...]:
        """The conditions that the newest reading gives; begins another one where there is an occasion."""
        about = view.resource.metadata
        key = Key(about.namespace, about.name)
        state = self._states.setdefault(key, _State())
        on = asking.occasion(view, self._board.finished(key))
        if on != state.asked and (state.task is None or state.task.done()) and on.champion is not None:
            # One at a time: where cycles are shorter than settling, the newest occasion is asked next.
            state.asked = on
            work = self._ask(key, view.resource.spec, view.memory, on, state)
            state.task = asyncio.create_task(work)
        conditions = (*state.reading.conditions, *_target(view.resource.spec, view.memory))
        self._board.show(replace(view, answers=conditions), state.reading.answers)
        return conditions

    def news(self, key: Key) -> bool:
        """Whether a reading waits to be handed to a decision."""
        state = self._states.get(key)
        return state is not None and state.fresh

    def told(self, key: Key, observation: Observation) -> Observation:
        """``observation`` with the reading in it that waits for a decision, if there is one."""
        state = self._states.get(key)
        if state is None or not state.fresh:
            return observation
        reading = state.reading
        return replace(observation, costs=reading.costs, kpi=reading.kpi, guardrails=dict(reading.guardrails))

    def decided(self, key: Key) -> None:
        """The decision with the reading in it is remembered."""
        if (state := self._states.get(key)) is not None:
            state.fresh = False

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        state = self._states.pop(key, None)
        if state is not None and state.task is not None:
            state.task.cancel()

    async def close(self) -> None:
        """End what is under way."""
        tasks = [state.task for state in self._states.values() if state.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, key: Key, spec: Spec, memory: Memory, on: Occasion, state: _State) -> None:
        await asyncio.sleep(spec.prometheus.settle_seconds)
        try:
            state.reading = await self._reading(key, spec, memory, on)
        except ApiError as error:
            told = f"Secret {spec.prometheus.secret_name} cannot be read now: {error}"
            state.reading = asking.without_server(spec, told, Reason.FAILED)
            state.asked = None  # asked again at the next visit, whatever brings it
            return
        state.fresh = True
        self._mark(key)

    async def _reading(self, key: Key, spec: Spec, memory: Memory, on: Occasion) -> Reading:
        prometheus = spec.prometheus
        try:
            address = chosen_address(
                prometheus.address,
                default=self._policy.prometheus_default or None,
                allowed=self._policy.prometheus_allowed,
            )
            if address is None:
                told = "spec.prometheus.address is not given and the installation has no default."
                return asking.without_server(spec, told)
            access = await prometheus_access(self._api, key.namespace, prometheus.secret_name)
        except AccessRefused as error:
            reading = asking.without_server(spec, str(error), Reason.FAILED)
            refused = Condition(
                ConditionType.ACCEPTED, ConditionStatus.FALSE, Reason.SECRET_NOT_USABLE, str(error)
            )
            return replace(reading, conditions=(refused, *reading.conditions))
        timeout = float(prometheus.timeout_seconds)
        async with self._connect(address, access=access, timeout_seconds=timeout) as server:
            reading = await asking.read(server, key, spec, memory, on, now=self._now)
        for answer in reading.answers:
            if answer.warnings:
                logger.warning("%s: %s: %s", key, answer.name, "; ".join(answer.warnings))
        return reading


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
