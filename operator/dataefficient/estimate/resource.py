"""From a log and its features to a resource file that ``detctl run`` replays on the same log."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from dataefficient.api.load import parse_resource
from dataefficient.contract import Policy, format_time
from dataefficient.estimate import plan
from dataefficient.estimate.log import format_in
from dataefficient.estimate.runs import instant
from dataefficient.estimate.survey import Options, Prepared

_HISTORY_SHARE = 0.5
_CYCLES = 6
_MAX_KEY = 16


def resource(options: Options, prepared: Prepared, learning_rate: float | None) -> str:
    """The resource as YAML: half of the log is history, six retrainings follow.

    It is read back through the API before it is returned, so it is valid.
    """
    times, roles = prepared.working.times, options.roles
    begin, end = instant(times[0]), instant(times[-1])
    start = begin + timedelta(seconds=int((end - begin).total_seconds() * _HISTORY_SHARE))
    every = max(60, int((end - start).total_seconds() / _CYCLES))
    config: dict[str, Any] = {"features": prepared.features.config()}
    if learning_rate not in (None, 1.0):
        config["learningRate"] = learning_rate
    if roles.at_least is not None:
        config["label"] = {"column": roles.label, "atLeast": roles.at_least}
    if prepared.working.time_unit is not None:
        config["time"] = {"unit": prepared.working.time_unit}
    if prepared.working.time_format is not None:
        config["time"] = {"format": prepared.working.time_format}
    if format_in(options.path) is None:
        config["format"] = prepared.log.format
    data: dict[str, Any] = {
        "uri": options.path if "://" in options.path else str(Path(options.path).resolve()),
        "time": roles.time,
        "label": roles.label,
        "key": list(prepared.key[:_MAX_KEY]),
    }
    policies = [Policy.UNIFORM.value, Policy.NEGATIVES.value]
    if roles.served is not None:
        data["servedPrediction"] = roles.served
        policies.append(Policy.SCORED_NEGATIVES.value)
    body = {
        "apiVersion": "dataefficient.training/v1alpha1",
        "kind": "DataEfficientTraining",
        "metadata": {"name": _name(options.path)},
        "spec": {
            "mode": "Enforce",
            "schedule": {
                "historyFrom": format_time(begin.replace(microsecond=0)),
                "startTime": format_time(start.replace(microsecond=0)),
                "everySeconds": every,
                "endTime": format_time(end.replace(microsecond=0) + timedelta(seconds=1)),
            },
            "data": data,
            "kpi": {"tolerance": _decimal(options.tolerance)},
            "sampling": {"policies": policies},
            "knobs": {
                "samplingRate": {"min": _decimal(min(plan.NEGATIVE_RATES)), "max": "1"},
                "modelSize": {"values": [s for s in plan.SIZES if 1 < s <= plan.DEFAULT_SIZE]},
            },
            "trainer": {
                "config": config,
                "template": {"spec": {"containers": [{"name": "trainer", "command": _portable(options)}]}},
            },
        },
    }
    text = yaml.safe_dump(body, sort_keys=False, width=100)
    parse_resource(text, "the resource")
    return text


def _portable(options: Options) -> list[str]:
    """The trainer's command; this interpreter as plain ``python``, which detctl and images both know."""
    program, *arguments = options.command
    return ["python" if program == sys.executable else program, *arguments]


def _decimal(value: float) -> str:
    return format(Decimal(repr(value)).normalize(), "f")


def _name(path: str) -> str:
    stem = Path(path.rstrip("/")).name.split(".")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:40].strip("-")
    return name if name and name[0].isalpha() else f"log-{name}"[:40].strip("-")
