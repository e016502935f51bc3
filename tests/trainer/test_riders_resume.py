"""A process with several runs that was killed ends bit for bit like one that was not."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dataefficient.contract import Policy, Scales
from dataefficient_trainer import checkpoint, events
from dataefficient_trainer.errors import StoppedError
from trainer.synthetic import (
    FEATURES,
    evaluation,
    launch,
    make_request,
    table,
    training,
    with_riders,
    write_request,
)

RIDERS = {
    "cold": {"train": training(1, 9, rate=0.5), "evaluation": None},
    "early": {"fork": True, "train": training(4, 9, policy=Policy.SCORED_NEGATIVES, rate=0.3)},
    "late": {"fork": True, "train": training(8, 10, rate=0.6)},
}


@pytest.fixture
def _small_chunks(monkeypatch):
    monkeypatch.setattr(events, "CHUNK_ROWS", 2_048)


def asked(stream, output):
    leader = make_request(stream, output, train=training(2, 9, rate=0.8), evaluation=evaluation(3, 9))
    return with_riders(leader, **RIDERS)


@pytest.fixture(scope="module")
def whole(stream, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "CHUNK_ROWS", 2_048)
        return launch(asked(stream, tmp_path_factory.mktemp("whole") / "run"))


def stop_after(request, feeds):
    calls = iter(range(feeds))
    with pytest.raises(StoppedError, match="SIGTERM after"):
        launch(request, stopped=lambda: next(calls, None) is None)


def state(request) -> Path:
    return Path(request.output) / "resume.safetensors"


def assert_same(report, whole):
    assert report.checkpoint.digest == whole.checkpoint.digest
    assert report.rows == whole.rows
    assert report.evaluated == whole.evaluated
    assert [r.run for r in report.riders] == [r.run for r in whole.riders]
    for found, expected in zip(report.riders, whole.riders, strict=True):
        assert found.checkpoint.digest == expected.checkpoint.digest
        assert found.rows == expected.rows


@pytest.mark.usefixtures("_small_chunks")
@pytest.mark.parametrize("feeds", [1, 4, 8, 13, 21])
def test_stopping_anywhere_and_going_on_equals_never_stopping(stream, tmp_path, whole, feeds):
    request = asked(stream, tmp_path / "run")
    stop_after(request, feeds)
    stop_after(request, 6)
    report = launch(request)
    assert_same(report, whole)
    assert not any(state(run).exists() for run in (request, *request.riders))
    assert sum(r.seconds.total for r in report.riders) <= report.seconds.total


@pytest.mark.usefixtures("_small_chunks")
@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_kill_between_two_writes_changes_nothing(stream, tmp_path, whole, monkeypatch, written):
    request = asked(stream, tmp_path / "run")
    stop_after(request, 4)
    assert state(request).exists()
    assert not state(request.riders[1]).exists()
    writes, original = iter(range(written)), checkpoint.save

    def killed(*arguments):
        if next(writes, None) is None:
            raise KeyboardInterrupt
        return original(*arguments)

    calls = iter(range(11))
    monkeypatch.setattr(checkpoint, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        launch(request, stopped=lambda: next(calls, None) is None)
    monkeypatch.setattr(checkpoint, "save", original)
    assert state(request.riders[1]).exists() == (written == 2)
    assert_same(launch(request), whole)


@pytest.mark.usefixtures("_small_chunks")
def test_without_the_state_of_a_fork_all_runs_begin_again(stream, tmp_path, whole, capsys):
    request = asked(stream, tmp_path / "run")
    stop_after(request, 20)
    state(request.riders[1]).unlink()
    capsys.readouterr()
    report = launch(request)
    told = capsys.readouterr().err
    assert "the resumable state of c000-early is gone; all runs start from the beginning" in told
    assert_same(report, whole)


@pytest.mark.usefixtures("_small_chunks")
def test_another_deadline_does_not_begin_again(stream, tmp_path, whole, capsys):
    request = asked(stream, tmp_path / "run")
    stop_after(request, 20)
    later = [dataclasses.replace(r, deadline_seconds=60.0, keep=(r.output,)) for r in request.riders]
    report = launch(dataclasses.replace(request, riders=tuple(later)))
    continued = [
        line.split()[1] for line in capsys.readouterr().err.splitlines() if "continues after" in line
    ]
    assert continued == ["c000-candidate", "c000-cold", "c000-early"]
    assert_same(report, whole)


@pytest.mark.usefixtures("_small_chunks")
def test_a_fork_of_another_leader_is_not_taken_up(stream, tmp_path):
    request = asked(stream, tmp_path / "run")
    stop_after(request, 20)
    kept = state(request.riders[1]).read_bytes()
    other = dataclasses.replace(request, train=training(2, 9, rate=0.5))
    state(request).unlink()
    found = launch(other)
    shutil.rmtree(tmp_path)
    expected = launch(other)
    assert kept
    assert found.riders[1].checkpoint.digest == expected.riders[1].checkpoint.digest


@pytest.mark.usefixtures("_small_chunks")
def test_a_rider_that_failed_is_not_tried_again(stream, tmp_path, capsys):
    leader = make_request(stream, tmp_path / "run", train=training(2, 9))
    bad = {"fork": True, "train": training(3, 9), "scales": Scales(learning_rate=1e30)}
    request = with_riders(leader, bad=bad, good={})
    stop_after(request, 12)
    assert "loss became nan" in capsys.readouterr().err
    report = launch(request)
    told = capsys.readouterr().err
    assert told.count("c000-bad failed and is left out") == 1
    assert "all runs start from the beginning" not in told
    assert [r.run for r in report.riders] == ["c000-good"]


def test_a_killed_process_continues_from_the_snapshots_of_all_runs(tmp_path):
    pq.write_table(table(rows=260_000), tmp_path / "clicks.parquet", row_group_size=50_000)
    config = {**FEATURES, "snapshotSeconds": 0, "batchSize": 256}
    leader = make_request(tmp_path / "clicks.parquet", tmp_path / "run", config=config)
    riders = {
        "cold": {"train": training(rate=0.5)},
        "fork": {"fork": True, "train": training(4, 10, rate=0.5)},
    }
    request = with_riders(leader, **riders)
    expected = launch(with_riders(dataclasses.replace(leader, output=str(tmp_path / "whole")), **riders))
    environment = {**os.environ, **write_request(request, tmp_path / "child"), "PATH": os.environ["PATH"]}
    child = subprocess.Popen([sys.executable, "-m", "dataefficient_trainer"], env=environment)
    deadline = time.monotonic() + 60
    while not state(request).exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait(60) == -signal.SIGKILL
    assert state(request).exists()
    assert_same(launch(request), expected)
