"""What people see while a run lasts: the progress file, and ``/metrics`` where a port is given.

Nothing decides on these numbers; the report does that.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dataefficient.contract import METRICS_PORT_VARIABLE, PROGRESS_VARIABLE
from dataefficient_trainer.errors import UserError

INTERVAL_SECONDS = 0.5
_LOOPBACK, _ANYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - see _address
_IN_A_POD = "KUBERNETES_SERVICE_HOST"
"""Set by the kubelet in every container."""
PREFIX = "dataefficient_trainer_"
PHASE_SECONDS = "Seconds so far by phase: read (the device waits for data), train, evaluate."
GAUGES = (
    ("rows", "Rows read of the run's intervals."),
    ("rows_per_second", "Rows read a second since the first row."),
    ("kept_rows", "Rows trained on."),
    ("evaluated_rows", "Rows scored."),
    ("bad_rows", "Rows refused."),
    ("train_loss", "Mean log loss of the run's training batches so far, on sampled rows, in nats."),
    (
        "gradient_norm",
        "Euclidean norm of the newest batch's mean gradient by bias and dense part, embeddings aside.",
    ),
)


def _address() -> str:
    """A pod's loopback cannot be scraped; a machine with other users is no pod."""
    return _ANYWHERE if os.environ.get(_IN_A_POD) else _LOOPBACK


class Progress:
    """Counts rows and publishes them about twice a second."""

    def __init__(self, *, run: str, total_rows: int | None, registry: Any = None) -> None:
        """``registry``: a prometheus registry to serve and fill; None makes one if a port is asked for."""
        self.total_rows = total_rows
        self._path = os.environ.get(PROGRESS_VARIABLE)
        self._started = self._published = time.monotonic()
        self._first = 0
        self._gauges: dict[str, Any] = {}
        self._phases: Any = None
        self._run = run
        self._server: Any = None
        port = os.environ.get(METRICS_PORT_VARIABLE)
        if port is not None or registry is not None:
            self._serve(port, registry)

    def _serve(self, port: str | None, registry: Any) -> None:
        from prometheus_client import (  # noqa: PLC0415 - most runs serve nothing
            CollectorRegistry,
            Gauge,
            start_http_server,
        )

        registry = registry or CollectorRegistry()
        for name, what in GAUGES:
            self._gauges[name] = Gauge(f"{PREFIX}{name}", what, ["run"], registry=registry)
        self._phases = Gauge(f"{PREFIX}phase_seconds", PHASE_SECONDS, ["run", "phase"], registry=registry)
        if port is None:
            return
        address = _address()
        try:
            self._server = start_http_server(int(port), addr=address, registry=registry)[0]
        except (OSError, ValueError, OverflowError) as error:
            raise UserError(
                f"{METRICS_PORT_VARIABLE}: cannot listen on {address} port {port!r}: {error}"
            ) from error

    def resume_at(self, rows: int) -> None:
        """Rows done by an earlier process do not count for the speed."""
        self._first = rows

    def update(
        self,
        rows: int,
        *,
        force: bool = False,
        phases: Mapping[str, float] | None = None,
        gradient_norm: Callable[[], float | None] | None = None,
        **values: float,
    ) -> None:
        """Publish if it is time.

        Args:
            phases: seconds so far, by phase.
            gradient_norm: computes it, because that waits for the device; None: nothing was trained yet.
        """
        now = time.monotonic()
        if not force and now - self._published < INTERVAL_SECONDS:
            return
        self._published = now
        speed = (rows - self._first) / max(now - self._started, 1e-9)
        for name, value in {"rows": rows, "rows_per_second": speed, **values}.items():
            if name in self._gauges:
                self._gauges[name].labels(self._run).set(value)
        if self._gauges:
            self._publish_training(phases or {}, gradient_norm)
        if self._path:
            body = {"rows": rows, "totalRows": self.total_rows, "rowsPerSecond": round(speed, 1)}
            beside = Path(f"{self._path}.part")
            beside.write_text(json.dumps(body))
            beside.replace(self._path)

    def _publish_training(
        self, phases: Mapping[str, float], gradient_norm: Callable[[], float | None] | None
    ) -> None:
        for phase, seconds in phases.items():
            self._phases.labels(self._run, phase).set(seconds)
        norm = gradient_norm() if gradient_norm else None
        if norm is not None:
            self._gauges["gradient_norm"].labels(self._run).set(norm)

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
