"""The local driver: asks the state machine, remembers its answer, launches what it says.

Level-triggered: what runs is what the memory says should run and has no outcome yet, so that a start
after a kill is the same as any other turn of the loop. It decides nothing: not what to run, not whether
to try again.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from dataefficient import contract
from dataefficient.api.compute import Device
from dataefficient.api.spec import Spec
from dataefficient.contract import RunRequest
from dataefficient.cycle.launch import devices
from dataefficient.cycle.model import Memory, Observation, RunOutcome, Step
from dataefficient.cycle.riding import apart
from dataefficient.local.control import controls
from dataefficient.local.errors import DiskError, InterruptedRunError
from dataefficient.local.files import is_full
from dataefficient.local.launcher import Launcher
from dataefficient.local.process import GRACE_SECONDS, Attempt, Job, Process
from dataefficient.local.replay import Advance, Recorder
from dataefficient.local.store import Store, absolute, is_control
from dataefficient.local.watch import Running, Watcher

POLL_SECONDS = 0.05
DRAW_SECONDS = 0.25


@dataclass(frozen=True)
class Work:
    """What is driven, and how far.

    ``cycles`` counts from cycle 0 of the resource's life, not from this call: 3 means that cycles 0, 1
    and 2 are run, and nothing where they already were.
    """

    spec: Spec
    resource_folder: Path
    """Where relative data paths start."""
    cycles: int | None = None
    control: bool = False
    grace_seconds: float = GRACE_SECONDS
    """What a trainer gets between SIGTERM and SIGKILL."""
    approval: str = ""
    """Digest of what a person approves, in mode Recommend."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_NUMBERS = re.compile(r"[\d.,]+")


