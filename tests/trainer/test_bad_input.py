"""What a user can get wrong: one line that names it, and the exit code of its kind."""

import dataclasses
import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from dataefficient.contract import CheckpointRef, Scales, to_json
from dataefficient_trainer import __main__ as program
from dataefficient_trainer import source
from trainer.synthetic import (
    FEATURES,
    evaluation,
    launch,
    loss,
    make_request,
    training,
    write_request,
)


@pytest.fixture
def fails(tmp_path, monkeypatch, capsys):
    """Run the program; returns its exit code and its one line."""

    def run(request):
        for name, value in write_request(request, tmp_path / "given").items():
            if name.startswith("DATAEFFICIENT"):
                monkeypatch.setenv(name, value)
        if isinstance(request, str):
            (tmp_path / "given" / "request.json").write_text(request)
        code = program.main()
        message = capsys.readouterr().err.splitlines()
        lines = [line for line in message if not line.startswith("notice: ")]
        assert len(lines) == (code != 0), lines
        return code, "".join(lines)

    return run


def replaced(stream, path, column, values):
    rows = pq.read_table(stream)
    pq.write_table(rows.set_column(rows.schema.names.index(column), column, values), path)
    return path


def test_a_missing_column_is_named_with_the_columns_that_exist(stream, tmp_path, fails):
    base = make_request(stream, tmp_path)
    for change, field in (
        ({"data": dataclasses.replace(base.data, label="late")}, "data.label"),
        ({"data": dataclasses.replace(base.data, time="when")}, "data.time"),
        ({"data": dataclasses.replace(base.data, key=("nr",))}, "data.key"),
        ({"data": dataclasses.replace(base.data, group="nr")}, "data.group"),
        ({"data": dataclasses.replace(base.data, served_prediction="p")}, "data.servedPrediction"),
        ({"config": {**FEATURES, "slices": ["country"]}}, "trainer.config.slices"),
        ({"config": {**FEATURES, "label": {"anyOf": ["click", "like"]}}}, "trainer.config.label.anyOf"),
        (
            {"config": {**FEATURES, "distillation": {"teacher": "p"}}},
            "trainer.config.distillation.teacher",
        ),
        ({"evaluation": dataclasses.replace(base.evaluation, slices=("country",))}, "kpi.slices"),
        ({"config": {"features": {"categorical": ["usr"]}}}, "trainer.config.features"),
    ):
        code, line = fails(dataclasses.replace(base, **change))
        assert code == 65, line
        assert line.startswith(f"{field}: column '")
        assert "its columns are at, id, user, item, price, click" in line


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"feature": {}}, "trainer.config.feature: unknown field; allowed are features, label"),
        (
            {"features": {"categoric": []}},
            "trainer.config.features.categoric: unknown field; allowed are",
        ),
        ({"features": {"categorical": "user"}}, "trainer.config.features.categorical: expected a list"),
        (
            {"features": {"categorical": ["user", "user"]}},
            "trainer.config.features.categorical: an entry appears",
        ),
        ({"features": {}}, "trainer.config.features: no feature is named"),
        ({"features": {"lists": ["user"]}}, "trainer.config.features.lists: expected an object"),
        (
            {"features": {"lists": {"user": {"most": 200}}}},
            "trainer.config.features.lists.user.most: expected an integer from 1 to 128, found 200",
        ),
        (
            {"features": {"lists": {"user": {"seperator": "|"}}}},
            "trainer.config.features.lists.user.seperator: unknown field; allowed are most, separator",
        ),
        (
            {"features": {"categorical": ["user"], "lists": {"user": {}}}},
            "trainer.config.features.lists.user: 'user' is a feature of another kind too; name it once",
        ),
        (
            {"features": {"categorical": ["user"], "vocabulary": {"item": ["a"]}}},
            "trainer.config.features.vocabulary.item: 'item' is neither in trainer.config.features.categ",
        ),
        (
            {"features": {"derived": {"h": {"from": "at", "part": "year"}}}},
            "trainer.config.features.derived.h.part: 'year' is not one of hour, weekday",
        ),
        (
            {"features": {"categorical": ["user"], "crosses": [["user", "hour"]]}},
            "trainer.config.features.crosses[0]: 'hour' is not a categorical or derived field: user",
        ),
        ({"features": {"categorical": ["click"]}}, "trainer.config.features: 'click' is the label's column"),
        ({"label": {"anyOf": ["click"]}}, "trainer.config.label.anyOf: expected two columns or more, found"),
        ({"label": {"equals": []}}, "trainer.config.label.equals: no value is given; name those that are"),
        (
            {"label": {"equals": ["1"], "atLeast": 1}},
            "trainer.config.label: give only one of atLeast and equals",
        ),
        ({"label": {"anyOf": "click"}}, "trainer.config.label.anyOf: expected a list of strings"),
        (
            {"label": {"anyOf": ["click", "price"], "column": "price"}},
            "trainer.config.label: give only one of column and anyOf",
        ),
        (
            {"features": {"numeric": ["price"]}, "label": {"anyOf": ["click", "price"]}},
            "trainer.config.features: 'price' is the label's column",
        ),
        ({"hashBuckets": 1}, "trainer.config.hashBuckets: expected an integer from 2"),
        ({"batchSize": 0}, "trainer.config.batchSize: expected an integer from 1"),
        ({"learningRate": 0}, "trainer.config.learningRate: expected a number from 1e-06"),
        ({"distillation": {}}, "trainer.config.distillation.teacher: missing"),
        (
            {"distillation": {"teacher": "price", "weight": 1.5}},
            "trainer.config.distillation.weight: expected a number from 0 to 1, found 1.5",
        ),
        (
            {"features": {"numeric": ["price"]}, "distillation": {"teacher": "price"}},
            "trainer.config.distillation.teacher: 'price' is a feature too",
        ),
        ({"format": "orc"}, "trainer.config.format: 'orc' is not one of parquet, csv, tsv, criteo"),
        ({"time": {"format": "%H"}}, "trainer.config.time.format: '%H' has no year"),
        ({"time": {"format": "%Y%Q"}}, "trainer.config.time.format: '%Y%Q' has %Q; allowed are %Y, %y"),
        ({"time": {"format": "%Y%"}}, "trainer.config.time.format: '%Y%' has %; allowed are %Y, %y"),
        ({"time": {"format": "%Y", "unit": "s"}}, "trainer.config.time: give only one of"),
        ({"time": {"unit": "s", "parts": {"year": "y"}}}, "trainer.config.time: give only one of"),
        (
            {"label": {"atleast": 1}},
            "trainer.config.label.atleast: unknown field; allowed are column, atLeast, anyOf, equals",
        ),
    ],
)
def test_a_wrong_configuration_is_a_user_error(stream, tmp_path, fails, config, line):
    code, found = fails(make_request(stream, tmp_path, config=config))
    assert code == 64, found
    assert found.startswith(line), found


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"size": 0}, "request.size: 0 is "),
        ({"size": 5000}, "request.size: 5000 is outside 1 to 1024"),
        ({"train": training(rate=1.5)}, "request.train.rate: 1.5 is outside (0, 1]"),
        ({"train": training(5, 2)}, "request.train.end: "),
        ({"train": None}, "request.start: missing"),
        ({"device": "tpu"}, "request.device: 'tpu' is not one of cpu, cuda"),
    ],
)
def test_a_wrong_request_is_a_user_error(stream, tmp_path, fails, change, line):
    code, found = fails(make_request(stream, tmp_path, **change))
    assert code == 64, found
    assert found.startswith(line), found


