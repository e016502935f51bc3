"""Studies whose trainer is the fake one: a stream of five cycles without rows."""

import json
import os
import sys
import time

from benchmark import fake_trainer
from dataefficient import contract
from dataefficient.cycle.model import Failure, FailureKind, RunOutcome
from dataefficient.local.command import Command
from dataefficient.local.launcher import Launcher
from streambench.cache import Cache
from streambench.execute import Runner
from streambench.settings import Settings
from streambench.streams import Found, Stream
from streambench.study import Study

PARTS = {
    "schedule": {
        "historyFrom": "2020-01-01T00:00:00Z",
        "startTime": "2020-01-05T00:00:00Z",
        "everySeconds": 86400,
        "endTime": "2020-01-10T00:00:00Z",
    },
    "data": {"time": "t", "label": "y", "key": ["k"]},
    "sizes": (4, 8),
    "config": {},
}
SETTINGS = Settings(
    name="test",
    read_seeds=(1,),
    choose_seeds=(101,),
    cycles=5,
    cycle_rows=0,
    notch=4.0,
    all_sizes=False,
)


class Direct(Runner):
    """Runs the fake trainer in this process: the operator's arm alone launches processes."""

    def _launch(self, attempt):
        asked = json.loads(contract.to_json(attempt.job.request))
        told = fake_trainer.run(asked, self.launcher.command.env)
        if told is None:
            empty = Failure(FailureKind.EMPTY_INTERVAL, "no row")
            return RunOutcome(attempt.job.request.run, 1, 0.05, failure=empty)
        report = contract.parse_report(json.dumps(told).encode(), attempt.job.request)
        seconds = report.seconds.total + 0.05
        return RunOutcome(report.run, 1, seconds, report)


def found(folder):
    data = folder / "rows"
    data.touch()
    return Found(Stream("fake", "nothing"), data, PARTS)


def study(folder, *, until=None, planner="p", runner=Direct, **env):
    """A study in ``folder``; ``env`` is the fake trainer's."""
    stream = found(folder)
    cache = Cache(folder / "runs", "code")
    cache.knows(str(stream.data), "rows")
    variables = {"FAKE_LAUNCHES": str(folder / "launches"), **env}
    command = Command((sys.executable, "-S", fake_trainer.__file__), variables, folder)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
    limit = time.time() + 600.0 if until is None else until
    made = runner(cache, Launcher(command), folder / "running", lock, limit)
    return Study(SETTINGS, stream, made, folder / "operators", planner)


def launches(folder):
    """What was launched: resource, run, policy, rate, size."""
    path = folder / "launches"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []
