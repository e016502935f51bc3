from dataclasses import replace
from itertools import pairwise
from math import sqrt
from statistics import fmean, stdev

import pytest

from dataefficient.contract import Policy, parse_report, parse_request, to_json
from dataefficient.cycle.model import FailureKind
from dataefficient.planner.evidence import paired
from dataefficient.planner.knobs import Point
from dataefficient.simulator.scenario import Faults, drift, power_law, regime_break
from dataefficient.simulator.world import World
from simulator.requests import FULL, LATER, plan, when

HALF = Point(Policy.NEGATIVES, 0.5, 32)
LOW = Point(Policy.NEGATIVES, 0.0625, 32)


def quiet(seed=0, **changes):
    return replace(power_law(seed), seed_sd=0.0, slow_probability=0.0, history=4, **changes)


def grow(world, cycles, point=FULL, start=None, name="full", frozen=None):
    """Reports of a lineage over cycles 4, 5, ..., each scored on its own cycle."""
    reports = []
    for k in range(cycles):
        span = (4.0 + k, 5.0 + k)
        run = plan(f"c{k + 1:03d}-{name}", point, train=span, score=span, start=start, frozen=frozen)
        report = world.run(run, LATER).report
        start = report.checkpoint
        reports.append(report)
    return reports


def first(world, point=FULL):
    return world.run(plan("c000-candidate", point, train=(0, 4), score=(3, 4), cycle=0), LATER).report


def test_reports_keep_the_contract():
    world = World(power_law(1))
    start = first(world).checkpoint
    run = plan(
        "c001-candidate", HALF, train=(8, 9), score=(8, 9), start=start, frozen={"control": start}, blocks=16
    )
    report = world.run(run, LATER).report
    request = parse_request(to_json(run.request))
    assert parse_report(to_json(report), request) == report
    assert set(report.evaluated.models) == {"self", "start", "control"}


def test_a_world_is_the_same_for_the_same_seed_and_another_for_another():
    assert first(World(power_law(1))) == first(World(power_law(1)))
    assert first(World(power_law(1))) != first(World(power_law(2)))


def test_the_same_run_reports_the_same_whatever_else_ran_before():
    alone, busy = World(quiet()), World(quiet())
    starts = [first(alone).checkpoint, first(busy).checkpoint]
    busy.run(plan("c000-probe-1", HALF, train=(2, 3), score=(3, 4)), LATER)
    grow(busy, 3, HALF, starts[1], "half")
    assert grow(alone, 3, FULL, starts[0]) == grow(busy, 3, FULL, starts[1])


def test_a_stream_that_is_drawn_further_is_the_same_up_to_there():
    short, long = World(regime_break(3)), World(regime_break(3))
    long.stream.cycle(180)
    long.truth.steady(HALF, 180)
    assert first(short) == first(long)
    assert grow(short, 3, HALF, first(short).checkpoint) == grow(long, 3, HALF, first(long).checkpoint)


def test_what_comes_after_a_break_does_not_show_before_it():
    scenario = regime_break(3)
    with_break, without = World(scenario), World(replace(scenario, regime=None))
    assert first(with_break) == first(without)
    assert with_break.stream.level(6.0, 7.0) == without.stream.level(6.0, 7.0)
    at = float(scenario.regime.cycle)
    ratio = with_break.stream.level(at, at + 1.0) / without.stream.level(at, at + 1.0)
    assert ratio == pytest.approx(1.0 + scenario.regime.level)


def test_the_same_rows_have_one_digest_and_other_rows_another():
    world = World(quiet())
    a, b = grow(world, 1, FULL, first(world).checkpoint), grow(world, 1, LOW, first(world).checkpoint, "low")
    assert a[0].evaluated.digest == b[0].evaluated.digest
    assert a[0].evaluated.n == b[0].evaluated.n
    other = world.run(plan("c009-x", FULL, train=(0, 4), score=(4, 5), share=0.2), LATER).report
    assert other.evaluated.digest != a[0].evaluated.digest


def test_one_model_scores_the_same_in_two_runs():
    world = World(quiet())
    checkpoint = first(world).checkpoint
    a = world.run(plan("c001-a", FULL, train=(4, 5), score=(4, 5), start=checkpoint), LATER).report
    b = world.run(
        plan("c001-b", LOW, train=(4, 5), score=(4, 5), frozen={"champion": checkpoint}), LATER
    ).report
    assert a.evaluated.models["start"] == b.evaluated.models["champion"]


