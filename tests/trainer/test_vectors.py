"""Columns of vectors: lists of as many numbers in every row."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from dataefficient_trainer import lineage
from dataefficient_trainer.config import Features, parse
from dataefficient_trainer.errors import DataError, StoppedError, UserError
from dataefficient_trainer.features import Cells, extract, layout, resolve
from dataefficient_trainer.model import Model
from trainer import synthetic
from trainer.synthetic import PICTURE, loss, make_request, pictured, training, written

NAMED = {"features": {"categorical": ["item"], "vectors": {"image": {"length": PICTURE}}}}


@pytest.fixture(scope="module")
def clicks(tmp_path_factory):
    return written(pictured(), tmp_path_factory.mktemp("pictured"))


def run(uri, folder, config=NAMED, **changes):
    return synthetic.launch(make_request(uri, folder, config=config, **changes))


def numbers_of(array, length):
    """Coordinates of a column alone, and what was counted."""
    cells = Cells()
    batch = pa.record_batch([array], names=["image"])
    return extract(batch, layout(Features(vectors={"image": length}), 100), lambda _: None, cells)[1], cells


@pytest.mark.parametrize("size", [1, 4])
def test_what_a_vector_tells_is_learned(clicks, tmp_path, size):
    with_vectors = run(clicks, tmp_path / "with", NAMED | {"batchSize": 64, "learningRate": 3}, size=size)
    alone = {"features": {"categorical": ["item"]}, "batchSize": 64}
    without = run(clicks, tmp_path / "without", alone, size=size)
    assert loss(with_vectors) < 0.85 * loss(without)


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float16()), pa.list_(pa.int8(), 2)],
)
def test_vectors_of_any_number_type_have_the_same_coordinates(kind):
    array = pa.array([np.array([1, -2], np.float16), None, np.array([0, 4], np.float16)], kind)
    found, cells = numbers_of(array, 2)
    assert np.array_equal(found, [[1, -2], [np.nan, np.nan], [0, 4]], equal_nan=True)
    assert (cells.missing, cells.malformed, cells.not_finite) == (1, 0, 0)


def test_a_slice_of_vectors_is_read_from_its_own_first_row():
    whole = pa.array([[1.0, 2.0], None, [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float32(), 2))
    found, _ = numbers_of(whole.slice(1), 2)
    assert np.array_equal(found, [[np.nan, np.nan], [3, 4], [5, 6]], equal_nan=True)


def test_a_vector_with_a_gap_or_of_another_length_is_missing_as_a_whole_and_counted():
    array = pa.array([[1.0, 2.0], [1.0, None], [1.0, float("inf")], [1.0], [], None, [3.0, 4.0], [5.0, 6.0]])
    found, cells = numbers_of(array, 2)
    assert np.flatnonzero(~np.isnan(found).any(1)).tolist() == [0, 6, 7]
    assert np.isnan(found[1:6]).all()
    assert (cells.missing, cells.malformed, cells.not_finite) == (2, 1, 2)


def test_vectors_of_another_length_than_said_are_refused_where_there_are_many():
    told = r"vectors\.image\.length: 3, but most rows have another number of values, such as 2"
    with pytest.raises(DataError, match=told):
        numbers_of(pa.array([[1.0, 2.0]] * 600 + [[1.0, 2.0, 3.0]] * 400), 3)
    numbers_of(pa.array([[1.0, 2.0]] * 400 + [[1.0, 2.0, 3.0]] * 600), 3)
    found, _ = numbers_of(pa.array([[1.0, 2.0]]), 3)
    assert np.isnan(found).all()


def test_a_few_vectors_of_another_length_are_told_of(tmp_path, capfd):
    rows = pictured(5_000)
    images = rows["image"].to_pylist()
    images[:7] = [[1.0]] * 7
    place = rows.schema.names.index("image")
    pq.write_table(rows.set_column(place, "image", pa.array(images)), tmp_path / "odd.parquet")
    report = run(tmp_path / "odd.parquet", tmp_path / "run")
    assert report.extra["malformedCells"] == 7
    assert "notice: image: 7 rows have another number of values than 6" in capfd.readouterr().err


def test_of_a_file_without_the_column_all_vectors_are_missing(tmp_path):
    rows = pictured(8_000)
    pq.write_table(rows.slice(0, 5_000).drop_columns("image"), tmp_path / "0.parquet")
    pq.write_table(rows.slice(5_000), tmp_path / "1.parquet")
    assert run(tmp_path, tmp_path / "run").extra["missingCells"] == 5_000


def test_the_order_in_which_vectors_and_lists_are_named_does_not_count():
    names = ("b", "a", "c")
    for kind, one in (("vectors", {"length": 3}), ("lists", {"most": 3})):
        found = [
            parse({"features": {kind: dict.fromkeys(order, one)}}).features
            for order in (names, sorted(names))
        ]
        assert [found[0].columns, found[1].columns] == [("a", "b", "c")] * 2


def test_a_missing_vector_is_one_more_input_and_the_mean_of_those_that_are_there():
    model = Model(fields=0, table_rows=0, numbers=3, vectors=(2,), size=4, seed=0, device="cpu")
    model.observe_numbers(torch.tensor([[1.0, 10.0, 20.0], [3.0, 30.0, 60.0]]))
    seen = model.forward(
        torch.empty((2, 0), dtype=torch.int64), torch.tensor([[3.0, 30.0, 20.0], [torch.nan] * 3])
    ).numbers_BE
    assert torch.allclose(seen, torch.tensor([[1.0, 1, -1, 0, 0], [0, 0, 0, 1, 1]]))


def test_numbers_begin_no_louder_than_embeddings():
    model = Model(fields=2, table_rows=20, numbers=5, vectors=(3,), size=8, seed=0, device="cpu")
    for name in ("V", "A1"):
        fields, numbers = model.p[name][:16].std(), model.p[name][16:].std()
        assert 0.02 < float(numbers / fields) < 0.1
    alone = Model(fields=0, table_rows=0, numbers=5, size=8, seed=0, device="cpu")
    assert float(alone.p["A1"].std()) > 0.2


@pytest.mark.parametrize("size", [1, 2, 4, 7])
def test_a_model_of_vectors_goes_on_at_another_size(clicks, tmp_path, size):
    faster = NAMED | {"batchSize": 64, "learningRate": 3}
    start = run(clicks, tmp_path / "start", faster, train=training(0, 7), evaluation=None).checkpoint
    later = {"train": training(7, 7.01), "evaluation": synthetic.evaluation(7, 10, share=1.0)}
    same = run(clicks, tmp_path / "same", faster, start=start, **later)
    other = run(clicks, tmp_path / "other", faster, start=start, size=size, **later)
    assert loss(other) == pytest.approx(loss(same), rel=0.02)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(clicks, tmp_path, monkeypatch):
    monkeypatch.setattr("dataefficient_trainer.events.CHUNK_ROWS", 4_000)
    whole = run(clicks, tmp_path / "whole")
    asked = []
    with pytest.raises(StoppedError):
        synthetic.launch(
            make_request(clicks, tmp_path / "twice", config=NAMED),
            stopped=lambda: asked.append(1) or len(asked) > 2,
        )
    assert run(clicks, tmp_path / "twice").checkpoint.digest == whole.checkpoint.digest


def test_a_layout_without_vectors_is_that_of_checkpoints_from_before_them():
    assert "vectors" not in layout(Features(categorical=("item",)), 100).to_json()


def test_checkpoints_of_other_vectors_are_refused(clicks, tmp_path):
    start = run(clicks, tmp_path / "start", train=training(0, 7), evaluation=None).checkpoint
    config = {"features": {"categorical": ["item"]}}
    request = make_request(clicks, tmp_path / "on", start=start, train=training(7, 10), config=config)
    with pytest.raises(lineage.CheckpointError, match="a checkpoint of another model"):
        synthetic.launch(request)


@pytest.mark.parametrize(
    ("kind", "features", "line"),
    [
        (
            pa.list_(pa.float32(), 8),
            Features(categorical=("image",)),
            "; name it in trainer.config.features.vectors, as {image: {length: 8}}",
        ),
        (
            pa.list_(pa.float32()),
            Features(numeric=("image",)),
            "; name it in trainer.config.features.vectors, as {image: {length: ...}}",
        ),
        (
            pa.list_(pa.float32(), 8),
            Features(vectors={"image": 4}),
            "vectors.image.length: 4, but the column",
        ),
        (
            pa.list_(pa.string()),
            Features(vectors={"image": 4}),
            "list<item: string>; lists of numbers are ne",
        ),
        (pa.float64(), Features(vectors={"image": 4}), "has the type double; lists of numbers are needed"),
    ],
)
def test_columns_that_cannot_be_read_so_are_refused(kind, features, line):
    config = dataclasses.replace(parse({}), features=features)
    with pytest.raises(DataError, match=r"^trainer\.config\.features") as refused:
        resolve(config, {"image": kind}, time="at", labels=("click",), others=set())
    assert line in str(refused.value)


@pytest.mark.parametrize(
    ("features", "told"),
    [
        (
            {"vectors": {"image": {}}},
            r"vectors\.image\.length: expected an integer from 1 to 1024, found None",
        ),
        ({"vectors": {"image": {"length": 4096}}}, r"length: expected an integer from 1 to 1024, found 4096"),
        ({"vectors": {"image": 8}}, r"vectors\.image: expected an object, found 8"),
        (
            {"numeric": ["image"], "vectors": {"image": {"length": 8}}},
            r"vectors\.image: 'image' is a feature of another kind too; name it once",
        ),
        (
            {"lists": {"image": {}}, "vectors": {"image": {"length": 8}}},
            r"vectors\.image: 'image' is a feature of another kind too; name it once",
        ),
    ],
)
def test_what_vectors_cannot_be_is_told(features, told):
    with pytest.raises(UserError, match=told):
        parse({"features": features})
