"""Requests by annotation: each word acts once, is shown as handled, and is answered by an event."""

import json
import logging
from io import StringIO

import pytest

from cluster import objects
from cluster.living import Life
from cycle.playing import START, WEEK, schedule
from dataefficient.cluster import decisions, names, words
from dataefficient.cluster.api import CONFIG_MAPS, EVENTS
from dataefficient.cluster.ledger import Book
from dataefficient.cycle.machine import advance
from dataefficient.cycle.model import Memory
from dataefficient.telemetry.logs import Format, about, configure

DELAYED = {"schedule": schedule(6, labelDelaySeconds=2 * 86_400)}


def write(life, annotation, word, **changes):
    life.api.apply(objects.body(annotations={annotation: word}, **changes))


def told(life, reason):
    return [message for kind, message in life.api.events() if kind == reason]


def waiting_for_labels():
    life = Life(objects.body(**DELAYED))
    life.clock._now = START + 1.5 * WEEK
    life.play(until=lambda m: m.cycle == 2)
    life.clock._now = START + 2.1 * WEEK
    life.patient_visit()
    assert not life.memory().running
    return life


def test_run_now_begins_the_cycle_once_and_is_shown_as_handled():
    life = waiting_for_labels()
    write(life, names.RUN_NOW_ANNOTATION, "first", **DELAYED)
    life.visit()
    assert next(p.request.run for p in life.memory().running) == "c002-candidate"
    assert life.api.status()["handledRequests"] == ["run-now:first"]
    assert told(life, "RunNow") == [
        "As asked, cycle 2 begins at once, before schedule.labelDelaySeconds is over"
    ]
    for _ in range(3):
        life.start()
        life.patient_visit()
    assert len(told(life, "RunNow")) == 1
    assert not told(life, "NotRunNow")


def test_a_roll_back_publishes_the_older_champion_and_is_replayed_the_same():
    life = Life(objects.body())
    life.play(until=lambda m: m.cycle == 4)
    older = next(c for c in life.memory().previous_champions if c.cycle == 2)
    write(life, names.ROLLBACK_ANNOTATION, "2-the-dashboard-is-red")
    life.visit()
    published = life.api.of(CONFIG_MAPS)["made-up-champion"]["data"]
    assert published["digest"] == older.checkpoint.digest
    assert life.api.status()["champion"]["cycle"] == 2
    assert life.api.status()["handledRequests"] == ["rollback:2-the-dashboard-is-red"]
    assert len(told(life, "RolledBack")) == 1
    memory = life.play()
    assert memory.champion.cycle > 4
    (name,) = [n for n in life.api.of(CONFIG_MAPS) if n.endswith("-decisions")]
    held = decisions.files(life.api.of(CONFIG_MAPS)[name])
    assert decisions.replay(held, 4, advance)[1] is None


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("last", "found 'last'; allowed: the cycle whose champion is to serve again, such as 4"),
        ("77", "no champion of cycle 77 is kept; kept are those of 0, 1"),
    ],
)
def test_a_roll_back_that_cannot_be_is_answered_once_and_changes_nothing(word, answer):
    life = Life(objects.body())
    life.play(until=lambda m: m.cycle == 3)
    champion = life.memory().champion
    write(life, names.ROLLBACK_ANNOTATION, word)
    life.patient_visit()
    life.patient_visit()
    (event,) = told(life, "NotRolledBack")
    assert answer in event
    assert life.memory().champion == champion
    assert f"rollback:{word}" in life.api.status()["handledRequests"]


def test_neither_kind_of_request_hides_the_other_in_the_status():
    book = Book(Memory("default/made-up", approvals=tuple(f"a{i}" for i in range(16))), "uid")
    book = words.replace(book, handled=tuple(f"run-now:{i}" for i in range(16)))
    shown = words.shown(book, book.memory)
    assert len(shown) == words.HANDLED
    assert {"a15", "run-now:15"} <= set(shown)


def test_each_decision_is_one_event_of_its_own_reason_and_said_again_it_is_counted():
    life = Life(objects.body())
    life.play()
    events = list(life.api.of(EVENTS).values())
    pairs = [(e["reason"], e["message"]) for e in events]
    assert len(pairs) == len(set(pairs))
    decided = {code for record in life.memory().history for code in record.codes}
    assert decided
    assert decided <= {reason for reason, _ in pairs}
    assert sum(reason == "Published" for reason, _ in pairs) == len(life.memory().history)
    assert "Decided" not in {reason for reason, _ in pairs}


@pytest.fixture
def lines():
    before = logging.getLogger().handlers[:]
    stream = StringIO()
    configure(Format.JSON, stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().handlers[:] = before


def test_every_line_about_a_resource_names_it_and_its_cycle_and_those_about_a_run_the_run(lines):
    life = Life(objects.body(cycles=2), fault=lambda run, attempt: (1, "oh") if attempt == 1 else None)
    with about(resource="default/made-up"):
        life.play()
    written = lines()
    assert {line["resource"] for line in written} == {"default/made-up"}
    assert all("cycle" in line for line in written)
    assert {"c001-candidate", "c002-candidate"} <= {line.get("run") for line in written}
    for line in written:
        reason, _, sentence = line["message"].partition(": ")
        if reason in ("RunStarted", "RunFailed", "RunStopped"):
            assert sentence.startswith(line["run"])
            assert line["run"].startswith(f"c{line['cycle']:03d}-")