def test_a_request_that_is_no_json_and_a_variable_that_is_not_set_are_user_errors(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "request.json").write_text("{")
    monkeypatch.setenv("DATAEFFICIENT_REQUEST", str(tmp_path / "request.json"))
    monkeypatch.setenv("DATAEFFICIENT_REPORT", str(tmp_path / "report.json"))
    assert program.main() == 64
    assert "not JSON" in capsys.readouterr().err
    monkeypatch.setenv("DATAEFFICIENT_REQUEST", str(tmp_path / "gone.json"))
    assert program.main() == 64
    monkeypatch.delenv("DATAEFFICIENT_REQUEST")
    assert program.main() == 64
    assert "DATAEFFICIENT_REQUEST is not set" in capsys.readouterr().err


def test_an_empty_interval_is_skipped(stream, tmp_path, fails):
    code, line = fails(make_request(stream, tmp_path, train=training(20, 30), evaluation=evaluation(25, 30)))
    assert code == 76
    assert "has its at in [2024-01-21T00:00:00Z, 2024-01-31T00:00:00Z)" in line


@pytest.mark.parametrize("cycle", [0, 3])
def test_a_stream_that_ends_before_the_interval_of_a_later_cycle_may_still_come(
    stream, tmp_path, fails, cycle
):
    request = make_request(
        stream, tmp_path, cycle=cycle, train=training(20, 30), evaluation=evaluation(25, 30)
    )
    code, line = fails(request)
    assert code == (75 if cycle else 76)
    assert ("set schedule.endTime" in line) == bool(cycle)


