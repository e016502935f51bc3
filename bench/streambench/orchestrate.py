"""Streams over worker processes, each on a core of its own; then the result, from what they left behind.

Filling the cache and reading it are apart: workers run what is missing, in the order of its worth, until the
time is up; afterwards one pass over the cache, which launches nothing, makes the result.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

from dataefficient import contract
from dataefficient.api.load import parse_object
from dataefficient.local.command import command_of
from dataefficient.local.launcher import Launcher
from streambench import page, table
from streambench.cache import Cache
from streambench.execute import Runner, to_stderr
from streambench.identity import PLANNER, TRAINER, Machine, commit, of_file, of_sources
from streambench.results import Result, StreamResult, absent, now, stream_result
from streambench.settings import Settings
from streambench.streams import STREAMS, Found, MissingDataError, Stream, find
from streambench.study import Study


@dataclass(frozen=True)
class Plan:
    """One call of the benchmark."""

    settings: Settings
    work: Path
    data: Path | None
    workers: int
    until: float
    """Time of the clock after which nothing new is begun."""
    note: str


def benchmark(plan: Plan, output: Path) -> str:
    """Run what is missing, write the result to ``output``, and give it as text."""
    plan.work.mkdir(parents=True, exist_ok=True)
    streams = [stream for stream in STREAMS if stream.name in plan.settings.streams]
    jobs = [(plan, stream.name, oracle) for oracle in (False, True) for stream in streams]
    context = multiprocessing.get_context("spawn")
    cores = sorted(os.sched_getaffinity(0))
    queue, stop = context.Queue(), context.Event()
    for i in range(plan.workers):
        queue.put(cores[i % len(cores)])
    with ProcessPoolExecutor(plan.workers, context, _begin_worker, (queue, stop, os.getpid())) as pool:
        try:
            for done in [pool.submit(_fill, *job) for job in jobs]:
                done.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)  # or the next stream would be begun
            raise
    result = read(plan, streams)
    output.mkdir(parents=True, exist_ok=True)
    name = plan.settings.name
    text = table.render(result)
    (output / f"{name}.json").write_text(
        json.dumps(contract.encode(result), indent=1, allow_nan=False) + "\n"
    )
    (output / f"{name}.html").write_text(page.render(result))
    (output / f"{name}.txt").write_text(text)
    return text


def read(plan: Plan, streams: list[Stream]) -> Result:
    """The result that the cache tells; launches nothing."""
    return Result(
        plan.settings,
        now(),
        commit(),
        Machine.here(),
        plan.workers,
        os.getloadavg()[2],
        tuple(_read_stream(plan, stream) for stream in streams),
        plan.note,
    )


def _read_stream(plan: Plan, stream: Stream) -> StreamResult:
    try:
        with _study(plan, stream, until=0.0) as study:
            return stream_result(study)
    except MissingDataError as error:
        return absent(stream.name, stream.what, str(error))


def _fill(plan: Plan, name: str, oracle: bool) -> None:  # noqa: FBT001 - from a list of jobs
    stream = next(s for s in STREAMS if s.name == name)
    with contextlib.suppress(MissingDataError), _study(plan, stream, until=plan.until) as study:
        study.fill(oracle=oracle)


@contextlib.contextmanager
def _study(plan: Plan, stream: Stream, *, until: float) -> Iterator[Study]:
    """The stream's study, held by this process alone while it lasts."""
    settings, work = plan.settings, plan.work.resolve()
    with (work / f"{stream.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = find(
            stream,
            folder=work / "streams",
            data=plan.data,
            cycle_rows=settings.cycle_rows,
            cycles=settings.cycles,
        )
        with _launcher(found) as launcher:
            runner = _runner(work, found, lock.fileno(), until, launcher)
            yield Study(settings, found, runner, work / "operators", of_sources(PLANNER))


def _launcher(found: Found) -> Launcher:
    spec = parse_object(found.resource(0, "0.001", 1.0), "the benchmark's resource").spec
    return Launcher(command_of(spec, Path()))


def _runner(work: Path, found: Found, lock: int, until: float, launcher: Launcher) -> Runner:
    cache = Cache(work / "runs", f"{of_sources(TRAINER)}-{Machine.here().digest()}")
    cache.knows(str(found.data), of_file(found.data))
    return Runner(cache, launcher, work / "running", lock, until, to_stderr)


def _begin_worker(queue: multiprocessing.Queue[int], stop: Event, parent: int) -> None:
    """A core of its own, so that runs do not slow each other; and an end with the parent, or on its word."""
    os.sched_setaffinity(0, {queue.get()})

    def watch() -> None:
        while os.getppid() == parent and not stop.wait(1.0):
            pass
        os._exit(1)  # the trainers' guards see it and end them

    threading.Thread(target=watch, daemon=True).start()