class Driver:
    """Drives one resource in one work folder, from this process."""

    def __init__(
        self,
        work: Work,
        store: Store,
        lock: int,
        watcher: Watcher,
        *,
        advance: Advance,
        launcher: Launcher,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._work = work
        self._store = store
        self._lock = lock
        self._watcher = watcher
        self._advance = advance
        self._now = now
        self._recorder = Recorder(store)
        self._launcher = launcher
        self._live: dict[str, Process] = {}
        self._control_jobs: list[Job] | None = None
        self._signals = 0
        self._drawn = -DRAW_SECONDS
        self._told: set[str] = set()

    def drive(self, memory: Memory) -> Memory:
        """Go on from ``memory`` until nothing is left to do or to wait for.

        Returns:
            The memory as it was last saved.

        Raises:
            InterruptedRunError: SIGINT or SIGTERM; the runs have ended and everything is saved.
            DiskError: the work folder cannot be written; the runs have ended.
        """
        with self._listening():
            try:
                return self._loop(memory)
            finally:
                self._end_runs()

    def _loop(self, memory: Memory) -> Memory:
        wake: datetime | None = None
        news = True
        while True:
            if self._signals:
                raise InterruptedRunError(
                    f"Interrupted. Everything is saved in {self._store.folder}; the same command continues."
                )
            news = self._collect() or news
            if not self._enough(memory) and (news or (wake is not None and wake <= self._now())):
                memory, wake, news = self._ask(memory)
                continue
            news = self._launch(memory)
            settled = news or (self._controlled(memory) and self._control_jobs is None)
            if (
                not settled
                and not self._live
                and (self._over(memory) or self._nothing_to_wait_for(memory, wake))
            ):
                return memory
            if not settled:
                self._pause()

    def _enough(self, memory: Memory) -> bool:
        return self._work.cycles is not None and memory.cycle >= self._work.cycles

    def _over(self, memory: Memory) -> bool:
        return self._enough(memory) or memory.step in (Step.FINISHED, Step.STOPPED)

    def _controlled(self, memory: Memory) -> bool:
        return self._work.control and memory.step is not Step.STOPPED

    @staticmethod
    def _nothing_to_wait_for(memory: Memory, wake: datetime | None) -> bool:
        return not memory.running and wake is None

    def _ask(self, memory: Memory) -> tuple[Memory, datetime | None, bool]:
        """The new memory, when to ask again, and whether its runs have ended already."""
        observation = Observation(self._now(), self._outcomes(memory), approval=self._work.approval)
        decision = self._advance(self._work.spec, memory, observation)
        # What the file will say is what goes on, so that a restart decides the same.
        encoded = json.loads(json.dumps(contract.encode(decision.memory), allow_nan=False))
        after: Memory = contract.decode(Memory, encoded, "memory")
        if after != memory:
            self._recorder.record(memory, observation, replace(decision, memory=after))
            self._store.save(after)
        # Why it stopped is the last word of the program, said by whoever called.
        stopped = after.stopped.message if after.stopped else None
        for event in decision.events:
            if event != stopped:
                self._watcher.say(event)
        self._watcher.remembered(after)
        return after, decision.wait_until, after != memory and bool(self._outcomes(after))

    def _outcomes(self, memory: Memory) -> tuple[RunOutcome, ...]:
        found = (self._store.outcome(plan.request.run, plan.attempt) for plan in memory.running)
        return tuple(outcome for outcome in found if outcome is not None)

    def _launch(self, memory: Memory) -> bool:
        """Launch what should run, as far as each run has its own cores; the operator's own runs first.

        Returns:
            Whether one of them proved to have ended already.
        """
        news = False
        jobs = [] if self._over(memory) else self._own_jobs(memory)
        if self._controlled(memory):
            if self._control_jobs is None:
                self._control_jobs = list(self._next_controls())
            jobs += self._control_jobs
        for job in jobs:
            run = job.request.run
            if run in self._live or self._store.outcome(run, job.attempt) is not None:
                continue
            attempt = Attempt(self._store.run_folder(run), job)
            if (outcome := attempt.outcome()) is not None:
                # It ended while nobody was there to keep how.
                news = self._keep(attempt, outcome) or news
            elif self._fits(job):
                self._live[run] = Process(attempt, self._launcher, self._lock, grace=self._work.grace_seconds)
                self._watcher.started(job.request)
                if not is_control(job.request):
                    self._control_jobs = None
        return news

    def _own_jobs(self, memory: Memory) -> list[Job]:
        now = self._now()
        return [
            Job(self._placed(plan.request), plan.attempt, plan.devices, plan.reserved_seconds)
            for plan in memory.running
            if plan.not_before is None or plan.not_before <= now
        ]

    def _next_controls(self) -> Iterator[Job]:
        found = controls(self._work.spec, self._store)
        for request in found.wanted if found else ():
            last = self._store.last_outcome(request.run)
            seconds = float(self._work.spec.limits.max_wait_seconds)
            count = devices(self._work.spec)
            yield Job(self._placed(request), last.attempt + 1 if last else 1, count, seconds * count)

    def _placed(self, request: RunRequest) -> RunRequest:
        return absolute(request, self._work.resource_folder, self._store.folder)

    def _fits(self, job: Job) -> bool:
        if not self._live:
            return True
        if self._work.spec.accelerators[0].resource is not Device.CPU:
            return False
        return sum(live.attempt.job.devices for live in self._live.values()) + job.devices <= cores()

    def _collect(self) -> bool:
        """Keep how ended runs ended; whether one of the operator's own is among them."""
        own = False
        for run, process in list(self._live.items()):
            if process.poll():
                del self._live[run]
                outcome = process.outcome()
                if outcome is not None:
                    own = self._keep(process.attempt, outcome) or own
        return own

    def _keep(self, attempt: Attempt, outcome: RunOutcome) -> bool:
        request = attempt.job.request
        if outcome.failure is not None and is_full(self._store.folder):
            attempt.excuse()
            raise DiskError(
                f"{self._store.folder}: no space left, and {outcome.run} failed for it. Nothing was lost: "
                "free some space and give the same command again."
            )
        self._store.put_outcome(outcome)
        self._control_jobs = None
        ended = [(request, outcome)] if outcome.report is None else apart(request, outcome)
        for one, its in ended:
            self._watcher.ended(one, its)
        self._tell(attempt)
        return not is_control(request)

    def _tell(self, attempt: Attempt) -> None:
        """Say what a run's log says to people, once: another count in the same words is no news."""
        for notice in attempt.notices():
            words = _NUMBERS.sub("", notice)
            if words not in self._told:
                self._told.add(words)
                self._watcher.say(f"{attempt.job.request.run}: {notice}")

    def _pause(self) -> None:
        if time.monotonic() - self._drawn >= DRAW_SECONDS:
            self._drawn = time.monotonic()
            self._watcher.draw(
                [
                    Running(p.attempt.job.request, self._drawn - p.started, p.attempt.progress())
                    for p in self._live.values()
                ]
            )
        time.sleep(POLL_SECONDS)

    # Ending

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """Count SIGINT and SIGTERM instead of dying of them."""

        def count(_number: int, _frame: FrameType | None) -> None:
            self._signals += 1

        before = {number: signal.signal(number, count) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end_runs(self) -> None:
        """End what still runs; a second signal does not wait for trainers to save their state."""
        if self._live:
            self._watcher.say("Ending the runs; they save their state first.")
        seen = self._signals
        for process in self._live.values():
            process.release()
        while any(not process.poll() for process in self._live.values()):
            if self._signals > seen:
                for process in self._live.values():
                    process.kill()
            time.sleep(POLL_SECONDS)
        for process in self._live.values():
            outcome = process.outcome()
            if outcome is not None:
                with contextlib.suppress(DiskError):  # it is settled from the launch's record next time
                    self._store.put_outcome(outcome)
        self._live.clear()
