"""On a GPU a run ends near where the same run ends on the CPU; floating-point sums differ in their order."""

import dataclasses
import functools

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from dataefficient.contract import Policy
from dataefficient_trainer import checkpoint, events
from dataefficient_trainer.errors import StoppedError
from trainer.synthetic import (
    PICTURE,
    evaluation,
    launch,
    make_request,
    pictured,
    tagged,
    training,
    with_riders,
)

DEVICES = ("cpu", "cuda")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(events, "CHUNK_ROWS", 4_096)


def both(request, folder):
    """Reports of a request on the CPU and on the GPU."""
    return [
        launch(dataclasses.replace(request, device=device, output=str(folder / device))) for device in DEVICES
    ]


def weights(report):
    return checkpoint.load(report.checkpoint, "checkpoint")[0]


def assert_near(one, other):
    """Losses, sums of predictions and weights are those of the other but for rounding."""
    assert one.evaluated.digest == other.evaluated.digest
    assert one.evaluated.models.keys() == other.evaluated.models.keys()
    for name, scored in one.evaluated.models.items():
        beside = other.evaluated.models[name]
        assert scored.loss == pytest.approx(beside.loss, rel=1e-3), name
        assert scored.predicted == pytest.approx(beside.predicted, rel=1e-3), name
    assert one.rows == other.rows
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        np.testing.assert_allclose(tensor.numpy(), theirs[name].numpy(), rtol=0.02, atol=0.02, err_msg=name)


@pytest.mark.parametrize("size", [1, 4, 64])
@pytest.mark.parametrize("policy", [Policy.UNIFORM, Policy.NEGATIVES])
def test_a_cold_run_ends_near_the_same_run_on_the_cpu(stream, tmp_path, size, policy):
    plan = training(policy=policy, rate=0.5)
    assert_near(*both(make_request(stream, tmp_path, size=size, train=plan), tmp_path))


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize(
    ("clicks", "several"),
    [
        (functools.partial(tagged, empty=True), {"lists": {"tags": {"most": 3}}}),
        (pictured, {"vectors": {"image": {"length": PICTURE}}}),
    ],
    ids=["lists", "vectors"],
)
def test_a_run_on_several_values_a_row_ends_near_the_same_run_on_the_cpu(tmp_path, clicks, several, size):
    pq.write_table(clicks(), tmp_path / "clicks.parquet")
    config = {"features": {"categorical": ["item"], **several}}
    assert_near(
        *both(make_request(tmp_path / "clicks.parquet", tmp_path, size=size, config=config), tmp_path)
    )


@pytest.mark.parametrize("size", [1, 2, 4, 8], ids=["shrunk to linear", "shrunk", "as it is", "grown"])
def test_a_warm_run_of_any_size_ends_near_the_same_run_on_the_cpu(stream, tmp_path, size):
    start = launch(make_request(stream, tmp_path / "start", train=training(0, 2), evaluation=None)).checkpoint
    older = launch(make_request(stream, tmp_path / "older", train=training(0, 1), evaluation=None)).checkpoint
    plan = training(2, 9, policy=Policy.SCORED_NEGATIVES, rate=0.5)
    request = make_request(
        stream,
        tmp_path,
        start=start,
        frozen={"trial": older},
        train=plan,
        size=size,
        evaluation=evaluation(3, 10),
    )
    assert_near(*both(request, tmp_path))


def test_riders_and_forks_end_near_those_on_the_cpu(stream, tmp_path):
    reports = []
    for device in DEVICES:
        leader = make_request(stream, tmp_path / device, device=device, train=training(0, 9))
        fork = {"fork": True, "train": training(4, 9, policy=Policy.SCORED_NEGATIVES, rate=0.5)}
        request = with_riders(leader, large={"size": 8, "train": training(0, 9, rate=0.5)}, fork=fork)
        reports.append(launch(request))
    assert_near(*reports)
    assert [r.run for r in reports[1].riders] == ["c000-large", "c000-fork"]


def test_a_run_that_was_stopped_ends_near_one_that_was_not(stream, tmp_path):
    whole = launch(make_request(stream, tmp_path / "whole"))
    request = make_request(stream, tmp_path / "stopped", device="cuda")
    calls = iter(range(2))
    with pytest.raises(StoppedError):
        launch(request, stopped=lambda: next(calls, None) is None)
    assert_near(whole, launch(request))
