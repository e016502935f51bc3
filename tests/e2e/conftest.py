"""The cluster of one real node, which lives as long as the tests; see `hack/e2e/run`, which runs them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from chart.helm import Helm
from cluster.control_plane import ControlPlane
from cluster.processes import Server
from cluster.programs import find
from e2e import node


@dataclass(frozen=True)
class Setting:
    """What the tests are run on."""

    folder: Path
    """For settings, logs and the volume; empty."""
    group: str
    images: Mapping[str, str]
    """operator, flights, prometheus, pause."""


@pytest.fixture(scope="session")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """From the environment that `hack/e2e/run` sets."""
    told = os.environ.get("DET_E2E")
    if told is None:
        pytest.skip("needs a cluster of its own; run: make e2e")
    given = json.loads(told)
    return Setting(tmp_path_factory.mktemp("e2e"), given["group"], given["images"])


@pytest.fixture(scope="session")
def cluster(setting: Setting) -> Iterator[ControlPlane]:
    """A control plane with one real node."""
    node.lay_bridge()
    with (
        ControlPlane.started(folder=setting.folder, address=node.GATEWAY) as plane,
        node.joined(plane, folder=setting.folder, group=setting.group, pause=setting.images["pause"]),
    ):
        yield plane


@pytest.fixture(scope="session")
def pod_times(cluster: ControlPlane, setting: Setting) -> Iterator[str]:
    """kube-state-metrics, on the node itself; gives where it is scraped."""
    server = Server(
        [
            find("kube-state-metrics")["kube-state-metrics"],
            f"--kubeconfig={cluster.kubeconfig}",
            "--resources=pods",
            f"--host={node.GATEWAY}",
            "--port=8081",
            f"--telemetry-host={node.GATEWAY}",
            "--telemetry-port=8082",
        ],
        log=setting.folder / "kube-state-metrics.log",
    )
    try:
        server.await_ok(f"http://{node.GATEWAY}:8081/livez")
        yield f"{node.GATEWAY}:8081"
    finally:
        server.stop()


@pytest.fixture(scope="session")
def helm(cluster: ControlPlane, setting: Setting) -> Helm:
    """Helm on this cluster."""
    return Helm(cluster, folder=setting.folder / "helm")
