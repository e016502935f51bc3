"""Text is read from where an earlier run has left off, where that is still there."""

import dataclasses
import gzip
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from dataefficient.contract import Role
from dataefficient_trainer import source as files
from dataefficient_trainer.errors import DataError
from trainer.synthetic import FEATURES, evaluation, launch, make_request, training

WARM = {"train": training(6, 8), "evaluation": evaluation(6, 8)}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 16_384)


@pytest.fixture
def streamed(monkeypatch):
    """Files are too large to be sorted in memory."""
    monkeypatch.setattr(files, "SORT_BYTES", 0)


@pytest.fixture
def parsed(monkeypatch):
    """Bytes of text that were parsed for their rows."""
    sizes = []
    original = files._parsed

    def spy(block, kind, names, columns, refused):
        if columns is not None:
            sizes.append(len(block))
        return original(block, kind, names, columns, refused)

    monkeypatch.setattr(files, "_parsed", spy)
    return sizes


@pytest.fixture
def log(stream, tmp_path):
    path = tmp_path / "clicks.csv"
    pa_csv.write_csv(pq.read_table(stream), path)
    return path


def cold(uri, folder, **changes):
    return launch(make_request(uri, folder, train=training(0, 6), evaluation=evaluation(5, 6), **changes))


def warm(uri, folder, start, **changes):
    return launch(make_request(uri, folder, run="c001-candidate", cycle=1, start=start, **WARM, **changes))


def mark_of(ref):
    """Where the checkpoint's mark lies."""
    return Path(ref.uri).with_name("mark.json")


def same(a, b):
    """Whether two runs did the same, but for the time it took."""
    return a.checkpoint.digest == b.checkpoint.digest and replace(a.rows, bad=0) == replace(b.rows, bad=0)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.usefixtures("streamed")
def test_a_warm_start_parses_its_interval_and_learns_what_it_would_have(log, tmp_path, parsed, packed):
    whole = log.stat().st_size
    if packed:
        other = tmp_path / "clicks.csv.gz"
        other.write_bytes(gzip.compress(log.read_bytes()))
        log = other
    start = cold(log, tmp_path / "cold").checkpoint
    parsed.clear()
    found = warm(log, tmp_path / "found", start)
    assert sum(parsed) < 0.3 * whole
    mark_of(start).unlink()
    parsed.clear()
    wanted = warm(log, tmp_path / "wanted", start)
    assert sum(parsed) > 0.75 * whole
    assert same(found, wanted)


def test_of_a_file_that_may_be_sorted_the_rest_is_parsed(log, tmp_path, parsed):
    start = cold(log, tmp_path / "cold").checkpoint
    parsed.clear()
    found = warm(log, tmp_path / "found", start)
    assert 0.3 * log.stat().st_size < sum(parsed) < 0.5 * log.stat().st_size
    mark_of(start).unlink()
    assert same(found, warm(log, tmp_path / "wanted", start))


def test_rows_that_come_late_to_a_small_file_are_sorted_in_all_the_same(log, tmp_path, parsed):
    lines = log.read_text().splitlines()
    late, kept = lines[14_000:14_100], lines[:14_000] + lines[14_100:]
    log.write_text("\n".join([*kept, *late]) + "\n")
    start = cold(log, tmp_path / "cold").checkpoint
    log.write_text("\n".join(kept) + "\n")
    ordered = cold(log, tmp_path / "ordered").checkpoint
    with log.open("a") as file:
        file.write("\n".join(late) + "\n")
    parsed.clear()
    found = warm(log, tmp_path / "found", ordered)
    assert sum(parsed) > log.stat().st_size
    assert same(found, warm(log, tmp_path / "wanted", start))


@pytest.mark.usefixtures("streamed")
def test_rows_without_a_time_of_their_own_keep_their_numbers(tmp_path, parsed):
    lines = [
        "\t".join(str((row * 7 + column) % (5 + column)) for column in range(40)) for row in range(20_000)
    ]
    lines = [f"{int(line.startswith('0'))}{line[1:]}" for line in lines]
    lines[500] += "\tone too many"
    log = tmp_path / "day.tsv"
    log.write_text("\n".join(lines) + "\n")
    base = make_request(log, tmp_path / "cold")
    about = {
        "data": dataclasses.replace(base.data, time="time", label="label", key=("I1", "C1", "C2")),
        "config": {"time": {"rowStart": "2024-01-01T00:00:00Z", "rowSeconds": 43.2}, "format": "criteo"},
    }
    start = cold(log, tmp_path / "cold", **about).checkpoint
    parsed.clear()
    found = warm(log, tmp_path / "found", start, **about)
    assert sum(parsed) < 0.3 * log.stat().st_size
    mark_of(start).unlink()
    assert same(found, warm(log, tmp_path / "wanted", start, **about))
    assert found.rows.read == pytest.approx(4_000, abs=1)


