"""Installing, upgrading, uninstalling and installing again, with real pods' admission."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.asking import resource
from chart.helm import CHART, Helm, HelmError
from chart.release import KIND, Release
from cluster.control_plane import ControlPlane
from dataefficient.api.crd import render_crd

RELEASED = Path(__file__).parent / "released"


def test_the_chart_has_no_fault_that_helm_can_find(helm: Helm):
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))


def test_the_packaged_chart_carries_the_generated_definition(helm: Helm, tmp_path: Path):
    helm("package", str(CHART), f"--destination={tmp_path}")
    (archive,) = tmp_path.glob("data-efficient-training-*.tgz")
    shown = yaml.safe_load_all(helm("template", "det", str(archive), "--show-only=templates/crd.yaml"))
    (installed,) = [one for one in shown if one]
    assert installed["spec"] == yaml.safe_load(render_crd())["spec"]
    assert installed["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_resources_outlive_the_release_and_go_on_under_another(own: ControlPlane, release: Release):
    release.install()
    own.apply(resource())
    release.upgrade(values={"replicas": 2})
    assert own.get("deployment", "det-data-efficient-training", "-n", "ops")["spec"]["replicas"] == 2
    release.uninstall()
    assert own.get("all", "-n", "ops")["items"] == []
    assert own.get("det", "late-flights", "-n", "ads")["metadata"]["name"] == "late-flights"
    with pytest.raises(HelmError, match="cannot be imported into the current release"):
        release.install("other")
    release.install("other", "--take-ownership")
    assert own.get("det", "late-flights", "-n", "ads")["metadata"]["name"] == "late-flights"
    release.upgrade(values={"replicas": 2})


@pytest.mark.parametrize("archive", sorted(RELEASED.glob("*.tgz")), ids=lambda path: str(path.stem))
def test_every_released_chart_upgrades_to_this_one_with_its_resources(
    own: ControlPlane, release: Release, archive: Path
):
    release.install(chart=archive)
    own.apply(resource())
    before = own.get("det", "late-flights", "-n", "ads")
    release.upgrade()
    after = own.get("det", "late-flights", "-n", "ads")
    assert (after["metadata"]["uid"], after["spec"]) == (before["metadata"]["uid"], before["spec"])
    definition = own.get("crd", KIND)
    assert definition["spec"]["versions"] == yaml.safe_load(render_crd())["spec"]["versions"]


@pytest.mark.parametrize("archive", sorted(RELEASED.glob("*.tgz")), ids=lambda path: str(path.stem))
def test_an_upgrade_can_be_rolled_back_and_made_again_without_touching_resources(
    own: ControlPlane, release: Release, archive: Path
):
    def image() -> str:
        (container,) = deployment(own)["spec"]["template"]["spec"]["containers"]
        return str(container["image"])

    release.install(chart=archive)
    own.apply(resource())
    earlier, definition = image(), own.get("crd", KIND)["spec"]
    before = own.get("det", "late-flights", "-n", "ads")
    release.upgrade(values={"replicas": 2, "podDisruptionBudget": {"enabled": True}})
    assert image() != earlier
    release.roll_back(1)
    assert image() == earlier
    assert deployment(own)["spec"]["replicas"] == 1
    assert own.get("poddisruptionbudgets", "-n", "ops")["items"] == []
    assert own.get("crd", KIND)["spec"] == definition
    after = own.get("det", "late-flights", "-n", "ads")
    assert (after["metadata"]["uid"], after["spec"]) == (before["metadata"]["uid"], before["spec"])
    release.upgrade()
    assert image() != earlier


def deployment(own: ControlPlane) -> dict[str, Any]:
    found: dict[str, Any] = own.get("deployment", "det-data-efficient-training", "-n", "ops")
    return found


def test_the_operators_pod_passes_the_restricted_standard(own: ControlPlane, release: Release):
    release.install()
    own.kubectl(
        "wait",
        "--for=create",
        "pod",
        "--selector=app.kubernetes.io/instance=det",
        "-n",
        "ops",
        "--timeout=30s",
    )
    (pod,) = own.get("pods", "-n", "ops")["items"]
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["spec"]["securityContext"]["runAsUser"] > 0


def test_the_test_of_the_release_is_a_pod_that_may_run(own: ControlPlane, helm: Helm):
    pods = helm.rendered("--namespace=ops", "--show-only=templates/tests/ready.yaml")
    assert "created (server dry run)" in own.kubectl("create", "--dry-run=server", "--filename=-", given=pods)
