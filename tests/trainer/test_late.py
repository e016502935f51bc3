"""Rows that come late are put in their place, and the model is that of the log in order."""

import gzip
import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataefficient_trainer import late
from dataefficient_trainer import source as files
from dataefficient_trainer.errors import DataError, UserError
from dataefficient_trainer.features import MISSING_TIME
from dataefficient_trainer.late import in_order, lateness
from trainer.synthetic import FEATURES, evaluation, launch, loss, make_request, training

SECOND = 1_000_000
LATE = 600
"""Seconds by which rows of ``disordered`` come late at most."""
LATE_CONFIG = FEATURES | {"time": {"lateSeconds": LATE}}


def cut(times, sizes):
    """Batches of numbered rows, of some sizes in turn."""
    times, start = np.array(times, np.int64), 0
    for size in itertools.cycle(sizes):
        if start >= len(times):
            return
        stop = min(start + size, len(times))
        yield pa.record_batch({"number": pa.array(np.arange(start, stop))}), times[start:stop]
        start = stop


def sorted_out(times, sizes, allowed, newest=MISSING_TIME):
    """Numbers of the rows and their times, as they come out."""
    found = list(in_order(cut(times, sizes), allowed, newest))
    numbers = [n for batch, _ in found for n in batch.column("number").to_pylist()]
    return numbers, [int(t) for _, its in found for t in its]


