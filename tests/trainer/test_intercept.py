"""The intercepts follow the stream at one pace, whatever the sample, the batch and the model."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from dataefficient.contract import Policy
from dataefficient_trainer import intercept
from dataefficient_trainer.intercept import FINISHED, MEMORIES, SHARPNESS, TRAINING
from dataefficient_trainer.model import Model
from dataefficient_trainer.sampling import Shares, sample
from trainer.synthetic import evaluation, launch, make_request, table, training


@pytest.fixture(autouse=True)
def _no_autograd():
    with torch.no_grad():
        yield


def odds(share):
    return float(np.log(share / (1 - share)))


class Followed:
    """Both intercepts of a model without features, and the share of positives they say."""

    def __init__(self, share, information=None):
        self.bias = torch.full((2,), odds(share))
        steady = [a * m for a, m in zip(SHARPNESS, MEMORIES, strict=True)]
        self.information = torch.tensor(information or steady, dtype=torch.float64)

    def see(self, stream_rows, share, kept=1.0):
        """One batch of which a part was kept, with exactly the expected number of positives."""
        rows = round(stream_rows * kept)
        ones = torch.ones(rows)
        logit = self.bias[TRAINING].expand(rows)
        intercept.follow(
            self.bias, self.information, intercept.constants(torch.device("cpu")),
            logit_B=logit, weight_B=ones / kept, target_B=ones * share / kept,
        )  # fmt: skip
        return self

    def distance(self, share, which=TRAINING):
        return float(self.bias[which]) - odds(share)


def test_the_pace_is_counted_in_rows_of_the_stream_not_in_steps_or_kept_rows():
    distances = []
    for stream_rows, kept in ((256, 1.0), (1_024, 1.0), (2_048, 0.25), (4_096, 1 / 16)):
        followed = Followed(0.2)
        for _ in range(16_384 // stream_rows):
            followed.see(stream_rows, 0.25, kept)
        distances.append(followed.distance(0.25))
    assert distances == pytest.approx([distances[0]] * 4, rel=0.1)
    assert 0.3 < distances[0] / Followed(0.2).distance(0.25) < 0.5


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_a_change_fades_to_a_third_within_one_memory(share):
    followed, new = Followed(share), share * 1.05
    rows = round(MEMORIES[TRAINING] / (share * (1 - share)) / 50)
    for _ in range(50):
        followed.see(rows, new)
    assert followed.distance(new) / Followed(share).distance(new) == pytest.approx(np.exp(-1), rel=0.06)


def test_the_finished_model_forgets_the_last_hours_sooner_than_the_training_one():
    followed = Followed(0.2)
    for _ in range(10):
        followed.see(1_024, 0.4)
    assert followed.distance(0.2, TRAINING) > 5 * followed.distance(0.2, FINISHED) > 0


def test_without_a_past_all_rows_count_alike_in_training_and_the_last_ones_most_in_the_finished_model():
    followed = Followed(0.1, information=(1e-6, 1e-6))
    for share in [0.1] * 10 + [0.12] * 10:
        followed.see(500, share)
    training, finished = torch.sigmoid(followed.bias).tolist()
    assert training == pytest.approx(0.11, rel=0.02)
    assert 0.117 < finished < 0.12


@pytest.mark.parametrize("share", [1e-6, 1 - 1e-6])
def test_a_step_from_far_away_does_not_go_past_the_goal(share):
    followed = Followed(share, information=(1e-6, 1e-6))
    for _ in range(40):
        followed.see(1_000, 0.5)
        assert abs(followed.distance(0.5)) <= abs(odds(share))
    assert followed.bias.tolist() == pytest.approx([0.0, 0.0], abs=0.03)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("rate", [0.05, 0.25, 1.0])
def test_kept_rows_stand_for_all_rows_and_all_positives_of_their_window(policy, rate):
    random = np.random.default_rng(3)
    labels, scores = (random.random(4_096) < 0.02).astype(np.int8), random.random(4_096)
    kept = sample(
        policy, rate, random.random(4_096), labels=labels, shares=Shares(1e6, 2e4, 5e5, 1e6), scores=scores
    )
    assert kept.weight.sum() == pytest.approx(4_096)
    assert kept.target.sum() == pytest.approx(labels.sum())
    assert not kept.weight[~kept.keep].any()
    assert not kept.target[~kept.keep].any()
    if rate == 1.0:
        np.testing.assert_array_equal(kept.target, labels)


def test_a_window_of_which_nothing_is_kept_stands_for_nothing():
    labels = np.array([0, 1, 0], np.int8)
    kept = sample(Policy.UNIFORM, 0.1, np.full(3, 0.9), labels=labels, shares=Shares(), scores=None)
    assert (kept.weight.sum(), kept.target.sum()) == (0.0, 0.0)


CLICKS = 120_000
"""A quarter of a day's rows are three batches; in fewer, none could follow a level that moves by the day."""


