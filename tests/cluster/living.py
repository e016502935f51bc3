"""An operator on the fake API server, visit by visit, that can be killed and started again."""

import asyncio
from datetime import timedelta

from cluster.fake_api import FakeApi, FakeNode, Killed
from cycle.playing import LONG_AFTER
from dataefficient.cluster import brain, ledger
from dataefficient.cluster.api import CONFIG_MAPS, ApiError
from dataefficient.cluster.events import Events
from dataefficient.cluster.evidence import Evidence
from dataefficient.cluster.names import Key
from dataefficient.cluster.policy import Policy
from dataefficient.cluster.reconcile import Reconciler
from dataefficient.cluster.runs import Runs
from dataefficient.cluster.store import Store
from dataefficient.cycle.model import Step

KEY = Key("default", "made-up")


class Clock:
    def __init__(self):
        self._now = LONG_AFTER

    def now(self):
        return self._now

    def set(self, instant):
        self._now = max(self._now, instant)

    def pass_(self, seconds):
        self._now += timedelta(seconds=seconds)


class Life:
    """A resource's life: visits, and Jobs that end between them."""

    def __init__(self, body, *, policy=None, readback=None, **node):
        self.api, self.clock = FakeApi(), Clock()
        self.node = FakeNode(self.api, self.clock, **node)
        self.policy, self.readback = policy or Policy(), readback
        self.delays = []
        self.api.apply(body)
        self.start()

    def start(self):
        """An operator that remembers nothing."""

        async def decide(*arguments):
            return brain.decide(*arguments)

        self.reconciler = Reconciler(
            api=self.api,
            store=Store(api=self.api),
            runs=Runs(api=self.api, evidence=Evidence()),
            events=Events(api=self.api, now=self.clock.now),
            decide=decide,
            policy=self.policy,
            now=self.clock.now,
            readback=self.readback,
            decided=self.delays.append,
        )

    def visit(self):
        return asyncio.run(self.reconciler.reconcile(KEY))

    def patient_visit(self):
        """A visit that is made again after a fault, as the worker does."""
        for _ in range(5):
            try:
                return self.visit()
            except ApiError:
                continue
            except Killed:
                self.api.kill_after = None
                self.start()
        raise AssertionError("it never gets through")

    def turn(self):
        """A visit, then the node; or, where nothing runs, the time that is waited for."""
        self.pass_time(self.patient_visit())

    def pass_time(self, after):
        if not self.node.run() and after is not None:
            self.clock.pass_(max(after, 0.0))

    def play(self, until=lambda memory: False, turns=400):
        """Turns until something holds after a visit, or nothing more is to be done."""
        for _ in range(turns):
            after = self.patient_visit()
            memory = self.memory()
            if memory is not None and (until(memory) or memory.step in (Step.FINISHED, Step.STOPPED)):
                return memory
            self.pass_time(after)
        raise AssertionError("it never ends")

    def book(self):
        held = self.api.of(CONFIG_MAPS).get("made-up-ledger")
        return ledger.read(held) if held else None

    def memory(self):
        book = self.book()
        return book.memory if book else None

    def launches(self):
        """(name, how often created) of every Job that was ever created."""
        names = [name for plural, _, name in self.api.created if plural == "jobs"]
        return {name: names.count(name) for name in names}
