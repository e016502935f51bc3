from math import sqrt
from statistics import stdev

import pytest

from dataefficient.contract import CheckpointRef, Policy, Scored
from dataefficient.planner.knobs import Point
from dataefficient.report.statement import Spend
from streambench import figures
from streambench.figures import Seeded, compare
from streambench.lives import Cycle, Life
from streambench.ruler import Score

FULL = Point(Policy.UNIFORM, 1.0, 8)
BLOCKS = 16


def score(level=1.0, *, digest="rows", predicted=20.0, auc=0.7, wobble=0.0):
    # What differs from block to block is common to all models, but for the wobble.
    loss = tuple(100 * level * (1 + 0.02 * i) * (1 + wobble * (-1) ** i) for i in range(BLOCKS))
    return Score((100,) * BLOCKS, (20,) * BLOCKS, digest, Scored(loss, (predicted,) * BLOCKS, auc))


def arm(seed=1, *, seconds=10.0, startup=2.0, search=0.0, cycles=8, **scored):
    """Every cycle costs the same; the history costs four times as much."""
    lived = []
    for cycle in range(cycles + 1):
        times = 4.0 if cycle == 0 else 1.0
        spent = {"Candidate": Spend(seconds * times, startup, 0.0)}
        if search:
            spent["Trial"] = Spend(search, startup, 0.0)
        lived.append(Cycle(cycle, FULL, spent, CheckpointRef("m", f"sha256:{cycle}") if cycle else None))
    return Seeded(seed, Life(tuple(lived)), {c: score(**scored) for c in range(1, cycles + 1)})


def test_the_steady_state_begins_with_cycle_5_and_counts_search():
    found = compare([arm(seconds=5.0, search=1.0)], [arm(seconds=10.0)])

    assert found.steady == pytest.approx(1 - 6 / 10)
    assert found.steady_plan == pytest.approx(1 - 5 / 10)
    assert found.steady_plan_working == pytest.approx(1 - 3 / 8)


def test_in_all_counts_the_history_too():
    found = compare([arm(seconds=5.0, search=1.0)], [arm(seconds=10.0)])

    assert found.whole == pytest.approx(1 - (12 * 5 + 9) / 120)


def test_break_even_is_the_first_cycle_from_whose_end_on_less_was_spent():
    # Behind by 36 after cycle 0 (10 * 4 against 76 with search), ahead by 9 in each later cycle.
    ours = arm(seconds=1.0)
    first = ours.life.cycles[0]
    dear = Cycle(0, FULL, {**first.spent, "Probe": Spend(72.0, 0.0, 0.0)}, None)
    ours = Seeded(1, Life((dear, *ours.life.cycles[1:])), ours.scores)

    assert compare([ours], [arm(seconds=10.0)]).break_even == 5
    assert compare([arm(seconds=11.0)], [arm(seconds=10.0)]).break_even is None
    assert compare([arm(seconds=9.0)], [arm(seconds=10.0)]).break_even == 0


def test_quality_is_paired_on_common_rows_from_cycle_5_on():
    found = compare([arm(level=1.002)], [arm(level=1.0)])

    assert found.loss.gap == pytest.approx(0.002)
    assert found.loss.standard_error == pytest.approx(0.0, abs=1e-9)
    assert found.loss.blocks == 4 * BLOCKS
    assert sorted(found.gaps) == [str(c) for c in range(1, 9)]


def test_other_rows_are_not_compared():
    found = compare([arm(digest="others")], [arm()])

    assert found.loss is None
    assert found.calibration is None
    assert found.gaps == {}


def test_seeds_that_differ_widen_the_error_and_the_bound():
    gaps = (0.001, 0.002, 0.006)
    ours = [arm(seed, level=1 + gap, wobble=0.001) for seed, gap in enumerate(gaps)]
    control = [arm(seed) for seed in range(3)]

    found = compare(ours, control)
    alone = compare(ours[:1], control[:1])

    assert found.loss.gap == pytest.approx(0.003, abs=1e-5)
    assert found.loss.seed_spread == pytest.approx(stdev(gaps), rel=0.01)
    rows = found.loss.standard_error**2 - (stdev(gaps) / sqrt(3)) ** 2
    assert sqrt(rows) == pytest.approx(alone.loss.standard_error, rel=0.05)
    # Two degrees of freedom, as far as the seeds' part dominates.
    assert found.loss.upper > found.loss.gap + 2.8 * found.loss.standard_error


def test_one_seed_says_nothing_of_the_spread_between_seeds():
    assert compare([arm(level=1.001, wobble=0.001)], [arm()]).loss.seed_spread is None


def test_arms_without_a_common_seed_are_not_compared():
    assert compare([arm(seed=1)], [arm(seed=2)]) is None


@pytest.mark.parametrize(
    ("scored", "expected"),
    [
        ({}, True),
        ({"level": 1.002}, False),
        ({"auc": 0.698}, False),
        ({"auc": None}, False),
        ({"predicted": 20.5}, False),
        ({"predicted": 19.5}, False),
    ],
)
def test_within_limits_means_loss_auc_and_calibration_and_nothing_unmeasured(scored, expected):
    assert figures.within(compare([arm(**scored)], [arm()])) is expected


def test_search_is_everything_but_candidates():
    assert figures.search([arm(search=1.5)]) == pytest.approx(9 * 1.5)
