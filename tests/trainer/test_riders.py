"""Several runs in one process: each ends as it would alone, reads the stream once, and fails alone."""

import dataclasses
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataefficient.contract import Policy, Scales
from dataefficient_trainer import checkpoint, events
from dataefficient_trainer.errors import DataError
from trainer.synthetic import (
    FEATURES,
    day,
    evaluation,
    launch,
    loss,
    make_request,
    table,
    training,
    with_riders,
)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(events, "CHUNK_ROWS", 4_096)


@pytest.fixture(scope="module")
def start(stream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    return launch(make_request(stream, folder, train=training(0, 2), evaluation=None)).checkpoint


def alone(request, folder):
    """The report of the same request in a process of its own."""
    return launch(dataclasses.replace(request, output=str(folder)))


def weights(report):
    return checkpoint.load(report.checkpoint, "checkpoint")[0]


def assert_equal_weights(one, other):
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[name].numpy(), theirs[name].numpy()) for name in mine)


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("policy", [Policy.NEGATIVES, Policy.SCORED_NEGATIVES])
def test_a_rider_over_the_leaders_rows_ends_as_it_would_alone(stream, tmp_path, start, warm, policy):
    leader = make_request(stream, tmp_path / "run", start=start, train=training(2, 9))
    plan = training(2, 9, policy=policy, rate=0.3)
    request = with_riders(
        leader, trial={"train": plan, "start": start if warm else None, "size": 8, "seed": 5}
    )
    report = launch(request)
    single = alone(request.riders[0], tmp_path / "alone")
    (trial,) = report.riders
    assert trial.checkpoint.digest == single.checkpoint.digest
    assert report.evaluated.models["c000-trial"] == single.evaluated.models["self"]
    assert report.evaluated.digest == single.evaluated.digest
    assert trial.rows == single.rows


@pytest.mark.parametrize(
    "span", [(0, 10), (0, 1.5), (4.3, 6.1), (1.1, 3.2)], ids=["around", "before", "inside", "overlapping"]
)
def test_a_rider_with_other_rows_ends_as_it_would_alone_and_so_does_the_leader(stream, tmp_path, start, span):
    leader = make_request(
        stream, tmp_path / "run", start=start, train=training(2, 9), evaluation=evaluation(7, 9)
    )
    request = with_riders(leader, probe={"train": training(*span), "evaluation": None}, all={"size": 2})
    report = launch(request)
    for found, asked in zip(report.riders, request.riders, strict=True):
        assert found.checkpoint.digest == alone(asked, tmp_path / asked.run).checkpoint.digest
    single = alone(leader, tmp_path / "alone")
    assert report.checkpoint.digest == single.checkpoint.digest
    assert {name: report.evaluated.models[name] for name in ("self", "start")} == single.evaluated.models
    assert report.rows == single.rows
    assert report.evaluated.models.keys() == {"self", "start", "c000-all"}


def test_a_fork_with_the_leaders_plan_becomes_the_leader(stream, tmp_path):
    plans = {i: training(i, 9, policy=Policy.NEGATIVES, rate=0.7) for i in (1, 3, 8)}
    leader = make_request(stream, tmp_path / "run", train=plans[1])
    forks = {f"at{i}": {"fork": True, "train": plan} for i, plan in plans.items()}
    report = launch(with_riders(leader, **forks))
    assert report.checkpoint.digest == alone(leader, tmp_path / "alone").checkpoint.digest
    for fork in report.riders:
        assert_equal_weights(fork, report)
        assert report.evaluated.models[fork.run] == report.evaluated.models["self"]


def test_a_fork_trains_from_the_first_row_of_the_chunk_in_which_it_starts(stream, tmp_path):
    leader = make_request(stream, tmp_path / "run", train=training(0, 10), evaluation=None)
    report = launch(with_riders(leader, fork={"fork": True, "train": training(5, 8)}))
    times = pq.read_table(stream)["at"].to_numpy()
    first, last = np.searchsorted(times, [np.datetime64(day(i).replace(tzinfo=None)) for i in (5, 8)])
    assert first % 4_096
    assert report.riders[0].rows.kept == last - first // 4_096 * 4_096


def test_a_fork_takes_no_row_from_before_the_leaders_training(stream, tmp_path):
    leader = make_request(stream, tmp_path / "run", train=training(3, 9), evaluation=evaluation(0, 10))
    report = launch(with_riders(leader, fork={"fork": True, "train": training(3, 9)}))
    assert report.riders[0].rows.kept == report.rows.kept
    assert_equal_weights(report.riders[0], report)


