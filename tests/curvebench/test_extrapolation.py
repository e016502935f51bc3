from __future__ import annotations

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB

from curvebench.extrapolation import ALONE, PLANNER, Attempt, attempts, known_anchors, not_worse, standings
from curvebench.measured import Curve, anchors, losses, split
from curvebench.real import TOLERANCE, real_stop

ROWS = np.round(4096 / np.sqrt(2.0) ** np.arange(16, -1, -1))


def curve(loss, error=1e-4):
    loss = np.asarray(loss, float)
    return Curve("set", "classifier", "log loss", True, ROWS, loss, np.full(loss.size, error))


def attempt(truth, **forecasts):
    return Attempt(curve(np.full(ROWS.size, truth)), 0.2, 5, forecasts)


def test_anchors_grow_by_the_root_of_two_up_to_the_largest():
    found = anchors(2, 4096)
    assert found[0] >= 16
    assert found[-1] == 4096
    assert found[1:] / found[:-1] == pytest.approx(np.sqrt(2.0), rel=0.05)


def test_many_classes_begin_with_two_rows_of_each():
    assert anchors(10, 1258)[0] >= 20


def test_every_anchor_of_a_split_has_every_class_and_no_row_that_is_scored():
    x = np.arange(300.0)[:, None]
    y = np.repeat([0, 1, 2], [280, 10, 10])
    (train_x, train_y), (held_x, _) = split((x, y), 0)
    assert sorted(train_y[:6]) == [0, 0, 1, 1, 2, 2]
    assert sorted([*train_x[:, 0], *held_x[:, 0]]) == sorted(x[:, 0])


def test_losses_are_those_of_the_true_class():
    x = np.concatenate([np.linspace(-1.1, -0.9, 50), np.linspace(0.9, 1.1, 50)])[:, None]
    y = np.repeat([3, 7], 50)
    assert losses(GaussianNB(), (x, y), (x, y)) == pytest.approx((0.0, 0.0), abs=2e-3)
    assert losses(GaussianNB(), (x, y), (x, y[::-1]))[0] == 1.0


@pytest.mark.parametrize(("share", "known"), [(0.001, 0), (0.01, 0), (0.012, 4), (0.2, 12), (1.0, 0)])
def test_too_few_anchors_or_all_of_them_are_no_extrapolation(share, known):
    assert known_anchors(ROWS, share) == known


def test_a_free_fit_finds_a_curve_of_its_own_family():
    rows = ROWS[:8]
    power = 0.2 + 0.6 * (rows / rows[0]) ** -0.5
    short = Curve("set", "classifier", "log loss", True, rows, power, np.full(rows.size, 1e-4))
    found = attempts(short, free=True)
    assert [a.share for a in found] == [0.4, 0.8]
    for one in found:
        assert one.forecasts["free pow3"] == pytest.approx(power[-1], abs=1e-4)
        assert one.forecasts["last"] == pytest.approx(power[one.known - 1])
        assert set(ALONE) | {PLANNER} <= set(one.forecasts)


def test_the_smaller_error_has_the_better_rank_and_equals_share_one():
    table = standings([attempt(1.0, a=1.1, b=1.3, c=1.3), attempt(1.0, a=1.0, b=0.9, c=1.2)], "abc")
    assert [s.rank for s in table] == [1.0, 2.25, 2.75]
    assert table[0].error == pytest.approx(np.sqrt(0.005))
    assert not_worse(table)


def test_a_rival_with_a_better_rank_or_a_smaller_error_is_seen():
    often, far = attempt(1.0, a=1.2, b=1.1), attempt(1.0, a=1.3, b=9.0)
    assert not not_worse(standings([often, often, far], "ab"))
    assert not not_worse(standings([attempt(1.0, a=9.0, b=1.2), attempt(1.0, a=1.0, b=1.1)], "ab"))


def test_a_measured_curve_is_held_against_its_own_end():
    flat = real_stop(curve(np.full(ROWS.size, 0.5)))
    assert flat is not None
    assert flat.point == ROWS[0]
    assert flat.lost == pytest.approx(0.0, abs=1e-9)
    falling = curve(1.0 - 0.05 * np.arange(ROWS.size))
    found = real_stop(falling)
    assert found is not None
    assert found.point == ROWS[-1]
    assert found.lost * TOLERANCE < 1.0


def test_a_curve_of_too_few_anchors_is_left_out():
    short = Curve("s", "c", "log loss", False, ROWS[-5:], np.full(5, 0.5), np.full(5, 1e-3))
    assert real_stop(short) is None
