"""Helm, kept to one control plane and to a folder of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from cluster.control_plane import ControlPlane
from cluster.programs import find

CHART = Path(__file__).parents[2] / "charts" / "data-efficient-training"


class HelmError(Exception):
    """Helm failed; the message is what it wrote."""


class Helm:
    """Runs helm against one control plane, as admin.

    Raises:
        MissingProgramError: helm is not built.
    """

    def __init__(self, cluster: ControlPlane, *, folder: Path) -> None:
        self._program = find("helm")["helm"]
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(cluster.kubeconfig),
            "HELM_CACHE_HOME": str(folder / "cache"),
            "HELM_CONFIG_HOME": str(folder / "config"),
            "HELM_DATA_HOME": str(folder / "data"),
        }

    def __call__(self, *arguments: str, values: dict[str, Any] | None = None) -> str:
        """What helm printed; `values` are given as a values file."""
        given = ["--values=-"] if values else []
        done = subprocess.run(
            [self._program, *arguments, *given],
            input=yaml.safe_dump(values) if values else "",
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise HelmError(done.stderr.strip())
        return done.stdout

    def rendered(self, *arguments: str, values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """The chart's objects, not installed."""
        text = self("template", "det", str(CHART), *arguments, values=values)
        return [one for one in yaml.safe_load_all(text) if one]
