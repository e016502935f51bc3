import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dataefficient.contract import Data, Policy, Role, RunRequest, Train
from dataefficient.cycle.model import FailureKind
from dataefficient.local.command import Command
from dataefficient.local.launcher import Launcher
from dataefficient.local.process import Attempt, Job, Process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="runs are forked on Linux alone")

PRELOAD = """
import os, time
from pathlib import Path
{also}
with Path("preloaded").open("a") as file:
    file.write(f"{{os.getpid()}}\\n")
"""
MAIN = """
import json, os, signal, sys, time
from pathlib import Path

request = json.loads(Path(os.environ["DATAEFFICIENT_REQUEST"]).read_text())
told = {
    "preloaded": "learner.preload" in sys.modules,
    "arguments": sys.argv[1:],
    "folder": os.getcwd(),
    "variable": os.environ["VARIABLE"],
    "threads": os.environ["OMP_NUM_THREADS"],
    "parent": os.getppid(),
    "open": [str(path.resolve()) for path in Path("/proc/self/fd").iterdir() if int(path.name) > 2],
}
told_at = Path(request["output"] + ".json")
told_at.parent.mkdir(exist_ok=True)
whole = told_at.with_suffix(".whole")
whole.write_text(json.dumps(told))
whole.rename(told_at)  # who sees it sees all of it
config = request["config"]
if config.get("ignoresTerm"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if config.get("sleeps"):
    time.sleep(config["sleeps"])
print("a word without an end of line", end="")
if config.get("raises"):
    raise ValueError("as asked")
sys.exit(config.get("code", 75))
"""


@pytest.fixture
def learner(tmp_path):
    """Writes a trainer that is a package, and gives the command that runs it."""

    def write(*, preload=True, also=""):
        package = tmp_path / "learner"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(MAIN)
        if preload:
            (package / "preload.py").write_text(PRELOAD.format(also=also))
        argv = (sys.executable, "-m", "learner", "--fast", "two words")
        return Command(argv, {"VARIABLE": "of the template"}, tmp_path)

    return write


@pytest.fixture
def begin(tmp_path):
    """Begins runs and ends what is left of them."""
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    begun = []

    def begin_run(launcher, run="c000-pilot", *, seconds=20.0, grace=0.2, attempt=1, **config):
        instant = datetime(2001, 1, 1, tzinfo=UTC)
        request = RunRequest(
            resource="default/learner",
            cycle=0,
            run=run,
            role=Role.PROBE,
            data=Data("rows", "t", "y", ("k",)),
            size=4,
            seed=1,
            output=str(tmp_path / run),
            train=Train(instant, instant.replace(year=2002), Policy.UNIFORM, 1.0, "s"),
            evaluation=None,
            config=config,
        )
        job = Job(request, attempt, 1, seconds)
        process = Process(Attempt(tmp_path / "runs" / run, job), launcher, lock, grace=grace)
        begun.append(process)
        return process

    yield begin_run
    for process in begun:
        process.kill()
    os.close(lock)


def ended(process, seconds=20.0):
    end = time.monotonic() + seconds
    while not process.poll():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
    return process.outcome()


def told(tmp_path, run="c000-pilot"):
    return json.loads((tmp_path / f"{run}.json").read_text())


def preloads(tmp_path):
    path = tmp_path / "preloaded"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_runs_are_forked_from_one_process_that_has_imported_what_the_trainer_names(learner, begin, tmp_path):
    with Launcher(learner()) as launcher:
        for run in ("c000-pilot", "c001-candidate"):
            ended(begin(launcher, run))
            assert told(tmp_path, run)["preloaded"]
        assert len(preloads(tmp_path)) == 1


def test_a_forked_run_finds_what_a_process_of_its_own_would(learner, begin, tmp_path):
    command = learner()
    with Launcher(command) as launcher:
        outcome = ended(begin(launcher))
    found = told(tmp_path)
    assert found["arguments"] == ["--fast", "two words"]
    assert found["folder"] == str(tmp_path)
    assert found["variable"] == "of the template"
    assert found["threads"] == "1"
    assert not [path for path in found["open"] if path.endswith("/lock") or "socket:" in path]
    assert outcome.failure.kind is FailureKind.DATA_NOT_READY  # exit code 75
    log = (tmp_path / "runs/c000-pilot/log.txt").read_text()
    assert log == "--- attempt 1, launch 1 ---\na word without an end of line"


def test_an_exception_in_a_forked_run_is_its_last_word(learner, begin):
    with Launcher(learner()) as launcher:
        outcome = ended(begin(launcher, raises=True))
    assert outcome.failure.kind is FailureKind.CRASHED
    assert "ValueError: as asked" in outcome.failure.message


