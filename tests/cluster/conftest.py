"""A real control plane for the tests of this folder, started once for each process that runs tests.

With `pytest -n 2` there are two of them. They share nothing, so a test may restart a server or install what
a whole cluster sees; other tests of the same process run before or after it, each in its own namespace.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.control_plane import ControlPlane
from cluster.installed import installed, refused_rights
from cluster.node import TestNode
from cluster.programs import CONTROL_PLANE, MissingProgramError, find
from cluster.running import Operator, operating

CRD = Path(__file__).parents[2] / "crds" / "dataefficienttraining.yaml"


@pytest.fixture(scope="session")
def cluster_programs() -> None:
    """Skip, by name, what cannot run without the real Kubernetes."""
    try:
        find(*CONTROL_PLANE, "helm")
    except MissingProgramError as error:
        pytest.skip(f"NOT TESTED: {error}")


@pytest.fixture(scope="session")
def cluster(cluster_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The control plane of this process."""
    with ControlPlane.started(folder=tmp_path_factory.mktemp("cluster")) as plane:
        yield plane


@pytest.fixture(scope="session")
def kind(cluster: ControlPlane) -> str:
    """The resource's kind, made known to the control plane from `crds/`; gives its name for kubectl."""
    cluster.kubectl("apply", f"--filename={CRD}")
    return cluster.await_kind("dataefficienttrainings.dataefficient.training")


@pytest.fixture
def namespace(cluster: ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of this test's own, ready for pods."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-")
    name = f"{words}-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=30s", "--namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def operator(
    cluster: ControlPlane, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """An operator of the whole cluster with the rights that the chart gives it, which have to suffice."""
    folder = tmp_path_factory.mktemp("operator")
    with installed(cluster, folder) as place, operating(place, folder, None, *place.options) as one:
        yield one.ready()
        assert refused_rights(one) == []


@pytest.fixture
def node(cluster: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[TestNode]:
    """A node that runs the pods of this test, with four accelerators."""
    with TestNode.started(cluster, folder=tmp_path / "node", capacity={"nvidia.com/gpu": "4"}) as one:
        yield one