def drifting(path):
    """120,000 clicks of ten days; the rate of clicks goes up and down by the day."""
    rows = table(rows=CLICKS)
    day = (rows["at"].to_numpy() - np.datetime64("2024-01-01")).astype("m8[D]").astype(int)
    level = np.array([0.0, 0.5, 0.1, 0.6, 0.2, 0.7, 0.0, 0.5, 0.3, 0.6])[day]
    label = np.maximum(rows["click"].to_numpy(), np.random.default_rng(8).random(CLICKS) < level * 0.4)
    at = rows.schema.get_field_index("click")
    pq.write_table(rows.set_column(at, "click", pa.array(label.astype(np.int8))), path, row_group_size=4_096)
    return path


def calibration(report):
    return sum(report.evaluated.models["self"].predicted) / sum(report.evaluated.positives)


@pytest.mark.parametrize("policy", [Policy.UNIFORM, Policy.NEGATIVES])
def test_a_sample_is_calibrated_as_full_data_are_on_a_stream_that_drifts(tmp_path, policy):
    stream = drifting(tmp_path / "drifting.parquet")
    ratios = [
        calibration(
            launch(
                make_request(
                    stream, tmp_path / f"{rate}", train=training(policy=policy, rate=rate),
                    evaluation=evaluation(1, 10, share=1.0),
                )
            )
        )
        for rate in (1.0, 0.25)
    ]  # fmt: skip
    assert ratios[1] / ratios[0] == pytest.approx(1.0, abs=0.025)


def test_a_model_is_scored_after_its_training_as_it_is_scored_when_it_serves(tmp_path):
    stream = drifting(tmp_path / "drifting.parquet")
    after = evaluation(6, 10)
    trained = launch(make_request(stream, tmp_path / "own", train=training(0, 6), evaluation=after))
    served = launch(
        make_request(
            stream, tmp_path / "served", train=None, evaluation=after, frozen={"served": trained.checkpoint}
        )
    )
    own, frozen = trained.evaluated.models["self"], served.evaluated.models["served"]
    assert own.predicted == pytest.approx(frozen.predicted, rel=1e-6)
    assert own.loss == pytest.approx(frozen.loss, rel=1e-6)


def test_a_checkpoint_with_one_intercept_is_taken_up_with_both_equal_to_it():
    model = Model(fields=2, table_rows=8, numbers=0, size=1, seed=0, device="cpu")
    old = {**model.tensors(), "bias": torch.tensor([-1.5]), "bias_sum": torch.tensor([9.0])}
    del old["bias_information"]
    model.load(old)
    rows = torch.tensor([[0, 4]]), torch.empty((1, 0))
    assert [model.logits(*rows, finished=f).item() for f in (False, True)] == [-1.5, -1.5]
    assert model.bias_information.tolist() == [a * m for a, m in zip(SHARPNESS, MEMORIES, strict=True)]
