"""Deciding in another process: the same decision, and no process that outlives its operator."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from cluster import objects
from cycle.playing import LONG_AFTER
from dataefficient.cluster import brain
from dataefficient.cluster.brain import Brain
from dataefficient.cycle.model import Memory, Observation

ARGUMENTS = (objects.resource().spec, Memory("default/made-up"), Observation(LONG_AFTER), False)

PROGRAM = """
import asyncio, sys
from cluster.test_brain import ARGUMENTS
from dataefficient.cluster.brain import Brain

async def main():
    async with Brain() as ask:
        await ask(*ARGUMENTS)
        (worker,) = ask._pool._processes
        print(worker, flush=True)
        await asyncio.sleep(600)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_it_decides_as_this_process_would_and_ends_its_worker_when_idle():
    async def main():
        async with Brain(idle_seconds=0.05) as ask:
            decided = await ask(*ARGUMENTS)
            (worker,) = ask._pool._processes.values()
            # Whoever waits beside the pool's own thread may be told that the process is gone and not how.
            await asyncio.to_thread(ask._pool._executor_manager_thread.join, 30.0)
            assert worker.exitcode == 0
            assert await ask(*ARGUMENTS) == decided
            return decided

    assert asyncio.run(main()) == brain.decide(*ARGUMENTS)


def test_a_worker_that_was_killed_is_replaced_at_the_next_question():
    async def main():
        async with Brain() as ask:
            await ask(*ARGUMENTS)
            (worker,) = ask._pool._processes
            os.kill(worker, signal.SIGKILL)
            with pytest.raises(brain.BrokenProcessPool):
                await ask(*ARGUMENTS)
            assert await ask(*ARGUMENTS) == brain.decide(*ARGUMENTS)

    asyncio.run(main())


def test_the_worker_of_a_killed_operator_ends_too(tmp_path):
    program = tmp_path / "operator.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, text=True, env=environment
    ) as one:
        worker = int(one.stdout.readline())
        one.kill()
    deadline = time.monotonic() + 30.0
    while True:
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
