"""What is left of the budget, and when its window begins and ends."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataefficient.api.compute import Budget
from dataefficient.planner.budget import Headroom, Spending, headroom, window_end, window_start

NOTHING = Spending(0.0, 0.0, 0.0)
ZONES = [
    "Etc/UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "Asia/Beirut",
    "Australia/Lord_Howe",
]
PERIODS = ["Day", "Week", "Month"]
TIMES = st.datetimes(datetime(2015, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


def budget(**parts):
    return Budget.model_validate_json(json.dumps(parts))


def windowed(period, zone="Etc/UTC"):
    return budget(window={"period": period, "timeZone": zone, "deviceHours": "1"})


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_without_a_budget_there_is_no_bound():
    assert headroom(budget(), None, Spending(1e9, 1e9, 1e9), 3).seconds is None


@pytest.mark.parametrize(
    ("parts", "cycle", "spending", "left", "part"),
    [
        ({"initial": {"deviceHours": "2"}}, 0, Spending(600, 600, 600), 6600.0, "budget.initial.deviceHours"),
        (
            {"perCycle": {"deviceHours": "2"}},
            4,
            Spending(9e9, 600, 9e9),
            6600.0,
            "budget.perCycle.deviceHours",
        ),
        ({"total": {"deviceHours": "2"}}, 4, Spending(600, 0, 0), 6600.0, "budget.total.deviceHours"),
        ({"total": {"money": "6"}}, 4, Spending(600, 0, 0), 6600.0, "budget.total.money"),
        (
            {"window": {"period": "Day", "money": "6"}},
            4,
            Spending(9e9, 9e9, 600),
            6600.0,
            "budget.window.money",
        ),
    ],
)
def test_each_part_binds_what_it_is_for(parts, cycle, spending, left, part):
    found = headroom(budget(**parts), 3.0, spending, cycle)
    assert found == Headroom(pytest.approx(left), part)


def test_the_history_has_its_own_part_and_no_later_cycle_has_it():
    both = budget(initial={"deviceHours": "1"}, perCycle={"deviceHours": "2"})
    assert headroom(both, None, NOTHING, 0).part == "budget.initial.deviceHours"
    assert headroom(both, None, NOTHING, 1).part == "budget.perCycle.deviceHours"
    assert headroom(budget(initial={"deviceHours": "1"}), None, NOTHING, 1).seconds is None


def test_nothing_left_is_zero_and_not_less():
    assert headroom(budget(total={"deviceHours": "1"}), None, Spending(7200, 0, 0), 1).seconds == 0.0


HOURS = st.none() | st.integers(1, 100)


@given(*[HOURS] * 4, *[st.floats(0, 4e5)] * 3, st.integers(0, 2), st.booleans())
def test_the_tightest_part_decides(
    initial, cycle, total, window, spent, in_cycle, in_window, number, in_money
):
    unit = "money" if in_money else "deviceHours"
    # Parts that contradict each other are refused where a file is read; here only sums matter.
    given_parts = {"initial": initial, "perCycle": cycle, "total": total, "window": window}
    bounds = {}
    for name, hours in given_parts.items():
        if hours is not None:
            more = {"period": "Day"} if name == "window" else {}
            only = budget(**{name: {unit: str(hours), **more}})
            found = headroom(only, 1.0, Spending(spent, in_cycle, in_window), number)
            if found.seconds is not None:
                bounds[name] = found.seconds
    alone = [
        h * 3600.0 - s
        for h, s in (
            (initial if number == 0 else None, in_cycle),
            (cycle if number else None, in_cycle),
            (total, spent),
            (window, in_window),
        )
        if h is not None
    ]
    assert min(bounds.values(), default=None) == (max(min(alone), 0.0) if alone else None)
    joined = Budget.model_construct(
        initial=None if initial is None else budget(initial={unit: str(initial)}).initial,
        per_cycle=None if cycle is None else budget(perCycle={unit: str(cycle)}).per_cycle,
        total=None if total is None else budget(total={unit: str(total)}).total,
        window=None if window is None else budget(window={unit: str(window), "period": "Day"}).window,
    )
    everything = headroom(joined, 1.0, Spending(spent, in_cycle, in_window), number)
    assert everything.seconds == min(bounds.values(), default=None)


def test_a_lower_price_leaves_more_device_seconds():
    part = budget(total={"money": "10"})
    cheap, dear = (headroom(part, price, NOTHING, 1).seconds for price in (1.0, 4.0))
    assert cheap == 4.0 * dear == 36000.0


def test_without_a_window_there_is_no_begin_and_no_end():
    assert window_start(budget(), utc(2026, 1, 1)) is None
    assert window_end(budget(), utc(2026, 1, 1)) is None


@pytest.mark.parametrize(
    ("period", "zone", "now", "start", "end"),
    [
        ("Day", "Etc/UTC", utc(2026, 3, 1, 13), utc(2026, 3, 1), utc(2026, 3, 2)),
        ("Day", "Europe/Berlin", utc(2026, 1, 1, 23, 30), utc(2026, 1, 1, 23), utc(2026, 1, 2, 23)),
        ("Week", "Etc/UTC", utc(2026, 3, 1, 13), utc(2026, 2, 23), utc(2026, 3, 2)),
        ("Month", "Etc/UTC", utc(2024, 2, 29, 23), utc(2024, 2, 1), utc(2024, 3, 1)),
        ("Month", "Etc/UTC", utc(2026, 12, 31), utc(2026, 12, 1), utc(2027, 1, 1)),
        ("Month", "Etc/UTC", utc(2026, 1, 31), utc(2026, 1, 1), utc(2026, 2, 1)),
        # The clock goes forward on 29 March: the day has 23 hours; on 25 October it has 25.
        ("Day", "Europe/Berlin", utc(2026, 3, 29, 12), utc(2026, 3, 28, 23), utc(2026, 3, 29, 22)),
        ("Day", "Europe/Berlin", utc(2026, 10, 25, 12), utc(2026, 10, 24, 22), utc(2026, 10, 25, 23)),
        ("Month", "Europe/Berlin", utc(2026, 3, 31), utc(2026, 2, 28, 23), utc(2026, 3, 31, 22)),
    ],
)
def test_windows_follow_the_wall_clock_of_their_zone(period, zone, now, start, end):
    assert window_start(windowed(period, zone), now) == start
    assert window_end(windowed(period, zone), now) == end


@given(TIMES, st.sampled_from(PERIODS), st.sampled_from(ZONES))
def test_every_instant_lies_in_its_window_and_windows_join(now, period, zone):
    of = windowed(period, zone)
    start, end = window_start(of, now), window_end(of, now)
    assert start <= now < end
    assert window_start(of, start) == start
    assert window_start(of, end) == end
    assert window_end(of, end - timedelta(seconds=1)) == end
    assert window_start(of, end - timedelta(seconds=1)) == start
    assert start.utcoffset() == timedelta(0)


def test_a_midnight_that_comes_twice_opens_one_window():
    """In Havana clocks go back from one o'clock to midnight: the second midnight is the same day."""
    zone = ZoneInfo("America/Havana")
    of = windowed("Day", "America/Havana")
    first = datetime(2026, 11, 1, 0, 30, tzinfo=zone).astimezone(UTC)
    second = datetime(2026, 11, 1, 0, 30, tzinfo=zone, fold=1).astimezone(UTC)
    assert second - first == timedelta(hours=1)
    assert window_start(of, first) == window_start(of, second)
    assert window_end(of, first) == window_end(of, second)


@given(st.lists(TIMES, min_size=2, max_size=6).map(sorted), st.sampled_from(PERIODS), st.sampled_from(ZONES))
def test_later_instants_never_lie_in_earlier_windows(times, period, zone):
    starts = [window_start(windowed(period, zone), t) for t in times]
    assert all(a <= b for a, b in itertools.pairwise(starts))
