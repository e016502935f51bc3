"""Settings of all tests: what a slow machine must not fail, and what a missing program must not hide."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

MISSING_PROGRAM = "NOT TESTED"
"""How the reason of a skip begins when a real program is not to be had."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what tests have to tell; loudly, and by name, what was not tested for want of a program."""
    for report in terminalreporter.stats.get("passed", []):
        for told in (value for name, value in report.user_properties if name == "told"):
            terminalreporter.write_line(str(told))
    missing = [
        (report.nodeid, reason.partition(MISSING_PROGRAM)[2].lstrip(": "))
        for report in terminalreporter.stats.get("skipped", [])
        if MISSING_PROGRAM in (reason := str(report.longrepr))
    ]
    if missing:
        terminalreporter.write_sep("!", f"{len(missing)} tests need a program that is missing", red=True)
        for test, reason in missing:
            terminalreporter.write_line(f"{test}: {reason.rstrip(')').strip(chr(39))}", red=True)