def moved(log, tmp_path):
    """The stream under another name, a file more before it."""
    folder = tmp_path / "parts"
    folder.mkdir()
    lines = log.read_text().splitlines(keepends=True)
    (folder / "a.csv").write_text("".join(lines[:1000]))
    (folder / "b.csv").write_text("".join([lines[0], *lines[1000:]]))
    return folder


@pytest.mark.parametrize("what", ["written anew", "shorter", "moved", "garbage", "nothing", "below zero"])
@pytest.mark.usefixtures("streamed")
def test_a_mark_that_no_longer_holds_is_not_believed(log, tmp_path, parsed, what):
    start = cold(log, tmp_path / "cold").checkpoint
    mark = json.loads(mark_of(start).read_text())
    lines = log.read_text().splitlines(keepends=True)
    if what == "written anew":
        log.write_text("".join([lines[0], *(line.replace('item-1"', 'item-01"') for line in lines[1:])]))
    elif what == "shorter":
        log.write_text("".join([lines[0], *lines[12_000:]]))
    elif what == "moved":
        log = moved(log, tmp_path)
    else:
        mark["place"]["offset"] *= -1
        text = {"garbage": "{]", "nothing": "[]", "below zero": json.dumps(mark)}[what]
        mark_of(start).write_text(text)
    parsed.clear()
    found = warm(log, tmp_path / "found", start)
    mark_of(start).unlink()
    whole = sum(parsed)
    parsed.clear()
    assert same(found, warm(log, tmp_path / "wanted", start))
    assert whole >= sum(parsed)


@pytest.mark.usefixtures("streamed")
def test_a_stream_whose_times_are_read_otherwise_is_read_anew(log, tmp_path, parsed):
    log.write_text(log.read_text().replace(".000000", ""))
    start = cold(log, tmp_path / "cold").checkpoint
    parsed.clear()
    config = {**FEATURES, "time": {"format": "%Y-%m-%d %H:%M:%S"}}
    found = warm(log, tmp_path / "found", start, config=config)
    assert sum(parsed) > 0.75 * log.stat().st_size
    assert found.rows.read == warm(log, tmp_path / "wanted", start).rows.read


@pytest.mark.usefixtures("streamed")
def test_what_a_rider_needs_is_read_from_its_own_mark(log, tmp_path, parsed):
    older = launch(make_request(log, tmp_path / "older", train=training(0, 4), evaluation=None)).checkpoint
    start = cold(log, tmp_path / "cold").checkpoint
    leader = make_request(
        log, tmp_path / "leader", run="c001-candidate", cycle=1, start=start, frozen={"trial": older}, **WARM
    )
    rider = replace(
        leader,
        run="c001-trial",
        role=Role.TRIAL,
        output=str(tmp_path / "rider"),
        start=older,
        frozen={},
        train=training(4, 8),
        evaluation=None,
    )
    parsed.clear()
    found = launch(replace(leader, riders=(rider,)))
    assert 0.35 * log.stat().st_size < sum(parsed) < 0.5 * log.stat().st_size
    alone = launch(replace(rider, output=str(tmp_path / "alone")))
    assert found.riders[0].checkpoint.digest == alone.checkpoint.digest
    assert launch(replace(leader, output=str(tmp_path / "own"))).checkpoint.digest == found.checkpoint.digest


def test_a_file_without_a_line_end_for_long_is_refused_and_not_held_in_memory(tmp_path):
    log = tmp_path / "clicks.csv"
    log.write_bytes(b"x" * 16_384 * 40)
    with pytest.raises(DataError, match="cannot be read as csv: a line has more than"):
        launch(make_request(log, tmp_path / "run"))


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("sortable", [True, False])
def test_files_that_earlier_runs_have_read_are_not_opened(stream, tmp_path, monkeypatch, ending, sortable):
    if not sortable:
        monkeypatch.setattr(files, "SORT_ROWS", 0)
        monkeypatch.setattr(files, "SORT_BYTES", 0)
    rows, folder = pq.read_table(stream), tmp_path / "log"
    folder.mkdir()
    write = pq.write_table if ending == "parquet" else pa_csv.write_csv
    for number in range(10):
        write(rows.slice(2_000 * number, 2_000), folder / f"{number}.{ending}")
    start = cold(folder, tmp_path / "cold").checkpoint
    opened = []
    original = files._read_parquet if ending == "parquet" else files._read_text

    def spy(source, which, *rest):
        file = source.files[which] if isinstance(which, int) else which
        opened.append(int(file.path[-len(ending) - 2]))
        return original(source, which, *rest)

    monkeypatch.setattr(files, original.__name__, spy)
    found = warm(folder, tmp_path / "found", start)
    assert opened[0] in {5, 6}
    mark_of(start).unlink()
    opened.clear()
    assert same(found, warm(folder, tmp_path / "wanted", start))
    assert opened[0] == 0


def test_one_file_with_an_index_of_its_own_needs_no_mark(stream, tmp_path):
    start = cold(stream, tmp_path / "cold").checkpoint
    assert not mark_of(start).exists()
