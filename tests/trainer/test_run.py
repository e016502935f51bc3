"""A run from request to report: what is learnt, what is scored when, and what the report says."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dataefficient.contract import Policy, Scales
from dataefficient_trainer import events
from dataefficient_trainer.hashing import combine, hash_column, salt, uniform
from dataefficient_trainer.sampling import WINDOW_ROWS
from trainer.synthetic import day, evaluation, launch, loss, make_request, table, training


def base_rate_loss(report):
    share = sum(report.evaluated.positives) / sum(report.evaluated.n)
    return -(share * np.log(share) + (1 - share) * np.log(1 - share))


def test_the_model_learns_and_beats_the_linear_one_on_an_interaction(stream, tmp_path):
    deep = launch(
        make_request(stream, tmp_path / "deep", size=8, scales=Scales(learning_rate=3.0, batch=0.25))
    )
    linear = launch(
        make_request(stream, tmp_path / "linear", size=1, scales=Scales(learning_rate=3.0, batch=0.25))
    )
    assert loss(linear) < 0.97 * base_rate_loss(linear)
    assert loss(deep) < loss(linear)
    assert deep.evaluated.models["self"].auc > 0.65


def test_calibration_holds_on_the_unsampled_stream_under_every_policy(stream, tmp_path):
    first = launch(make_request(stream, tmp_path / "first", train=training(0, 3), evaluation=None))
    for policy in Policy:
        report = launch(
            make_request(
                stream,
                tmp_path / policy,
                train=training(3, 9, policy=policy, rate=0.3),
                evaluation=evaluation(9, 10, share=1.0),
                start=first.checkpoint,
                scales=Scales(learning_rate=2.0),
            )
        )
        predicted = sum(report.evaluated.models["self"].predicted)
        assert predicted == pytest.approx(sum(report.evaluated.positives), rel=0.12), policy
        assert report.rows.kept == pytest.approx(0.3 * report.rows.read * 6 / 7, rel=0.1), policy


def test_the_same_request_gives_the_same_bytes(stream, tmp_path):
    reports = [launch(make_request(stream, tmp_path / name)) for name in "ab"]
    assert reports[0].checkpoint.digest == reports[1].checkpoint.digest
    assert reports[0].evaluated == reports[1].evaluated


def hashed_below(table, column, salted, share):
    """Rows whose number by hash is below a share."""
    return uniform(combine([hash_column(table[column].combine_chunks())]), salt(salted)) < share


def test_a_row_is_scored_before_any_row_of_its_window_is_trained_on(stream, tmp_path):
    """Other labels for the last window's rows that are only trained on cannot change a single score."""
    before = pq.read_table(stream)
    only_trained = ~hashed_below(before, "id", "evaluation", 0.5)
    only_trained[: 4 * WINDOW_ROWS] = False
    clicks = np.where(only_trained, 1 - before["click"].to_numpy(), before["click"].to_numpy())
    pq.write_table(before.set_column(5, "click", pa.array(clicks)), tmp_path / "changed.parquet")
    uris = (stream, tmp_path / "changed.parquet")
    kept, changed = (launch(make_request(uri, tmp_path / uri.stem)) for uri in uris)
    assert only_trained.sum() > 1_000
    assert kept.evaluated == changed.evaluated
    assert kept.checkpoint.digest != changed.checkpoint.digest


def test_rows_after_the_interval_change_nothing(stream, tmp_path):
    pq.write_table(
        pq.read_table(stream).filter(pc.field("at") < day(7).replace(tzinfo=None)), tmp_path / "cut.parquet"
    )
    request = make_request(stream, tmp_path / "whole", train=training(0, 6), evaluation=evaluation(4, 6))
    whole = launch(request)
    cut = launch(
        make_request(
            tmp_path / "cut.parquet", tmp_path / "cut", train=request.train, evaluation=request.evaluation
        )
    )
    assert whole.checkpoint.digest == cut.checkpoint.digest
    assert whole.evaluated == cut.evaluated