def test_an_interval_without_rows_within_the_stream_is_empty_in_a_later_cycle_too(stream, tmp_path, fails):
    rows = pq.read_table(stream)
    days = pc.day(rows["at"])
    pq.write_table(rows.filter(pc.not_equal(days, days[10_000])), tmp_path / "gap.parquet")
    day = days[10_000].as_py()
    request = make_request(
        tmp_path / "gap.parquet",
        tmp_path,
        cycle=3,
        train=training(day - 1, day),
        evaluation=evaluation(day - 1, day),
    )
    assert fails(request)[0] == 76


def test_an_empty_interval_says_where_rows_lie(stream, tmp_path, fails):
    rows = pq.read_table(stream)
    first, last = (f"{rows['at'][i].as_py():%Y-%m-%dT%H:%M:%SZ}" for i in (0, -1))
    pa_csv.write_csv(rows, tmp_path / "clicks.csv")
    folder = tmp_path / "parts"
    folder.mkdir()
    for i, part in enumerate((rows.slice(0, 9_000), rows.slice(9_000, 2_000), rows.slice(11_000))):
        pq.write_table(part, folder / f"{i}.parquet")
    for uri in (stream, folder, tmp_path / "clicks.csv"):
        request = make_request(uri, tmp_path, train=training(20, 30), evaluation=evaluation(25, 30))
        code, line = fails(request)
        assert code == 76
        assert f"rows were found from {first} to {last}" in line, line


def test_times_that_cannot_be_read_ask_how_they_are_written(stream, tmp_path, fails):
    odd = pc.strftime(pq.read_table(stream)["at"].cast(pa.timestamp("s"), safe=False), "%d/%m/%Y %H:%M")
    uri = replaced(stream, tmp_path / "odd.parquet", "at", odd)
    code, line = fails(make_request(uri, tmp_path))
    assert code == 65
    assert line.startswith("data.time: none of the 20,000 rows read has a time in column 'at' that can be"), (
        line
    )
    assert f"'{odd[0]}'; say how it is written in trainer.config.time" in line, line
    none = replaced(stream, tmp_path / "none.parquet", "at", pa.nulls(20_000, pa.timestamp("us")))
    code, line = fails(make_request(none, tmp_path))
    assert (code, line) == (65, "data.time: none of the 20,000 rows read has a time in column 'at'")


@pytest.mark.parametrize("value", [0, 1])
def test_labels_that_are_all_equal_are_refused_on_a_cold_start(stream, tmp_path, fails, value):
    uri = replaced(stream, tmp_path / "same.parquet", "click", pa.array([value] * 20_000))
    code, line = fails(make_request(uri, tmp_path))
    assert code == 76
    assert f"all 20,000 training rows have the label {value} (column 'click')" in line


def test_labels_that_are_all_equal_only_get_a_notice_on_a_warm_start(stream, tmp_path, fails):
    start = launch(make_request(stream, tmp_path / "start", evaluation=None)).checkpoint
    uri = replaced(stream, tmp_path / "same.parquet", "click", pa.array([0] * 20_000))
    assert fails(make_request(uri, tmp_path / "warm", start=start))[0] == 0


def test_a_label_that_is_no_label_says_how_to_make_one(stream, tmp_path, fails):
    base = make_request(stream, tmp_path, config={"features": {"categorical": ["user"]}})
    request = dataclasses.replace(base, data=dataclasses.replace(base.data, label="price"))
    code, line = fails(request)
    assert code == 65
    assert "set trainer.config.label.atLeast or .equals to make one" in line
    config = {**base.config, "label": {"column": "price", "atLeast": "6.5"}}
    report = launch(dataclasses.replace(base, config=config))
    assert report.rows.positives == (pq.read_table(stream)["price"].to_numpy() >= 6.5).sum()


