"""Which comparisons tell of these rows and which of rows to come, where the share of positives moves."""

from dataclasses import replace
from random import Random

import pytest

from cycle.playing import Player, resource, success
from dataefficient.contract import Scored
from dataefficient.cycle.launch import GATE_BLOCKS, name
from dataefficient.cycle.measuring import compare
from dataefficient.planner.evidence import paired, paired_ahead

SHIFTS = {"start": 0.2, "trial": 0.5, "probe": 0.3}
"""By how much the predictions of some models lie above the others', in log-odds."""
WANDERS = 0.2
"""Standard deviation of a block's share of positives, relative."""


def wandering(plan):
    """An answer: shares of positives move from block to block, and some models lie above the others."""
    outcome = success(plan, harm=lambda point: 0.006 * (point.rate < 1.0))
    report, evaluation = outcome.report, plan.request.evaluation
    if report.evaluated is None:
        return outcome
    rows = report.evaluated
    common = Random(f"{evaluation.start}{evaluation.end}")
    positives = [round(n * 0.2 * max(1.0 + WANDERS * common.gauss(0.0, 1.0), 0.1)) for n in rows.n]
    models = {}
    for title, scored in rows.models.items():
        probe = title == "self" and "-probe-" in plan.request.run
        shift = SHIFTS.get("probe" if probe else title, 0.0)
        moved = [shift * (0.2 * n - y) for n, y in zip(rows.n, positives, strict=True)]
        loss = tuple(max(x + m, 0.0) for x, m in zip(scored.loss, moved, strict=True))
        apart = 0.0004 if title in {"trial", "control"} else None
        models[title] = Scored(loss, tuple(n * (0.2 + shift * 0.16) for n in rows.n), divergence=apart)
    evaluated = replace(rows, positives=tuple(positives), models=models)
    return replace(outcome, report=replace(report, evaluated=evaluated))


@pytest.fixture(scope="module")
def played():
    """A life until its first control was judged, with all reports by run, and the contrasts of each cycle."""
    reports = {}

    def answer(plan):
        outcome = wandering(plan)
        reports[plan.request.run] = outcome.report
        return outcome

    much = {"exploration": {"share": "0.8"}, "horizonCycles": 40}
    player = Player(resource(cycles=60, sizes=(32,), **much), answer)
    contrasts = {}
    while not any(code in ("ControlConfirmed", "ControlPromoted") for code in player.codes()):
        before = player.memory
        assert before.cycle < 59
        player.turn()
        new = [c for c in player.memory.contrasts if c not in before.contrasts]
        contrasts.setdefault(before.cycle, []).extend(new)
    return player, reports, contrasts


def both(rows, mine, against):
    a, b = rows.models[mine], rows.models[against]
    return paired(a.loss, b.loss, rows.n), paired_ahead(a, b, rows.n, rows.positives)


@pytest.mark.parametrize("branch", ["control", "trial"])
def test_a_branch_is_judged_by_what_is_to_be_expected_of_rows_to_come(played, branch):
    _, reports, contrasts = played
    looks = [
        (reports[name(cycle, "candidate")].evaluated, new)
        for cycle, new in contrasts.items()
        if cycle and branch in reports[name(cycle, "candidate")].evaluated.models
    ]
    pair = ("start", "control") if branch == "control" else ("trial", "start")
    differ = 0
    for rows, new in looks:
        plain, ahead = both(rows, *pair)
        gaps = [c.gap for c in new]
        assert ahead.gap in gaps
        differ += plain.gap not in gaps
    assert differ


@pytest.mark.parametrize("branch", ["control", "trial"])
def test_a_look_remembers_how_far_predictions_lie_apart_relative_to_the_served_models_loss(played, branch):
    _, reports, contrasts = played
    told = 0
    for cycle, new in contrasts.items():
        rows = reports[name(cycle, "candidate")].evaluated
        if not cycle or branch not in rows.models:
            continue
        expected = 0.0004 * sum(rows.n) / sum(rows.models["start"].loss)
        assert expected in [c.divergence for c in new]
        told += 1
    assert told
    assert all(c.divergence is None for c in contrasts[0])


def test_the_gate_asks_about_these_rows(played):
    player, reports, _ = played
    gates = [(r.cycle, r.gate) for r in player.memory.history if r.gate is not None]
    assert gates
    for cycle, gate in gates:
        rows = reports[name(cycle, "candidate")].evaluated
        plain = paired(rows.models["self"].loss, rows.models["start"].loss, rows.n, blocks=GATE_BLOCKS)
        assert gate.gap == plain.gap


def test_a_probe_is_judged_by_rows_to_come_and_a_curve_by_what_was_measured(played):
    _, reports, contrasts = played
    runs = [run for run in reports if "-probe-" in run]
    assert runs
    first = reports[runs[0]]
    rung = reports[f"c000-rung-{runs[0].rpartition('-')[2]}"]
    plain, ahead = compare(first, rung), compare(first, rung, ahead=True)
    assert ahead[1] < plain[1]
    assert ahead[0] in [c.gap for c in contrasts[0]]