@pytest.mark.parametrize(
    "trainer", [{"preload": False}, {"also": "import a_library_that_is_missing"}, {"also": "os._exit(3)"}]
)
def test_where_nothing_can_be_imported_beforehand_runs_are_started_anew(learner, begin, tmp_path, trainer):
    with Launcher(learner(**trainer)) as launcher:
        for run in ("c000-pilot", "c001-candidate"):
            outcome = ended(begin(launcher, run))
            assert outcome.failure.kind is FailureKind.DATA_NOT_READY
            assert not told(tmp_path, run)["preloaded"]
    assert preloads(tmp_path) == []


def test_a_program_that_is_no_module_is_started_anew(learner, begin, tmp_path):
    command = learner()
    script = Command((sys.executable, str(tmp_path / "learner/__main__.py")), command.env, tmp_path)
    with Launcher(script) as launcher:
        ended(begin(launcher))
    assert preloads(tmp_path) == []


def test_what_the_imports_took_is_charged_once_to_the_first_run(learner, begin):
    with Launcher(learner(also="time.sleep(0.5)")) as launcher:
        seconds = [ended(begin(launcher, run)).device_seconds for run in ("c000-pilot", "c001-candidate")]
    assert seconds[0] >= max(0.5, seconds[1])


def test_a_forked_run_is_ended_at_its_deadline(learner, begin):
    with Launcher(learner()) as launcher:
        outcome = ended(begin(launcher, seconds=0.3, sleeps=60, ignoresTerm=True, grace=0.1))
    assert outcome.failure.kind is FailureKind.DEADLINE


def test_a_released_run_ends_and_may_be_launched_again(learner, begin, tmp_path):
    with Launcher(learner()) as launcher:
        process = begin(launcher, sleeps=60)
        wait_for((tmp_path / "c000-pilot.json").exists)
        process.release()
        assert ended(process) is None
        (tmp_path / "c000-pilot.json").unlink()
        assert ended(begin(launcher)).failure.kind is FailureKind.DATA_NOT_READY
        assert told(tmp_path)["preloaded"]


def test_where_the_forking_process_is_killed_runs_go_on_and_the_next_are_started_anew(
    learner, begin, tmp_path
):
    with Launcher(learner()) as launcher:
        process = begin(launcher, sleeps=0.3)
        (zygote,) = preloads(tmp_path)
        os.kill(zygote, signal.SIGKILL)
        outcome = ended(process)
        assert outcome.failure.kind is FailureKind.DATA_NOT_READY
        assert outcome.device_seconds > 0.3
        ended(begin(launcher, "c001-candidate"))
        assert not told(tmp_path, "c001-candidate")["preloaded"]


def test_a_killed_guard_leaves_a_run_that_is_launched_again(learner, begin, tmp_path):
    with Launcher(learner()) as launcher:
        process = begin(launcher, sleeps=60)
        wait_for((tmp_path / "c000-pilot.json").exists)
        trainer_parent = told(tmp_path)["parent"]
        os.killpg(trainer_parent, signal.SIGKILL)
        outcome = ended(process)
        assert outcome.failure.kind is FailureKind.CRASHED


def test_the_forking_process_ends_with_the_launcher(learner, begin, tmp_path):
    with Launcher(learner()) as launcher:
        ended(begin(launcher))
        (zygote,) = preloads(tmp_path)
        assert not is_gone(zygote)
    assert is_gone(zygote)


def test_after_sigkill_of_the_driver_nothing_that_was_forked_is_left(learner, write, tmp_path):
    learner()
    container = {
        "name": "trainer",
        "command": ["python", "-m", "learner"],
        "env": [{"name": "VARIABLE", "value": "x"}],
    }
    trainer = {"template": {"spec": {"containers": [container]}}, "config": {"sleeps": 60}}
    file = write(cycles=1, trainer=trainer)
    driver = subprocess.Popen(
        [sys.executable, "-m", "local.drive_main", str(file), str(tmp_path / "w")],
        cwd=Path(__file__).parent.parent,
        stderr=subprocess.DEVNULL,
    )
    runs = [tmp_path / "w/checkpoints" / f"c000-{role}.json" for role in ("candidate", "trial")]
    wait_for(lambda: any(path.exists() for path in runs))
    (zygote,) = preloads(tmp_path)
    guards = [json.loads(path.read_text())["parent"] for path in runs if path.exists()]
    driver.kill()
    driver.wait()
    wait_for(lambda: all(map(is_gone, (zygote, *guards))), seconds=5)
