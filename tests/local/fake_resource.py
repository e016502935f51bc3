"""Resources whose trainer is the fake one."""

from pathlib import Path

TRAINER = Path(__file__).with_name("fake_trainer.py")


def resource_body(folder, *, faults="", seconds="0.02", cycles=3, sizes=(4, 8), riders="", **spec):
    """A resource of ``cycles`` cycles whose trainer is the fake one, noting its launches in ``folder``."""
    env = {"FAKE_FAULTS": faults, "FAKE_SECONDS": seconds, "FAKE_LAUNCHES": str(folder / "launches")}
    env["FAKE_RIDERS"] = riders
    container = {
        "name": "trainer",
        "command": ["python", "-S", str(TRAINER)],
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