def test_a_fork_goes_its_own_way_and_past_the_leaders_end(stream, tmp_path):
    leader = make_request(stream, tmp_path / "run", train=training(0, 6), evaluation=evaluation(5, 7))
    request = with_riders(
        leader, long={"fork": True, "train": training(4, 10), "evaluation": None},
        quarter={"fork": True, "train": training(4, 6, rate=0.25)},
    )  # fmt: skip
    report = launch(request)
    assert report.checkpoint.digest == alone(leader, tmp_path / "alone").checkpoint.digest
    long, quarter = report.riders
    assert long.position == day(10)
    assert long.rows.kept == 20_000 - 4_096
    assert quarter.rows.kept < 0.3 * quarter.rows.read
    assert 0 < abs(loss(report, "c000-quarter") - loss(report)) < 0.05 * loss(report)


def test_a_fork_samples_by_the_scores_of_what_it_was_copied_from(stream, tmp_path):
    leader = make_request(stream, tmp_path / "run", scales=Scales(learning_rate=3.0), evaluation=None)
    reports = [
        launch(
            with_riders(
                dataclasses.replace(leader, output=f"{leader.output}-{policy}"),
                fork={"fork": True, "train": training(6, 10, policy=policy, rate=0.4)},
            )
        ).riders[0]
        for policy in (Policy.NEGATIVES, Policy.SCORED_NEGATIVES)
    ]
    assert reports[1].rows.kept == pytest.approx(reports[0].rows.kept, rel=0.1)
    assert reports[1].rows.effective < 0.99 * reports[0].rows.effective


def test_a_fork_may_meet_one_label_alone_as_a_warm_start_may(tmp_path):
    rows = table()
    clicks = np.where(np.arange(rows.num_rows) < 15_000, rows["click"].to_numpy(), 0)
    pq.write_table(rows.set_column(5, "click", pa.array(clicks)), tmp_path / "late.parquet")
    leader = make_request(tmp_path / "late.parquet", tmp_path / "run", evaluation=None)
    report = launch(with_riders(leader, fork={"fork": True, "train": training(9.5, 10)}))
    assert report.riders[0].rows.positives == 0


def test_all_runs_read_the_stream_once(stream, tmp_path, monkeypatch):
    read = []
    original = events.Stream._event_times
    monkeypatch.setattr(events.files, "SORT_ROWS", 0)
    monkeypatch.setattr(
        events.Stream, "_event_times", lambda self, b: read.append(b.num_rows) or original(self, b)
    )
    leader = make_request(stream, tmp_path / "run", train=training(6, 10), evaluation=None)
    launch(
        with_riders(
            leader, cold={"train": training(4.5, 10)}, early={"train": training(0, 1.5)},
            fork={"fork": True, "train": training(7, 10, rate=0.25)},
        )
    )  # fmt: skip
    # Ten days in row groups of two: those of days 2 to 4 hold nothing that anyone asked for.
    assert sum(read) == 16_000


def test_seconds_are_told_apart(stream, tmp_path):
    leader = make_request(stream, tmp_path / "run")
    report = launch(with_riders(leader, trial={}, plain={"evaluation": None}))
    for found in report.riders:
        seconds = found.seconds
        work = seconds.read + seconds.train + seconds.evaluate
        assert seconds.startup > 0.0
        assert seconds.total == pytest.approx(seconds.startup + work, rel=1e-3)
    assert report.riders[1].seconds.evaluate == 0.0
    parts = sum(r.seconds.total for r in report.riders)
    seconds = report.seconds
    assert parts + seconds.train + seconds.evaluate < seconds.total


def test_a_checkpoint_is_read_once_and_scored_as_it_was_though_branches_go_on_from_it(
    stream, tmp_path, start, monkeypatch
):
    other = launch(make_request(stream, tmp_path / "other", train=training(0, 4), evaluation=None)).checkpoint
    leader = make_request(
        stream, tmp_path / "run", train=training(5, 10), start=start, frozen={"before": other}
    )
    plain = alone(leader, tmp_path / "alone").evaluated.models
    read, load = [], checkpoint.load
    monkeypatch.setattr(checkpoint, "load", lambda ref, name: (read.append(ref), load(ref, name))[1])
    scored = launch(with_riders(leader, trial={"start": other}, control={})).evaluated.models
    assert read == [start, other]
    assert {name: scored[name] for name in plain} == plain


