from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmark.fake_study import found
from dataefficient.contract import CheckpointRef, Policy, Rows, RunReport, Scales, Seconds
from dataefficient.cycle.model import RunOutcome
from dataefficient.planner.knobs import Point
from streambench.cache import Cache, key_of
from streambench.requests import Unit, cold, warm

LARGEST = Point(Policy.UNIFORM, 1.0, 8)


@pytest.fixture
def unit(tmp_path):
    return Unit(found(tmp_path), 1, "0.001", 5)


@pytest.fixture
def later(unit):
    return warm(unit, LARGEST, 1.0, next(unit.intervals()), CheckpointRef("/somewhere", "sha256:a"))


def outcome_of(request, checkpoint: Path):
    report = RunReport(
        run=request.run,
        rows=Rows(1000, 1000),
        seconds=Seconds(0.1, 0.1, 1.0, 0.1, 1.3),
        checkpoint=CheckpointRef(str(checkpoint), "sha256:b"),
        position=datetime(2020, 1, 5, tzinfo=UTC),
        evaluated=None,
    )
    return RunOutcome(request.run, 1, 2.5, report)


def test_whose_run_it_is_and_where_it_goes_are_no_part_of_the_key(later):
    other = replace(
        later,
        resource="default/other",
        cycle=9,
        run="c009-trial",
        output="elsewhere",
        keep=("a",),
        deadline_seconds=1.0,
        data=replace(later.data, uri="moved.parquet"),
        start=CheckpointRef("/moved", "sha256:a"),
    )

    assert key_of(other, "rows", "code") == key_of(later, "rows", "code")


@pytest.mark.parametrize(
    "change",
    [
        lambda r: replace(r, seed=r.seed + 1),
        lambda r: replace(r, size=4),
        lambda r: replace(r, train=replace(r.train, rate=0.5)),
        lambda r: replace(r, train=replace(r.train, policy=Policy.NEGATIVES)),
        lambda r: replace(r, train=replace(r.train, salt="other")),
        lambda r: replace(r, evaluation=replace(r.evaluation, share=0.5)),
        lambda r: replace(r, start=CheckpointRef("/somewhere", "sha256:c")),
        lambda r: replace(r, frozen={"m": CheckpointRef("/somewhere", "sha256:a")}),
        lambda r: replace(r, config={"learningRate": 3.0}),
        lambda r: replace(r, scales=Scales(learning_rate=3.0)),
        lambda r: replace(r, threads=2),
    ],
)
def test_whatever_changes_the_result_changes_the_key(later, change):
    assert key_of(change(later), "rows", "code") != key_of(later, "rows", "code")


def test_other_rows_and_other_code_have_other_keys(later):
    keys = {key_of(later, data, code) for data in ("rows", "others") for code in ("code", "changed")}

    assert len(keys) == 4


def test_a_run_is_answered_with_what_it_took_and_left_under_the_name_that_is_asked_for(unit, tmp_path):
    cache = Cache(tmp_path / "runs", "code")
    cache.knows(str(unit.found.data), "rows")
    request = cold(unit, LARGEST, 1.0)
    written = tmp_path / "model"
    written.write_text("weights")

    cache.put(request, outcome_of(request, written))
    written.unlink()
    answer = cache.get(replace(request, run="c000-candidate"))

    assert (answer.run, answer.report.run, answer.device_seconds) == ("c000-candidate", "c000-candidate", 2.5)
    assert Path(answer.report.checkpoint.uri).read_text() == "weights"


def test_a_run_whose_checkpoint_is_gone_is_made_again(unit, tmp_path):
    cache = Cache(tmp_path / "runs", "code")
    cache.knows(str(unit.found.data), "rows")
    request = cold(unit, LARGEST, 1.0)
    written = tmp_path / "model"
    written.write_text("weights")
    kept = cache.put(request, outcome_of(request, written))

    Path(kept.report.checkpoint.uri).unlink()

    assert cache.get(request) is None
