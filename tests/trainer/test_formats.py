"""The same stream as parquet, CSV and Criteo TSV, and times that are assembled."""

import dataclasses
import gzip
import json
import lzma
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from dataefficient.contract import Data, Evaluation, Policy, Train
from dataefficient_trainer import source as files
from dataefficient_trainer.errors import DataError, NotReadyError, UserError
from dataefficient_trainer.features import PART_VALUES, part
from trainer.synthetic import FEATURES, evaluation, launch, loss, make_request, training


@pytest.fixture
def as_csv(stream, tmp_path):
    path = tmp_path / "clicks.csv"
    pa_csv.write_csv(pq.read_table(stream), path)
    return path


def test_csv_gives_the_same_rows_as_parquet(stream, tmp_path, as_csv):
    parquet, plain = (launch(make_request(uri, tmp_path / uri.suffix)) for uri in (stream, as_csv))
    assert plain.rows.read == parquet.rows.read
    assert loss(plain) == pytest.approx(loss(parquet), rel=0.05)


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zst", "GZ"])
def test_packed_csv_gives_the_same_model_as_plain(tmp_path, as_csv, ending):
    packed = tmp_path / f"clicks.csv.{ending}"
    if ending == "xz":
        packed.write_bytes(lzma.compress(as_csv.read_bytes()))
    else:
        codec = {"gz": "gzip", "GZ": "gzip", "zst": "zstd"}.get(ending, ending)
        with pa.CompressedOutputStream(str(packed), codec) as file:
            file.write(as_csv.read_bytes())
    plain, other = (launch(make_request(uri, tmp_path / uri.suffix)) for uri in (as_csv, packed))
    assert other.checkpoint.digest == plain.checkpoint.digest


def json_lines(path):
    rows = pa_csv.read_csv(path).to_pylist()
    return "".join(json.dumps(row, default=str) + "\n" for row in rows)


@pytest.mark.parametrize("ending", ["jsonl", "json", "ndjson", "jsonl.gz", "log"])
def test_json_lines_give_the_same_model_as_csv(tmp_path, as_csv, ending, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 50_000)
    lines = tmp_path / f"clicks.{ending}"
    text = json_lines(as_csv).encode()
    lines.write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
    config = FEATURES | ({"format": "json"} if ending == "log" else {})
    found = []
    for name, uri, its in (("csv", as_csv, FEATURES), ("json", lines, config)):
        first = make_request(uri, tmp_path / name, train=training(0, 7), config=its, evaluation=None)
        start = launch(first).checkpoint
        on = make_request(uri, tmp_path / f"{name}-on", start=start, train=training(7, 10), config=its)
        found.append(launch(on))
    assert found[1].rows == found[0].rows
    assert found[1].checkpoint.digest == found[0].checkpoint.digest


@pytest.mark.parametrize("mark", ["\t", ";", "|"])
def test_values_of_a_csv_may_stand_between_other_marks(tmp_path, as_csv, mark, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 50_000)
    other = tmp_path / "other.csv"
    other.write_text(as_csv.read_text().replace(",", mark))
    plain, apart = (launch(make_request(uri, tmp_path / uri.stem)) for uri in (as_csv, other))
    assert apart.checkpoint.digest == plain.checkpoint.digest


def test_a_retraining_reads_on_in_a_csv_with_other_marks(tmp_path, as_csv, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 50_000)
    (tmp_path / "other.csv").write_text(as_csv.read_text().replace(",", ";"))
    found = []
    for uri in (as_csv, tmp_path / "other.csv"):
        first = make_request(uri, tmp_path / uri.stem, train=training(0, 7), evaluation=None)
        start = launch(first).checkpoint
        second = make_request(uri, tmp_path / f"{uri.stem}-on", start=start, train=training(7, 10))
        found.append(launch(second).checkpoint.digest)
    assert found[0] == found[1]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "txt"])