def test_how_far_predictions_lie_apart_follows_what_a_branch_loses():
    world = World(quiet(lag=1e-9, divergence_lost=0.5, divergence_sd=0.0))
    start = first(world).checkpoint
    full, low = (grow(world, 3, point, start, name)[-1] for point, name in ((FULL, "full"), (LOW, "low")))
    branches = {"trial": low.checkpoint, "control": full.checkpoint}
    run = plan("c009-a", FULL, train=(7, 8), score=(7, 8), start=full.checkpoint, frozen=branches, blocks=16)
    models = world.run(run, LATER).report.evaluated.models
    apart = world.truth.gap(world.models[low.checkpoint.digest]) - world.truth.gap(
        world.models[full.checkpoint.digest]
    )
    level = sum(models["start"].loss) / sum(world.run(run, LATER).report.evaluated.n)
    assert models["trial"].divergence == pytest.approx(2.0 * apart * level, rel=0.05)
    assert models["control"].divergence == 0.0
    assert models["start"].divergence is models["self"].divergence is None


def test_equal_plans_from_one_champion_are_the_same_model():
    world = World(quiet())
    checkpoint = first(world).checkpoint
    a, b = grow(world, 2, HALF, checkpoint, "a"), grow(world, 2, HALF, checkpoint, "b")
    assert a[-1].evaluated.models == b[-1].evaluated.models


def test_higher_rates_and_more_time_apart_make_less_and_more_noise():
    world = World(quiet(cell_noise=0.0))
    checkpoint = first(world).checkpoint
    full = grow(world, 6, FULL, checkpoint)
    errors = {}
    for point, name in ((HALF, "half"), (LOW, "low")):
        branch = grow(world, 6, point, checkpoint, name)
        errors[name] = [
            paired(
                b.evaluated.models["self"].loss, f.evaluated.models["self"].loss, f.evaluated.n
            ).standard_error
            for b, f in zip(branch, full, strict=True)
        ]
    assert fmean(errors["half"]) < fmean(errors["low"])
    assert fmean(errors["low"][:2]) < fmean(errors["low"][-2:])


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_paired_noise_has_the_stated_size_and_the_standard_error_tells_it(share):
    scenario = quiet(harm_at_quarter=dict.fromkeys(Policy, 0.0), size_harm=(0.0, 0.0, 0.0))
    gaps, errors, stated = [], [], []
    for seed in range(60):
        world = World(replace(scenario, seed=seed))
        models = [
            world.run(
                plan(f"c000-{size}", Point(Policy.UNIFORM, 1.0, size), train=(0, 4)), LATER
            ).report.checkpoint
            for size in (8, 32)
        ]
        score = plan("c001-x", Point(Policy.UNIFORM, 1.0, 8), score=(4, 5), share=share)
        run = replace(score, request=replace(score.request, frozen=dict(zip("ab", models, strict=True))))
        evaluated = world.run(run, LATER).report.evaluated
        result = paired(evaluated.models["a"].loss, evaluated.models["b"].loss, evaluated.n)
        gaps.append(result.gap)
        errors.append(result.standard_error)
        prints = [world.models[m.digest].fingerprint for m in models]
        distance = sqrt(sum((a - b) ** 2 for a, b in zip(*prints, strict=True)))
        stated.append(scenario.pair_noise * distance / sqrt(sum(evaluated.n)))
    assert stdev(gaps) == pytest.approx(fmean(stated), rel=0.35)
    assert fmean(errors) == pytest.approx(fmean(stated), rel=0.15)


def test_a_paired_difference_is_the_true_gap_on_average():
    scenario = quiet(pair_noise=0.0)
    world = World(scenario)
    checkpoint = first(world).checkpoint
    low = grow(world, 3, LOW, checkpoint, "low")[-1].checkpoint
    full = grow(world, 3, FULL, checkpoint)[-1].checkpoint
    report = world.run(plan("c004-x", score=(7, 8), frozen={"low": low, "full": full}), LATER).report
    models, n = report.evaluated.models, report.evaluated.n
    true = world.distance(low.digest, 7.0) - world.distance(full.digest, 7.0)
    assert paired(models["low"].loss, models["full"].loss, n).gap == pytest.approx(true, rel=0.05)


def test_a_fresh_candidate_beats_the_frozen_champion():
    world = World(quiet())
    report = grow(world, 1, FULL, first(world).checkpoint)[0]
    models = report.evaluated.models
    late = slice(8, 12)
    assert sum(models["self"].loss[late]) < sum(models["start"].loss[late])


def test_a_champion_that_was_not_renewed_is_further_from_the_reference():
    world = World(quiet())
    digest = first(world).checkpoint.digest
    assert world.distance(digest, 4.0) == pytest.approx(0.0, abs=1e-12)
    assert world.distance(digest, 5.0) > 0.0


def test_cost_is_startup_reading_training_and_scoring():
    s = quiet(cost_noise=0.0)
    world = World(s)
    checkpoint = first(world).checkpoint
    rows = world.stream.rows(4.0, 5.0)
    outcome = world.run(
        plan("c001-x", LOW, train=(4, 5), score=(4, 5), start=checkpoint, frozen={"a": checkpoint}), LATER
    )
    expected = (
        s.startup_seconds
        + s.read_seconds * rows
        + s.train_seconds[2] * 0.0625 * rows
        + s.score_seconds[2] * 0.1 * rows * 3
    )
    assert outcome.device_seconds == pytest.approx(expected)
    assert outcome.report.seconds.total == pytest.approx(expected)
    assert world.plan_seconds(LOW, 4.0, 5.0, share=0.1, models=3) == pytest.approx(expected)


