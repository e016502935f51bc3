"""Runs that are forked from a process which has imported the trainer, beside runs in their own processes."""

import os
import sys
import time
from dataclasses import replace

import pytest

from dataefficient.local.command import Command
from dataefficient.local.launcher import Launcher
from dataefficient.local.process import Attempt, Job, Process
from trainer.synthetic import make_request

FORKED = (sys.executable, "-m", "dataefficient_trainer")
ANEW = (sys.executable, "-X", "utf8", "-m", "dataefficient_trainer")


@pytest.fixture
def run(stream, tmp_path):
    """Runs a request as the local driver does and gives the outcome."""
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)

    def run_with(launcher, name, **changes):
        request = replace(make_request(stream, tmp_path / name), **changes)
        process = Process(Attempt(tmp_path / "runs" / name, Job(request, 1, 1, 120.0)), launcher, lock)
        while not process.poll():
            time.sleep(0.01)
        outcome = process.outcome()
        assert outcome.report is not None, outcome.failure
        return outcome

    yield run_with
    os.close(lock)


def test_a_forked_run_ends_bit_for_bit_like_one_in_a_process_of_its_own(run, tmp_path):
    with Launcher(Command(FORKED, {}, tmp_path)) as forks, Launcher(Command(ANEW, {}, tmp_path)) as anew:
        run(forks, "first")
        forked, alone = run(forks, "forked"), run(anew, "alone")
    assert forked.report.checkpoint.digest == alone.report.checkpoint.digest
    assert forked.report.evaluated == alone.report.evaluated


def test_a_forked_run_may_have_several_threads(run, tmp_path):
    with Launcher(Command(FORKED, {}, tmp_path)) as launcher:
        run(launcher, "one")
        assert run(launcher, "two", threads=2).report.rows.kept > 0


def test_nothing_that_a_run_needs_is_imported_after_the_fork(run, tmp_path):
    command = Command(
        (*FORKED[:2], "trainer.told_imports"), {"PYTHONPATH": os.pathsep.join(sys.path)}, tmp_path
    )
    with Launcher(command) as launcher:
        run(launcher, "told")
    late = (tmp_path / "runs/told/log.txt").read_text().partition("imported late: ")[2].split()
    assert [name for name in late if name.partition(".")[0] in ("torch", "pyarrow", "numpy")] == []
