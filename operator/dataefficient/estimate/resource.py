"""From a log and its features to a resource file that ``detctl run`` replays on the same log."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from dataefficient.api.load import parse_resource
from dataefficient.contract import MIN_PAIRED_BLOCKS, Policy, format_time
from dataefficient.estimate import plan
from dataefficient.estimate.delimited import CRITEO
from dataefficient.estimate.log import ROWS_FROM, format_in
from dataefficient.estimate.runs import instant
from dataefficient.estimate.survey import Options, Prepared
from dataefficient.estimate.working import LATE_MARGIN

_CYCLES = 6
_UNITS = (timedelta(days=1), timedelta(hours=1))
"""A cycle is a whole number of the first of these of which it is three quarters or more: cycles with other
times of day in them are not alike."""
_SHORTEST = timedelta(minutes=1)
"""A cycle, by the API."""
_MAX_KEY = 16


def resource(options: Options, prepared: Prepared, learning_rate: float | None) -> str:
    """The resource as YAML: about half of the log is history, six retrainings follow if all can be judged.

    It is read back through the API before it is returned, so it is valid.
    """
    times, roles = prepared.working.times, options.roles
    begin, last = (instant(time).replace(microsecond=0) for time in (times[0], times[-1]))
    end = last + timedelta(seconds=1)
    cycles, every = retrainings(times, end - begin)
    config: dict[str, Any] = {"features": prepared.features.config()}
    if learning_rate not in (None, 1.0):
        config["learningRate"] = learning_rate
    if roles.any_of:
        config["label"] = {"anyOf": list(roles.any_of)}
    elif roles.at_least is not None or roles.equals:
        config["label"] = {"column": roles.label}
    if roles.at_least is not None:
        config["label"]["atLeast"] = roles.at_least
    if roles.equals:
        config["label"]["equals"] = list(roles.equals)
    if time := _time(options, prepared):
        config["time"] = time
    names = prepared.log.names
    if names == CRITEO:
        config["format"] = "criteo"
    elif format_in(options.path) is None:
        config["format"] = prepared.log.format
    if names is not None and names != CRITEO:
        config["columns"] = list(names)
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
                "historyFrom": format_time(begin),
                "startTime": format_time(max(end - cycles * every, begin + timedelta(seconds=1))),
                "everySeconds": int(every.total_seconds()),
                "endTime": format_time(end),
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


def retrainings(times: npt.NDArray[np.int64], span: timedelta) -> tuple[int, timedelta]:
    """How many cycles the later half of a log is cut into, and how long each is.

    A cycle is a whole number of days, or of hours, where that is near, with times enough in it to be judged.

    Args:
        times: of the log's rows, ascending.
        span: from the first to the last.
    """
    separate = len(np.unique(times[times > (times[0] + times[-1]) // 2]))
    cycles = max(1, min(_CYCLES, separate // (MIN_PAIRED_BLOCKS + 1), span // 2 // _SHORTEST))
    wanted = span / 2 / cycles
    unit = next((unit for unit in _UNITS if wanted >= 0.75 * unit), timedelta(seconds=1))
    return cycles, max(round(wanted / unit) * unit, _SHORTEST)


def _time(options: Options, prepared: Prepared) -> dict[str, Any]:
    """How the reference trainer finds the time."""
    working = prepared.working
    told = {
        "unit": working.time_unit,
        "format": working.time_format,
        "lateSeconds": LATE_MARGIN * working.late if working.late else None,
        "rowStart": format_time(ROWS_FROM) if options.roles.in_order else None,
    }
    return {name: value for name, value in told.items() if value is not None}


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
