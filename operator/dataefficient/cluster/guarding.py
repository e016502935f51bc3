"""Holding a candidate's end back until its serving guardrails were answered.

A guardrail may block publishing, and a cycle is judged as soon as its last run ends; so where there are any,
the end of a candidate is shown to the decision only together with the answers about it. That takes
``settleSeconds`` and the time to answer; a server that does not answer ends the wait with a verdict of its
own. Held in memory alone: after a restart the Job is read again, and asked about again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from dataefficient.api.spec import Spec
from dataefficient.cluster.names import Key
from dataefficient.cluster.outcome import Live
from dataefficient.cluster.runs import Seen
from dataefficient.contract import Role
from dataefficient.cycle.answers import Answer
from dataefficient.cycle.model import Memory, RunOutcome
from dataefficient.telemetry.view import FinishedRun

Ask = Callable[[Key, Spec, FinishedRun], Awaitable[dict[str, Answer]]]
"""The answers about a candidate, by the guardrail's name; it raises nothing."""


@dataclass
class _Held:
    run: FinishedRun
    task: asyncio.Task[None] | None = None
    answers: dict[str, Answer] | None = None


class Guarding:
    """Ends of candidates that wait for their answers. Belongs to one event loop."""

    def __init__(self, *, ask: Ask, mark: Callable[[Key], None]) -> None:
        self._ask = ask
        self._mark = mark
        self._held: dict[Key, _Held] = {}

    def pass_on(self, key: Key, spec: Spec, memory: Memory, seen: Seen) -> Seen:
        """``seen`` without the end of a candidate that still waits, which seems to run on."""
        if not spec.serving_guardrails:
            return seen
        plans = {(plan.request.run, plan.attempt): plan for plan in memory.running}
        for outcome in seen.outcomes:
            plan = plans.get((outcome.run, outcome.attempt))
            if plan is None or plan.request.role is not Role.CANDIDATE or outcome.report is None:
                continue
            if self._state(key, spec, FinishedRun(plan, outcome)).answers is None:
                rest = tuple(other for other in seen.outcomes if other is not outcome)
                return replace(seen, outcomes=rest, live={**seen.live, outcome.run: Live()}, ended=())
        return seen

    def answers(self, key: Key, outcomes: tuple[RunOutcome, ...]) -> Mapping[str, Answer]:
        """The answers about the candidate among ``outcomes``; nothing where there is none."""
        held = self._held.get(key)
        return held.answers or {} if held is not None and held.run.outcome in outcomes else {}

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        held = self._held.pop(key, None)
        if held is not None and held.task is not None:
            held.task.cancel()

    async def close(self) -> None:
        """End what is under way."""
        tasks = [held.task for held in self._held.values() if held.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _state(self, key: Key, spec: Spec, run: FinishedRun) -> _Held:
        held = self._held.get(key)
        if held is None or held.run != run:
            self.forget(key)
            held = self._held[key] = _Held(run)
            held.task = asyncio.create_task(self._wait(key, spec, held))
        return held

    async def _wait(self, key: Key, spec: Spec, held: _Held) -> None:
        await asyncio.sleep(spec.prometheus.settle_seconds)
        held.answers = await self._ask(key, spec, held.run)
        self._mark(key)
