import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.fake_study import SETTINGS, launches, study
from streambench.execute import NotRunError
from streambench.results import stream_result
from streambench.settings import Settings
from streambench.study import FIRST, Arm

ROOT = Path(__file__).parents[2]


def test_a_killed_benchmark_goes_on_and_repeats_no_run_that_ended(tmp_path):
    path = os.pathsep.join(str(ROOT / part) for part in ("operator", "trainer", "bench", "tests"))
    killed = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killed_main.py")), str(tmp_path), "12"],
        env={**os.environ, "PYTHONPATH": path},
        check=False,
        timeout=120,
    )
    before = launches(tmp_path)

    study(tmp_path).fill(oracle=False)

    assert killed.returncode == -9
    assert len(before) == 12
    after = launches(tmp_path)
    assert [line for line in after if after.count(line) > 1] in ([], [before[-1]] * 2)
    result = stream_result(study(tmp_path, until=0.0))
    assert {arm.arm for arm in result.arms} == set(FIRST)


def test_a_second_call_launches_nothing(tmp_path):
    study(tmp_path).fill(oracle=False)
    count = len(launches(tmp_path))

    study(tmp_path).fill(oracle=False)

    assert len(launches(tmp_path)) == count


def test_a_changed_planner_launches_only_runs_that_were_never_made(tmp_path):
    made = study(tmp_path)
    made.life(Arm.OPERATOR, 1, made.tuned())
    count = len(launches(tmp_path))

    changed = study(tmp_path, planner="changed")
    life = changed.life(Arm.OPERATOR, 1, changed.tuned())

    assert len(life.cycles) == 6
    assert len(launches(tmp_path)) == count


def test_once_the_time_is_up_nothing_is_launched_and_the_result_says_what_is_missing(tmp_path):
    late = study(tmp_path, until=0.0)

    late.fill(oracle=False)

    assert launches(tmp_path) == []
    assert stream_result(late).missing == ("tuning: not run yet",)


def test_an_arm_that_is_not_complete_gives_no_figure(tmp_path):
    made = study(tmp_path)
    made.scored({1: [made.life(Arm.LARGEST, 1, made.tuned())]})

    result = stream_result(study(tmp_path, until=0.0))

    assert Arm.LARGEST in {arm.arm for arm in result.arms}
    assert Arm.OPERATOR not in {arm.arm for arm in result.arms}
    assert "operator, seed 1: not run yet" in result.missing


def test_where_the_stream_has_no_rows_all_arms_go_on_with_the_models_they_have(tmp_path):
    without = {"FAKE_EMPTY": "2020-01-07T00:00:00Z"}
    study(tmp_path, **without).fill(oracle=False)

    read = study(tmp_path, until=0.0, **without)
    lives = [read.life(arm, 1, read.tuned()) for arm in FIRST]
    scored = read.scored({1: lives})[0]

    assert all(life.cycles[3].point is None and life.cycles[3].total.seconds > 0.0 for life in lives)
    assert all(life.cycles[3].served == life.cycles[4].served for life in lives)
    assert all({1, 2, 4, 5} == set(arm.scores) for arm in scored)
    # However many models were to be scored where there are no rows, each arm can be read by itself.
    assert all(read.live(arm, 1).scores == alike.scores for arm, alike in zip(FIRST, scored, strict=True))
    assert all("oracle" in line for line in stream_result(read).missing)


def test_arms_are_judged_on_the_same_rows_whenever_each_is_scored(tmp_path):
    made = study(tmp_path)

    digests = {
        (cycle, score.digest, score.n) for arm in FIRST for cycle, score in made.live(arm, 1).scores.items()
    }

    assert sorted(cycle for cycle, _, _ in digests) == [1, 2, 3, 4, 5]


def test_no_arm_is_charged_for_being_judged(tmp_path):
    made = study(tmp_path)
    life = made.life(Arm.LARGEST, 1, made.tuned())
    spent = sum(c.total.seconds for c in life.cycles)

    scored = made.live(Arm.LARGEST, 1)

    assert sum(c.total.seconds for c in scored.life.cycles) == spent
    assert any(line[1].endswith("-score") for line in launches(tmp_path))


def test_the_oracle_is_chosen_on_seeds_on_which_nothing_is_judged(tmp_path):
    # A quarter of the rows costs nothing under the choosing seed, and 1 % under the other.
    made = study(tmp_path, FAKE_BEST="default/fake-s101")

    chosen = made.chosen(made.tuned())

    assert chosen.point.rate < 1.0
    assert {line[0] for line in launches(tmp_path)} == {"default/fake-s101"}
    judged = made.live(Arm.ORACLE, 1)
    control = made.live(Arm.LARGEST, 1)
    assert judged.scores[5].scored.loss > control.scores[5].scored.loss


def test_the_oracle_is_full_data_where_every_saving_costs_too_much(tmp_path):
    made = study(tmp_path)

    chosen = made.chosen(made.tuned())

    assert chosen.point.rate == 1.0


def test_a_grid_that_was_not_run_to_its_end_chooses_nothing(tmp_path):
    made = study(tmp_path)
    tuned = made.tuned()
    made.life(Arm.LARGEST, 101, tuned)

    with pytest.raises(NotRunError):
        study(tmp_path, until=0.0).chosen(tuned)


def test_seeds_to_choose_and_seeds_to_judge_must_differ():
    with pytest.raises(AssertionError, match="not read where it was chosen"):
        Settings("s", (1, 2), (2,), 5, 0, 2.0, all_sizes=True)


def test_rates_fall_in_even_notches_to_the_smallest_that_the_resource_allows():
    assert SETTINGS.rates() == (1.0, 0.25, 0.0625)
