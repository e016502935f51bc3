import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from dataefficient.estimate.log import Roles, open_log
from dataefficient.estimate.measure import Measured
from dataefficient.estimate.runs import lay_out
from dataefficient.estimate.served import compare, served_sentences
from dataefficient.estimate.working import copy

ROLES = Roles("ts", "clicked", served="score")


@pytest.fixture
def judged(write, table, tmp_path):
    """Compare a score, made from the true click rates of the sites, with a model that knows them."""

    def run(change):
        site = np.array([int(s[1:]) for s in table["site"].to_pylist()])
        truth = 1 / (1 + np.exp(-(np.log(0.3 / 0.7) + np.linspace(-1.0, 1.0, 8)[site])))
        log = open_log(write(table.append_column("score", pa.array(change(truth)))))
        working = copy(log, ROLES, tmp_path)
        layout = lay_out(working.times, working.rows)
        label, p = working.labels[layout.cut :], truth[layout.cut :]
        ends = [round(b.timestamp() * 1e6) for b in layout.boundaries]
        block = np.searchsorted(ends, working.times[layout.cut :], side="right")
        loss = -np.where(label == 1, np.log(p), np.log1p(-p))
        count = len(ends)
        ours = Measured(
            loss=tuple(np.bincount(block, loss, count).tolist()),
            predicted=tuple(np.bincount(block, p, count).tolist()),
            n=tuple(np.bincount(block, minlength=count).tolist()),
            positives=tuple(np.bincount(block, label, count).astype(int).tolist()),
            digest="same",
            kept=1,
            seconds=1.0,
        )
        return compare(working, ROLES, layout, [ours])

    return run


def test_an_equal_score_raises_no_alarm(judged):
    served = judged(lambda p: p)
    assert served.gap == pytest.approx(0.0, abs=1e-6)
    assert not any("Alarm" in s for s in served_sentences(served))


def test_a_shifted_score_raises_the_alarms_of_skew_and_calibration(judged):
    said = " ".join(served_sentences(judged(lambda p: p**0.3)))
    assert "Alarm, skew" in said
    assert "Alarm, calibration" in said


def test_a_better_score_says_that_the_figures_are_about_a_weaker_model_and_that_it_can_teach(judged):
    served = dataclasses.replace(judged(lambda p: p), gap=-0.05, low=-0.06, high=-0.04)
    said = next(s for s in served_sentences(served) if "weaker model than yours" in s)
    assert f"distillation: {{teacher: {served.column}}}" in said


def test_missing_scores_are_counted_and_never_paired(judged):
    served = judged(lambda p: np.where(np.arange(len(p)) % 2, p, np.nan))
    assert served.gap is None
    assert served.unusable == pytest.approx(served.rows / 2, abs=1)
    assert "no usable score" in served_sentences(served)[0]


def test_a_score_that_is_no_probability_is_not_used(judged):
    served = judged(lambda p: p * 1000)
    assert served.log_loss is None
    assert "not used" in served_sentences(served)[0]
