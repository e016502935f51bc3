"""What ``why`` says of cycles that are not remembered whole any more."""

from dataclasses import replace

import pytest

from cycle.playing import Player, resource
from dataefficient.contract import Slice
from dataefficient.local.errors import WrongInputError
from dataefficient.local.why import TRIMMED, explain


@pytest.fixture(scope="module")
def played():
    player = Player(resource(cycles=3))
    player.play()
    return player


def without_options(memory, cycle):
    """The memory as the ledger trims it first."""
    history = tuple(
        replace(r, plan=replace(r.plan, options=())) if r.cycle == cycle else r for r in memory.history
    )
    return replace(memory, history=history)


def test_options_that_are_not_kept_any_more_are_said_to_be_gone(played):
    told = explain(without_options(played.memory, 1), played.spec, 1)
    assert TRIMMED in told.lines
    assert "Options weighed" not in " ".join(told.lines)
    assert told.as_json()["optionsKept"] is False
    whole = explain(played.memory, played.spec, 1)
    assert TRIMMED not in whole.lines
    assert whole.as_json()["optionsKept"] is True


def test_what_was_told_of_values_is_told_with_how_sure_it_is(played):
    parts = (Slice("origin", "ORD", 1_000, 505.0, 500.0, 4.0), Slice("origin", "JFK", 900, 400.0))
    history = tuple(replace(record, slices=parts) for record in played.memory.history)
    told = explain(replace(played.memory, history=history), played.spec, 1).lines
    assert "  origin ORD: 1,000 rows, log loss 0.5050, +1.00% (standard error 0.80%)" in told
    assert "  origin JFK: 900 rows, log loss 0.4444" in told
    assert not any("kpi.slices" in line for line in explain(played.memory, played.spec, 1).lines)


def test_a_cycle_that_was_forgotten_is_told_apart_from_one_that_never_was(played):
    later = replace(played.memory, history=played.memory.history[2:])
    with pytest.raises(WrongInputError, match="cycle 0 is not remembered any more; known are 2 to 3"):
        explain(later, played.spec, 0)
    with pytest.raises(WrongInputError, match="cycle 9 is unknown; known are 2 to 3"):
        explain(later, played.spec, 9)
