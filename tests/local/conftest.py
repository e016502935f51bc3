"""Resources and work folders for the local driver's tests."""

import sys
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


def resource_body(folder, *, faults="", seconds="0.02", cycles=3, sizes=(4, 8), **spec):
    """A resource of ``cycles`` cycles whose trainer is the fake one, noting its launches in ``folder``."""
    env = {"FAKE_FAULTS": faults, "FAKE_SECONDS": seconds, "FAKE_LAUNCHES": str(folder / "launches")}
    container = {
        "name": "trainer",
        "command": ["python", "-S", str(HERE / "fake_trainer.py")],
        "env": [{"name": name, "value": value} for name, value in env.items()],
    }
    return {
        "apiVersion": "dataefficient.training/v1alpha1",
        "kind": "DataEfficientTraining",
        "metadata": {"name": "fake"},
        "spec": {
            "mode": "Enforce",
            "schedule": {
                "historyFrom": "2001-01-01T00:00:00Z",
                "startTime": "2001-02-01T00:00:00Z",
                "everySeconds": 86400 * 7,
                "endTime": f"2001-02-{1 + 7 * (cycles - 1):02d}T01:00:00Z",
            },
            "data": {"uri": ".", "time": "t", "label": "y", "key": ["k"]},
            "kpi": {"target": "0.47", "tolerance": "0.02"},
            "knobs": {"modelSize": {"values": list(sizes)}},
            "trainer": {"template": {"spec": {"containers": [container]}}},
            **spec,
        },
    }


@pytest.fixture
def write(tmp_path):
    """Writes a resource file; keyword arguments as for ``resource_body``."""

    def write_file(**changes):
        path = tmp_path / "fake.yaml"
        path.write_text(yaml.safe_dump(resource_body(tmp_path, **changes)))
        return path

    return write_file


@pytest.fixture
def launches(tmp_path):
    """Reads the launches that the fake trainer noted, as ``start RUN`` and ``end RUN``."""

    def read():
        path = tmp_path / "launches"
        return path.read_text().splitlines() if path.exists() else []

    return read
