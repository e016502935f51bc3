"""The end of a log is read without what comes before it, and everything stays in its place."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from dataefficient.api.load import load_resource
from dataefficient.estimate import tail, working
from dataefficient.estimate.errors import EstimateError
from dataefficient.estimate.log import ROW_TIME, Roles, open_log
from dataefficient.estimate.survey import Options, prepare
from dataefficient.estimate.tail import last
from dataefficient.estimate.working import copy
from estimate.test_command import basic, run

ROWS = 3_000
ROLES = Roles("ts", "clicked")
NAMES = ["ts", "site", "ad", "clicked"]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(tail, "_CHUNK_BYTES", 4_000)


@pytest.fixture
def long():
    """Rows that are numbered by their ad, a minute apart."""
    number = np.arange(ROWS)
    return pa.table(
        {
            "ts": pa.array((1_600_000_000 + 60 * number).astype("M8[s]")),
            "site": pa.array([f"s{i % 7}" for i in number]),
            "ad": pa.array(number),
            "clicked": pa.array((number % 3 == 0).astype(np.int8)),
        }
    )


def as_csv(part, *, header=True):
    text = pa.BufferOutputStream()
    pa_csv.write_csv(part, text, pa_csv.WriteOptions(include_header=header))
    return text.getvalue().to_pybytes()


def as_json(part):
    return b"".join(json.dumps(row, default=str).encode() + b"\n" for row in part.to_pylist())


@pytest.fixture
def folder(tmp_path, long):
    """Write three files of a thousand rows each; gives how to call them."""

    def save(kind, *, header=True, order=("a", "b", "c"), end="\n"):
        place = tmp_path / "log"
        place.mkdir()
        for name, first in zip(order, range(0, ROWS, 1_000), strict=True):
            part, path = long.slice(first, 1_000), place / f"{name}.{kind}"
            if kind == "parquet":
                pq.write_table(part, path, row_group_size=150)
                continue
            raw = as_json(part) if "json" in kind else as_csv(part, header=header)
            raw = raw.removesuffix(b"\n") + end.encode()
            path.write_bytes(gzip.compress(raw) if kind.endswith("gz") else raw)
        return str(place)

    return save


def end_of(path, wanted, *, columns=(), exact=True):
    return last(open_log(path, columns), NAMES, wanted, batch_rows=64, exact=exact)


def numbers(end):
    return [ad for batch in end.batches for ad in batch.column("ad").to_pylist()]


@pytest.mark.parametrize("wanted", [1, 100, 950, 1_000, 1_001, 1_700, 2_500])
@pytest.mark.parametrize(
    ("kind", "header"),
    [
        ("parquet", True),
        ("csv", True),
        ("csv", False),
        ("csv.gz", True),
        ("csv.gz", False),
        ("jsonl", True),
        ("json.gz", True),
    ],
)
def test_the_last_rows_are_read_and_few_others(folder, kind, header, wanted):
    end = end_of(folder(kind, header=header), wanted, columns=() if header else NAMES)
    assert numbers(end) == list(range(end.first, ROWS))
    assert wanted <= end.rows == ROWS - end.first < wanted + 250
    assert end.exact


@pytest.mark.parametrize("kind", ["parquet", "csv", "csv.gz", "ndjson"])
def test_of_a_log_that_is_not_longer_all_is_read(folder, kind):
    end = end_of(folder(kind), ROWS)
    assert numbers(end) == list(range(ROWS))
    assert (end.first, end.rows, end.before) == (0, ROWS, ())


@pytest.mark.parametrize("end_of_line", ["", "\n", "\r\n"])
def test_the_last_line_need_not_end(folder, end_of_line):
    end = end_of(folder("csv", end=end_of_line), 300)
    assert numbers(end)[-1] == ROWS - 1
    assert end.first + end.rows == ROWS


def test_a_chunk_may_begin_with_a_line(tmp_path, monkeypatch):
    lines = [f"s,{i:03}\n" for i in range(100)]
    (tmp_path / "log.csv").write_text("".join(lines))
    monkeypatch.setattr(tail, "_CHUNK_BYTES", 10 * len(lines[0]))
    log = open_log(str(tmp_path / "log.csv"), ("site", "ad"))
    for wanted in range(1, 100):
        end = last(log, ["site", "ad"], wanted, batch_rows=64, exact=True)
        assert numbers(end) == list(range(end.first, 100))
        assert end.rows >= wanted


def test_columns_lie_in_a_file_as_its_own_header_says(folder, long):
    place = folder("csv")
    pa_csv.write_csv(long.slice(2_000).select(["ad", "ts", "clicked"]), f"{place}/c.csv")
    end = end_of(place, 300)
    batches = list(end.batches)
    assert [ad for batch in batches for ad in batch.column("ad").to_pylist()] == list(range(end.first, ROWS))
    assert sum(batch.column("site").null_count for batch in batches) == end.rows


def test_files_before_are_counted_only_where_their_rows_must_be(folder):
    place = folder("csv")
    estimated = end_of(place, 300, exact=False)
    assert not estimated.exact
    assert numbers(estimated)[0] == ROWS - estimated.rows
    assert estimated.first + estimated.rows == pytest.approx(ROWS, rel=0.02)


def test_a_long_log_without_a_time_keeps_the_place_of_its_rows(folder, tmp_path):
    roles = Roles(ROW_TIME, "clicked", in_order=True)
    found = copy(open_log(folder("csv")), roles, tmp_path, most=300)
    seconds = (found.times - found.times[0]) // 1_000_000
    assert (seconds == np.arange(300)).all()
    assert found.times[-1] // 1_000_000 - 946_684_800 == ROWS - 1
    assert (found.log_rows, found.log_rows_exact) == (ROWS, True)


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_exactly_so_many_rows_are_copied_as_are_allowed(folder, tmp_path, kind):
    found = copy(open_log(folder(kind)), ROLES, tmp_path, most=310)
    assert found.rows == 310
    assert pq.read_table(found.path)["ad"].to_pylist() == list(range(ROWS - 310, ROWS))
    assert found.late == 0


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_files_that_are_not_in_the_order_of_time_are_all_read_and_sorted(folder, tmp_path, kind):
    found = copy(open_log(folder(kind, order=("c", "a", "b"))), ROLES, tmp_path, most=300)
    assert found.late is None
    assert pq.read_table(found.path)["ad"].to_pylist() == list(range(ROWS))


def test_too_many_rows_out_of_order_are_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(working, "_SORTABLE_VALUES", 4 * (ROWS - 1))
    with pytest.raises(EstimateError, match=r"not in the order of ts, and 3,000 rows are too many to sort h"):
        copy(open_log(folder("parquet", order=("c", "a", "b"))), ROLES, tmp_path, most=300)


def test_more_columns_leave_time_for_fewer_rows(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("dataefficient.estimate.survey._FEWEST_ROWS", 100)
    monkeypatch.setattr("dataefficient.estimate.survey._VALUES_PER_SECOND", 40)
    found = prepare(Options(folder("csv"), ROLES, 1.0, 0.002, ("true",)), tmp_path)
    assert found.working.rows == 60 * 40 // len(NAMES)
    assert not found.working.log_rows_exact


def test_the_page_says_how_much_of_a_long_log_was_looked_at(folder, monkeypatch, pretended_trainer, tmp_path):
    monkeypatch.setattr("dataefficient.estimate.survey._FEWEST_ROWS", 100)
    monkeypatch.setattr("dataefficient.estimate.survey._VALUES_PER_SECOND", 80)
    result = run(*basic(folder("csv"), "--html", str(tmp_path / "page.html")), trainer=pretended_trainer)
    assert result.exit_code == 0, result.output
    page = " ".join((tmp_path / "page.html").read_text().split())
    assert "about 3,000 rows; used 600," in page
    assert "Only the latest 600 of about 3,000 rows fit into 0.5 minutes; all of them need about 2" in page


@pytest.mark.parametrize("most", [ROWS, 300])
@pytest.mark.parametrize(
    ("kind", "odd", "end"), [("csv", "1,2\n", "cut off,"), ("jsonl", '{"clicked": "yes"}\n', '{"ts": "20')]
)
def test_lines_that_do_not_fit_are_left_out_and_counted(folder, tmp_path, most, kind, odd, end):
    place = folder(kind)
    for name in ("a", "c"):
        path = Path(f"{place}/{name}.{kind}")
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join([*lines[:1], "oops\n", *lines[1:-5], odd, *lines[-5:], end]))
    found = copy(open_log(place), ROLES, tmp_path, most=most)
    assert found.bad_lines == (6 if most == ROWS else 2)
    assert pq.read_table(found.path)["ad"].to_pylist()[-1] == ROWS - 1


def test_lines_that_do_not_fit_are_told(folder, tmp_path):
    place = folder("csv")
    with Path(f"{place}/c.csv").open("a") as file:
        file.write("cut off,")
    found = prepare(Options(place, ROLES, 1.0, 0.002, ("true",)), tmp_path)
    assert "Lines of text that do not fit its columns were left out: 1." in found.notes


@pytest.fixture
def disordered(long):
    """The same rows, each up to ten minutes after its turn."""
    arrival = np.arange(ROWS) + np.random.default_rng(3).integers(0, 10, ROWS)
    return long.take(pa.array(np.argsort(arrival, kind="stable")))


@pytest.mark.parametrize("sortable", [ROWS, 500])
@pytest.mark.parametrize("most", [ROWS, 300])
def test_of_rows_that_come_a_little_late_the_last_ones_are_sorted(
    disordered, write, tmp_path, monkeypatch, most, sortable
):
    monkeypatch.setattr(working, "_SORTABLE_VALUES", 4 * sortable)
    found = copy(open_log(write(disordered)), ROLES, tmp_path, most=most)
    assert 300 <= found.late <= 600
    assert found.rows == min(most, sortable)
    ads = pq.read_table(found.path)["ad"].to_numpy()
    assert (np.diff(ads) > 0).all()
    assert ads[0] >= ROWS - found.rows - 10


def test_the_resource_allows_rows_to_come_later_than_was_seen(disordered, write, tmp_path, pretended_trainer):
    resource = tmp_path / "det.yaml"
    result = run(*basic(write(disordered), "--write-resource", str(resource)), trainer=pretended_trainer)
    assert result.exit_code == 0, result.output
    allowed = load_resource(resource).spec.trainer.config["time"]["lateSeconds"]
    assert 600 <= allowed <= 1_200
    told = " ".join(result.output.split())
    assert f"Rows come up to {allowed // 2} s late; a sorted copy was used here." in told


def test_rows_that_lie_anywhere_are_not_called_late(long, write, tmp_path):
    mixed = long.take(pa.array(np.random.default_rng(3).permutation(ROWS)))
    found = prepare(Options(write(mixed), ROLES, 1.0, 0.002, ("true",)), tmp_path)
    assert found.working.late is None
    assert any("sort the log before using it" in note for note in found.notes)


@pytest.mark.parametrize("text", ['[{"a": 1},\n{"a": 2}]\n', "oops\n"])
def test_what_is_no_json_lines_is_refused(tmp_path, text):
    (tmp_path / "log.json").write_text(text)
    with pytest.raises(
        EstimateError, match=r"log.json: cannot be read as json: .*is it one JSON object a line\?"
    ):
        open_log(str(tmp_path / "log.json"))