def test_a_probe_scored_on_a_later_window_reads_both():
    world = World(quiet())
    report = world.run(plan("c000-probe", FULL, train=(2, 3), score=(3, 4)), LATER).report
    assert report.rows.read == pytest.approx(world.stream.rows(2.0, 4.0), abs=1)
    inside = world.run(plan("c000-other", FULL, train=(2, 4), score=(3, 4)), LATER).report
    assert inside.rows.read == pytest.approx(world.stream.rows(2.0, 4.0), abs=1)


def test_rows_are_conserved_and_rates_keep_their_share():
    world = World(quiet())
    whole = world.stream.rows(4.0, 5.0)
    assert whole == pytest.approx(world.stream.rows(4.0, 4.3) + world.stream.rows(4.3, 5.0))
    low = world.run(plan("c001-x", LOW, train=(4, 5)), LATER).report.rows
    assert low.kept == pytest.approx(0.0625 * whole, abs=1)
    assert low.kept_positives == low.positives
    assert low.effective < low.kept
    uniform = world.run(plan("c001-y", Point(Policy.UNIFORM, 0.5, 32), train=(4, 5)), LATER).report.rows
    assert uniform.effective == pytest.approx(uniform.kept, abs=1)
    assert uniform.kept_positives == pytest.approx(uniform.positives / 2, abs=1)


def test_a_run_whose_data_lie_in_the_future_finds_them_not_ready():
    outcome = World(quiet()).run(plan("c001-x", FULL, train=(4, 5)), when(4.5))
    assert outcome.failure.kind is FailureKind.DATA_NOT_READY


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"point": Point(Policy.UNIFORM, 1.0, 9)}, FailureKind.USER_ERROR),
        ({"point": Point(Policy.NEGATIVES, 0.001, 32)}, FailureKind.USER_ERROR),
        ({"train": (5, 5)}, FailureKind.EMPTY_INTERVAL),
    ],
)
def test_impossible_requests_are_refused(change, kind):
    arguments = {"point": FULL, "train": (4, 5), **change}
    outcome = World(quiet()).run(plan("c001-x", **arguments), LATER)
    assert outcome.failure.kind is kind
    assert outcome.report is None


def test_a_warm_start_from_nowhere_is_refused():
    world = World(quiet())
    gone = replace(first(world).checkpoint, digest="gone")
    outcome = world.run(plan("c001-x", FULL, train=(4, 5), start=gone), LATER)
    assert outcome.failure.kind is FailureKind.CHECKPOINT_MISSING


def test_a_warm_start_at_another_size_goes_on_from_what_was_known():
    world = World(quiet())
    other = Point(Policy.UNIFORM, 1.0, 16)
    report = world.run(plan("c001-x", other, train=(4, 5), start=first(world).checkpoint), LATER).report
    assert report.converts_sizes
    assert world.models[report.checkpoint.digest].size == 16
    assert world.models[report.checkpoint.digest].born == 0.0


def test_a_run_over_its_reservation_is_killed_and_charged_no_more():
    outcome = World(quiet()).run(plan("c001-x", FULL, train=(0, 4), reserved=1.0), LATER)
    assert outcome.failure.kind is FailureKind.DEADLINE
    assert outcome.device_seconds == 1.0


def test_a_crashed_run_goes_on_from_its_snapshot():
    world = World(quiet(faults=Faults(crash=1.0), cost_noise=0.0))
    crashed = world.run(plan("c001-x", FULL, train=(0, 4)), LATER)
    assert crashed.failure.kind is FailureKind.CRASHED
    world.scenario = quiet(cost_noise=0.0)
    again = world.run(plan("c001-x", FULL, train=(0, 4), attempt=2), LATER)
    startup = world.scenario.startup_seconds
    assert crashed.device_seconds + again.device_seconds == pytest.approx(
        again.report.seconds.total + startup
    )


def test_garbage_is_paid_in_full():
    world = World(quiet(faults=Faults(garbage=1.0), cost_noise=0.0))
    run = plan("c001-x", FULL, train=(0, 4))
    outcome = world.run(run, LATER)
    assert outcome.failure.kind is FailureKind.GARBAGE
    assert outcome.device_seconds == pytest.approx(world.expected_seconds(run.request))


def test_drift_moves_the_harm_of_sampling_slowly():
    truth = World(drift(1)).truth
    harms = [truth.steady(HALF, cycle) for cycle in range(100)]
    steps = [abs(b / a - 1.0) for a, b in pairwise(harms)]
    assert 0.0 < fmean(steps) < 0.06
    assert max(harms) > 1.05 * min(harms)
