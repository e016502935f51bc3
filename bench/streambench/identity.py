"""What a result depends on, as digests: the rows, the trainer's sources, the planner's, the machine.

A digest answers one question, "would this be the same if it were done again?"; what belongs into which
digest is said here and nowhere else.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dataefficient.local.drive import cores
from streambench.streams import ROOT

TRAINER = (
    "trainer/dataefficient_trainer",
    "operator/dataefficient/contract",
    *(f"operator/dataefficient/local/{name}.py" for name in ("guard", "launcher", "process", "zygote")),
)
"""What a run gives and takes: the trainer, and how it is launched."""
PLANNER = tuple(f"operator/dataefficient/{part}" for part in ("contract", "api", "planner", "cycle", "local"))
LIBRARIES = ("torch", "numpy", "pyarrow", "scipy")


def of_sources(places: Iterable[str], root: Path = ROOT) -> str:
    """Digest of all Python files at or under ``places``, their paths included."""
    total = hashlib.sha256()
    for place in (root / place for place in places):
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            total.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()


@functools.cache
def of_file(path: Path) -> str:
    """Digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Machine:
    """Where costs were measured."""

    cpu: str
    cores: int
    python: str
    libraries: Mapping[str, str]

    @classmethod
    def here(cls) -> Machine:
        """This machine."""
        versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
        return cls(_cpu(), cores(), platform.python_version(), versions)

    def digest(self) -> str:
        """What a run's seconds and last bits depend on. The number of cores does not: a run has its own."""
        text = "\0".join([self.cpu, self.python, *(f"{k}={v}" for k, v in sorted(self.libraries.items()))])
        return hashlib.sha256(text.encode()).hexdigest()


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def commit() -> str:
    """The commit of the sources, with ``+changes`` where they differ from it."""

    def git(*words: str) -> str:
        ended = subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False, timeout=60
        )
        return ended.stdout.strip() if ended.returncode == 0 else ""

    head = git("rev-parse", "--short=12", "HEAD")
    if not head:
        return "unknown"
    changed = git("status", "--porcelain", "--", "operator", "trainer", "bench/streambench")
    return head + ("+changes" if changed else "")
