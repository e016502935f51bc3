import pytest

from benchmark.fake_study import launches, study
from streambench.execute import RunFailedError
from streambench.tuning import HeldOut, climb


def held(loss):
    return HeldOut((100,) * 8, (loss,) * 8, ("rows",))


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ({0: 1.0, -1: 1.1, 1: 1.2}, 0),
        ({0: 1.0, -1: 0.9, -2: 0.8, -3: 0.7}, -3),
        ({0: 1.0, -1: 0.9, -2: 0.95}, -1),
        ({0: 1.0, -1: 1.1, 1: 0.9, 2: 0.95}, 1),
    ],
)
def test_the_learning_rate_climbs_while_the_loss_falls_and_asks_for_no_run_beyond(losses, expected):
    asked = []

    def scored(step):
        asked.append(step)
        return held(losses[step])

    assert climb(scored)[0] == expected
    assert sorted(asked) == sorted(losses)


def test_a_rate_that_fails_ends_the_climb():
    def scored(step):
        if step == 2:
            raise RunFailedError("the loss became inf")
        return held({-1: 1.1, 0: 1.0, 1: 0.9}[step])

    assert climb(scored)[0] == 1


def test_losses_on_other_rows_are_not_compared():
    assert held(1.0).over(HeldOut((100,) * 8, (1.0,) * 8, ("others",))) is None


def test_the_right_size_is_the_smallest_within_one_standard_error(tmp_path):
    # The fake trainer's sizes differ by a millionth, the same in every block.
    assert study(tmp_path).tuned().right_size == 8


def test_the_choice_rests_on_the_history_of_a_seed_on_which_nothing_is_judged(tmp_path):
    study(tmp_path).tuned()

    assert {line[0] for line in launches(tmp_path)} == {"default/fake-s101"}
    assert {line[1][:4] for line in launches(tmp_path)} == {"c000"}
