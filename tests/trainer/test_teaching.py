"""Learning from the predictions of a teacher that the log carries."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataefficient.contract import Policy
from dataefficient_trainer import checkpoint, events
from dataefficient_trainer.errors import StoppedError
from dataefficient_trainer.teaching import Heeded, log_odds, soften
from trainer.synthetic import FEATURES, evaluation, launch, loss, make_request, table, training

TEACHER = {**FEATURES, "distillation": {"teacher": "ranker", "weight": "0.8"}}


def truth(rows):
    """The probability that each label was drawn from."""
    user, item = rows["user"].to_numpy(), np.array([int(t[5:]) for t in rows["item"].to_pylist()])
    strength = np.random.default_rng(7).normal(0, 1, (40, 25)) * 0.7
    logit = -2 + np.linspace(-1, 1, 40)[user] + np.linspace(-0.8, 0.8, 25)[item] + strength[user, item]
    return 1 / (1 + np.exp(-logit))


def write(path, rows, predictions):
    pq.write_table(rows.append_column("ranker", pa.array(predictions)), path, row_group_size=4_000)
    return path


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """The stream with what a perfect teacher predicts."""
    rows = table()
    return write(tmp_path_factory.mktemp("taught") / "taught.parquet", rows, truth(rows))


def test_labels_are_mixed_with_what_the_teacher_predicts_of_kept_rows():
    teacher, offset = np.log([1.0, 1 / 3, np.nan]), np.log([1.0, 3.0, 3.0])
    learned = soften(np.array([1, 0, 1], np.int8), teacher, offset, 0.5)
    assert learned == pytest.approx([0.5 + 0.25, 0.25, 1.0])


def test_a_prediction_at_the_edge_stays_finite_and_one_that_is_missing_stays_missing():
    found = log_odds(np.array([0.0, 1.0, 0.5, np.nan, 1.5]), "ranker")
    assert np.isfinite(found[:3]).all()
    assert found[2] == 0.0
    assert np.isnan(found[3:]).all()


def test_the_gap_to_the_teacher_counts_each_row_as_those_that_it_stands_for():
    heeded = Heeded()
    own, labels = np.array([0.2, 0.4, 9.0]), np.array([1, 0, 0], np.int8)
    heeded.compare(np.array([0.0, 0.0, np.nan]), own, labels, np.array([1.0, 3.0, 3.0]))
    assert heeded.gap == pytest.approx(4 * np.log(2) / (0.2 + 3 * 0.4) - 1)
    assert Heeded().gap is None


@pytest.mark.parametrize("policy", [Policy.UNIFORM, Policy.NEGATIVES, Policy.SCORED_NEGATIVES])
def test_a_sample_that_a_good_teacher_speaks_of_teaches_more(taught, tmp_path, policy, capsys):
    quick = {**FEATURES, "learningRate": 5}
    request = make_request(taught, tmp_path / "plain", config=quick, train=training(policy=policy, rate=0.3))
    request = dataclasses.replace(request, data=dataclasses.replace(request.data, served_prediction="ranker"))
    plain = launch(request)
    taught_too = {**TEACHER, **quick}
    distilled = launch(dataclasses.replace(request, config=taught_too, output=str(tmp_path / "distilled")))
    assert distilled.rows == plain.rows
    assert loss(distilled) < 0.99 * loss(plain)
    scored = distilled.evaluated.models["self"]
    assert sum(scored.predicted) == pytest.approx(sum(distilled.evaluated.positives), rel=0.1)
    assert distilled.extra["taughtRows"] == distilled.rows.kept
    assert distilled.extra["teacherGap"] < 0.0
    assert "worse" not in capsys.readouterr().err


def test_a_teacher_that_predicts_worse_is_told_of(tmp_path, capsys):
    rows = table()
    predictions = np.random.default_rng(3).permutation(truth(rows))
    uri = write(tmp_path / "bad.parquet", rows, predictions)
    report = launch(make_request(uri, tmp_path / "run", config=TEACHER))
    assert report.extra["teacherGap"] > 0.02
    assert "ranker predicts worse than this model" in capsys.readouterr().err


def test_rows_of_which_the_teacher_says_nothing_are_learned_from_their_labels(taught, tmp_path, capsys):
    rows = pq.read_table(taught)
    silent = write(tmp_path / "silent.parquet", rows.drop(["ranker"]), np.full(len(rows), np.nan))
    weight = {**TEACHER, "distillation": {"teacher": "ranker", "weight": 0}}
    digests = {
        launch(make_request(uri, tmp_path / name, config=config)).checkpoint.digest
        for name, uri, config in (
            ("plain", taught, FEATURES),
            ("silent", silent, TEACHER),
            ("unweighted", taught, weight),
        )
    }
    assert len(digests) == 1
    assert "20,000 of 20,000 rows were learned from their labels" in capsys.readouterr().err


def test_the_teacher_is_no_feature_where_none_are_named(taught, tmp_path):
    config = {"distillation": {"teacher": "ranker"}}
    report = launch(make_request(taught, tmp_path, config=config, train=training(0, 1), evaluation=None))
    _, facts = checkpoint.load(report.checkpoint, "checkpoint")
    assert "ranker" not in str(facts["layout"])


def test_a_taught_run_that_was_stopped_ends_like_one_that_was_not(taught, tmp_path, monkeypatch):
    monkeypatch.setattr(events, "CHUNK_ROWS", 4_096)
    request = make_request(
        taught, tmp_path / "whole", config=TEACHER,
        train=training(0, 9, policy=Policy.NEGATIVES, rate=0.6), evaluation=evaluation(3, 10),
    )  # fmt: skip
    whole = launch(request)
    stopped, calls = dataclasses.replace(request, output=str(tmp_path / "stopped")), iter(range(3))
    with pytest.raises(StoppedError):
        launch(stopped, stopped=lambda: next(calls, None) is None)
    resumed = launch(stopped)
    assert resumed.checkpoint.digest == whole.checkpoint.digest
    assert resumed.extra["teacherGap"] == whole.extra["teacherGap"]