def test_a_teacher_that_predicts_no_probability_is_refused_by_its_values(stream, tmp_path, fails):
    config = {"features": {"categorical": ["user"]}, "distillation": {"teacher": "price"}}
    code, line = fails(make_request(stream, tmp_path, config=config))
    assert code == 65
    assert line.startswith("trainer.config.distillation.teacher: column 'price' holds values such as ")
    assert "a prediction is a probability from 0 to 1" in line


def test_a_text_label_is_refused_by_its_rows(stream, tmp_path, fails):
    request = make_request(stream, tmp_path, config={"features": {"categorical": ["user"]}})
    code, line = fails(dataclasses.replace(request, data=dataclasses.replace(request.data, label="item")))
    assert code == 65
    assert "none of the 20,000 rows of the interval has a usable label in column 'item'" in line
    assert "it must hold 0 and 1, or what trainer.config.label.atLeast or .equals makes one of" in line


def test_bad_labels_and_cells_are_counted_and_stop_nothing(stream, tmp_path):
    rows = pq.read_table(stream)
    click = [None if i % 10 == 0 else v for i, v in enumerate(rows["click"].to_pylist())]
    price = rows["price"].to_numpy().copy()
    price[5:4000:7], price[6:4000:7] = np.inf, np.nan
    rows = rows.set_column(5, "click", pa.array(click, pa.int8())).set_column(4, "price", pa.array(price))
    item = [None if i % 5 == 1 else v for i, v in enumerate(rows["item"].to_pylist())]
    pq.write_table(rows.set_column(3, "item", pa.array(item)), tmp_path / "bad.parquet")
    report = launch(make_request(tmp_path / "bad.parquet", tmp_path / "bad"))
    assert (report.rows.bad, report.rows.read) == (2_000, 18_000)
    assert report.extra["missingCells"] == 4_000
    assert 900 < report.extra["notFiniteCells"] < 1142
    assert loss(report) == pytest.approx(loss(launch(make_request(stream, tmp_path / "good"))), rel=0.05)


def test_time_running_backwards_is_named_with_its_row_where_a_file_is_too_large_to_sort(
    stream, tmp_path, fails, monkeypatch
):
    rows = pq.read_table(stream)
    swapped = np.arange(20_000)
    swapped[[9_000, 12_000]] = swapped[[12_000, 9_000]]
    pq.write_table(rows.take(pa.array(swapped)), tmp_path / "back.parquet")
    monkeypatch.setattr(source, "SORT_ROWS", 1_000)
    code, line = fails(make_request(tmp_path / "back.parquet", tmp_path))
    assert code == 65
    late = np.datetime64(rows["at"][12_000].as_py(), "s")
    assert f"time runs backwards in {tmp_path}/back.parquet: row 9001 of those read has at " in line
    assert f"after {late}Z; sort the file by its time" in line


def test_a_small_file_out_of_order_is_sorted(stream, tmp_path, capsys):
    rows = pq.read_table(stream)
    order = np.random.default_rng(0).permutation(20_000)
    pq.write_table(rows.take(pa.array(order)), tmp_path / "mixed.parquet")
    mixed = launch(make_request(tmp_path / "mixed.parquet", tmp_path / "mixed"))
    assert "is not in time order; its 20,000 rows were sorted in memory" in capsys.readouterr().err
    assert mixed.evaluated.digest == launch(make_request(stream, tmp_path / "plain")).evaluated.digest


