"""``python -m dataefficient_trainer``: one run, told by the environment, ended by an exit code.

Reads the request named by ``DATAEFFICIENT_REQUEST``, writes the report named by
``DATAEFFICIENT_REPORT``, and says what is wrong in one line. Heavy imports wait until the request has
been read: a wrong one is answered at once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from dataefficient.contract import (
    REPORT_VARIABLE,
    REQUEST_VARIABLE,
    ContractError,
    ExitCode,
    RunRequest,
    parse_request,
)
from dataefficient_trainer.errors import TrainerError, UserError

_IMPORTED = time.time()


def process_start() -> float:
    """Unix time at which this process began; the import of this module where the system does not tell."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        age = uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return min(_IMPORTED, time.time() - age)
    except (OSError, ValueError, IndexError):
        return _IMPORTED


class _Stop:
    """True once SIGTERM has arrived."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def handle(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.asked = True


def _paths() -> tuple[Path, Path]:
    found = []
    for name in (REQUEST_VARIABLE, REPORT_VARIABLE):
        value = os.environ.get(name)
        if not value:
            raise UserError(f"{name} is not set; it names the file of the run's request or report")
        found.append(Path(value))
    return found[0], found[1]


def _read_request(path: Path) -> RunRequest:
    try:
        return parse_request(path.read_bytes())
    except OSError as error:
        raise UserError(f"{REQUEST_VARIABLE}: cannot read {path}: {error.strerror}") from error
    except ContractError as error:
        raise UserError(str(error)) from error


def run(stop: _Stop) -> None:
    """Do the run that the environment names.

    Raises:
        TrainerError: of the kind that decides the exit code.
    """
    request_path, report_path = _paths()
    request = _read_request(request_path)
    from dataefficient_trainer.launch import launch  # noqa: PLC0415 - after the request was read

    launch(request, report_path, stop, process_start())


def main() -> int:
    """Run and return the exit code."""
    stop = _Stop()
    signal.signal(signal.SIGTERM, stop.handle)
    try:
        run(stop)
    except TrainerError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.code)
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
