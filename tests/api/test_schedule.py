from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataefficient.api.schedule import Interval, due, interval, whole_period
from dataefficient.api.spec import Schedule


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def schedule(**changes: Any) -> Schedule:
    given = {"history_from": at(2001, 1, 1), "start_time": at(2001, 3, 1), "every_seconds": 86_400}
    return Schedule(**{**given, **changes})


def on_cron(cron: str, zone: str | None = None, **changes: Any) -> Schedule:
    return schedule(every_seconds=None, cron=cron, time_zone=zone, **changes)


def test_cycle_0_is_the_history():
    assert interval(schedule(), 0) == Interval(at(2001, 1, 1), at(2001, 3, 1))


def test_later_cycles_follow_each_other():
    assert interval(schedule(), 1) == Interval(at(2001, 3, 1), at(2001, 3, 2))
    assert interval(schedule(), 31) == Interval(at(2001, 3, 31), at(2001, 4, 1))


def test_a_period_that_ends_with_the_schedule_is_run():
    assert interval(schedule(end_time=at(2001, 3, 3)), 2) == Interval(at(2001, 3, 2), at(2001, 3, 3))


def test_a_period_that_does_not_fit_before_the_end_is_not_run():
    short = schedule(end_time=at(2001, 3, 3) - timedelta(microseconds=1))
    assert interval(short, 2) is None
    assert interval(short, 1000) is None


def test_a_cycle_is_due_when_its_labels_are_complete():
    assert due(schedule(label_delay_seconds=3600), 1) == at(2001, 3, 2, 1)
    assert due(schedule(label_delay_seconds=3600), 0) == at(2001, 3, 1, 1)


def test_a_cycle_past_the_end_is_never_due():
    with pytest.raises(ValueError, match="after endTime"):
        due(schedule(end_time=at(2001, 3, 2)), 2)


def test_a_negative_cycle_is_refused():
    with pytest.raises(ValueError, match="negative"):
        interval(schedule(), -1)


def test_a_cron_period_ends_at_each_tick_and_the_first_may_be_shorter():
    weekly = on_cron("0 4 * * 1")
    assert interval(weekly, 1) == Interval(at(2001, 3, 1), at(2001, 3, 5, 4))
    assert interval(weekly, 2) == Interval(at(2001, 3, 5, 4), at(2001, 3, 12, 4))


def test_a_cycle_is_as_long_as_a_period_that_is_not_cut_short_even_if_none_is_run():
    assert whole_period(on_cron("0 4 * * 1")) == Interval(at(2001, 3, 5, 4), at(2001, 3, 12, 4))
    soon_over = schedule(end_time=at(2001, 3, 1, 1))
    assert interval(soon_over, 1) is None
    assert whole_period(soon_over) == interval(schedule(), 1)


def test_a_start_on_a_tick_begins_a_whole_period():
    weekly = on_cron("0 4 * * 1", start_time=at(2001, 3, 5, 4))
    assert interval(weekly, 1) == Interval(at(2001, 3, 5, 4), at(2001, 3, 12, 4))


def test_cron_follows_the_clock_of_its_zone_through_daylight_saving():
    daily = on_cron("0 4 * * *", "Europe/Berlin", start_time=at(2001, 3, 23, 3))
    ends = [interval(daily, cycle).end for cycle in range(1, 5)]
    assert [end.astimezone(ZoneInfo("Europe/Berlin")).hour for end in ends] == [4, 4, 4, 4]
    assert [b - a for a, b in pairwise(ends)] == [
        timedelta(hours=23),
        timedelta(hours=24),
        timedelta(hours=24),
    ]


def test_an_hour_that_the_clock_skips_is_run_once():
    daily = on_cron("30 2 * * *", "Europe/Berlin", start_time=at(2001, 3, 24, 12))
    days = [interval(daily, cycle).end.astimezone(ZoneInfo("Europe/Berlin")).date().day for cycle in (1, 2)]
    assert days == [25, 26]


def test_an_hour_that_the_clock_repeats_is_run_once():
    daily = on_cron("30 2 * * *", "Europe/Berlin", start_time=at(2001, 10, 27, 12))
    days = [interval(daily, cycle).end.astimezone(ZoneInfo("Europe/Berlin")).date().day for cycle in (1, 2)]
    assert days == [28, 29]


def test_a_far_cycle_of_a_fine_cron_is_found():
    assert interval(on_cron("* * * * *"), 100_000) == Interval(
        at(2001, 3, 1) + timedelta(minutes=99_999), at(2001, 3, 1) + timedelta(minutes=100_000)
    )


@settings(deadline=None)
@given(
    cron=st.sampled_from(["*/7 * * * *", "0 * * * *", "30 1,2,3 * * *", "15 0 1 * *", "0 12 * * 0"]),
    zone=st.sampled_from(
        ["Etc/UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
    ),
    start=st.datetimes(
        min_value=datetime(1990, 1, 1), max_value=datetime(2040, 1, 1), timezones=st.just(UTC)
    ),
    cycle=st.integers(min_value=1, max_value=600),
)
def test_intervals_join_without_gap_or_overlap(cron, zone, start, cycle):
    plan = on_cron(cron, zone, history_from=start - timedelta(days=1), start_time=start)
    this, before = interval(plan, cycle), interval(plan, cycle - 1)
    assert before.end == this.start < this.end
    assert this.end.tzinfo is UTC
