"""Which of the runs in hand the budget does not cover any more."""

from dataclasses import replace

from cycle.playing import LONG_AFTER, resource
from dataefficient.contract import Policy, Role
from dataefficient.cycle.covering import headroom, uncovered
from dataefficient.cycle.launch import Wanted, plan_run
from dataefficient.cycle.model import Ledger, Memory
from dataefficient.planner.knobs import Point


def memory(spec, *reserved, settled=0.0):
    first = spec.schedule.history_from, spec.schedule.start_time
    empty = Memory("ns/made-up", ledger=Ledger(settled=settled, by_cycle={"0": settled}))
    wanted = Wanted("run", Role.PROBE, Point(Policy.UNIFORM, 1.0, 8), first, first)
    plans = [plan_run(spec, empty, replace(wanted, name=f"run-{i}"), r) for i, r in enumerate(reserved)]
    return replace(empty, running=tuple(plans))


def hours(**parts):
    return resource(budget={name: {"deviceHours": value} for name, value in parts.items()})


def test_without_a_budget_everything_is_covered():
    spec = resource()
    assert uncovered(spec, memory(spec, 1e9), LONG_AFTER) == {}


def test_what_was_planned_first_is_held_first_and_what_still_fits_is_held_too():
    spec = hours(total="1")
    held = memory(spec, 2000.0, 2000.0, 1500.0, settled=100.0)
    assert uncovered(spec, held, LONG_AFTER) == {"run-1": "budget.total.deviceHours"}


def test_the_tightest_part_is_named():
    spec = hours(initial="0.5", total="1")
    assert uncovered(spec, memory(spec, 3000.0), LONG_AFTER) == {"run-0": "budget.initial.deviceHours"}


def test_reservations_that_fill_the_budget_to_the_last_second_are_covered():
    spec = hours(total="1")
    thirds = memory(spec, *([3600.0 / 3.0] * 3))
    assert uncovered(spec, thirds, LONG_AFTER) == {}
    assert abs(headroom(spec, thirds, LONG_AFTER).seconds) < 1e-6
