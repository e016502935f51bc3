import json
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from dataefficient_trainer import telemetry
from dataefficient_trainer.errors import UserError
from dataefficient_trainer.telemetry import Progress
from trainer.synthetic import launch, make_request


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(telemetry.time, "monotonic", lambda: now[0])
    return now


def test_progress_is_written_at_most_twice_a_second(tmp_path, monkeypatch, clock):
    monkeypatch.setenv("DATAEFFICIENT_PROGRESS", str(tmp_path / "progress.json"))
    progress = Progress(run="r", total_rows=None)
    clock[0] += 0.4
    progress.update(1_000)
    assert not (tmp_path / "progress.json").exists()
    clock[0] += 0.1
    progress.update(2_000)
    assert json.loads((tmp_path / "progress.json").read_text()) == {
        "rows": 2000,
        "totalRows": None,
        "rowsPerSecond": 4000.0,
    }


def test_metrics_are_served_while_a_port_is_given(monkeypatch):
    monkeypatch.setenv("DATAEFFICIENT_METRICS_PORT", "0")
    progress = Progress(run="c001-probe", total_rows=10)
    progress.update(5, force=True, kept_rows=3, train_loss=0.5)
    port = progress._server.server_port
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        body = answer.read().decode()
    progress.close()
    assert 'dataefficient_trainer_rows{run="c001-probe"} 5.0' in body
    assert 'dataefficient_trainer_train_loss{run="c001-probe"} 0.5' in body


def test_a_given_registry_is_filled_and_nothing_is_served():
    registry = CollectorRegistry()
    Progress(run="r", total_rows=None, registry=registry).update(7, force=True)
    assert registry.get_sample_value("dataefficient_trainer_rows", {"run": "r"}) == 7.0


def test_a_port_that_cannot_be_used_is_named(monkeypatch):
    monkeypatch.setenv("DATAEFFICIENT_METRICS_PORT", "eighty")
    with pytest.raises(UserError, match="DATAEFFICIENT_METRICS_PORT: cannot listen"):
        Progress(run="r", total_rows=None)


def test_a_run_leaves_its_last_progress(stream, tmp_path, monkeypatch):
    monkeypatch.setenv("DATAEFFICIENT_PROGRESS", str(tmp_path / "progress.json"))
    launch(make_request(stream, tmp_path))
    assert json.loads((tmp_path / "progress.json").read_text())["rows"] == 20_000
