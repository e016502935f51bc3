"""What people see while a run lasts: the progress file, and ``/metrics`` where a port is given.

Nothing decides on these numbers; the report does that.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from dataefficient.contract import METRICS_PORT_VARIABLE, PROGRESS_VARIABLE
from dataefficient_trainer.errors import UserError

INTERVAL_SECONDS = 0.5


class Progress:
    """Counts rows and publishes them about twice a second."""

    def __init__(self, *, run: str, total_rows: int | None, registry: Any = None) -> None:
        """``registry``: a prometheus registry to serve and fill; None makes one if a port is asked for."""
        self.total_rows = total_rows
        self._path = os.environ.get(PROGRESS_VARIABLE)
        self._started = self._published = time.monotonic()
        self._first = 0
        self._gauges: dict[str, Any] = {}
        self._server: Any = None
        port = os.environ.get(METRICS_PORT_VARIABLE)
        if port is not None or registry is not None:
            self._serve(port, run, registry)

    def _serve(self, port: str | None, run: str, registry: Any) -> None:
        from prometheus_client import (  # noqa: PLC0415 - most runs serve nothing
            CollectorRegistry,
            Gauge,
            start_http_server,
        )

        registry = registry or CollectorRegistry()
        for name, what in (
            ("rows", "Rows read of the run's intervals."),
            ("rows_per_second", "Rows read a second since the first row."),
            ("kept_rows", "Rows trained on."),
            ("evaluated_rows", "Rows scored."),
            ("bad_rows", "Rows refused."),
            ("train_loss", "Mean log loss of recent training batches, on sampled rows."),
        ):
            gauge = Gauge(f"dataefficient_trainer_{name}", what, ["run"], registry=registry)
            self._gauges[name] = gauge.labels(run)
        if port is None:
            return
        try:
            self._server = start_http_server(int(port), addr="127.0.0.1", registry=registry)[0]
        except (OSError, ValueError, OverflowError) as error:
            raise UserError(
                f"{METRICS_PORT_VARIABLE}: cannot listen on 127.0.0.1 port {port!r}: {error}"
            ) from error

    def resume_at(self, rows: int) -> None:
        """Rows done by an earlier process do not count for the speed."""
        self._first = rows

    def update(self, rows: int, *, force: bool = False, **values: float) -> None:
        """Publish if it is time."""
        now = time.monotonic()
        if not force and now - self._published < INTERVAL_SECONDS:
            return
        self._published = now
        speed = (rows - self._first) / max(now - self._started, 1e-9)
        for name, value in {"rows": rows, "rows_per_second": speed, **values}.items():
            if name in self._gauges:
                self._gauges[name].set(value)
        if self._path:
            body = {"rows": rows, "totalRows": self.total_rows, "rowsPerSecond": round(speed, 1)}
            beside = Path(f"{self._path}.part")
            beside.write_text(json.dumps(body))
            beside.replace(self._path)

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
