from __future__ import annotations

import numpy as np
import pytest

from curvebench.stopping import Stop, stop, summary
from curvebench.truths import END, MEASURED, SHAPES, Measured, Truth, draw, measure


def power_law(tolerance=0.01):
    return Truth("pow3", True, lambda x: 0.4 + 0.08 * x**-0.6, tolerance)


def test_the_true_point_of_a_power_law_is_where_the_gap_equals_the_tolerance():
    truth = power_law()
    end = 0.4 + 0.08 * END**-0.6
    assert truth.point() == pytest.approx(((end * 1.01 - 0.4) / 0.08) ** (-1 / 0.6), rel=1e-3)
    assert truth.gap(truth.point()) == pytest.approx(0.01, rel=1e-2)


def test_the_true_point_lies_behind_a_bump_that_leaves_the_tolerance_again():
    bump = Truth("bump", False, lambda x: 0.4 + 0.1 * np.exp(-8 * np.log(x / 60) ** 2), 0.01)
    assert bump.point() > 60


def test_a_flat_curve_has_converged_from_the_start():
    assert Truth("flat", True, lambda x: 0.4 + np.zeros_like(x), 0.01).point() == 1.0


def test_rungs_end_at_a_fifth_of_the_curve_and_their_noise_is_what_is_believed():
    truth = power_law()
    z = []
    for seed in range(60):
        measured = measure(truth, np.random.default_rng(seed))
        assert measured.examples[0] == 1.0
        assert measured.examples[-1] == pytest.approx(MEASURED * END)
        z.append((measured.loss - truth.loss(measured.examples)) / measured.error)
    assert 0.4 < np.std(z) < 1.6


@pytest.mark.parametrize("shape", range(len(SHAPES)), ids=lambda i: SHAPES[i][0])
def test_a_curve_is_drawn_alike_each_time_and_its_loss_is_positive(shape):
    x = np.geomspace(1.0, END, 50)
    first, again = (draw(shape, 3)[0].loss(x) for _ in range(2))
    assert np.array_equal(first, again)
    assert (first > 0).all()
    assert not np.array_equal(first, draw(shape, 4)[0].loss(x))


def test_where_no_point_is_named_the_whole_history_is_bought_and_nothing_is_lost():
    truth = Truth("steep", False, lambda x: 1.0 - 0.1 * np.log(x), 0.001)
    x = 2.0 ** np.arange(6)
    found = stop(truth, Measured(x, truth.loss(x), np.full(6, 1e-4)))
    assert (found.answered, found.within, found.lost) == (False, False, 0.0)
    assert found.bought == pytest.approx(END / truth.point())


def test_intervals_hold_the_truth_of_the_families_that_are_fitted():
    """They are 80 % intervals; a prior that leans to one family holds the others too rarely."""
    shapes = [index for index, (_, fitted, _) in enumerate(SHAPES) if fitted]
    drawn = [draw(shape, index) for shape in shapes for index in range(30)]
    fitted = [stop(truth, measure(truth, random)) for truth, random in drawn]
    assert len(fitted) == 180
    assert 0.8 <= summary("fitted", fitted).covered <= 0.95


def test_a_summary_tells_right_answers_from_wrong_ones():
    def one(*, answered, within):
        return Stop("x", True, 1.0, 2.0, covered=True, ahead=False, answered=answered, within=within)

    found = summary(
        "x",
        [
            one(answered=True, within=True),
            one(answered=True, within=False),
            one(answered=False, within=False),
            one(answered=False, within=True),
            one(answered=False, within=True),
        ],
    )
    assert (found.point_right, found.point_wrong, found.none_right, found.none_wrong) == (1, 1, 1, 2)
    assert (found.covered, found.ahead, found.lost, found.bought) == (1.0, 0.0, 1.0, 2.0)
