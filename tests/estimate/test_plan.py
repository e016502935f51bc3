import dataclasses

import numpy as np
import pytest

from dataefficient.contract import Policy
from dataefficient.estimate.errors import EstimateError
from dataefficient.estimate.findings import knowledge, tuned
from dataefficient.estimate.measure import contrast, seeds
from dataefficient.estimate.plan import (
    MAX_SEEDS,
    Arm,
    Costs,
    Experiment,
    Knowledge,
    combined,
    history_that_fits,
    next_experiment,
    wishes,
)
from dataefficient.estimate.runs import lay_out
from estimate.made_up import results

DAY = 86_400_000_000
COSTS = Costs(startup=2.0, per_row_read=1e-6, per_row_trained=1e-5, per_row_scored=2e-6)
HALF = Arm(policy=Policy.NEGATIVES, rate=0.5)
SMALLER = Arm(size=8)


def order(known, left=1e9, seconds=lambda _: 1.0):
    started = frozenset()
    while (wish := next_experiment(known, started, seconds, left)) is not None:
        started |= {wish}
        yield wish


def test_the_learning_rate_is_tuned_before_anything_is_compared():
    assert {e.arm.history for e in order(Knowledge(0.1, served=False))} == {0.25}


def test_the_reference_and_the_rungs_come_first_then_the_mildest_rate_and_a_replica():
    first = list(order(Knowledge(0.1, served=False, pace=1.0)))[:8]
    assert [e.arm.history for e in first[:5]] == [1.0, 0.5, 0.25, 0.125, 0.0625]
    assert first[5].arm == HALF
    assert first[6] == Experiment(Arm(), 1)
    assert first[7].arm == SMALLER


def test_what_does_not_fit_is_passed_over_for_what_does():
    known = Knowledge(0.1, served=False, pace=1.0)
    chosen = list(order(known, left=10.0, seconds=lambda e: 20.0 * e.arm.history))
    assert {e.arm.history for e in chosen} == {0.25, 0.125, 0.0625}


def test_no_harsher_rate_is_tried_after_a_refused_one():
    known = Knowledge(0.1, served=False, pace=1.0, refused=frozenset({HALF}))
    tried = [e.arm for e in order(known)]
    assert not [a for a in tried if a.policy is Policy.NEGATIVES and a.rate < 0.5]
    assert dataclasses.replace(HALF, pace=2.0) in tried


def test_scored_negatives_are_tried_only_with_a_served_prediction():
    policies = {
        served: {e.arm.policy for e in order(Knowledge(0.1, served, 1.0))} for served in (True, False)
    }
    assert Policy.SCORED_NEGATIVES in policies[True]
    assert Policy.SCORED_NEGATIVES not in policies[False]


def test_two_levers_that_pass_are_measured_together():
    known = Knowledge(0.1, served=False, pace=1.0, passed=(HALF, SMALLER))
    both = combined(known)
    assert (both.rate, both.size) == (0.5, 8)
    assert Experiment(both) in list(order(known))


def test_undecided_arms_get_more_seeds():
    known = Knowledge(0.1, served=False, pace=1.0, open=(HALF,))
    assert max(e.seed for e in wishes(known) if e.arm == HALF) == MAX_SEEDS - 1


def test_a_log_that_fits_is_used_whole_and_a_longer_one_is_cut():
    assert history_that_fits(COSTS, 100_000, 0.1, 300.0, 2) == 100_000
    cut = history_that_fits(COSTS, 100_000_000, 0.1, 300.0, 2)
    assert 1_000_000 < cut < 100_000_000
    assert history_that_fits(COSTS, 100_000_000, 0.1, 600.0, 2) > cut


def test_starting_up_slowly_does_not_shorten_a_small_log():
    assert history_that_fits(dataclasses.replace(COSTS, startup=30.0), 4_000, 0.2, 60.0, 2) == 4_000


def test_the_best_learning_rate_at_the_edge_asks_for_one_further():
    measured = results({})
    flat = {e: m for e, m in measured.items() if e.arm.history == 0.25}
    assert tuned(flat, hurry=False) == (1.0, None)
    better = {
        e: dataclasses.replace(m, loss=tuple(x * 0.9 for x in m.loss))
        for e, m in flat.items()
        if e.arm.pace == 2.0
    }
    assert tuned({**flat, **better}, hurry=False) == (None, Arm(history=0.25, pace=4.0))
    assert tuned({**flat, **better}, hurry=True) == (2.0, None)