def test_text_without_a_header_gives_the_model_of_the_same_rows_with_one(
    tmp_path, as_csv, ending, monkeypatch
):
    monkeypatch.setattr(files, "BLOCK_BYTES", 50_000)
    header, _, rest = as_csv.read_text().partition("\n")
    bare = tmp_path / f"bare.{ending}"
    text = rest.replace(",", "\t") if ending == "tsv" else rest
    bare.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    config = FEATURES | {"columns": header.replace('"', "").split(",")}
    config |= {"format": "csv"} if ending == "txt" else {}
    whole, cut = training(0, 7), training(7, 10)
    found = []
    for uri, its in ((as_csv, FEATURES), (bare, config)):
        first = make_request(uri, tmp_path / uri.name[:4], train=whole, config=its, evaluation=None)
        start = launch(first).checkpoint
        on = make_request(uri, tmp_path / f"{uri.name[:4]}-on", start=start, train=cut, config=its)
        found.append(launch(on))
    assert found[1].rows == found[0].rows
    assert found[1].checkpoint.digest == found[0].checkpoint.digest


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["at", "id", "user"], "3 columns are named, and the first line of .* has 6 values"),
        ([], "no column is named; leave trainer.config.columns out where the first line names them"),
        (["at", "at"], "an entry appears twice"),
    ],
)
def test_names_that_do_not_fit_text_without_a_header_are_refused(tmp_path, as_csv, columns, told):
    request = make_request(as_csv, tmp_path / "run", config=FEATURES | {"columns": columns})
    with pytest.raises((DataError, UserError), match=rf"trainer\.config\.columns: {told}"):
        launch(request)


def test_names_for_a_format_that_has_its_own_are_refused(stream, tmp_path):
    request = make_request(stream, tmp_path / "run", config=FEATURES | {"columns": ["at", "click"]})
    with pytest.raises(DataError, match="the format parquet names its columns itself; leave them out"):
        launch(request)


def test_a_first_line_that_is_no_header_is_told_of(tmp_path, as_csv):
    bare = tmp_path / "bare.csv"
    bare.write_text(as_csv.read_text().partition("\n")[2])
    with pytest.raises(DataError, match=r"no header, name them in trainer\.config\.columns"):
        launch(make_request(bare, tmp_path / "run"))


