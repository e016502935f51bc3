"""What the log says was predicted, beside the published model on the same rows."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataefficient_trainer import launch as launching
from dataefficient_trainer.errors import StoppedError
from dataefficient_trainer.scoring import log_loss
from dataefficient_trainer.serving import Logged
from trainer.synthetic import evaluation, launch, loss, make_request, table, training

RANDOM = np.random.default_rng(3)
LABELS = (RANDOM.random(4_000) < 0.2).astype(np.int8)
BLOCK = np.arange(4_000) // 1_000
LEVEL = np.full(4_000, np.log(0.25))


def compared(predictions, logits=LEVEL, labels=LABELS):
    logged = Logged.empty(4)
    logged.add(BLOCK, predictions, log_loss(logits, labels), labels)
    return logged


def all_rows(logged):
    return logged.rows.copy()


def test_the_gap_is_the_relative_log_loss_on_the_rows_that_both_predicted():
    predictions = np.where(np.arange(4_000) % 10 == 0, np.nan, 0.4)
    logged = compared(predictions)
    known = ~np.isnan(predictions)

    def mean_loss(p):
        return -np.mean(np.where(LABELS[known] == 1, np.log(p), np.log1p(-p)))

    found = logged.tell("p", all_rows(logged))
    assert found["servedGap"] == pytest.approx(mean_loss(0.4) / mean_loss(0.2) - 1)
    assert found["servedCalibration"] == pytest.approx(0.4 * known.sum() / LABELS[known].sum())
    assert logged.without == 400


def test_its_error_is_that_of_blocks_drawn_anew():
    gaps, errors = [], []
    for seed in range(200):
        random = np.random.default_rng(seed)
        labels = (random.random(4_000) < 0.2).astype(np.int8)
        logged = compared(np.full(4_000, 0.3), labels=labels)
        found = logged.tell("p", all_rows(logged))
        gaps.append(found["servedGap"])
        errors.append(found["servedGapError"])
    assert np.mean(errors) == pytest.approx(np.std(gaps), rel=0.2)


def test_where_a_part_of_the_negatives_is_scored_these_stand_for_all():
    some = (LABELS == 1) | (np.arange(4_000) % 4 == 0)
    logged = Logged.empty(4)
    logged.add(BLOCK[some], np.full(some.sum(), 0.4), log_loss(LEVEL[some], LABELS[some]), LABELS[some])
    whole = compared(np.full(4_000, 0.4))
    assert logged.tell("p", all_rows(whole)) == pytest.approx(whole.tell("p", all_rows(whole)))


@pytest.mark.parametrize("told", [np.full(4_000, np.nan), np.full(4_000, 1.5), np.full(4_000, -2.0)])
def test_what_is_no_probability_is_no_prediction(told):
    logged = compared(told)
    assert logged.tell("p", np.ones((2, 4))) == {}
    assert logged.without == 4_000


def test_predictions_at_the_edge_and_blocks_without_rows_stay_finite():
    logged = Logged.empty(4)
    labels = np.resize([1, 0], 10).astype(np.int8)
    logged.add(BLOCK[:10], np.resize([0.0, 1.0], 10), log_loss(LEVEL[:10], labels), labels)
    found = logged.tell("p", np.ones((2, 4)))
    assert np.isfinite(list(found.values())).all()
    assert "servedGapError" not in found


@pytest.mark.parametrize(("served", "alarm"), [(0.2, False), (0.21, False), (0.5, True), (0.02, True)])
def test_a_person_is_told_of_predictions_that_are_clearly_worse(capfd, served, alarm):
    logged = compared(np.full(4_000, served))
    logged.tell("shown", all_rows(logged))
    told = capfd.readouterr().err
    assert ("skew: the predictions in shown are worse" in told) is alarm


def test_what_is_written_is_read_again():
    logged = compared(np.full(4_000, 0.3))
    again = Logged.from_json(logged.to_json())
    assert again.tell("p", all_rows(again)) == logged.tell("p", all_rows(logged))
    assert again.without == logged.without


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The stream with a column of what was served: the share of positives, whatever the row."""
    path = tmp_path_factory.mktemp("shown") / "shown.parquet"
    rows = table()
    pq.write_table(
        rows.append_column("shown", pa.array(np.full(len(rows), 0.17))), path, row_group_size=4_000
    )
    return path


@pytest.fixture(scope="module")
def champion(shown, tmp_path_factory):
    folder = tmp_path_factory.mktemp("champion")
    return launch(make_request(shown, folder, train=training(0, 5), evaluation=None)).checkpoint


def logging(request, column="shown"):
    return dataclasses.replace(request, data=dataclasses.replace(request.data, served_prediction=column))


@pytest.mark.parametrize("name", ["start", "champion"])
@pytest.mark.parametrize("negatives", [1.0, 0.5])
def test_a_run_holds_the_log_against_the_published_model(shown, champion, tmp_path, name, negatives, capfd):
    models = {"start": champion} if name == "start" else {"frozen": {"champion": champion}}
    request = logging(
        make_request(
            shown, tmp_path, train=training(5, 10), evaluation=evaluation(negatives=negatives), **models
        )
    )
    report = launch(request)
    rate = sum(report.evaluated.positives) / sum(report.evaluated.n)
    constant = -(rate * np.log(0.17) + (1 - rate) * np.log(0.83))
    assert report.extra["servedGap"] == pytest.approx(constant / loss(report, name) - 1, rel=0.02)
    assert report.extra["servedGap"] > 4 * report.extra["servedGapError"] > 0
    assert "skew: the predictions in shown" in capfd.readouterr().err


def test_without_a_published_model_or_a_column_nothing_is_compared(shown, champion, tmp_path):
    assert "servedGap" not in launch(logging(make_request(shown, tmp_path / "cold"))).extra
    warm = make_request(shown, tmp_path / "warm", start=champion, train=training(5, 10))
    assert "servedGap" not in launch(warm).extra


def test_a_run_that_was_stopped_tells_what_one_that_was_not_does(shown, champion, tmp_path, monkeypatch):
    monkeypatch.setattr("dataefficient_trainer.events.CHUNK_ROWS", 2_048)
    base = make_request(shown, tmp_path / "whole", start=champion, train=training(5, 10))
    whole = launch(logging(base))
    parts = dataclasses.replace(logging(base), output=str(tmp_path / "parts"))
    asked = iter([False, False, False, True])
    with pytest.raises(StoppedError):
        launching.launch(parts, tmp_path / "parts" / "r.json", lambda: next(asked), 0.0)
    assert launch(parts).extra["servedGap"] == whole.extra["servedGap"]
