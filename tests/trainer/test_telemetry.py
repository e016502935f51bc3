import json
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from dataefficient.telemetry.reference import TRAINER
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


def test_a_pod_is_scraped_from_outside_and_a_machine_of_many_only_from_itself(monkeypatch):
    monkeypatch.setenv("DATAEFFICIENT_METRICS_PORT", "0")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    for host, address in (("", "127.0.0.1"), ("10.0.0.1", "0.0.0.0")):
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
        progress = Progress(run="r", total_rows=None)
        assert progress._server.server_address[0] == address
        progress.close()


def test_what_a_run_does_not_know_yet_is_absent():
    registry = CollectorRegistry()
    progress = Progress(run="r", total_rows=None, registry=registry)
    progress.update(7, force=True, phases={"read": 1.5}, gradient_norm=lambda: None)
    seconds = registry.get_sample_value("dataefficient_trainer_phase_seconds", {"run": "r", "phase": "read"})
    assert seconds == 1.5
    assert registry.get_sample_value("dataefficient_trainer_gradient_norm", {"run": "r"}) is None
    assert registry.get_sample_value("dataefficient_trainer_train_loss", {"run": "r"}) is None
    progress.update(7, force=True, gradient_norm=lambda: 0.25)
    assert registry.get_sample_value("dataefficient_trainer_gradient_norm", {"run": "r"}) == 0.25


def test_the_reference_page_names_what_is_served():
    registry = CollectorRegistry()
    Progress(run="r", total_rows=None, registry=registry)
    served = {metric.name: metric.documentation for metric in registry.collect()}
    assert served == {f"dataefficient_trainer_{name}": text for name, _, text in TRAINER}


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
