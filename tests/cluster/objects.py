"""Resources, Jobs and pods as the API server gives them, for tests."""

import copy
import gzip
from dataclasses import replace
from random import Random

from cycle.playing import made_up_report, schedule
from dataefficient.api.load import parse_object
from dataefficient.contract import Policy, Role, to_json
from dataefficient.cycle.launch import Wanted, name, plan_run
from dataefficient.cycle.model import Memory
from dataefficient.planner.knobs import Point

UID = "0b8c1c52-5a2c-4f0c-9a1a-1d7f6f2a9d01"


def body(
    *, uid=UID, generation=1, resource_name="made-up", cycles=6, template=None, annotations=None, **spec
):
    """A resource; ``spec`` replaces whole fields, and None removes one."""
    fields = {
        "mode": "Enforce",
        "schedule": schedule(cycles),
        "data": {"uri": "s3://bucket/events", "time": "time", "label": "click", "key": ["id"]},
        "kpi": {"tolerance": "0.02", "maxRegression": "0.02"},
        "knobs": {"samplingRate": {"min": "0.2", "max": "1"}, "modelSize": {"values": [8, 32]}},
        "exploration": {"share": "0.3"},
        "control": {"everyCycles": 4, "lookbackCycles": 2},
        "limits": {"maxAttempts": 3},
        "checkpoints": {"uri": "s3://bucket/checkpoints"},
        "accelerators": [{"name": "cpu", "resource": "cpu", "pricePerDeviceHour": "2"}],
        "trainer": {"template": template or pod_template()},
        **spec,
    }
    return {
        "apiVersion": "dataefficient.training/v1alpha1",
        "kind": "DataEfficientTraining",
        "metadata": {
            "name": resource_name,
            "namespace": "default",
            "uid": uid,
            "generation": generation,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            **({"annotations": annotations} if annotations else {}),
        },
        "spec": copy.deepcopy({k: v for k, v in fields.items() if v is not None}),
    }


def pod_template(**pod):
    return {"spec": {"containers": [{"name": "trainer", "image": "trainer:1", "command": ["train"]}], **pod}}


def resource(**changes):
    return parse_object(body(**changes), "made-up")


def plan(parsed, run="pilot", *, attempt=1, reserved=600.0):
    """A run that is to be launched."""
    history = parsed.spec.schedule
    span = (history.history_from, history.start_time)
    point = Point(Policy.UNIFORM, 1.0, 32)
    wanted = Wanted(name(0, run), Role.PROBE, point, span, span)
    return replace(plan_run(parsed.spec, Memory("default/made-up"), wanted, reserved), attempt=attempt)


def job(*conditions, suspend=False, **status):
    """A Job that was read from the server, with conditions (type, reason, message, time)."""
    return {
        "metadata": {"name": "made-up-job", "namespace": "default", "uid": "job-uid"},
        "spec": {"parallelism": 1, **({"suspend": True} if suspend else {})},
        "status": {
            "startTime": "2026-01-01T00:00:00Z",
            "conditions": [
                {"type": t, "status": "True", "reason": r, "message": m, "lastTransitionTime": at}
                for t, r, m, at in conditions
            ],
            **status,
        },
    }


COMPLETE = ("Complete", "", "", "2026-01-01T00:02:00Z")
FAILED = (
    "Failed",
    "BackoffLimitExceeded",
    "Job has reached the specified backoff limit",
    "2026-01-01T00:02:00Z",
)
LATE = ("Failed", "DeadlineExceeded", "Job was active longer than specified deadline", "2026-01-01T00:02:00Z")
SCHEDULED = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:01:00Z"}
DISRUPTED = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "PreemptionByScheduler",
    "message": "default-scheduler: preempting to accommodate a higher priority pod",
    "lastTransitionTime": "2026-01-01T00:01:30Z",
}


def pod(
    *, code=None, message="", reason="Error", conditions=(SCHEDULED,), index=None, waiting=None, **status
):
    """The Job's pod: ended with ``code``, or waiting, or running."""
    state = {"running": {}}
    if code is not None:
        state = {
            "terminated": {
                "exitCode": code,
                "reason": "Completed" if code == 0 else reason,
                "finishedAt": "2026-01-01T00:01:40Z",
                **({"message": message} if message else {}),
            }
        }
    if waiting is not None:
        state = {"waiting": waiting}
    labels = {"batch.kubernetes.io/job-name": "made-up-job"}
    if index is not None:
        labels["batch.kubernetes.io/job-completion-index"] = str(index)
    return {
        "metadata": {
            "name": f"made-up-job-{index or 0}",
            "namespace": "default",
            "uid": f"pod-{index or 0}",
            "labels": labels,
            "ownerReferences": [{"uid": "job-uid", "controller": True}],
            "creationTimestamp": "2026-01-01T00:00:10Z",
        },
        "status": {
            "conditions": list(conditions),
            "containerStatuses": [{"name": "trainer", "image": "trainer:1", "state": state}],
            **status,
        },
    }


def report_text(parsed_plan):
    return to_json(made_up_report(parsed_plan, Random(1)))


def as_work_folder(folder, held):
    """Lay what a cluster keeps out as the local driver does."""
    (folder / "decisions").mkdir(parents=True)
    (folder / "resources").mkdir()
    for file, data in held.items():
        kind, _, rest = file.partition("-")
        key = rest.split(".")[0]
        if kind == "resource":
            (folder / "resources" / f"{key}.yaml").write_bytes(gzip.decompress(data))
        else:
            (folder / "decisions" / f"cycle-{int(key):03d}.jsonl.gz").write_bytes(data)
