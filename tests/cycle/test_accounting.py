"""What runs that ended tell of what others will cost."""

from dataclasses import replace

import pytest

from cycle.playing import Player, resource, success, worse
from dataefficient.cycle.knowledge import Knowledge

SLOW_START = 500.0
"""Seconds that the first process waits for its machine and its image."""


def slow_at_first(plan):
    outcome = success(plan)
    if plan.request.run != "c000-pilot":
        return outcome
    return replace(outcome, device_seconds=outcome.device_seconds + SLOW_START)


def after_the_first(answer):
    player = Player(resource(exploration={"share": "0.5"}), answer)
    player.play(lambda memory: len(memory.measured) == 1)
    return Knowledge(player.spec, player.memory, player.now)


def test_what_the_first_process_alone_waits_for_is_not_expected_of_the_next():
    slow, usual = after_the_first(slow_at_first), after_the_first(success)
    assert slow.run_cost(slow.reference, 0.0) == pytest.approx(usual.run_cost(usual.reference, 0.0))
    assert slow.memory.account == pytest.approx(usual.memory.account)
    assert slow.memory.ledger.settled > SLOW_START, "it is paid all the same"


def test_what_a_size_costs_is_known_however_long_it_was_not_run():
    player = Player(resource(cycles=90, sizes=(8, 32)), worse(lambda point: 0.3 * (point.size == 8)))
    player.play()
    k = Knowledge(player.spec, player.memory, player.now)
    assert player.memory.cycle > 80
    assert k.cycle_cost(replace(k.reference, size=8)) < 0.9 * k.cycle_cost(k.reference)