def test_checkpoints_that_exist_are_told_once(stream, tmp_path, start):
    leader = make_request(stream, tmp_path / "run", keep=(start.uri,))
    report = launch(with_riders(leader, trial={}))
    assert report.kept_checkpoints == (start.uri,)
    assert report.riders[0].kept_checkpoints == ()


def test_a_report_says_that_riders_are_taken_and_people_see_the_leader_alone(stream, tmp_path, monkeypatch):
    monkeypatch.setenv("DATAEFFICIENT_PROGRESS", str(tmp_path / "progress.json"))
    leader = make_request(
        stream, tmp_path / "run", train=training(5, 10), config={**FEATURES, "slices": ["item"]}
    )
    assert launch(leader).takes_riders
    slices = launch(leader).evaluated.slices
    alone_rows = json.loads((tmp_path / "progress.json").read_text())["rows"]
    report = launch(with_riders(leader, probe={"train": training(0, 10)}))
    assert json.loads((tmp_path / "progress.json").read_text())["rows"] == alone_rows
    assert report.evaluated.slices == slices


# ---------------------------------------------------------------------- riders that fail


def broken(leader, what, tmp_path, start):
    (tmp_path / "occupied").write_text("a file where a folder should be")
    gone = dataclasses.replace(start, uri=str(tmp_path / "gone"))
    return {
        "diverging": {"scales": Scales(learning_rate=1e30)},
        "start gone": {"start": gone},
        "start damaged": {"start": dataclasses.replace(start, digest="sha256:0")},
        "too large": {"size": 2_000},
        "no row": {"train": training(20, 30)},
        "no row to fork at": {"fork": True, "train": training(9.99999, 10)},
        "no room": {"output": str(tmp_path / "occupied" / "run")},
    }[what]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("diverging", "the training loss became nan"),
        ("start gone", "start: the checkpoint .*gone cannot be read"),
        ("start damaged", "start: the checkpoint .* is damaged or was replaced"),
        ("too large", "request.size: 2000 is outside 1 to 1024"),
        ("no row", "no row of .* with a usable label has its at in the training interval"),
        ("no row to fork at", "no row of .* in"),
        ("no room", "occupied"),
    ],
)
def test_a_rider_that_fails_is_left_out_with_a_line_and_changes_nothing_else(
    stream, tmp_path, start, capsys, what, message
):
    leader = make_request(stream, tmp_path / "run")
    request = with_riders(leader, bad=broken(leader, what, tmp_path, start), good={"size": 2})
    report = launch(request)
    lines = [line for line in capsys.readouterr().err.splitlines() if "failed" in line]
    assert len(lines) == 1
    assert lines[0].startswith("notice: c000-bad failed and is left out, c000-candidate goes on: ")
    assert re.search(message, lines[0])
    assert [r.run for r in report.riders] == ["c000-good"]
    assert report.evaluated.models.keys() == {"self", "c000-good"}
    assert report.checkpoint.digest == alone(leader, tmp_path / "alone").checkpoint.digest
    assert (
        report.riders[0].checkpoint.digest
        == alone(request.riders[1], tmp_path / "alone-good").checkpoint.digest
    )


def backwards(stream, path, row):
    rows = pq.read_table(stream)
    order = np.arange(rows.num_rows)
    order[[row, row + 1]] = order[[row + 900, row - 900]]
    pq.write_table(rows.take(order), path, row_group_size=4_000)


@pytest.mark.parametrize(("row", "leads"), [(900, (4, 10)), (17_000, (0, 7))], ids=["before", "after"])
def test_data_that_only_a_rider_reads_may_be_damaged(stream, tmp_path, monkeypatch, capsys, row, leads):
    monkeypatch.setattr(events.files, "SORT_ROWS", 0)
    backwards(stream, tmp_path / "backwards.parquet", row)
    leader = make_request(
        tmp_path / "backwards.parquet", tmp_path / "run", train=training(*leads), evaluation=None
    )
    request = with_riders(leader, probe={"train": training(0, 10)}, trial={"size": 8})
    report = launch(request)
    assert "c000-probe failed and is left out" in capsys.readouterr().err
    assert [r.run for r in report.riders] == ["c000-trial"]
    assert report.checkpoint.digest == alone(leader, tmp_path / "alone").checkpoint.digest
    assert report.riders[0].checkpoint.digest == alone(request.riders[1], tmp_path / "b").checkpoint.digest
    with pytest.raises(DataError, match="time runs backwards"):
        alone(request.riders[0], tmp_path / "c")