def test_in_a_hurry_the_trainers_own_learning_rate_stays():
    assert tuned({}, hurry=True) == (1.0, None)
    assert tuned({}, hurry=False) == (None, None)


def test_a_replica_does_not_move_the_learning_rate():
    measured = {e: m for e, m in results({}).items() if e.arm.history == 0.25}
    worse = dataclasses.replace(measured[Experiment(Arm(history=0.25))], loss=(1e9,) * 16)
    assert tuned({**measured, Experiment(Arm(history=0.25), 1): worse}, hurry=False)[0] == 1.0


def test_knowledge_sorts_arms_into_passed_refused_and_open():
    open_arm = Arm(policy=Policy.UNIFORM, rate=0.5)
    known = knowledge(
        results({HALF: 0.0, SMALLER: 0.03, open_arm: 0.0019}, noise=1e-3), 1.0, 0.002, 0.1, served=False
    )
    assert known.passed == (HALF,)
    assert known.refused == {SMALLER}
    assert known.open == (open_arm,)


def test_the_spread_of_seeds_is_found_from_replicas():
    found = seeds(results({HALF: 0.0}, seeds=40, seed_noise=2e-3))
    assert found.replicas == 78
    assert found.deviation == pytest.approx(2e-3, rel=0.2)


def test_seeds_widen_a_contrast_and_more_of_them_narrow_it():
    few = contrast(results({HALF: 0.0}, seeds=2, seed_noise=2e-3), HALF, Arm())
    many = contrast(results({HALF: 0.0}, seeds=20, seed_noise=2e-3), HALF, Arm())
    assert few.half_width(0.95) > 2 * many.half_width(0.95)
    assert many.error > many.block_error


def test_a_shift_whose_cost_only_follows_the_share_of_positives_blurs_a_contrast_less():
    shifted = {}
    for experiment, m in results({HALF: 0.0}, noise=0.0, seed_noise=0.0).items():
        shift = 0.1 if experiment.arm == HALF else 0.0
        positives = tuple(round(y * f) for y, f in zip(m.positives, (0.8, 1.2) * 8, strict=True))
        loss = [x + shift * (p - y) for x, p, y in zip(m.loss, m.predicted, positives, strict=True)]
        predicted = tuple(p + shift * n * 0.16 for p, n in zip(m.predicted, m.n, strict=True))
        shifted[experiment] = dataclasses.replace(
            m, loss=tuple(loss), predicted=predicted, positives=positives
        )
    alone = {e: dataclasses.replace(m, predicted=(0.0,) * 16) for e, m in shifted.items()}
    found, measured = (contrast(r, HALF, Arm()) for r in (shifted, alone))
    assert found.block_error < 0.75 * measured.block_error


def test_bounds_hold_the_true_gap_as_often_as_they_say():
    held = 0
    for trial in range(200):
        random = np.random.default_rng(trial)
        truth = {a: random.normal(0, 1e-3) for a in (HALF,)}
        measured = results(truth, seed_noise=0.0, noise=0.0)
        noisy = {
            e: dataclasses.replace(
                m,
                loss=tuple(
                    x * (1 + s)
                    for x, s in zip(m.loss, random.normal(0, 2e-3, 16) + random.normal(0, 1e-3), strict=True)
                ),
            )
            for e, m in measured.items()
        }
        held += contrast(noisy, HALF, Arm()).upper(0.95) >= truth[HALF]
    assert held >= 185


def test_held_out_rows_are_the_latest_and_blocks_end_at_separate_times():
    times = np.repeat(np.arange(1_000), 20) * DAY
    layout = lay_out(times, len(times))
    assert layout.scored == 4_000
    assert len(layout.boundaries) == 16
    assert layout.start(1.0) < layout.start(0.5) < layout.end < layout.boundaries[0]
    assert layout.days(2_000) == 100.0


def test_one_time_for_all_rows_is_refused():
    with pytest.raises(EstimateError, match="one time"):
        lay_out(np.zeros(1_000, np.int64), 1_000)