def test_evaluation_after_training_scores_the_finished_model(stream, tmp_path):
    later = evaluation(6, 10)
    trained = launch(make_request(stream, tmp_path / "trained", train=training(0, 6), evaluation=later))
    scored = launch(
        make_request(
            stream, tmp_path / "scored", train=None, evaluation=later, frozen={"old": trained.checkpoint}
        )
    )
    assert scored.checkpoint is None
    assert scored.evaluated.digest == trained.evaluated.digest
    assert loss(scored, "old") == pytest.approx(loss(trained), rel=1e-6)


def test_frozen_models_are_scored_on_the_same_rows_whatever_is_trained(stream, tmp_path):
    start = launch(make_request(stream, tmp_path / "start", train=training(0, 5), evaluation=None)).checkpoint
    arms = [
        launch(
            make_request(
                stream, tmp_path / str(rate), start=start, frozen={"other": start},
                train=training(5, 10, rate=rate), evaluation=evaluation(7, 10),
            )
        ).evaluated
        for rate in (1.0, 0.2)
    ]  # fmt: skip
    assert arms[0].digest == arms[1].digest
    other = arms[1].models["other"]
    assert arms[0].models["start"] == arms[1].models["start"] == dataclasses.replace(other, divergence=None)
    assert other.divergence == 0.0
    assert arms[0].models["self"] != arms[1].models["self"]


def test_block_sums_and_auc_are_those_of_the_rows(stream, tmp_path):
    linear = make_request(
        stream, tmp_path / "run", train=training(0, 5), evaluation=evaluation(5, 10, share=1.0), size=1
    )
    report = launch(linear)
    rows = pq.read_table(stream).filter(pc.field("at") >= day(5).replace(tzinfo=None))
    days = (rows["at"].to_numpy() - np.datetime64("2024-01-06")) // np.timedelta64(1, "D")
    assert list(report.evaluated.n) == np.bincount(days, minlength=5).tolist()
    assert (
        list(report.evaluated.positives) == np.bincount(days, rows["click"].to_numpy()).astype(int).tolist()
    )
    assert report.rows.evaluated == rows.num_rows


def test_the_digest_sees_one_changed_label(stream, tmp_path):
    changed = pq.read_table(stream)
    labels = changed["click"].to_numpy().copy()
    labels[-1] = 1 - labels[-1]
    pq.write_table(changed.set_column(5, "click", pa.array(labels)), tmp_path / "changed.parquet")
    share = evaluation(9, 10, share=1.0)
    digests = {
        launch(make_request(uri, tmp_path / uri.stem, evaluation=share)).evaluated.digest
        for uri in (stream, tmp_path / "changed.parquet")
    }
    assert len(digests) == 2


def test_rates_are_nested_and_the_effective_size_is_said(stream, tmp_path):
    report = launch(
        make_request(stream, tmp_path, train=training(policy=Policy.NEGATIVES, rate=0.5), evaluation=None)
    )
    assert report.rows.kept == pytest.approx(0.5 * report.rows.read, rel=0.05)
    assert report.rows.kept_positives > 0.85 * report.rows.positives
    assert report.rows.kept * 0.5 < report.rows.effective < report.rows.kept


def test_a_group_is_kept_whole(stream, tmp_path):
    request = make_request(stream, tmp_path, train=training(rate=0.5), evaluation=None)
    data = dataclasses.replace(request.data, group="user")
    report = launch(dataclasses.replace(request, data=data))
    chosen = hashed_below(pq.read_table(stream), "user", "sampling", 0.5)
    assert report.rows.kept == chosen.sum()
    assert 0 < report.rows.kept < report.rows.read


