"""What is told of the values of ``kpi.slices``, from the request to the memory."""

from dataclasses import replace

import pytest

from cycle.playing import Player, resource, success
from dataefficient.contract import Role, Slice
from dataefficient.cycle.slicing import sliced, told

ORIGIN = Slice("origin", "ORD", 1_000, 505.0, 500.0, 4.0)
SEAT = Slice("seat", "7A", 900, 450.0, 455.0, 3.0)
EMPTY = Slice("origin", "JFK", 0, 0.0, 0.0, 0.0)


def telling(plan):
    """Reports that tell of two columns, whichever were asked for."""
    outcome = success(plan)
    report = outcome.report
    if report.evaluated is None:
        return outcome
    evaluated = replace(report.evaluated, slices=(ORIGIN, EMPTY, SEAT))
    return replace(outcome, report=replace(report, evaluated=evaluated))


def played(**kpi):
    player = Player(
        resource(cycles=2, kpi={"tolerance": "0.02", "maxRegression": "0.02", **kpi}), answer=telling
    )
    player.play()
    return player


def test_every_run_that_is_scored_is_asked_for_the_columns_of_the_resource():
    for columns in ([], ["origin", "seat"]):
        launched = played(slices=columns).launches
        scored = [p.request.evaluation for p in launched if p.request.evaluation is not None]
        assert {evaluation.slices for evaluation in scored} == {tuple(columns)}


def test_the_history_keeps_what_the_candidate_says_of_these_columns_and_of_values_with_rows():
    player = played(slices=["origin"])
    assert [record.slices for record in player.memory.history] == [(ORIGIN,)] * 3
    assert told(player.memory, player.spec).cycle == 2
    assert any(plan.request.role is not Role.CANDIDATE for plan in player.launches)


def test_where_no_column_is_named_nothing_is_kept():
    player = played()
    assert [record.slices for record in player.memory.history] == [()] * 3
    assert told(player.memory, player.spec) is None


def test_a_value_is_told_by_row_and_relative_to_the_model_before():
    found = sliced(ORIGIN)
    assert (found.rows, found.loss) == (1_000, 0.505)
    assert (found.gap, found.error) == (pytest.approx(0.01), pytest.approx(0.008))


def test_what_had_no_model_before_or_no_error_is_not_compared():
    assert sliced(replace(ORIGIN, start_loss=None)).gap is None
    assert sliced(replace(ORIGIN, start_loss=0.0)).gap is None
    assert sliced(replace(ORIGIN, error=None)).error is None
