"""Scoring a part of the negatives: what is scored, and what it says of all rows."""

from dataclasses import replace

import numpy as np
import pytest

from dataefficient.contract import Policy, Role
from dataefficient_trainer.events import micros
from dataefficient_trainer.run import Run
from dataefficient_trainer.scoring import Scores
from trainer.synthetic import FEATURES, evaluation, launch, make_request, training


@pytest.fixture(scope="module")
def checkpoint(stream, tmp_path_factory):
    return launch(make_request(stream, tmp_path_factory.mktemp("frozen"), train=training(0, 5))).checkpoint


def scored(stream, folder, checkpoint, **how):
    request = make_request(
        stream,
        folder,
        run="c001-score",
        train=None,
        evaluation=evaluation(share=0.8, **how),
        start=checkpoint,
        config={**FEATURES, "slices": ["item"]},
    )
    return launch(request)


@pytest.fixture(scope="module")
def reports(stream, checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scored")
    return {part: scored(stream, folder / str(part), checkpoint, negatives=part) for part in (1.0, 0.4, 0.2)}


def test_counts_are_those_of_all_rows_and_only_a_part_is_scored(reports):
    whole = reports[1.0].evaluated
    positives, negatives = sum(whole.positives), sum(whole.n) - sum(whole.positives)
    for part, report in reports.items():
        assert report.evaluated.n == whole.n
        assert report.evaluated.positives == whole.positives
        assert report.rows.evaluated == pytest.approx(positives + part * negatives, rel=0.05)


def test_each_block_says_what_all_of_its_rows_would_but_for_the_negatives_chance(reports):
    whole = reports[1.0].evaluated.models["start"]
    for part in (0.4, 0.2):
        sums = reports[part].evaluated.models["start"]
        # A negative loses 0.15 nats, give or take 0.1; some 200 of a block's 1,300 are scored, or more.
        assert np.array(sums.loss) == pytest.approx(np.array(whole.loss), rel=0.1)
        assert np.array(sums.predicted) == pytest.approx(np.array(whole.predicted), rel=0.1)
        assert sum(sums.loss) == pytest.approx(sum(whole.loss), rel=0.02)
        assert sums.auc == pytest.approx(whole.auc, abs=0.02)


def test_a_smaller_part_is_nested_in_a_larger_one_and_has_a_digest_of_its_own(
    stream, reports, checkpoint, tmp_path
):
    counts = [reports[part].rows.evaluated for part in (0.2, 0.4, 1.0)]
    assert counts == sorted(set(counts))
    assert len({report.evaluated.digest for report in reports.values()}) == 3
    again = scored(stream, tmp_path, checkpoint, negatives=0.4)
    assert again.evaluated == reports[0.4].evaluated


def test_slices_count_the_rows_that_the_scored_ones_stand_for(reports):
    for part in (0.4, 0.2):
        for found in reports[part].evaluated.slices:
            assert found.n == pytest.approx(sum(reports[part].evaluated.n) / 25, rel=0.35)
            assert 0.1 < found.loss / found.n < 1.0


def test_values_of_the_columns_that_are_asked_for_are_told_with_those_of_the_configuration(
    stream, tmp_path, checkpoint
):
    asked = replace(evaluation(share=0.8), slices=("click", "item"))
    found = {
        how: launch(
            make_request(
                stream,
                tmp_path / how,
                run="c001-score",
                train=None,
                start=checkpoint,
                evaluation=asked if how == "asked" else replace(asked, slices=("click",)),
                config={**FEATURES, "slices": [] if how == "asked" else ["item"]},
            )
        )
        for how in ("asked", "configured")
    }
    slices = found["asked"].evaluated.slices
    assert {part.column for part in slices} == {"click", "item"}
    assert set(slices) == set(found["configured"].evaluated.slices)


def test_the_error_of_a_value_is_that_of_the_difference_of_the_two_models_on_its_rows(
    stream, tmp_path, checkpoint
):
    run = make_request(
        stream,
        tmp_path / "run",
        start=checkpoint,
        train=training(5, 10),
        evaluation=replace(evaluation(5, 10, share=1.0), slices=("click",)),
    )
    whole = launch(run)
    slices = {part.value: part for part in whole.evaluated.slices}
    assert sum(part.n for part in slices.values()) == sum(whole.evaluated.n)
    assert sum(part.loss for part in slices.values()) == pytest.approx(
        sum(whole.evaluated.models["self"].loss), rel=1e-6
    )
    for part in slices.values():
        # Rows of one value differ by some hundredths of a nat, of either sign, and the sum by their root.
        per_row = part.error / np.sqrt(part.n)
        assert abs(part.loss - part.start_loss) / part.n < per_row < 0.5 * part.loss / part.n
    half = launch(replace(run, output=str(tmp_path / "half"), evaluation=replace(run.evaluation, share=0.5)))
    for part in half.evaluated.slices:
        assert part.error == pytest.approx(slices[part.value].error / np.sqrt(2), rel=0.15)


def test_a_block_without_scored_negatives_takes_them_to_be_as_all_others_are(stream, tmp_path, checkpoint):
    blocks = {"start": 7.4, "end": 7.5, "blocks": 16}
    few = scored(stream, tmp_path / "few", checkpoint, negatives=0.02, **blocks)
    whole = scored(stream, tmp_path / "whole", checkpoint, **blocks)
    assert few.rows.evaluated < sum(few.evaluated.positives) + 16, "some block has no scored negative"
    assert few.evaluated.n == whole.evaluated.n
    losses = np.array(few.evaluated.models["start"].loss)
    assert np.all(losses[np.array(few.evaluated.n) > 0] > 0.0)


def test_riders_and_forks_score_the_same_part(stream, tmp_path):
    part = evaluation(negatives=0.3)
    leader = make_request(stream, tmp_path / "leader", evaluation=part)
    fork = replace(
        make_request(stream, tmp_path / "fork", train=training(5, 10), evaluation=part),
        run="c000-trial",
        role=Role.TRIAL,
        fork=True,
    )
    report = launch(replace(leader, riders=(fork,)))
    assert report.evaluated.models["c000-trial"] == report.evaluated.models["self"]


@pytest.fixture(scope="module")
def poorer(stream, checkpoint, tmp_path_factory):
    """A model that has trained on a quarter of three days' rows more than the served one."""
    request = make_request(
        stream, tmp_path_factory.mktemp("poorer"), train=training(5, 8, rate=0.25), start=checkpoint
    )
    return launch(request).checkpoint


def diverged(stream, folder, start, frozen, **how):
    request = make_request(
        stream, folder, train=None, evaluation=evaluation(**how), start=start, frozen=frozen
    )
    return {name: model.divergence for name, model in launch(request).evaluated.models.items()}


def test_frozen_models_tell_how_far_their_predictions_lie_from_the_served_ones(
    stream, tmp_path, checkpoint, poorer
):
    frozen = {"trial": poorer, "same": checkpoint}
    found = diverged(stream, tmp_path / "a", checkpoint, frozen)
    assert found["start"] is None
    assert found["same"] == 0.0
    assert found["trial"] > 1e-5
    turned = diverged(stream, tmp_path / "b", poorer, {"trial": checkpoint})
    assert turned["trial"] == pytest.approx(found["trial"], rel=1e-3)
    part = diverged(stream, tmp_path / "c", checkpoint, frozen, negatives=0.3)
    assert part["trial"] == pytest.approx(found["trial"], rel=0.1)


def test_a_champion_that_is_not_the_start_is_what_others_are_told_apart_from(
    stream, tmp_path, checkpoint, poorer
):
    found = diverged(stream, tmp_path, checkpoint, {"champion": poorer, "trial": poorer})
    assert found["champion"] is found["start"] is None
    assert found["trial"] == 0.0


def test_nothing_is_told_where_nothing_is_served(stream, tmp_path, checkpoint):
    assert diverged(stream, tmp_path, None, {"trial": checkpoint}) == {"trial": None}


def test_a_divergence_is_the_loss_between_two_models_where_labels_follow_either_in_turn():
    """Half the Jeffreys divergence: the mean of what each model loses to the other on its own labels."""
    random = np.random.default_rng(3)
    served, other = random.normal(-1.0, 1.0, (2, 4000))
    scores = Scores(evaluation(), ("start", "trial"))
    times = np.full(4000, micros(evaluation().start))
    labels = np.zeros(4000, np.int8)
    scores.choose(times, labels, np.zeros(4000))
    scores.add_rows(times, labels, np.arange(4000, dtype=np.uint64))
    scores.add_divergence(times, {"start": served, "trial": other}, labels)

    def lost(mine, truth):
        p = 1.0 / (1.0 + np.exp(-truth))
        return np.mean(np.logaddexp(0.0, mine) - p * mine)

    first = lost(other, served) - lost(served, served)
    second = lost(served, other) - lost(other, other)
    for name, logits in (("start", served), ("trial", other)):
        scores.add_model(name, times, logits, labels)
    assert scores.result().models["trial"].divergence == pytest.approx((first + second) / 2.0, rel=1e-9)


def test_windows_are_scored_together_until_the_model_changes(stream, tmp_path, monkeypatch):
    calls = []
    score = Run._score_own

    def counted(run, drawn, rows):
        calls.append(len(rows))
        return score(run, drawn, rows)

    monkeypatch.setattr(Run, "_score_own", counted)

    def told(name):
        calls.clear()
        request = make_request(
            stream, tmp_path / name, train=training(policy=Policy.UNIFORM, rate=0.1), evaluation=evaluation()
        )
        return launch(request).evaluated.models["self"], len(calls), sum(calls)

    together, fewer, rows = told("together")
    monkeypatch.setattr(Run, "_steps", lambda run, fresh: True)
    alone, more, same = told("alone")
    assert fewer < more
    assert rows == same
    assert together.loss == pytest.approx(alone.loss, rel=1e-6)
    assert together.predicted == pytest.approx(alone.predicted, rel=1e-6)
