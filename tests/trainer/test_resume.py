"""A run that was killed ends bit for bit like one that was not."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from dataefficient.contract import Policy, parse_report
from dataefficient_trainer import events
from dataefficient_trainer.errors import StoppedError
from trainer.synthetic import FEATURES, evaluation, launch, make_request, table, training, write_request


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(events, "CHUNK_ROWS", 4_096)


@pytest.mark.parametrize("policy", [Policy.UNIFORM, Policy.SCORED_NEGATIVES])
@pytest.mark.parametrize("chunks", [1, 3])
def test_stopping_after_any_chunk_and_going_on_equals_never_stopping(stream, tmp_path, policy, chunks):
    older, start = (
        launch(
            make_request(stream, tmp_path / f"start{days}", train=training(0, days), evaluation=None)
        ).checkpoint
        for days in (1, 2)
    )
    request = make_request(
        stream, tmp_path / "whole", start=start, config={**FEATURES, "slices": ["item"]},
        train=training(2, 9, policy=policy, rate=0.6), evaluation=evaluation(3, 10), frozen={"trial": older},
    )  # fmt: skip
    whole = launch(request)
    stopped = dataclasses.replace(request, output=str(tmp_path / "stopped"))
    calls = iter(range(chunks))
    with pytest.raises(StoppedError, match="SIGTERM after"):
        launch(stopped, stopped=lambda: next(calls, None) is None)
    assert not (tmp_path / "stopped" / "checkpoint.safetensors").exists()
    resumed = launch(stopped)
    assert resumed.checkpoint.digest == whole.checkpoint.digest
    assert resumed.evaluated == whole.evaluated
    assert resumed.rows == whole.rows
    assert not (tmp_path / "stopped" / "resume.safetensors").exists()


def test_a_state_of_another_request_is_not_taken_up(stream, tmp_path, capsys):
    request = make_request(stream, tmp_path)
    with pytest.raises(StoppedError):
        launch(request, stopped=lambda: True)
    other = launch(dataclasses.replace(request, seed=2))
    assert "belongs to another request" in capsys.readouterr().err
    assert (
        other.checkpoint.digest == launch(make_request(stream, tmp_path / "fresh", seed=2)).checkpoint.digest
    )


def test_a_damaged_state_is_not_taken_up(stream, tmp_path):
    request = make_request(stream, tmp_path)
    (tmp_path / "resume.safetensors").write_bytes(b"half a file")
    assert (
        launch(request).checkpoint.digest
        == launch(make_request(stream, tmp_path / "fresh")).checkpoint.digest
    )


def process(request, folder):
    environment = {**os.environ, **write_request(request, folder), "PATH": os.environ["PATH"]}
    return subprocess.Popen(
        [sys.executable, "-m", "dataefficient_trainer"], env=environment, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed_continues_from_its_snapshot(tmp_path, monkeypatch, number):
    monkeypatch.undo()  # the other process has chunks of the real size
    pq.write_table(table(rows=260_000), tmp_path / "clicks.parquet", row_group_size=50_000)
    config = {**FEATURES, "snapshotSeconds": 0, "batchSize": 64}
    request = make_request(tmp_path / "clicks.parquet", tmp_path / "whole", config=config, size=8)
    whole = launch(request)
    killed = dataclasses.replace(request, output=str(tmp_path / "killed"))
    child = process(killed, tmp_path / "child")
    state = tmp_path / "killed" / "resume.safetensors"
    deadline = time.monotonic() + 60
    while not state.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(number)
    code = child.wait(60)
    child.stderr.close()
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 143)
    assert state.exists()
    assert not (tmp_path / "killed" / "checkpoint.safetensors").exists()
    resumed = launch(killed)
    assert resumed.checkpoint.digest == whole.checkpoint.digest
    assert resumed.evaluated == whole.evaluated


def test_a_process_writes_a_report_that_the_operator_accepts(stream, tmp_path):
    request = make_request(stream, tmp_path / "out", train=training(rate=0.5))
    child = process(request, tmp_path)
    _, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (0, b"")
    report = parse_report((tmp_path / "report.json").read_bytes(), request)
    assert report.seconds.startup > report.seconds.read
    assert report.seconds.total > report.seconds.startup
