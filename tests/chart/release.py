"""One installation of the chart, from helm install to the last trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chart.helm import CHART, Helm
from cluster.control_plane import ControlPlane

KIND = "dataefficienttrainings.dataefficient.training"


class Release:
    """The chart under a name, in the namespace ops."""

    def __init__(self, own: ControlPlane, helm: Helm) -> None:
        self._own = own
        self._helm = helm
        self.name = ""

    def install(
        self, name: str = "det", *flags: str, chart: Path = CHART, values: dict[str, Any] | None = None
    ) -> str:
        """Install, and give the notes."""
        said = self._helm("install", name, str(chart), "--namespace=ops", *flags, values=values)
        self.name = name
        self._own.await_kind(KIND)
        return said

    def upgrade(self, *, values: dict[str, Any] | None = None) -> None:
        """Upgrade to the chart as it is now, perhaps with other values."""
        self._helm("upgrade", self.name, str(CHART), "--namespace=ops", values=values)

    def roll_back(self, revision: int) -> None:
        """Go back to an earlier revision of the release."""
        self._helm("rollback", self.name, str(revision), "--namespace=ops")

    def uninstall(self) -> None:
        """Uninstall, and wait until everything is gone."""
        self._helm("uninstall", self.name, "--namespace=ops", "--wait")
        self.name = ""


@contextmanager
def released(own: ControlPlane, helm: Helm) -> Iterator[Release]:
    """A release to install; at the end nothing of it is left, resources included."""
    one = Release(own, helm)
    try:
        yield one
    finally:
        if one.name:
            one.uninstall()
        own.kubectl("delete", "crd", KIND, "--ignore-not-found", "--timeout=30s")