def test_a_scored_policy_uses_the_logged_prediction_on_a_cold_start(tmp_path):
    rows = table()
    score = np.where(rows["user"].to_numpy() < 20, 0.02, 0.6)
    pq.write_table(rows.append_column("served", pa.array(score)), tmp_path / "served.parquet")
    request = make_request(tmp_path / "served.parquet", tmp_path / "run", evaluation=None)
    plan = training(policy=Policy.SCORED_NEGATIVES, rate=0.4)
    plain = launch(dataclasses.replace(request, train=training(policy=Policy.NEGATIVES, rate=0.4)))
    scored = launch(
        dataclasses.replace(
            request, train=plan, data=dataclasses.replace(request.data, served_prediction="served")
        )
    )
    assert scored.rows.kept == pytest.approx(plain.rows.kept, rel=0.1)
    assert scored.rows.effective < plain.rows.effective


def test_a_larger_size_starts_from_a_smaller_champion_unchanged(stream, tmp_path):
    small = launch(make_request(stream, tmp_path / "small", train=training(0, 5), evaluation=None)).checkpoint
    grown = launch(
        make_request(
            stream, tmp_path / "grown", start=small, size=8,
            train=training(5, 5.001), evaluation=evaluation(6, 10),
        )
    )  # fmt: skip
    assert loss(grown) == pytest.approx(loss(grown, "start"), rel=5e-3)


@pytest.mark.parametrize("size", [1, 4])
def test_a_smaller_size_starts_from_a_larger_champion_and_predicts_nearly_as_it_does(stream, tmp_path, size):
    large = launch(
        make_request(stream, tmp_path / "large", size=16, train=training(0, 5), evaluation=None)
    ).checkpoint
    few = {"train": training(5, 5.1), "evaluation": evaluation(6, 10), "size": size}
    shrunk = launch(make_request(stream, tmp_path / "shrunk", start=large, **few))
    assert loss(shrunk) == pytest.approx(loss(shrunk, "start"), rel=0.02)
    assert loss(shrunk) < loss(launch(make_request(stream, tmp_path / "cold", **few)))
    assert shrunk.converts_sizes


def test_the_chunk_size_of_files_is_not_seen(stream, tmp_path, monkeypatch):
    pq.write_table(pq.read_table(stream), tmp_path / "other.parquet", row_group_size=777)
    first, second = (
        launch(make_request(uri, tmp_path / uri.stem)) for uri in (stream, tmp_path / "other.parquet")
    )
    assert first.checkpoint.digest == second.checkpoint.digest


def test_the_report_fits_with_every_block_model_and_slice(stream, tmp_path):
    start = launch(make_request(stream, tmp_path / "start", train=training(0, 2), evaluation=None)).checkpoint
    config = {**make_request(stream, tmp_path).config, "slices": ["item", "user"]}
    request = make_request(
        stream, tmp_path / "full", start=start, config=config,
        frozen={f"control{i}": start for i in range(4)},
        train=training(2, 10), evaluation=evaluation(2, 10, blocks=16, share=1.0),
    )  # fmt: skip
    report = launch(request)
    assert len(report.evaluated.models) == 6
    whole = json.loads((tmp_path / "full" / "report.json").read_text())
    assert len(whole["evaluated"]["slices"]) == 8
    assert whole["evaluated"]["slices"][0].keys() == {
        "column", "value", "n", "loss", "startLoss", "error",
    }  # fmt: skip


def test_only_row_groups_of_the_interval_are_read(stream, tmp_path, monkeypatch):
    read = []
    original = events.Stream._event_times
    monkeypatch.setattr(events.files, "SORT_ROWS", 0)
    monkeypatch.setattr(
        events.Stream,
        "_event_times",
        lambda self, batch: read.append(batch.num_rows) or original(self, batch),
    )
    launch(make_request(stream, tmp_path, train=training(4.5, 5.5), evaluation=None))
    assert sum(read) <= 8_000


def test_kept_checkpoints_are_those_that_exist(stream, tmp_path):
    first = launch(make_request(stream, tmp_path / "first", evaluation=None)).checkpoint
    report = launch(
        make_request(stream, tmp_path / "second", evaluation=None, keep=(first.uri, str(tmp_path / "gone")))
    )
    assert report.kept_checkpoints == (first.uri,)
