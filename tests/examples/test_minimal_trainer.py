"""The one-page trainer keeps the contract: it is driven here by requests written by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dataefficient import contract
from dataefficient.contract import Data, Evaluation, ExitCode, Policy, Role, RunReport, RunRequest, Train

EXAMPLES = Path(__file__).parents[2] / "examples"
TRAINER = EXAMPLES / "minimal-trainer" / "trainer.py"
DAY = timedelta(days=1)
START = datetime(2001, 3, 1, tzinfo=UTC)


def request(folder: Path, name: str = "c000-candidate", **changes) -> RunRequest:
    """Train on one day of flights while scoring a share of it."""
    base = RunRequest(
        resource="default/table",
        cycle=0,
        run=name,
        role=Role.CANDIDATE,
        data=Data(
            str(EXAMPLES / "flights/flights.parquet"),
            "departure",
            "late",
            ("departure", "origin", "destination"),
        ),
        train=Train(START, START + DAY, Policy.UNIFORM, 1.0, "sampling"),
        evaluation=Evaluation(
            START, START + DAY, 0.3, "evaluation", tuple(START + DAY * i / 8 for i in range(1, 9))
        ),
        size=10,
        seed=1,
        output=str(folder / name),
        config={"features": ["origin"]},
    )
    return replace(base, **changes)


def launch(folder: Path, asked: RunRequest) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    (folder / "request.json").write_text(contract.to_json(asked))
    environment = {
        **os.environ,
        contract.REQUEST_VARIABLE: str(folder / "request.json"),
        contract.REPORT_VARIABLE: str(folder / "report.json"),
    }
    return subprocess.run(
        [sys.executable, TRAINER], env=environment, capture_output=True, text=True, check=False
    )


def run(folder: Path, asked: RunRequest) -> RunReport:
    ended = launch(folder, asked)
    assert ended.returncode == ExitCode.OK, ended.stderr
    return contract.parse_report((folder / "report.json").read_bytes(), asked)


def mean_loss(report: RunReport, name: str) -> float:
    return sum(report.evaluated.models[name].loss) / sum(report.evaluated.n)


def at_rate(rate: float, policy: Policy = Policy.UNIFORM) -> Train:
    return Train(START, START + DAY, policy, rate, "sampling")


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> RunReport:
    folder = tmp_path_factory.mktemp("first")
    return run(folder, request(folder))


def test_a_cold_start_learns_while_it_is_scored(first):
    assert first.rows.kept == first.rows.read > 10_000
    assert first.rows.evaluated == pytest.approx(0.3 * first.rows.read, rel=0.05)
    losses, counts = first.evaluated.models["self"].loss, first.evaluated.n
    assert losses[-1] / counts[-1] < losses[0] / counts[0]


def test_a_warm_start_scores_the_checkpoint_it_starts_from(first, tmp_path):
    second = request(tmp_path, "c001-candidate", start=first.checkpoint, frozen={"older": first.checkpoint})
    report = run(tmp_path, second)
    models = report.evaluated.models
    assert models["start"] == models["older"]
    assert mean_loss(report, "self") != mean_loss(report, "start")
    assert report.evaluated.digest == first.evaluated.digest


def test_the_same_request_gives_the_same_model(first, tmp_path):
    again = run(tmp_path, request(tmp_path))
    assert again.checkpoint.digest == first.checkpoint.digest
    assert again.evaluated == first.evaluated


def test_other_rows_have_another_digest(first, tmp_path):
    asked = request(tmp_path)
    other = run(tmp_path, replace(asked, evaluation=replace(asked.evaluation, salt="other")))
    assert other.evaluated.digest != first.evaluated.digest


@pytest.mark.parametrize(("policy", "rate"), [(Policy.UNIFORM, 0.4), (Policy.NEGATIVES, 0.6)])
def test_a_sample_has_its_rate_and_is_corrected(first, tmp_path, policy, rate):
    report = run(tmp_path, request(tmp_path, train=at_rate(rate, policy)))
    assert report.rows.kept == pytest.approx(rate * report.rows.read, rel=0.05)
    assert report.rows.kept_positives <= report.rows.positives == first.rows.positives
    if policy is Policy.NEGATIVES:
        assert report.rows.kept_positives == report.rows.positives
    full, sampled = (sum(r.evaluated.models["self"].predicted) for r in (first, report))
    assert sampled == pytest.approx(full, rel=0.03)
    assert report.evaluated.digest == first.evaluated.digest


def test_a_checkpoint_that_was_changed_is_refused(first, tmp_path):
    damaged = tmp_path / "table.json"
    damaged.write_bytes(Path(first.checkpoint.uri).read_bytes() + b" ")
    start = contract.CheckpointRef(str(damaged), first.checkpoint.digest)
    assert launch(tmp_path, request(tmp_path, start=start)).returncode == ExitCode.CHECKPOINT_MISSING


def test_an_empty_interval_is_told(tmp_path):
    later = START.replace(year=2002)
    asked = request(tmp_path, train=Train(later, later + DAY, Policy.UNIFORM, 1.0, "sampling"))
    assert launch(tmp_path, asked).returncode == ExitCode.EMPTY_INTERVAL
