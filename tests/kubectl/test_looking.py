"""``kubectl det status``, ``plan`` and ``history`` of resources as an operator leaves them."""

from io import StringIO

import pytest
from rich.console import Console

from cluster import objects
from cluster.living import Life
from cycle.playing import LONG_AFTER
from dataefficient.cluster.api import TRAININGS
from dataefficient.kubectl import looking
from dataefficient.kubectl.page import Page

AGAIN = "made-up -n default"


def drawn(show, *arguments, **named):
    out = StringIO()
    show(Page(Console(file=out, width=100, color_system=None, soft_wrap=True)), *arguments, **named)
    return out.getvalue()


def one(body):
    return drawn(looking.show_one, body, now=LONG_AFTER, again=AGAIN)


def body_of(life):
    life.patient_visit()
    return life.api.of(TRAININGS)["made-up"]


@pytest.fixture(scope="module")
def running():
    kpi = {"tolerance": "0.02", "maxRegression": "0.02", "target": "0.43"}
    only = {"samplingRate": {"min": "1", "max": "1"}, "modelSize": {"values": [32]}}
    life = Life(objects.body(kpi=kpi, budget={"total": {"money": "20"}}, knobs=only))
    life.play(until=lambda m: m.cycle == 5 and m.running)
    return body_of(life)


@pytest.fixture(scope="module")
def stopped():
    life = Life(objects.body(), fault=lambda run, attempt: (64, "config.rate: found 7"))
    life.play()
    return body_of(life)


@pytest.fixture(scope="module")
def recommending():
    life = Life(objects.body(mode="Recommend", exploration={"share": "1"}, kpi={"tolerance": "0.05"}))
    life.play(until=lambda m: m.proposal is not None and m.running)
    return body_of(life)


def test_a_page_says_how_it_stands_what_it_costs_and_what_runs(running):
    shown = one(running)
    for words in (
        "State       Operating",
        "KPI         0.4",
        "target 0.43, missed",
        "Attention   TargetMet is False, Missed",
        "from full data at the largest size, at most",
        "2.00 % allowed",
        "Plan        all rows, size 32, for cycle 5.",
        "/20 USD, and ",
        "Saved       nothing yet: ",
        "Champion    of cycle 4, size 32",
        "c005-candidate   Running   1     all rows, size 32",
    ):
        assert words in shown


def test_what_stopped_a_resource_is_told_with_the_way_out(stopped):
    shown = one(stopped)
    assert "State       NotReady:RunFailed" in shown
    assert "config.rate: found 7. Correct what it names in the resource." in shown
    assert "Once that is mended: kubectl det resume made-up -n default" in shown


def test_what_waits_is_told_with_the_command_that_approves_it(recommending):
    digest = recommending["status"]["recommendation"]["digest"]
    for shown in (one(recommending), drawn(looking.show_plan, recommending, now=LONG_AFTER, again=AGAIN)):
        assert "Waits for   approval of a measurement. Recommended: small runs on the history" in shown
        assert f"kubectl det approve made-up {digest} -n default" in shown


def test_a_list_has_one_line_for_each_resource_and_names_what_waits(running, stopped, recommending):
    lines = drawn(looking.show_list, [running, recommending, stopped], everywhere=True).splitlines()
    assert lines[0].split()[:4] == ["NAMESPACE", "NAME", "STATE", "CYCLE"]
    assert [line.split()[2] for line in lines[1:]] == ["Operating", "Operating", "NotReady:RunFailed"]
    assert lines[2].rstrip().endswith(recommending["status"]["recommendation"]["digest"])


def test_a_resource_that_no_operator_has_seen_says_so():
    unseen = objects.body()
    assert looking.state(unseen).text == "Unseen"
    assert "no operator has looked at it; see that one runs and watches namespace default" in one(unseen)
    shown = drawn(looking.show_history, unseen, last=None, again=AGAIN)
    assert shown == "No cycle has finished yet.\n"


def test_the_history_says_where_older_cycles_are(running):
    shown = drawn(looking.show_history, running, last=None, again=AGAIN)
    assert [line.split()[0] for line in shown.splitlines()[1:]] == ["0", "1", "2", "3", "4"]
    older = {**running, "status": {**running["status"], "history": running["status"]["history"][2:]}}
    shown = drawn(looking.show_history, older, last=None, again=AGAIN)
    told = "Cycles before 2 are not in the status any more. kubectl det report made-up -n default has those"
    assert told in " ".join(shown.split())
    assert "not in the status" not in drawn(looking.show_history, older, last=1, again=AGAIN)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        ({"value": "0.13", "low": "0.02", "high": "0.25"}, "13 % (2.00 % to 25 %) against"),
        ({"value": "0.13"}, "13 % against"),
        ({"value": "-0.31", "low": "-0.4", "high": "-0.2"}, "nothing yet: 31 % more than"),
    ],
)
def test_a_saving_is_told_in_words_and_a_negative_one_is_none(share, words):
    assert looking.saved(share) == words


def test_for_programs_the_status_is_as_the_server_has_it(running):
    body = looking.summary(running)
    assert body["status"] == running["status"]
    assert (body["namespace"], body["name"], body["suspend"]) == ("default", "made-up", False)
    assert looking.plan_of(running)["plan"] == running["status"]["plan"]
    assert looking.history_of(running, last=2)["cycles"] == running["status"]["history"][-2:]
