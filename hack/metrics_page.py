"""Writes docs/metrics.md from the declarations of the metrics."""

from pathlib import Path

from dataefficient.telemetry.reference import page

(Path(__file__).parents[1] / "docs" / "metrics.md").write_text(page())
