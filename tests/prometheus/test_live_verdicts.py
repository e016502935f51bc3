"""Every verdict, provoked on a real server."""

import time
from datetime import UTC, datetime

import pytest

from dataefficient.cycle.answers import Cause, Verdict
from dataefficient.prometheus.placeholders import Subject, resolved
from prometheus.live import eventually


def is_ok(answer):
    return answer.verdict is Verdict.OK


def test_a_bare_selector_gives_its_fresh_sample(exporter, asked):
    exporter.set('ctr{job="serve"}', 0.125)
    answer = eventually(lambda: asked('ctr{job="serve"}'), is_ok)
    assert answer.value == 0.125
    assert answer.query == 'ctr{job="serve"}'
    assert answer.cause is None
    assert answer.warnings == ()
    age = (answer.evaluated_at - answer.sampled_at).total_seconds()
    assert 0.0 <= age < 10.0
    assert abs((answer.asked_at - datetime.now(UTC)).total_seconds()) < 60.0


def test_an_expression_is_fresh_by_its_freshness_query(exporter, asked):
    exporter.set('clicks{shard="a"}', 3)
    exporter.set('clicks{shard="b"}', 4)
    how = {"freshness_query": "min(timestamp(clicks))"}
    answer = eventually(lambda: asked("sum(clicks)", **how), lambda a: a.value == 7.0)
    assert answer.verdict is Verdict.OK
    assert answer.sampled_at <= answer.evaluated_at


def test_a_scalar_is_a_number_too(asked):
    answer = asked("scalar(vector(42))", assume_fresh=True)
    assert (answer.verdict, answer.value) == (Verdict.OK, 42.0)
    assert any("assumeFresh" in warning for warning in answer.warnings)


@pytest.mark.parametrize(
    "query", ["sum(alone)", "alone offset 1ms", "alone + 0", "timestamp(alone)", "vector(1)", "1"]
)
def test_an_expression_without_a_time_of_its_own_is_stale(exporter, asked, query):
    exporter.set("alone", 1)
    eventually(lambda: asked("alone"), is_ok)
    answer = asked(query)
    assert (answer.verdict, answer.cause, answer.value) == (Verdict.STALE, Cause.AGE_UNKNOWN, None)
    assert "freshnessQuery" in answer.message


def test_no_series_is_empty_and_no_number(asked):
    answer = asked("nobody_writes_this")
    assert (answer.verdict, answer.cause, answer.value) == (Verdict.EMPTY, Cause.NO_SERIES, None)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_what_is_not_finite_is_no_number(exporter, asked, value):
    series = f'odd{{value="{value}"}}'
    exporter.set(series, value)
    answer = eventually(lambda: asked(series), lambda a: a.verdict is not Verdict.EMPTY)
    assert (answer.verdict, answer.value) == (Verdict.NOT_FINITE, None)


def test_a_division_by_zero_is_not_finite(asked):
    answer = asked("vector(0) / vector(0)", assume_fresh=True)
    assert answer.verdict is Verdict.NOT_FINITE


def test_two_series_are_multiple_and_both_are_named(exporter, asked):
    exporter.set('two{pod="old"}', 1)
    exporter.set('two{pod="new"}', 1)
    answer = eventually(lambda: asked("two"), lambda a: a.verdict is Verdict.MULTIPLE)
    assert answer.value is None
    assert 'pod="old"' in answer.message
    assert 'pod="new"' in answer.message
    assert "sum or max" in answer.message


def test_a_sample_with_an_old_time_stamp_is_stale(exporter, asked):
    exporter.set("stamped", 1, at=time.time() - 100)
    eventually(lambda: asked("stamped", max_age_seconds=200.0), is_ok)
    answer = asked("stamped", max_age_seconds=50.0)
    assert (answer.verdict, answer.cause, answer.value) == (Verdict.STALE, Cause.TOO_OLD, None)
    assert "at most 50 s" in answer.message


