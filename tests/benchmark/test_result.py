import dataclasses
import json
import re
from datetime import UTC, datetime

import pytest

from benchmark.fake_study import SETTINGS, study
from dataefficient import contract
from streambench import page, table
from streambench.goals import Verdict, goals
from streambench.identity import Machine
from streambench.results import Result, absent, stream_result
from streambench.study import Arm

MACHINE = Machine("a <fast> processor", 2, "3.11.7", {"torch": "2.7"})


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    made = study(folder)
    made.fill(oracle=False)
    made.fill(oracle=True)
    streams = (stream_result(study(folder, until=0.0)), absent("gone", "not here", "rows are not in x"))
    return Result(SETTINGS, datetime(2026, 1, 2, tzinfo=UTC), "abc", MACHINE, 1, 0.5, streams, "A note.")


def test_the_table_has_a_line_for_every_arm_and_says_what_is_missing(result):
    told = table.render(result)

    for arm in Arm:
        assert re.search(rf"^fake +{arm.value}", told, re.MULTILINE)
    assert "gone: rows are not in x" in told
    assert "A note." in told


def test_the_page_is_whole_in_itself(result):
    html = page.render(result)

    assert not re.search(r"<script|<link|<img|@import|url\((?!#)|https?://", html)
    assert "a &lt;fast&gt; processor" in html
    assert html.count("<svg class=") == html.count("</svg>") - html.count('aria-hidden="true">')


def test_the_saved_result_bears_date_machine_and_commit(result):
    saved = json.loads(json.dumps(contract.encode(result), allow_nan=False))

    assert (saved["date"], saved["commit"]) == ("2026-01-02T00:00:00Z", "abc")
    assert saved["machine"]["cpu"] == "a <fast> processor"
    assert contract.decode(Result, saved, "result") == result


def test_a_goal_that_nothing_tells_of_is_not_measured(result):
    empty = dataclasses.replace(result, streams=(absent("gone", "not here", "rows are not in x"),))

    assert {goal.verdict for goal in goals(empty)} == {Verdict.NOT_MEASURED}


def test_a_saving_outside_limits_misses_its_goal(result):
    stream = result.streams[0]
    largest = next(a for a in stream.arms if a.arm is Arm.OPERATOR)
    good = dataclasses.replace(
        largest.against[Arm.LARGEST.value],
        steady=0.9,
        auc=0.0,
        calibration=0.0,
        loss=dataclasses.replace(largest.against[Arm.LARGEST.value].loss, gap=0.0, upper=0.001),
    )
    harmful = dataclasses.replace(good, loss=dataclasses.replace(good.loss, gap=0.004, upper=0.005))

    verdicts = []
    for comparison in (good, harmful):
        arm = dataclasses.replace(largest, against={Arm.LARGEST.value: comparison})
        changed = dataclasses.replace(stream, arms=(arm,), oracle=None)
        goal = goals(dataclasses.replace(result, streams=(changed,)))[0]
        verdicts.append((goal.verdict, "outside limits" in goal.told))

    assert verdicts == [(Verdict.REACHED, False), (Verdict.MISSED, True)]


def test_a_stream_on_which_the_oracle_saves_nothing_is_judged_by_harm_and_not_by_savings(result):
    stream = result.streams[0]
    oracle = dataclasses.replace(stream.oracle, is_control=True)
    judged = goals(dataclasses.replace(result, streams=(dataclasses.replace(stream, oracle=oracle),)))

    savings = [goal for goal in judged if "against the largest control" in goal.what]
    harm = next(goal for goal in judged if goal.what == "streams where nothing can be saved")
    assert {goal.told for goal in savings} == {"fake has nothing to save by the oracle"}
    assert {goal.verdict for goal in savings} == {Verdict.NOT_MEASURED}
    assert harm.verdict is not Verdict.NOT_MEASURED
