"""Where the real programs are: etcd, the API server, the controllers, kubectl, helm.

Finds what `hack/cluster/build` built, or what KUBEBUILDER_ASSETS holds. It builds nothing: that takes minutes
and is a step of its own, before the tests.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BUILD = Path(__file__).parents[2] / "hack" / "cluster" / "build"
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")


class MissingProgramError(Exception):
    """A program that is neither given nor built."""


def find(*names: str) -> dict[str, Path]:
    """The path of each program.

    Raises:
        MissingProgramError: naming the first that is missing and how to build it.
    """
    found = subprocess.run(
        [sys.executable, BUILD, "--where", *names], capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise MissingProgramError(found.stderr.strip())
    return dict(zip(names, map(Path, found.stdout.split()), strict=True))