def test_text_that_is_not_in_utf_8_is_refused(tmp_path, as_csv):
    (tmp_path / "wide.csv").write_bytes(as_csv.read_text().encode("utf-16"))
    with pytest.raises(DataError, match=r"wide\.csv is not text in UTF-8; convert it"):
        launch(make_request(tmp_path / "wide.csv", tmp_path / "run"))
    (tmp_path / "latin.csv").write_bytes(as_csv.read_text().replace("item-1", "itém-1").encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.csv .* convert it to UTF-8"):
        launch(make_request(tmp_path / "latin.csv", tmp_path / "run"))


def test_a_name_of_two_columns_is_refused_where_it_is_used(tmp_path, as_csv):
    header, _, rest = as_csv.read_text().partition("\n")
    (tmp_path / "twice.csv").write_text(header.replace("item", "user") + "\n" + rest)
    with pytest.raises(DataError, match="has two columns with the name 'user'; rename one of them"):
        launch(make_request(tmp_path / "twice.csv", tmp_path / "run"))
    (tmp_path / "unused.csv").write_text(header.replace('"price"', '"id"') + "\n" + rest)
    config = {"features": {"categorical": ["user", "item"]}}
    request = make_request(tmp_path / "unused.csv", tmp_path / "run", config=config)
    with pytest.raises(DataError, match="two columns with the name 'id'"):
        launch(request)
    launch(dataclasses.replace(request, data=dataclasses.replace(request.data, key=("user", "item"))))


@pytest.mark.parametrize("words", [("False", "True"), ("false", "true"), ("0", "1")])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_labels_may_be_written_as_booleans(stream, tmp_path, as_csv, words, ending):
    rows = pq.read_table(stream)
    spoken = pc.if_else(pc.equal(rows["click"], 1), words[1], words[0])
    place = rows.schema.names.index("click")
    write = pa_csv.write_csv if ending == "csv" else pq.write_table
    write(rows.set_column(place, "click", spoken), tmp_path / f"spoken.{ending}")
    whole = as_csv if ending == "csv" else stream
    found = launch(make_request(tmp_path / f"spoken.{ending}", tmp_path / "found"))
    wanted = launch(make_request(whole, tmp_path / "wanted"))
    assert found.rows == wanted.rows
    assert found.evaluated.positives == wanted.evaluated.positives


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_row_is_positive_if_any_of_several_labels_is(stream, tmp_path, ending):
    rows = pq.read_table(stream)
    click = rows["click"].to_numpy()
    place = np.arange(len(click)) % 3
    parts = {f"label{i}": pa.array(np.where(place == i, click, 0)) for i in range(3)}
    split = rows.drop_columns(["click"])
    for name, values in parts.items():
        split = split.append_column(name, values)
    write = pa_csv.write_csv if ending == "csv" else pq.write_table
    write(split, tmp_path / f"split.{ending}")
    config = {"label": {"anyOf": list(parts)}}
    several = launch(make_request(tmp_path / f"split.{ending}", tmp_path / "several", config=config))
    assert several.rows.positives == click.sum()
    whole = tmp_path / f"whole.{ending}"
    write(rows, whole)
    one = launch(make_request(whole, tmp_path / "one", config={}))
    assert several.evaluated == one.evaluated


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_row_is_positive_if_its_label_is_one_of_some_values(stream, tmp_path, ending):
    rows = pq.read_table(stream)
    click = rows["click"].to_numpy()
    words = np.where(click == 1, np.where(np.arange(len(click)) % 2, "buy", "cart"), "view")
    event = pa.array(words, mask=np.arange(len(click)) % 50 == 0)
    write = pa_csv.write_csv if ending == "csv" else pq.write_table
    write(rows.drop_columns(["click"]).append_column("event", event), tmp_path / f"events.{ending}")
    config = {**FEATURES, "label": {"column": "event", "equals": ["buy", "cart"]}}
    report = launch(make_request(tmp_path / f"events.{ending}", tmp_path / "run", config=config))
    assert report.rows.bad == event.null_count
    assert report.rows.positives == click[np.arange(len(click)) % 50 != 0].sum()


def test_values_of_a_label_may_be_numbers_too(stream, tmp_path):
    config = {**FEATURES, "label": {"equals": ["1"]}}
    found = launch(make_request(stream, tmp_path / "equals", config=config))
    assert found.rows.positives == launch(make_request(stream, tmp_path / "plain")).rows.positives


def test_without_a_positive_a_label_that_is_missing_leaves_the_row_out(stream, tmp_path):
    rows = pq.read_table(stream)
    click = rows["click"].to_numpy()
    other = pa.array(np.zeros(len(click), np.int8), mask=np.arange(len(click)) % 2 == 0)
    pq.write_table(rows.append_column("like", other), tmp_path / "likes.parquet")
    config = {**FEATURES, "label": {"anyOf": ["click", "like"], "atLeast": "0.5"}}
    report = launch(make_request(tmp_path / "likes.parquet", tmp_path / "run", config=config))
    assert report.rows.positives == click.sum()
    assert report.rows.bad == ((click == 0) & (np.arange(len(click)) % 2 == 0)).sum()


def test_malformed_lines_and_cells_of_a_csv_are_counted(tmp_path, as_csv):
    lines = as_csv.read_text().splitlines()
    lines[100] += ",one too many"
    first = lines[200].split(",")
    lines[200] = ",".join([*first[:4], "cheap", first[5]])
    lines[300] = ",".join(['"yesterday"', *lines[300].split(",")[1:]])
    as_csv.write_text("\n".join(lines) + "\n")
    report = launch(make_request(as_csv, tmp_path / "run"))
    assert report.rows.bad == 2
    assert report.rows.read == 19_998
    assert report.extra["malformedCells"] == 1


def test_a_folder_of_files_is_one_stream_in_the_order_of_names(stream, tmp_path):
    rows = pq.read_table(stream)
    folder = tmp_path / "parts"
    folder.mkdir()
    for i, start in enumerate(range(0, 20_000, 5_000)):
        pq.write_table(rows.slice(start, 5_000), folder / f"part-{i}.parquet")
    whole = launch(make_request(stream, tmp_path / "whole"))
    for uri in (folder, f"file://{folder}/part-*.parquet"):
        parts = launch(make_request(uri, tmp_path / str(len(str(uri)))))
        assert parts.checkpoint.digest == whole.checkpoint.digest


def test_seconds_as_floats_are_a_time_where_the_unit_is_named(stream, tmp_path):
    rows = pq.read_table(stream)
    seconds = pc.divide(rows["at"].cast("int64").cast("float64"), 1e6)
    pq.write_table(rows.set_column(0, "at", seconds), tmp_path / "floats.parquet")
    config = {**FEATURES, "time": {"unit": "s"}}
    found = launch(make_request(tmp_path / "floats.parquet", tmp_path / "one", config=config))
    assert found.evaluated == launch(make_request(stream, tmp_path / "two")).evaluated


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_any_unit_choose_the_same_row_groups(stream, tmp_path, unit):
    rows = pq.read_table(stream)
    seconds = rows["at"].cast(pa.timestamp("s"), safe=False)
    odd = seconds.cast(pa.timestamp(unit, "America/New_York"))
    if unit == "ns":  # what pandas writes, and Python has no type for
        odd = pc.add(odd.cast("int64"), 7).cast(odd.type)
    path = tmp_path / "odd.parquet"
    pq.write_table(rows.set_column(0, "at", odd), path, row_group_size=500)
    pq.write_table(rows.set_column(0, "at", seconds), tmp_path / "plain.parquet")
    found, wanted = (
        launch(make_request(uri, tmp_path / uri.stem)) for uri in (path, tmp_path / "plain.parquet")
    )
    assert found.rows == wanted.rows
    assert found.checkpoint.digest == wanted.checkpoint.digest


def test_row_groups_of_other_days_are_not_read(stream, tmp_path):
    rows = pq.read_table(stream)
    for name, kind in (("ns", pa.timestamp("ns")), ("day", pa.date32())):
        pq.write_table(
            rows.set_column(0, "at", rows["at"].cast(kind, safe=False)), tmp_path / name, row_group_size=500
        )
        source = files.open_source(str(tmp_path / name), "parquet")
        day = int(rows["at"][10_000].cast("int64").as_py() // 86_400_000_000) * 86_400_000_000
        read = sum(b.num_rows for b in files.read(source, ["click"], "at", [(day, day + 86_400_000_000)]))
        assert 0 < read < rows.num_rows / 2


def test_where_a_file_lacks_the_time_the_extent_is_not_told(stream, tmp_path):
    rows = pq.read_table(stream)
    folder = tmp_path / "parts"
    folder.mkdir()
    pq.write_table(rows.slice(0, 9_000), folder / "0.parquet")
    first = rows["at"][0].cast("int64").as_py(), rows["at"][8_999].cast("int64").as_py()
    assert files.extent(files.open_source(str(folder), None), "at") == first
    pq.write_table(rows.slice(9_000).drop_columns("at"), folder / "1.parquet")
    assert files.extent(files.open_source(str(folder), None), "at") is None


def test_folders_that_are_named_as_hive_does_add_columns(stream, tmp_path):
    rows = pq.read_table(stream)
    days = pc.strftime(rows["at"], "%Y-%m-%d")
    for day in pc.unique(days).to_pylist():
        for half in ("a%2Fb", "__HIVE_DEFAULT_PARTITION__"):
            folder = tmp_path / "lake" / f"dt={day}" / f"half={half}"
            folder.mkdir(parents=True)
            part = rows.filter(pc.equal(days, day))
            cut = part.num_rows // 2
            part = part.slice(0, cut) if half == "a%2Fb" else part.slice(cut)
            pq.write_table(part.drop_columns(["at"]), folder / "part.parquet")
    source = files.open_source(str(tmp_path / "lake"), None)
    assert source.partitions == {"dt", "half"}
    batches = list(files.read(source, ["half", "click", "dt"], None, []))
    table = pa.Table.from_batches(batches)
    assert table.num_rows == rows.num_rows
    assert set(table["half"].to_pylist()) == {"a/b", None}
    glob = files.open_source(f"{tmp_path}/lake/dt=*/half=a*/*.parquet", None)
    assert glob.partitions == {"dt", "half"}
    one = files.open_source(str(glob.files[0].path), None)
    assert one.partitions == frozenset()
    features = {
        "categorical": ["user", "item", "half"],
        "derived": {"day": {"from": "dt", "part": "weekday"}},
    }
    data = Data(str(tmp_path / "lake"), "dt", "click", ("id",))
    config = {"features": features}
    request = make_request(
        tmp_path / "lake", tmp_path / "run", data=data, config=config, train=training(3, 5), evaluation=None
    )
    for file in source.files[1:-1]:  # the first and the last one tell the columns
        if file.partitions["dt"] not in {"2024-01-04", "2024-01-05"}:
            Path(file.path).write_bytes(b"of a day that the run does not need")
    report = launch(request)
    assert report.rows.kept == pc.sum(pc.is_in(days, pa.array(["2024-01-04", "2024-01-05"]))).as_py()
    late = dataclasses.replace(request, train=training(20, 21), cycle=2)
    with pytest.raises(NotReadyError, match="ends at 2024-01-10T00:00:00Z"):
        launch(late)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_columns_that_only_some_files_have_are_missing_in_the_others(stream, tmp_path, ending, capfd):
    rows = pq.read_table(stream)
    whole, folder = tmp_path / "whole", tmp_path / "parts"
    for place in (whole, folder):
        place.mkdir()
    write = pq.write_table if ending == "parquet" else pa_csv.write_csv
    nothing = pa.nulls(5_000, rows["price"].type)
    for i, piece in enumerate(rows.slice(start, 5_000) for start in range(0, 20_000, 5_000)):
        late = piece.append_column("late", piece["item"].cast("string"))
        lacks = i in {1, 2}
        write(piece.drop_columns("price") if lacks else late if i == 3 else piece, folder / f"{i}.{ending}")
        late = late.set_column(
            late.schema.names.index("late"), "late", late["late"] if i == 3 else pa.nulls(5_000, "string")
        )
        write(late.set_column(4, "price", nothing) if lacks else late, whole / f"{i}.{ending}")
    assert rows.schema.names[4] == "price"
    config = {"features": {"categorical": ["user", "late"], "numeric": ["price"]}}
    wanted, found = (
        launch(make_request(uri, tmp_path / f"run-{uri.name}", config=config)) for uri in (whole, folder)
    )
    assert found.rows == wanted.rows
    assert found.extra["missingCells"] == wanted.extra["missingCells"] > 10_000
    assert found.checkpoint.digest == wanted.checkpoint.digest
    assert f"1.{ending} has no column 'price'" in capfd.readouterr().err or ending == "csv"


def test_files_out_of_order_are_sorted_though_columns_differ(stream, tmp_path):
    rows = pq.read_table(stream)
    folder = tmp_path / "parts"
    folder.mkdir()
    narrow = (
        rows.slice(9_000).set_column(2, "user", rows.slice(9_000)["user"].cast("int8")).drop_columns("price")
    )
    assert rows.schema.names[2] == "user"
    pq.write_table(narrow, folder / "0.parquet")
    pq.write_table(rows.slice(0, 9_000), folder / "1.parquet")
    config = {"features": {"categorical": ["user"]}}
    found = launch(make_request(folder, tmp_path / "found", config=config))
    wanted = launch(make_request(stream, tmp_path / "wanted", config=config))
    assert found.rows == wanted.rows
    assert found.checkpoint.digest == wanted.checkpoint.digest


def test_files_out_of_order_whose_types_do_not_go_together_are_refused(stream, tmp_path):
    rows = pq.read_table(stream)
    folder = tmp_path / "parts"
    folder.mkdir()
    pq.write_table(rows.slice(9_000).set_column(2, "user", pa.array(["x"] * 11_000)), folder / "0.parquet")
    pq.write_table(rows.slice(0, 9_000), folder / "1.parquet")
    with pytest.raises(DataError, match="give each column one type"):
        launch(make_request(folder, tmp_path / "run", config={"features": {"categorical": ["user"]}}))


def test_features_that_nobody_named_stay_when_the_log_gets_a_column(stream, tmp_path):
    rows = pq.read_table(stream)
    folder = tmp_path / "parts"
    folder.mkdir()
    pq.write_table(rows.slice(0, 9_000), folder / "0.parquet")
    pq.write_table(rows.slice(9_000), folder / "1.parquet")
    before = launch(make_request(folder, tmp_path / "before", config={}))
    pq.write_table(rows.slice(9_000).append_column("late", pa.array(["x"] * 11_000)), folder / "1.parquet")
    assert (
        launch(make_request(folder, tmp_path / "after", config={})).checkpoint.digest
        == before.checkpoint.digest
    )


def test_a_time_is_assembled_from_its_parts(stream, tmp_path):
    rows = pq.read_table(stream)
    times = [t.replace(second=0) for t in rows["at"].to_pylist()]
    parts = pa.table(
        {
            "y": [t.year for t in times],
            "m": [t.month for t in times],
            "d": [t.day for t in times],
            "minutes": [t.hour * 60 + t.minute for t in times],
            **{name: rows[name] for name in ("id", "user", "item", "price", "click")},
        }
    )
    pa_csv.write_csv(parts, tmp_path / "parts.csv")
    config = {**FEATURES, "time": {"parts": {"year": "y", "month": "m", "day": "d", "minute": "minutes"}}}
    whole = rows.set_column(0, "at", pa.array(times, pa.timestamp("us")))
    pq.write_table(whole, tmp_path / "t.parquet")
    every = evaluation(share=1.0)
    wanted = launch(make_request(tmp_path / "t.parquet", tmp_path / "one", evaluation=every))
    found = launch(make_request(tmp_path / "parts.csv", tmp_path / "two", config=config, evaluation=every))
    assert found.evaluated.n == wanted.evaluated.n
    assert loss(found) == pytest.approx(loss(wanted), rel=0.05)


@pytest.mark.parametrize("form", ["%y%m%d%H", "%d/%m/%Y %H h"])
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_time_is_read_in_the_form_that_is_named(stream, tmp_path, form, ending):
    rows = pq.read_table(stream)
    hours = pc.floor_temporal(rows["at"], unit="hour")
    written = pc.strftime(hours, form)
    written = written.cast("int64") if form == "%y%m%d%H" else written
    path = tmp_path / f"written.{ending}"
    (pq.write_table if ending == "parquet" else pa_csv.write_csv)(rows.set_column(0, "at", written), path)
    pq.write_table(rows.set_column(0, "at", hours), tmp_path / "t.parquet")
    every = evaluation(share=1.0)
    config = {**FEATURES, "time": {"format": form}}
    wanted = launch(make_request(tmp_path / "t.parquet", tmp_path / "one", evaluation=every))
    found = launch(make_request(path, tmp_path / "two", config=config, evaluation=every))
    assert found.evaluated.n == wanted.evaluated.n
    assert loss(found) == pytest.approx(loss(wanted), rel=0.05)


def test_a_tsv_with_a_header_has_the_columns_that_it_names(stream, tmp_path):
    path = tmp_path / "clicks.tsv"
    pa_csv.write_csv(pq.read_table(stream), path, pa_csv.WriteOptions(delimiter="\t"))
    found, wanted = (launch(make_request(uri, tmp_path / uri.suffix[1:])) for uri in (path, stream))
    assert found.rows.read == wanted.rows.read
    assert loss(found) == pytest.approx(loss(wanted), rel=0.05)


@pytest.mark.parametrize(("name", "named"), [("train.txt.gz", {"format": "criteo"}), ("train.tsv.gz", {})])
def test_criteo_rows_get_their_time_by_position(tmp_path, name, named):
    random = np.random.default_rng(0)
    rows = 9_000
    good = random.random(rows) < 0.5
    labels = random.random(rows) < np.where(good, 0.5, 0.1)
    numbers = random.integers(0, 50, (rows, 13)).astype(str)
    numbers[random.random((rows, 13)) < 0.2] = ""
    texts = random.integers(10, 40, (rows, 25)).astype(str)
    lines = [
        "\t".join([str(int(labels[i])), *numbers[i], "68fd1e64" if good[i] else "8cf07265", *texts[i]])
        for i in range(rows)
    ]
    path = tmp_path / name
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 1))
    ends = tuple(datetime(2024, 1, 1, hour, tzinfo=UTC) for hour in (2, 3))
    request = make_request(
        path,
        tmp_path / "run",
        data=Data(str(path), "at", "label", ("C1", "C2", "C3", "I1")),
        config={**named, "time": {"rowStart": "2024-01-01T00:00:00Z"}, "batchSize": 128},
        train=Train(datetime(2024, 1, 1, tzinfo=UTC), ends[1], Policy.UNIFORM, 1.0, "s"),
        evaluation=Evaluation(datetime(2024, 1, 1, 1, 30, tzinfo=UTC), ends[1], 1.0, "e", ends),
    )
    report = launch(request)
    assert report.evaluated.n == (1_800, 1_800)
    assert report.extra["missingCells"] == (numbers == "").sum()
    assert report.evaluated.models["self"].auc > 0.6


def test_vocabulary_values_get_their_own_row_and_the_rest_share_one(stream, tmp_path, as_csv):
    features = {
        "categorical": ["user"],
        "vocabulary": {"user": [str(i) for i in range(40)]},
    }
    config = {"features": features}
    every = evaluation(share=1.0)
    whole = launch(make_request(stream, tmp_path / "parquet", config=config, evaluation=every))
    text = launch(make_request(as_csv, tmp_path / "csv", config=config, evaluation=every))
    assert text.checkpoint.digest == whole.checkpoint.digest


@pytest.mark.parametrize("name", list(PART_VALUES))
def test_parts_of_a_time_are_those_of_the_calendar(name):
    times = np.array(["1969-12-31T23:59", "2001-02-28T17:31:59", "2024-02-29T00:00"], "M8[us]")
    wanted = {
        "hour": [23, 17, 0],
        "weekday": [2, 2, 3],
        "minute_of_day": [1439, 1051, 0],
        "month": [11, 1, 1],
        "quarter_hour": [95, 70, 0],
    }
    assert part(times.astype(np.int64), name).tolist() == wanted[name]
