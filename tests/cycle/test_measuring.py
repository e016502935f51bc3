"""What small runs on the history may certify."""

from cycle.playing import Player, resource, success

WORSE = 0.02
"""By how much each doubling of the history makes the model worse on a stream that moves."""


def measured(worse):
    """Memory after cycle 0, where a cold start on twice the history loses so much more than on once."""

    def answer(plan):
        part = plan.request.run.rpartition("-")[2]
        doublings = {"32": 0, "16": 1, "8": 2, "4": 3, "2": 4, "1": 5}.get(part, 0)
        return success(plan, level=0.45 * (1.0 + worse) ** doublings)

    player = Player(resource(sizes=(32,), exploration={"share": "0.8"}), answer)
    return player.play(lambda memory: memory.cycle == 1)


def test_small_runs_tell_less_where_more_history_makes_models_worse():
    """Then to have dropped rows may look harmless by as much as more rows did harm."""
    even, uneven = measured(0.0), measured(WORSE)
    assert even.contrasts
    assert uneven.history[0].plan.point.rate > even.history[0].plan.point.rate
    assert all(c.standard_error < WORSE / 2.0 for c in even.contrasts)
    assert all(c.standard_error >= WORSE for c in uneven.contrasts)