def test_a_number_whose_exporter_stopped_turns_stale_and_its_selector_empty(mortal, asked):
    how = {
        "freshness_query": "max(max_over_time(timestamp(mortal)[5m:100ms]))",
        "max_age_seconds": 1.0,
    }
    eventually(lambda: asked("last_over_time(mortal[5m])", **how), is_ok)
    mortal.stop()
    answer = eventually(
        lambda: asked("last_over_time(mortal[5m])", **how), lambda a: a.verdict is Verdict.STALE
    )
    assert answer.cause is Cause.TOO_OLD
    assert eventually(lambda: asked("mortal"), lambda a: a.verdict is Verdict.EMPTY)


@pytest.mark.parametrize(
    ("freshness", "told"),
    [
        ("nobody_writes_this", "Empty"),
        ("time() * 1000", "in seconds"),
        ("-time()", "in seconds"),
        ("up", "Multiple"),
    ],
)
def test_a_freshness_query_that_gives_no_time_leaves_the_number_stale(asked, freshness, told):
    eventually(lambda: asked("up"), lambda a: a.verdict is Verdict.MULTIPLE)
    answer = asked("vector(1)", freshness_query=freshness)
    assert (answer.verdict, answer.cause) == (Verdict.STALE, Cause.AGE_IMPOSSIBLE)
    assert told in answer.message


@pytest.mark.parametrize("query", ["sum(", "up{", "rate(up)", "foo bar", ""])
def test_a_malformed_query_fails_with_the_servers_words(asked, query):
    answer = asked(query)
    assert (answer.verdict, answer.cause) == (Verdict.FAILED, Cause.BAD_QUERY)
    assert "bad_data" in answer.message


def test_a_malformed_freshness_query_fails_and_is_named(asked):
    answer = asked("vector(1)", freshness_query="max(")
    assert (answer.verdict, answer.cause) == (Verdict.FAILED, Cause.BAD_QUERY)
    assert "age of the data" in answer.message


def test_a_query_that_cannot_be_carried_out_fails(exporter, asked):
    exporter.set('left{side="l",x="1"}', 1)
    exporter.set('left{side="l",x="2"}', 1)
    query = "sum(left + on (side) left)"
    answer = eventually(lambda: asked(query, assume_fresh=True), lambda a: a.verdict is not Verdict.EMPTY)
    assert (answer.verdict, answer.cause) == (Verdict.FAILED, Cause.NOT_EXECUTED)


@pytest.mark.parametrize("query", ["up[5m]", '"text"'])
def test_what_is_no_number_by_type_fails(asked, query):
    answer = asked(query, assume_fresh=True)
    assert (answer.verdict, answer.cause) == (Verdict.FAILED, Cause.NO_NUMBER)


def test_a_query_that_takes_too_long_fails(asked):
    answer = asked("sum_over_time(vector(1)[20d:1s])", timeout_seconds=0.05, assume_fresh=True)
    assert (answer.verdict, answer.cause) == (Verdict.FAILED, Cause.TIMEOUT)


def test_a_server_that_is_not_there_fails(put_to):
    answer = put_to("http://127.0.0.1:9", query="up")
    assert (answer.verdict, answer.cause) == (Verdict.FAILED, Cause.UNREACHABLE)


def test_a_path_below_which_there_is_no_api_fails(address, put_to):
    answer = put_to(f"{address}/elsewhere", query="up")
    assert (answer.verdict, answer.cause) == (Verdict.FAILED, Cause.NOT_FOUND)


def test_variables_stay_inside_the_string_that_they_are_written_in(exporter, asked):
    evil = 'a"} or vector(1) or x{y="\\\n`${name}\u00e9\U0001f600'
    exposed = evil.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    exporter.set(f'runs{{digest="{exposed}"}}', 5)
    query = resolved('runs{digest="${digest}"}', Subject("ns", "name", 1, "c001", evil, 60))
    answer = eventually(lambda: asked(query), is_ok)
    assert answer.value == 5.0
    single = resolved("runs{digest='${digest}'}", Subject("ns", "name", 1, "c001", evil, 60))
    assert eventually(lambda: asked(single), is_ok).value == 5.0
    raw = resolved("runs{digest=`${digest}`}", Subject("ns", "name", 1, "c001", evil, 60))
    assert asked(raw).verdict is Verdict.EMPTY
