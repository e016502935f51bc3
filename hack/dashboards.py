"""Writes the dashboards, charts/data-efficient-training/dashboards/*.json, from dashboards/boards."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "dashboards"))

from boards.files import FOLDER, files  # noqa: E402

FOLDER.mkdir(exist_ok=True)
for name, text in files().items():
    (FOLDER / name).write_text(text)
