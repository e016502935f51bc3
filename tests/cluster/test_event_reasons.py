"""The page of events names every reason that the code gives, and none that it does not."""

import re
from pathlib import Path

from dataefficient.cluster.telling import WARNINGS
from dataefficient.cycle.model import EXHAUSTED, FailureKind

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator" / "dataefficient"
SPEAKING = [
    *(f"cycle/{name}.py" for name in ("machine", "judging", "looks", "branches", "births", "planning")),
    *(f"cycle/{name}.py" for name in ("proposing", "wishing", "undoing", "comparing")),
    *(f"cluster/{name}.py" for name in ("reconcile", "telling", "runs", "waiting")),
    "planner/choice.py",
]
"""Modules in which reasons are given."""
NOT_REASONS = {
    *("Chosen", "Inside", "ConfigMap", "Job", "Succeeded", "RunPlan", "False", "PodScheduled"),
    *("SchedulingGated", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"),
    *("ErrImageNeverPull", "ErrImagePull", "ImageInspectError", "ImagePullBackOff", "InvalidImageName"),
    *("RegistryUnavailable", "SignatureValidationFailed", "BudgetTooSmall"),
}
"""Other words of the same form in them."""


def documented():
    lines = [
        line for line in (ROOT / "docs" / "events.md").read_text().splitlines() if line.startswith("| `")
    ]
    return {word for line in lines for word in re.findall(r"`([A-Z][A-Za-z]+)`", line.split("|")[1])}


def given():
    text = "".join((PACKAGE / name).read_text() for name in SPEAKING)
    return {*re.findall(r'"([A-Z][a-z]+(?:[A-Z][a-z]+)*)"', text), EXHAUSTED} - NOT_REASONS


def test_every_reason_is_explained_and_none_that_is_not_given():
    assert given() - documented() == set()
    assert documented() - given() == set()


def test_every_reason_that_warns_is_called_a_warning():
    rows = (ROOT / "docs" / "events.md").read_text().splitlines()
    for reason in WARNINGS:
        (row,) = [row for row in rows if row.startswith("|") and f"`{reason}`" in row.split("|")[1]]
        assert "**warning**" in row, reason


def test_failures_that_stop_a_resource_are_kinds_of_failure():
    for word in re.findall(r"such as (.*?) \|", (ROOT / "docs" / "events.md").read_text())[0].split(", "):
        assert word.strip("`") in {kind.value for kind in FailureKind}
