"""Columns of several values a row: lists, and text with a separator."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from dataefficient_trainer import checkpoint, launch, lineage
from dataefficient_trainer.config import Features, Listed, parse
from dataefficient_trainer.errors import DataError, StoppedError
from dataefficient_trainer.features import Cells, extract, layout, resolve
from dataefficient_trainer.hashing import NULL
from dataefficient_trainer.listed import split
from trainer import synthetic
from trainer.synthetic import loss, make_request, tagged, training, written

NAMED = {"features": {"categorical": ["item"], "lists": {"tags": {}}}}


def joined(rows, separator="|"):
    """The same clicks with the tags as text."""
    at = rows.schema.names.index("tags")
    return rows.set_column(at, "tags", pc.binary_join(rows["tags"], separator))


@pytest.fixture(scope="module")
def clicks(tmp_path_factory):
    return written(tagged(), tmp_path_factory.mktemp("tagged"))


def run(uri, folder, config=NAMED, **changes):
    return synthetic.launch(make_request(uri, folder, config=config, **changes))


def rows_of(array, listed=None, features=None, buckets=1000):
    """Table rows of a column alone, and what was counted."""
    plan = layout(features or Features(lists={"tags": listed or Listed()}), buckets)
    cells = Cells()
    batch = pa.record_batch([array], names=["tags"])
    return extract(batch, plan, lambda _: None, cells)[0], cells, plan


def test_what_a_list_tells_is_learned(clicks, tmp_path):
    faster = {"learningRate": 3}
    with_tags = run(clicks, tmp_path / "with", NAMED | faster)
    without = run(clicks, tmp_path / "without", {"features": {"categorical": ["item"]}} | faster)
    assert loss(with_tags) < 0.8 * loss(without)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_text_with_a_separator_gives_the_model_of_the_same_lists(clicks, tmp_path, ending):
    write = pq.write_table if ending == "parquet" else pa_csv.write_csv
    write(joined(tagged()), tmp_path / f"text.{ending}")
    config = {"features": {"categorical": ["item"], "lists": {"tags": {"separator": "|"}}}}
    text = run(tmp_path / f"text.{ending}", tmp_path / "text", config)
    lists = run(clicks, tmp_path / "lists")
    theirs, own = (checkpoint.load(report.checkpoint, "")[0] for report in (text, lists))
    assert theirs.keys() == own.keys()
    assert all(theirs[name].equal(own[name]) for name in own)


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.int64()), pa.large_list(pa.int32()), pa.list_(pa.uint8(), 2), pa.list_(pa.int16())]
)
def test_lists_of_any_kind_have_the_same_rows(kind):
    wanted, _, _ = rows_of(pa.array([[3, 4], None, [4, 5]], pa.list_(pa.int64())))
    found, _, _ = rows_of(pa.array([[3, 4], None, [4, 5]], kind))
    assert found.tolist() == wanted.tolist()
    assert found[0, 1] == found[2, 0]


def test_a_slice_of_lists_is_read_from_its_own_first_row():
    whole = pa.array([["a"], ["b", "c"], None, ["d"]])
    assert rows_of(whole.slice(1))[0].tolist() == rows_of(whole)[0][1:].tolist()


@pytest.mark.parametrize("dictionary", [False, True])
def test_text_is_split_trimmed_and_a_gap_in_it_is_a_missing_value(dictionary):
    text = pa.array(["a, b", None, "", "b,,a", "a, b"])
    found = split(text.dictionary_encode() if dictionary else text, ",")
    hashes = [found.hashes[s : s + n].tolist() for s, n in zip(found.start, found.length, strict=True)]
    a, b = split(pa.array(["a", "b"]), None).hashes.tolist()
    assert hashes == [[a, b], [], [NULL], [b, NULL, a], [a, b]]


def test_a_column_of_one_value_a_row_is_a_list_of_one():
    found = split(pa.array([5, None, 6]), None)
    assert found.length.tolist() == [1, 0, 1]
    assert len(found.hashes) == 2


def test_missing_empty_and_absent_lists_have_the_row_of_the_missing_value():
    found, cells, plan = rows_of(pa.array([None, [], [None], ["a"]], pa.list_(pa.string())))
    padding = plan.bags[0].padding
    assert found[:3].tolist() == [[0] + [padding] * 7] * 3
    assert found[3, 0] not in (0, padding)
    assert cells.missing == 1
    absent, _, _ = rows_of(pa.nulls(2))
    assert absent.tolist() == found[:2].tolist()


def test_lists_without_any_value_train_and_score(tmp_path):
    pq.write_table(tagged(empty=True), tmp_path / "clicks.parquet")
    report = run(tmp_path / "clicks.parquet", tmp_path / "run")
    assert np.isfinite(loss(report))
    assert report.extra["missingCells"] >= 20_000 // 7


def test_the_first_values_are_used_and_longer_lists_are_told_of(clicks, tmp_path, capfd):
    found, cells, _ = rows_of(pa.array([["a", "b", "c"], ["a", "b"]]), Listed(most=2))
    assert found[0].tolist() == found[1].tolist()
    assert cells.cut == {"tags": 1}
    config = {"features": {"lists": {"tags": {"most": 2}}}}
    run(clicks, tmp_path, config)
    told = capfd.readouterr().err
    assert "tags: 11," in told or "tags: 12," in told, told
    assert "trainer.config.features.lists.tags.most (2)" in told


def test_values_of_a_vocabulary_have_their_own_rows_in_a_list_too():
    features = Features(lists={"tags": Listed(most=3)}, vocabulary={"tags": ("b", "a")})
    found, _, plan = rows_of(pa.array([["a", "b", "other"], ["else"]]), features=features)
    assert plan.sizes == (5,)
    assert found.tolist() == [[3, 2, 1], [1, 4, 4]]


def test_the_order_of_values_does_not_count(clicks, tmp_path):
    rows = tagged()
    turned = pa.array([t[::-1] for t in rows["tags"].to_pylist()], pa.list_(pa.string()))
    pq.write_table(rows.set_column(rows.schema.names.index("tags"), "tags", turned), tmp_path / "t.parquet")
    reports = [run(uri, tmp_path / uri.stem) for uri in (clicks, tmp_path / "t.parquet")]
    assert loss(reports[0]) == pytest.approx(loss(reports[1]), rel=1e-5)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(clicks, tmp_path, monkeypatch):
    monkeypatch.setattr("dataefficient_trainer.events.CHUNK_ROWS", 4_096)
    config = {"features": {"lists": {"tags": {"most": 2}}}}
    whole = run(clicks, tmp_path / "whole", config)
    request = make_request(clicks, tmp_path / "parts", config=config)
    asked = iter([False, False, True])
    with pytest.raises(StoppedError):
        launch.launch(request, tmp_path / "parts" / "r.json", lambda: next(asked), 0.0)
    resumed = synthetic.launch(request)
    assert resumed.checkpoint.digest == whole.checkpoint.digest
    assert resumed.evaluated == whole.evaluated


def test_a_sample_of_scored_negatives_reads_lists(clicks, tmp_path):
    start = run(clicks, tmp_path / "start", train=training(0, 5), evaluation=None).checkpoint
    plan = training(5, 10, policy=synthetic.Policy.SCORED_NEGATIVES, rate=0.5)
    report = run(clicks, tmp_path / "on", train=plan, start=start)
    assert loss(report) < loss(report, "start")
    smaller = run(clicks, tmp_path / "smaller", train=plan, start=start, size=2)
    assert loss(smaller) == pytest.approx(loss(report), rel=0.02)


def test_a_layout_without_lists_is_that_of_checkpoints_from_before_them():
    assert "lists" not in layout(Features(categorical=("a",)), 10).to_json()


def test_checkpoints_of_other_lists_are_refused(clicks, tmp_path):
    start = run(clicks, tmp_path / "start", evaluation=None).checkpoint
    config = {"features": {"categorical": ["item"], "lists": {"tags": {"most": 3}}}}
    with pytest.raises(lineage.CheckpointError, match="features, hashBuckets or label were changed"):
        run(clicks, tmp_path / "other", config, start=start)


def test_lists_that_nobody_named_are_no_features_and_told_of(clicks, tmp_path, capfd):
    run(clicks, tmp_path, {}, train=training(0, 1), evaluation=None)
    assert "tags" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("column", "features", "line"),
    [
        (
            pa.array([["a"]]),
            Features(categorical=("tags",)),
            "the type list<item: string>; name it in trainer.config.features.lists, as {tags: {}}",
        ),
        (
            pa.array([[0.5]]),
            Features(lists={"tags": Listed()}),
            "lists.tags: the column has the type list<item: double>; a list holds categories: text or",
        ),
        (
            pa.array([{"a": 1}]),
            Features(lists={"tags": Listed()}),
            "lists.tags: the column has the type struct<a: int64>; a list holds",
        ),
        (
            pa.array(["a|b"]),
            Features(lists={"tags": Listed()}),
            "lists.tags.separator: the column holds text; say what stands between",
        ),
    ],
)
def test_columns_that_cannot_be_read_so_are_refused(column, features, line):
    config = dataclasses.replace(parse({}), features=features)
    with pytest.raises(DataError, match=r"^trainer\.config\.features") as refused:
        resolve(config, {"tags": column.type}, time="at", labels=("click",), others=set())
    assert line in str(refused.value)
