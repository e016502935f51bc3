"""A control plane of the chart's own, since a release is something that the whole cluster sees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chart.helm import Helm
from chart.release import Release, released
from cluster.control_plane import ControlPlane
from cluster.programs import CONTROL_PLANE, MissingProgramError, find


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with the restricted namespaces ops (for releases), ads and shop (for tenants)."""
    try:
        find(*CONTROL_PLANE, "helm")
    except MissingProgramError as error:
        pytest.skip(f"NOT TESTED: {error}")
    with ControlPlane.started(folder=tmp_path_factory.mktemp("chart")) as plane:
        for name in ("ops", "ads", "shop"):
            plane.kubectl("create", "namespace", name)
            plane.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=30s", "-n", name)
            plane.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        yield plane


@pytest.fixture(scope="session")
def helm(own: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm for that control plane."""
    return Helm(own, folder=tmp_path_factory.mktemp("helm"))


@pytest.fixture
def release(own: ControlPlane, helm: Helm) -> Iterator[Release]:
    """A release that the test installs, taken away with its CustomResourceDefinition at the end."""
    with released(own, helm) as one:
        yield one
