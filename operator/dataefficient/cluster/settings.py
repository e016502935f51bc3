"""What the operator is told when it starts; nothing here can be changed while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dataefficient.telemetry.logs import Format


@dataclass(frozen=True)
class Settings:
    """One operator process."""

    namespaces: tuple[str, ...] = ()
    """Namespaces whose resources are driven; empty: all of them."""
    leader_election: bool = True
    """False: act at once. Only where it is certain that no other operator runs."""
    lease_name: str = "data-efficient-training"
    lease_namespace: str = "default"
    """Where the Lease lies; the operator's own namespace in a pod."""
    identity: str = ""
    """Name of this process in the Lease, unique among replicas."""
    lease_seconds: float = 15.0
    """A leader that has not renewed for so long has lost; another takes over then."""
    host: str = "0.0.0.0"  # noqa: S104 - the kubelet and Prometheus reach the pod by its address
    port: int = 8080
    """Serves /healthz, /readyz and /metrics."""
    log_format: Format = Format.TEXT
    log_level: str = "info"
    policy_file: Path | None = None
    """What the installation allows and supplies; see ``policy``."""
    resync_seconds: float = 600.0
    """Every resource is looked at again at least so often, whatever the watches missed."""
