from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from curvebench import report
from curvebench.extrapolation import ALONE, PLANNER, Attempt
from curvebench.measured import METRICS, Curve
from curvebench.recovery import Recovery, recover, seconds
from curvebench.stopping import Stop

GOOD = Stop("pow3", True, 0.5, 1.2, covered=True, ahead=True, answered=True, within=True)


def attempts(error):
    found = []
    for pair in range(30):
        for metric in METRICS:
            curve = Curve(f"set {pair}", "tree", metric, True, np.arange(1.0, 7.0), np.ones(6), np.ones(6))
            forecasts = dict.fromkeys(ALONE, 1.2) | {PLANNER: 1.0 + error, "planner, errors given": 1.0}
            found.append(Attempt(curve, 0.2, 4, forecasts))
    return found


def stops(one):
    """Four hundred alike, of whose intervals four fifths hold the truth."""
    return [replace(one, covered=index % 5 > 0) for index in range(400)]


@pytest.fixture
def found():
    recovery = Recovery(3, 6, 1e-3, 40, 0.95, 0.93, 0.0)
    return report.Found(stops(GOOD), attempts(0.1), [], [recovery], 0.05, "today")


def test_all_goals_are_reached_where_all_is_well(found):
    assert [g.what for g in report.goals(found) if not g.reached] == []


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({"stops": [GOOD] * 400}, "convergence point: 80 % intervals"),
        (
            {"stops": stops(replace(GOOD, lost=2.0))},
            "convergence point: loses",
        ),
        (
            {"stops": stops(replace(GOOD, bought=2.0))},
            "convergence point: buys",
        ),
        ({"recoveries": [Recovery(3, 6, 1e-3, 40, 0.95, 0.88, 0.0)]}, "surface: exponents within intervals"),
        ({"seconds": 1.5}, "surface: a fit without bootstrap"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_figure_beyond_its_goal_misses_that_goal_alone(found, change, missed):
    assert [g.what for g in report.goals(replace(found, **change)) if not g.reached] == [missed]


def test_a_family_that_is_better_misses_rank_and_error(found):
    missed = [g.what for g in report.goals(replace(found, attempts=attempts(0.3))) if not g.reached]
    assert missed == ["extrapolation: average rank", "extrapolation: squared error"]


def test_too_few_curves_or_pairs_reach_nothing(found):
    few = replace(found, stops=found.stops[:399], attempts=found.attempts[:58])
    missed = [g.what for g in report.goals(few) if not g.reached]
    assert len(missed) == 5
    assert not any(what.startswith("surface") for what in missed)


def test_text_and_record_say_the_same(found):
    text, record = report.text(found), json.loads(report.record(found))
    for goal in record["goals"]:
        assert goal["what"] in text
        assert goal["figure"] in text
    assert record["stopping"][0]["curves"] == 400
    assert "today" in text
    assert max(len(line) for line in text.splitlines()) <= 120


def test_intervals_hold_known_exponents_although_few_runs_are_to_spare():
    found = recover(3, 40)
    assert min(found.alpha, found.beta) >= 0.9


def test_a_surface_is_fitted_within_a_second_without_bootstrap():
    assert seconds() < 1.0
