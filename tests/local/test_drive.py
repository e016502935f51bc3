import re
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from dataefficient.cycle.machine import advance, begin
from dataefficient.cycle.model import FailureKind, Step
from dataefficient.local.control import controls
from dataefficient.local.errors import DiskError, WrongInputError
from dataefficient.local.store import Store, read_resource
from local.drive_main import drive

TESTS = Path(__file__).parent.parent


class Recording:
    """A watcher that keeps what it hears; ``hook`` is called on every drawing."""

    def __init__(self, hook=lambda running: None):
        self.sentences, self.outcomes, self.hook, self.most = [], [], hook, 0

    def say(self, sentence):
        self.sentences.append(sentence)

    def started(self, request):
        pass

    def ended(self, request, outcome):
        self.outcomes.append(outcome)

    def remembered(self, memory):
        pass

    def draw(self, running):
        self.most = max(self.most, len(running))
        self.hook(running)

    def close(self):
        pass


def start(file, folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "local.drive_main", str(file), str(folder), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        cwd=TESTS,
    )


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def alive(folder):
    """Processes, guards and trainers alike, whose request lies in ``folder``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"DATAEFFICIENT_REQUEST={folder}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_every_cycle_runs_once_and_is_charged_for_what_the_clock_showed(write, tmp_path, launches):
    memory = drive(write(), tmp_path / "w")
    assert memory.step is Step.FINISHED
    assert [r.cycle for r in memory.history] == [0, 1, 2]
    assert Counter(launches()).most_common(1)[0][1] == 1
    seconds = [e.seconds for e in memory.ledger.entries]
    assert len(seconds) == 6
    assert all(0.02 < s < 5 for s in seconds)
    store = Store.open(tmp_path / "w")
    assert store.memory() == memory
    assert [o.device_seconds for _, o in store.runs()] == sorted_by_run(memory)


def test_runs_that_share_a_process_are_told_and_kept_one_by_one(write, tmp_path, launches):
    watcher = Recording()
    file = write(riders="1", exploration={"share": "0.9"})
    machine = {"begin": partial(begin, "default/fake"), "advance": advance}
    drive(file, tmp_path / "w", watcher=watcher, control=True, **machine)
    memory = Store.open(tmp_path / "w").memory()
    rode = {e.run for e in memory.ledger.entries if e.rode_in}
    assert rode
    assert not any(line.endswith(f" {run}") for line in launches() for run in rode)
    told = [o.run for o in watcher.outcomes if not o.run.startswith("ctl-")]
    assert len(told) < len(watcher.outcomes)
    assert all(o.report for o in watcher.outcomes)
    assert rode <= set(told)
    assert len(told) == len(set(told)) == len(memory.ledger.entries)
    kept = {request.run: outcome for request, outcome in Store.open(tmp_path / "w").runs()}
    assert set(kept) == set(told)
    assert all(kept[e.run].device_seconds == pytest.approx(e.seconds) for e in memory.ledger.entries)


def sorted_by_run(memory):
    return [e.seconds for e in sorted(memory.ledger.entries, key=lambda e: e.run)]


def test_what_a_log_says_to_people_is_told_once(write, tmp_path):
    watcher = Recording()
    memory = drive(write(), tmp_path / "w", watcher=watcher, control=True)
    assert len(memory.ledger.entries) > 3
    told = [sentence for sentence in watcher.sentences if "rows are made up" in sentence]
    assert len(told) == 1
    assert re.fullmatch(r"c000-\S+: \d+ rows are made up", told[0])
    assert not any("nothing to be told" in sentence for sentence in watcher.sentences)


def test_cycles_counts_from_cycle_0_of_the_resource(write, tmp_path, launches):
    memory = drive(write(), tmp_path / "w", cycles=2)
    assert [r.cycle for r in memory.history] == [0, 1]
    before = launches()
    assert not any("c002" in line for line in before)
    assert drive(write(), tmp_path / "w", cycles=2) == memory
    assert launches() == before
    assert [r.cycle for r in drive(write(), tmp_path / "w").history] == [0, 1, 2]


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("garbage", FailureKind.GARBAGE, "report: not JSON"),
        ("long", FailureKind.GARBAGE, "at most 3072 are allowed"),
        ("silent", FailureKind.NO_REPORT, "wrote no report"),
        ("data", FailureKind.DATA_ERROR, "flights.parquet: no column late; there are a, b"),
        ("crash", FailureKind.CRASHED, "exit code 1: ValueError: told to crash"),
    ],
)
def test_a_trainer_that_fails_is_told_by_kind_and_in_its_own_words(write, tmp_path, fault, kind, words):
    memory = drive(write(faults=f"c000-candidate={fault}"), tmp_path / "w")
    assert memory.step is Step.STOPPED
    outcome = Store.open(tmp_path / "w").last_outcome("c000-candidate")
    assert (outcome.attempt, outcome.failure.kind) == (3, kind)
    assert words in outcome.failure.message
    assert outcome.device_seconds > 0
    assert len(memory.ledger.entries) == 4  # three attempts and the trial


def test_a_run_past_its_reservation_is_ended_even_if_it_ignores_sigterm(write, tmp_path, monkeypatch):
    monkeypatch.setattr("local.fake_machine.RESERVED_SECONDS", 0.3)
    monkeypatch.setattr("local.fake_machine.MAX_ATTEMPTS", 1)
    memory = drive(write(faults="c000-candidate=stubborn c000-trial=slow"), tmp_path / "w", grace=0.2)
    assert memory.step is Step.STOPPED
    store = Store.open(tmp_path / "w")
    for run in ("c000-candidate", "c000-trial"):
        outcome = store.last_outcome(run)
        assert outcome.failure.kind is FailureKind.DEADLINE
        assert 0.3 <= outcome.device_seconds < 3
    assert not alive(tmp_path)


def test_sigint_ends_the_runs_and_the_same_command_continues_without_repeating(write, tmp_path, launches):
    file, folder = write(seconds="0.3"), tmp_path / "w"
    process = start(file, folder)
    wait_for(lambda: "start c001-trial" in launches())
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert f"Everything is saved in {folder}; the same command continues" in told
    assert not alive(folder)
    drive(file, folder)
    assert max(Counter(line for line in launches() if line.startswith("end")).values()) == 1


@pytest.mark.parametrize("moment", ["start c000-candidate", "end c000-candidate", "end c001-trial"])
def test_after_sigkill_the_same_command_continues_and_repeats_no_finished_run(
    write, tmp_path, launches, moment
):
    file, folder = write(seconds="0.15"), tmp_path / "w"
    process = start(file, folder)
    wait_for(lambda: moment in launches())
    process.kill()
    process.communicate(timeout=20)
    memory = drive(file, folder)
    assert memory.step is Step.FINISHED
    assert max(Counter(line for line in launches() if line.startswith("end")).values()) == 1
    assert len(memory.ledger.entries) == 6
    assert all(attempt.attempt == 1 for attempt in memory.ledger.entries)


def test_after_sigkill_no_trainer_is_left_and_what_it_took_is_charged(write, tmp_path, launches):
    file, folder = write(seconds="2", cycles=1), tmp_path / "w"
    process = start(file, folder)
    wait_for(lambda: len(launches()) == 2)
    time.sleep(0.3)
    process.kill()
    process.communicate(timeout=20)
    wait_for(lambda: not alive(folder), seconds=5)
    file = write(seconds="0.02", cycles=1)
    memory = drive(file, folder)
    assert Counter(launches())["start c000-candidate"] == 2
    assert all(0.3 < entry.seconds < 2 for entry in memory.ledger.entries)


def test_a_run_that_ended_while_nobody_was_there_is_settled_from_its_record(write, tmp_path, launches):
    file, folder = write(), tmp_path / "w"
    finished = drive(file, folder, cycles=1)
    store = Store.open(folder)
    for run in ("c000-candidate", "c000-trial"):
        (store.run_folder(run) / "outcome-1.json").unlink()
    store.state_file.unlink()
    before = launches()
    again = drive(file, folder, cycles=1).ledger
    assert set(again.entries) == set(finished.ledger.entries)
    assert again.settled == pytest.approx(finished.ledger.settled)
    assert launches() == before


def test_a_crash_between_two_attempts_uses_the_next_attempt(write, tmp_path, launches):
    memory = drive(write(faults="c001-candidate=crash-once"), tmp_path / "w")
    assert memory.step is Step.FINISHED
    assert Counter(launches())["start c001-candidate"] == 2
    assert [e.attempt for e in memory.ledger.entries if e.run == "c001-candidate"] == [1, 2]


def test_a_run_that_fails_on_a_full_disk_is_not_held_against_it(write, tmp_path, monkeypatch):
    file, folder = write(faults="c001-candidate=crash"), tmp_path / "w"
    monkeypatch.setattr("dataefficient.local.drive.is_full", lambda _: True)
    with pytest.raises(DiskError, match="no space left, and c001-candidate failed for it"):
        drive(file, folder)
    assert Store.open(folder).last_outcome("c001-candidate") is None
    monkeypatch.undo()
    memory = drive(write(), folder)
    assert [e.attempt for e in memory.ledger.entries if e.run == "c001-candidate"] == [1]


def test_two_runs_on_one_folder_do_not_fight(write, tmp_path, launches):
    file, folder = write(seconds="1", cycles=1), tmp_path / "w"
    process = start(file, folder)
    wait_for(lambda: len(launches()) == 2)
    with pytest.raises(WrongInputError, match=r"another detctl run works in this folder \(process \d+\)"):
        drive(file, folder)
    process.kill()
    process.communicate(timeout=20)


def test_a_new_run_waits_for_the_trainers_of_a_killed_one(write, tmp_path, launches):
    file, folder = write(faults="c000-candidate=stubborn", cycles=1), tmp_path / "w"
    process = start(file, folder)
    wait_for(lambda: "start c000-candidate" in launches())
    time.sleep(0.1)
    process.kill()
    process.communicate(timeout=20)
    assert alive(folder)
    overlaps = []
    watcher = Recording(lambda running: overlaps.append(len(alive(folder / "runs/c000-candidate"))))
    drive(write(seconds="0.4", cycles=1), folder, watcher=watcher)
    assert max(overlaps) == 2  # one guard with one trainer, never two


def test_runs_share_the_cores_and_no_more(write, tmp_path, monkeypatch):
    watcher = Recording()
    monkeypatch.setattr("dataefficient.local.drive.cores", lambda: 2)
    monkeypatch.setattr("dataefficient.local.drive.DRAW_SECONDS", 0.0)
    drive(write(seconds="0.2", cycles=1), tmp_path / "two", watcher=watcher, control=True)
    assert watcher.most == 2
    watcher = Recording()
    monkeypatch.setattr("dataefficient.local.drive.cores", lambda: 1)
    drive(write(seconds="0.2", cycles=1), tmp_path / "one", watcher=watcher)
    assert watcher.most == 1


def test_a_future_interval_is_waited_for_and_the_waiting_can_be_interrupted(write, tmp_path):
    schedule = {
        "historyFrom": "2001-01-01T00:00:00Z",
        "startTime": "2999-01-01T00:00:00Z",
        "everySeconds": 86400,
    }
    process = start(write(schedule=schedule), tmp_path / "w")
    wait_for((tmp_path / "w" / "lock").exists)
    time.sleep(0.3)
    assert process.poll() is None
    process.terminate()
    process.communicate(timeout=5)
    assert process.returncode == 130


def test_controls_run_beside_and_are_charged_to_nobody(write, tmp_path, launches):
    file, folder = write(sizes=(2, 4)), tmp_path / "w"
    memory = drive(file, folder, control=True)
    found = controls(read_resource(file).spec, Store.open(folder))
    assert all("ctl-" not in e.run for e in memory.ledger.entries)
    assert [len(lineage.runs) for lineage in found.lineages] == [3, 3]
    assert all(outcome.report for lineage in found.lineages for _, outcome in lineage.runs)
    assert found.wanted == ()
    assert max(Counter(launches()).values()) == 1


def test_controls_asked_for_afterwards_catch_up(write, tmp_path, launches):
    file, folder = write(sizes=(2, 4)), tmp_path / "w"
    before = drive(file, folder)
    assert drive(file, folder, control=True) == before
    found = controls(read_resource(file).spec, Store.open(folder))
    assert [len(lineage.runs) for lineage in found.lineages] == [3, 3]
    assert max(Counter(launches()).values()) == 1


def test_a_failing_control_ends_its_lineage_and_nothing_else(write, tmp_path):
    file, folder = write(sizes=(4,), faults="ctl-c001-size-4=crash"), tmp_path / "w"
    assert drive(file, folder, control=True).step is Step.FINISHED
    largest, right = controls(read_resource(file).spec, Store.open(folder)).lineages
    assert largest.runs == right.runs
    assert largest.failure.kind is FailureKind.CRASHED
    assert len(largest.runs) == 2
    assert largest.runs[-1][1].attempt == 3
    assert any((folder / "controls").iterdir())


def test_a_resource_that_stops_ends_the_program_with_controls_as_without(write, tmp_path):
    file = write(faults="c001-candidate=data")
    for control in (False, True):
        assert drive(file, tmp_path / f"w{control}", control=control).step is Step.STOPPED
