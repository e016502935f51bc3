"""The resources as they were last seen, for those who show them: the metrics, and what is read back.

It keeps the reports of the newest runs, which the memory forgets once their cycle is judged. After a restart
it is empty and fills as resources are visited; nothing is decided from it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field, replace

from dataefficient.api.conditions import Condition
from dataefficient.api.spec import Spec
from dataefficient.cluster.brain import Decide, Decided
from dataefficient.cluster.conditions import conditions
from dataefficient.cluster.names import Key
from dataefficient.cluster.view import View
from dataefficient.cycle import riding
from dataefficient.cycle.answers import Answer
from dataefficient.cycle.model import Memory, Observation
from dataefficient.telemetry.overhead import Overhead
from dataefficient.telemetry.view import MAX_RUNS, FinishedRun, ResourceView


@dataclass
class Board:
    """What is known of each resource. Belongs to one event loop."""

    there: Callable[[], Container[Key]]
    """The resources that exist: what is known of others is dropped."""
    _shown: dict[Key, ResourceView] = field(default_factory=dict)
    _refused: set[Key] = field(default_factory=set)
    """Those of them that are not acted on."""
    _runs: dict[Key, dict[str, FinishedRun]] = field(default_factory=dict)
    _overhead: dict[Key, Overhead] = field(default_factory=dict)

    def watching(self, decide: Decide) -> Decide:
        """``decide``, with the runs noted whose ends it takes in."""

        async def noting(spec: Spec, memory: Memory, observation: Observation, acted: bool) -> Decided:  # noqa: FBT001 - see Decide
            decided = await decide(spec, memory, observation, acted)
            self._note(memory, observation)
            return decided

        return noting

    def _note(self, memory: Memory, observation: Observation) -> None:
        plans = {(plan.request.run, plan.attempt): plan for plan in memory.running}
        known = self._runs.setdefault(key_of(memory), {})
        overhead = self._overhead.setdefault(key_of(memory), Overhead())
        for outcome in observation.outcomes:
            plan = plans.get((outcome.run, outcome.attempt))
            if plan is None:
                continue
            parts = riding.apart(plan.request, outcome)
            for own, (_, part) in zip(riding.plans(plan), parts, strict=True):
                known.pop(part.run, None)
                known[part.run] = FinishedRun(own, part)
                overhead.take_in(own, part)
        for oldest in list(known)[:-MAX_RUNS]:
            del known[oldest]

    def finished(self, key: Key) -> tuple[FinishedRun, ...]:
        """The newest runs that ended, oldest first."""
        return tuple(self._runs.get(key, {}).values())

    def show(self, view: View, answers: tuple[Answer, ...]) -> None:
        """Take note of a resource as it is seen now, and of what Prometheus last answered about it."""
        about = view.resource.metadata
        key = key_of(view.memory)
        self._refused.discard(key)
        overhead = self._overhead.setdefault(key, Overhead())
        for plan in view.memory.running:
            live = view.live.get(plan.request.run)
            if live is not None and live.created is not None:
                overhead.wait(plan, ((live.started or view.now) - live.created).total_seconds())
        self._shown[key] = ResourceView(
            namespace=about.namespace,
            name=about.name,
            spec=view.resource.spec,
            memory=view.memory,
            conditions=conditions(view),
            answers=answers,
            decided_at=view.decided_at,
        )

    def refuse(self, key: Key, shown: tuple[Condition, ...]) -> None:
        """Take note that a resource is not acted on; what else is known of it stays true."""
        self._refused.add(key)
        if key in self._shown:
            self._shown[key] = replace(self._shown[key], conditions=shown)

    def accepted(self) -> Iterator[tuple[str, str, bool]]:
        """Namespace and name of each resource that was visited, and whether it is acted on."""
        there = self.there()
        for key in sorted({*self._shown, *self._refused}):
            if key in there:
                yield key.namespace, key.name, key not in self._refused

    def views(self) -> tuple[ResourceView, ...]:
        """What is known of the resources that exist."""
        there = self.there()
        known = {*self._shown, *self._runs, *self._refused, *self._overhead}
        for key in [key for key in known if key not in there]:
            self._shown.pop(key, None)
            self._refused.discard(key)
            self._runs.pop(key, None)
            self._overhead.pop(key, None)
        return tuple(
            replace(view, finished=self.finished(key), overhead=self._overhead[key].seconds)
            for key, view in self._shown.items()
        )


def key_of(memory: Memory) -> Key:
    """The resource that a memory is of."""
    namespace, _, name = memory.resource.partition("/")
    return Key(namespace, name)
