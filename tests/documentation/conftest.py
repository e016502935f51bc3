"""A control plane for the docs, once for each process that runs tests, and only if a page needs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chart.helm import Helm
from cluster.control_plane import ControlPlane
from cluster.programs import CONTROL_PLANE, MissingProgramError, find
from documentation.stage import Ground


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A real API server with its controllers, and helm for it."""
    try:
        find(*CONTROL_PLANE, "helm")
    except MissingProgramError as error:
        pytest.skip(f"NOT TESTED: {error}")
    with ControlPlane.started(folder=tmp_path_factory.mktemp("docs")) as plane:
        yield Ground(plane, Helm(plane, folder=tmp_path_factory.mktemp("helm")))