def test_unreadable_truncated_and_foreign_files_are_data_errors(stream, tmp_path, fails):
    body = stream.read_bytes()
    (tmp_path / "cut.parquet").write_bytes(body[: len(body) // 2])
    (tmp_path / "text.parquet").write_text("no parquet at all")
    (tmp_path / "hole.parquet").write_bytes(body[:50_000] + b"\0" * 20_000 + body[70_000:])
    (tmp_path / "rows.xyz").write_text("1")
    (tmp_path / "empty.csv").write_text("")
    for name, part in (
        ("gone.parquet", "no such file"),
        ("cut.parquet", "cannot be read as parquet"),
        ("text.parquet", "cannot be read as parquet"),
        ("hole.parquet", "is damaged"),
        ("rows.xyz", "set trainer.config.format"),
        ("empty.csv", "cannot be read as csv"),
    ):
        code, line = fails(make_request(tmp_path / name, tmp_path / "out"))
        assert code == 65, (name, line)
        assert line.startswith("data.uri: "), line
        assert part in line, line
    code, line = fails(make_request("nowhere://bucket/x.parquet", tmp_path / "out"))
    assert (code, line[:10]) == (65, "data.uri: ")


def test_a_form_for_a_column_of_times_is_refused(stream, tmp_path, fails):
    code, line = fails(make_request(stream, tmp_path, config={**FEATURES, "time": {"format": "%Y%m%d"}}))
    assert code == 65
    assert line.startswith("trainer.config.time.format: column 'at' has the type timestamp"), line


def test_an_integer_time_asks_for_its_unit(stream, tmp_path, fails):
    seconds = pc.divide(pq.read_table(stream)["at"].cast(pa.int64()), 1_000_000)
    uri = replaced(stream, tmp_path / "seconds.parquet", "at", seconds)
    code, line = fails(make_request(uri, tmp_path))
    assert code == 65
    assert "set trainer.config.time.unit" in line
    report = launch(make_request(uri, tmp_path / "unit", config={**FEATURES, "time": {"unit": "s"}}))
    assert report.evaluated == dataclasses.replace(launch(make_request(stream, tmp_path / "plain")).evaluated)


def test_a_checkpoint_that_is_gone_damaged_or_of_another_model_is_named(stream, tmp_path, fails):
    start = launch(make_request(stream, tmp_path / "start", evaluation=None, size=8)).checkpoint
    damaged = tmp_path / "damaged.safetensors"
    body = bytearray((tmp_path / "start" / "checkpoint.safetensors").read_bytes())
    body[-5] ^= 1
    damaged.write_bytes(body)
    other = {"features": {"categorical": ["user"]}}
    base = make_request(stream, tmp_path / "run", start=start, size=8)
    for change, part in (
        ({"start": CheckpointRef(str(tmp_path / "gone"), start.digest)}, "cannot be read: FileNotFoundError"),
        ({"start": CheckpointRef(str(damaged), start.digest)}, "is damaged or was replaced"),
        ({"start": CheckpointRef(str(stream), digest_of(stream))}, "is not a checkpoint of this trainer"),
        ({"config": other}, "is a checkpoint of another model: its layout differs"),
        (
            {"config": {**FEATURES, "label": {"atLeast": 1}}},
            "of another model: its label differs",
        ),
        ({"frozen": {"old": CheckpointRef(str(tmp_path / "gone"), "")}}, "frozen.old: the checkpoint"),
    ):
        code, line = fails(dataclasses.replace(base, **change))
        assert code == 77, line
        assert part in line, line


def digest_of(path):
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_loss_that_is_not_finite_stops_before_the_step(stream, tmp_path, fails):
    code, line = fails(
        make_request(stream, tmp_path / "run", scales=Scales(learning_rate=1e30, batch=0.1), size=8)
    )
    assert code == 78, line
    assert "the training loss became" in line
    assert "lower trainer.config.learningRate" in line
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_a_report_keeps_to_the_contract_when_numbers_are_missing(stream, tmp_path):
    report = launch(make_request(stream, tmp_path, evaluation=evaluation(20, 30)))
    assert sum(report.evaluated.n) == 0
    assert report.evaluated.models["self"].auc is None
    assert json.loads(to_json(report))["run"] == "c000-candidate"


def test_the_columns_are_chosen_where_no_feature_is_named(stream, tmp_path):
    report = launch(make_request(stream, tmp_path / "default", config={}))
    assert loss(report) < 1.02 * loss(launch(make_request(stream, tmp_path / "named")))


def test_an_unwritable_output_is_one_line(stream, fails):
    code, line = fails(make_request(stream, "/proc/nowhere"))
    assert code == 65
    assert "cannot write to /proc/nowhere" in line
