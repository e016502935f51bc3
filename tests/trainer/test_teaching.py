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
    learned = soften(np.array([1, 0, 1], np.int8), np.log([1.0, 1 / 3, np.nan]), 0.5)
    assert learned == pytest.approx([0.5 + 0.25, 0.125, 1.0])


def test_a_prediction_at_the_edge_stays_finite_and_one_that_is_missing_stays_missing():
    found = log_odds(np.array([0.0, 1.0, 0.5, np.nan, 1.5]), "ranker")
    assert np.isfinite(found[:3]).all()
    assert found[2] == 0.0
    assert np.isnan(found[3:]).all()


LABELS = (np.random.default_rng(5).random(4_000) < 0.2).astype(np.int8)
GOOD, BAD = np.full(4_000, np.log(0.25)), np.full(4_000, 1.0)


def test_a_teacher_that_is_as_good_as_its_student_is_trusted():
    heeded = Heeded()
    assert heeded.trust == 1.0
    heeded.compare(GOOD, GOOD, LABELS)
    assert heeded.trust == 1.0
    assert heeded.gap == 0.0
    heeded.compare(GOOD, BAD, LABELS)
    assert heeded.trust == 1.0
    assert heeded.gap < -0.3


def test_a_teacher_that_was_good_is_no_longer_trusted_soon_after_it_is_worse():
    heeded = Heeded()
    for _ in range(20):
        heeded.compare(GOOD, GOOD + 0.1, LABELS)
    heeded.compare(BAD[:200], GOOD[:200], LABELS[:200])
    assert heeded.trust < 0.01


def test_a_teacher_that_was_worse_is_trusted_again_once_it_is_better():
    heeded = Heeded()
    heeded.compare(BAD[:400], GOOD[:400], LABELS[:400])
    assert heeded.trust < 1e-6
    for _ in range(3):
        heeded.compare(GOOD, BAD, LABELS)
    assert heeded.trust == 1.0


@pytest.mark.parametrize("policy", [Policy.UNIFORM, Policy.NEGATIVES, Policy.SCORED_NEGATIVES])
def test_a_sample_that_a_good_teacher_speaks_of_teaches_more(taught, tmp_path, policy, capsys):
    quick = {**FEATURES, "learningRate": 5, "batchSize": 512}
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
    assert distilled.extra["teacherWeight"] == pytest.approx(0.8, abs=0.05)
    assert distilled.extra["teacherGap"] < 0.0
    assert "worse" not in capsys.readouterr().err


def test_a_teacher_that_predicts_worse_is_told_of_and_hardly_heeded(taught, tmp_path, capsys):
    rows = pq.read_table(taught)
    wrong = 1.0 - rows["ranker"].to_numpy()
    uri = write(tmp_path / "bad.parquet", rows.drop(["ranker"]), wrong)
    report = launch(make_request(uri, tmp_path / "run", config=TEACHER))
    assert report.extra["teacherGap"] > 0.02
    assert report.extra["teacherWeight"] < 0.01
    told = capsys.readouterr().err
    assert "ranker predicts worse than this model" in told
    assert "had a weight of 0." in told
    plain = launch(make_request(taught, tmp_path / "plain"))
    assert loss(report) == pytest.approx(loss(plain), rel=1e-3)


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
