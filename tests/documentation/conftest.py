"""A control plane for the docs, started once for each process that runs tests, and only if a page needs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chart.helm import Helm
from cluster.control_plane import ControlPlane
from cluster.programs import CONTROL_PLANE, MissingProgramError, find


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server with its controllers, and nothing installed."""
    try:
        find(*CONTROL_PLANE, "helm")
    except MissingProgramError as error:
        pytest.skip(f"NOT TESTED: {error}")
    with ControlPlane.started(folder=tmp_path_factory.mktemp("docs")) as plane:
        yield plane


@pytest.fixture(scope="session")
def helm(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm for that control plane."""
    return Helm(cluster, folder=tmp_path_factory.mktemp("helm"))
