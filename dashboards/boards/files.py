"""The dashboards as files of the chart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from boards.fleet import fleet
from boards.operators import operators
from boards.resource import resource
from boards.trainer import trainer

FOLDER = Path(__file__).parents[2] / "charts" / "data-efficient-training" / "dashboards"


def boards() -> dict[str, dict[str, Any]]:
    """Each dashboard as Grafana reads it, by the name of its file without the ending."""
    return {"fleet": fleet(), "resource": resource(), "trainer": trainer(), "operator": operators()}


def files() -> dict[str, str]:
    """Text of each file, by name."""
    return {f"{name}.json": f"{json.dumps(one, indent=1)}\n" for name, one in boards().items()}