@given(
    st.lists(st.integers(0, 60) | st.just(MISSING_TIME), max_size=80),
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.integers(1, 8),
)
def test_the_order_is_that_of_all_rows_sorted_by_time(times, sizes, batch_rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(late, "BATCH_ROWS", batch_rows)
        known = [t for t in times if t != MISSING_TIME]
        allowed = int(lateness(np.array(times, np.int64)).max(initial=0))
        numbers, out = sorted_out(times, sizes, allowed)
        stable = sorted((n for n, t in enumerate(times) if t != MISSING_TIME), key=times.__getitem__)
        assert [n for n in numbers if times[n] != MISSING_TIME] == stable
        assert [t for t in out if t != MISSING_TIME] == sorted(known)
        assert sorted(numbers) == list(range(len(times)))


def test_a_row_that_is_later_than_allowed_is_refused_with_what_would_do():
    times = np.array([0, 100, 40, 120, 10]) * SECOND
    told = r"row 4 of those read is older .* than the 60 s of .*lateSeconds; raise it to 110 or more"
    with pytest.raises(DataError, match=told):
        sorted_out(times, [2], 60 * SECOND)
    assert sorted_out(times, [2], 110 * SECOND)[0] == [0, 4, 2, 1, 3]


def test_a_row_may_not_be_later_than_what_came_before_the_first_batch():
    with pytest.raises(DataError, match="row 0 of those read is older"):
        sorted_out([30 * SECOND], [1], 60 * SECOND, newest=100 * SECOND)


def test_no_more_is_held_than_lies_within_the_time_allowed(monkeypatch):
    monkeypatch.setattr(late, "BATCH_ROWS", 10)
    taken = 0

    def counted():
        nonlocal taken
        for batch, times in cut(np.arange(1_000) * SECOND, [5]):
            taken += batch.num_rows
            yield batch, times

    passed, most = 0, 0
    for batch, _ in in_order(counted(), 20 * SECOND):
        most = max(most, taken - passed)
        passed += batch.num_rows
    assert passed == 1_000
    assert most <= 50


def test_too_many_rows_within_the_time_allowed_are_refused(monkeypatch):
    monkeypatch.setattr(late, "BATCH_ROWS", 10)
    monkeypatch.setattr(late, "MOST_HELD", 30)
    with pytest.raises(
        DataError, match=r"rows lie within the 100 s of .*lateSeconds, and at most 30 are held"
    ):
        sorted_out(np.arange(200) * SECOND, [10], 100 * SECOND)


# ---------------------------------------------------------------------- the trainer


@pytest.fixture
def streamed(monkeypatch):
    """Files are too large to be sorted in memory, and are read in small pieces."""
    monkeypatch.setattr(files, "SORT_BYTES", 0)
    monkeypatch.setattr(files, "SORT_ROWS", 0)
    monkeypatch.setattr(files, "BLOCK_BYTES", 16_384)
    monkeypatch.setattr(late, "BATCH_ROWS", 500)


@pytest.fixture
def disordered(stream, streamed):
    """The rows of the stream as they might arrive: each up to ``LATE`` seconds after its time."""
    table = pq.read_table(stream)
    delay = np.random.default_rng(4).integers(0, LATE * SECOND, table.num_rows)
    arrival = table["at"].cast("int64").to_numpy() + delay
    return table.take(pa.array(np.argsort(arrival, kind="stable")))


def ordered(table):
    return table.take(pa.array(np.argsort(table["at"].cast("int64").to_numpy(), kind="stable")))


@pytest.fixture
def write(tmp_path):
    def save(table, kind, name):
        place = tmp_path / f"{name}.{kind}"
        if kind == "folder":
            place.mkdir()
            for number, start in enumerate(range(0, table.num_rows, 4_000)):
                pq.write_table(table.slice(start, 4_000), place / f"{number:03}.parquet", row_group_size=900)
        elif kind == "parquet":
            pq.write_table(table, place, row_group_size=900)
        else:
            text = pa.BufferOutputStream()
            pa_csv.write_csv(table, text)
            raw = text.getvalue().to_pybytes()
            place.write_bytes(gzip.compress(raw) if kind.endswith("gz") else raw)
        return place

    return save


def cold(uri, folder, config=LATE_CONFIG):
    request = make_request(uri, folder, train=training(0, 7), evaluation=evaluation(6, 7), config=config)
    return launch(request).checkpoint


def warm(uri, folder, start, config=LATE_CONFIG):
    part = {"train": training(7, 9), "evaluation": evaluation(7, 9)}
    return launch(make_request(uri, folder, start=start, config=config, **part))


@pytest.mark.parametrize("kind", ["parquet", "folder", "csv", "csv.gz"])
def test_rows_that_come_late_give_the_model_of_the_log_in_order(disordered, write, tmp_path, kind):
    assert (np.diff(disordered["at"].cast("int64").to_numpy()) < 0).mean() > 0.1
    found, wanted = write(disordered, kind, "found"), write(ordered(disordered), kind, "wanted")
    one = warm(found, tmp_path / "a-on", cold(found, tmp_path / "a"))
    other = warm(wanted, tmp_path / "b-on", cold(wanted, tmp_path / "b", FEATURES), FEATURES)
    assert one.checkpoint.digest == other.checkpoint.digest
    assert loss(one) == loss(other)


def test_a_retraining_reads_on_among_rows_that_come_late(disordered, write, tmp_path, monkeypatch):
    sizes = []
    original = files._parsed

    def spy(block, *others):
        sizes.append(len(block))
        return original(block, *others)

    monkeypatch.setattr(files, "_parsed", spy)
    log = write(disordered, "csv", "log")
    start = cold(log, tmp_path / "cold")
    sizes.clear()
    found = warm(log, tmp_path / "found", start)
    read = sum(sizes)
    Path(start.uri).with_name("mark.json").unlink()
    sizes.clear()
    assert warm(log, tmp_path / "wanted", start).checkpoint.digest == found.checkpoint.digest
    assert read < 0.4 * sum(sizes)


def test_without_it_such_a_log_is_refused_with_what_would_do(disordered, write, tmp_path):
    told = r"time runs backwards in .*, set trainer\.config\.time\.lateSeconds to how late, \d{2,3} or more"
    with pytest.raises(DataError, match=told):
        launch(make_request(write(disordered, "parquet", "log"), tmp_path / "run"))


def test_rows_that_are_numbered_are_never_late(stream, tmp_path):
    config = FEATURES | {"time": {"rowStart": "2026-01-01T00:00:00Z", "lateSeconds": 5}}
    with pytest.raises(UserError, match=r"time\.lateSeconds: rows that rowStart gives a time are never late"):
        launch(make_request(stream, tmp_path / "run", config=config))
