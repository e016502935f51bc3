"""The memory in its ConfigMap: whole, bounded, readable, and never guessed."""

import base64
import gzip
import json
import random
import string
from dataclasses import replace

import pytest

from cluster import objects
from cluster.living import Life
from dataefficient.cluster import ledger
from dataefficient.cluster.ledger import MAX_BYTES, Book, LedgerError
from dataefficient.cycle.accounting import ENTRIES
from dataefficient.cycle.judging import HISTORY
from dataefficient.cycle.model import Memory, Option
from dataefficient.planner.knobs import Point

RESOURCE = objects.resource()


@pytest.fixture(scope="module")
def lived():
    life = Life(objects.body(cycles=8, exploration={"share": "1"}))
    life.play()
    return life.book()


def stored(book, version="7"):
    body = ledger.config_map(RESOURCE, book, version=version)
    return json.loads(json.dumps(body))


def noise(rng, length):
    return "".join(rng.choices(string.ascii_letters + string.digits, k=length))


def enormous(book, *, options=400, config=16_000):
    """A book at every bound, of text that does not compress."""
    rng = random.Random(1)
    record = book.memory.history[-1]
    plan = record.plan
    weighed = [
        Option(
            Point("Negatives", rng.random(), rng.randrange(10**6)),
            rng.random(),
            rng.random(),
            rng.random(),
            noise(rng, 80),
        )
        for _ in range(options)
    ]
    history = tuple(
        replace(
            record,
            cycle=i,
            notes=tuple(noise(rng, 300) for _ in range(8)),
            plan=replace(plan, options=tuple(replace(o, verdict=noise(rng, 80)) for o in weighed)),
            runs=tuple(replace(r, checkpoint=noise(rng, 320)) for r in record.runs * 4),
        )
        for i in range(HISTORY)
    )
    entries = tuple(replace(book.memory.ledger.entries[0], run=noise(rng, 30)) for _ in range(ENTRIES))
    runs = Life(
        objects.body(trainer={"template": objects.pod_template(), "config": {"x": noise(rng, config)}})
    )
    runs.visit()
    (running,) = runs.memory().running
    memory = replace(
        book.memory,
        history=history,
        ledger=replace(book.memory.ledger, entries=entries),
        running=(running,) * 3,
        launched=(running,) * 12,
    )
    return replace(book, memory=memory)


def test_a_book_is_read_back_as_it_was_written(lived):
    assert ledger.read(stored(lived)) == lived


def test_equal_books_are_equal_bytes(lived):
    assert stored(lived) == stored(lived)


def test_people_can_read_the_totals(lived):
    lines = stored(lived)["data"]
    assert lines["cycle"] == str(lived.memory.cycle)
    assert lines["champion"] == lived.memory.champion.checkpoint.uri
    assert lines["spentMoney"].endswith(" USD")


def test_a_book_at_every_bound_fits_into_an_object_and_loses_only_old_options(lived):
    large = enormous(lived)
    assert ledger._length(large) > MAX_BYTES
    small = ledger.trimmed(large)
    body = ledger.config_map(RESOURCE, small, version="1")
    assert len(json.dumps(body)) < 1024 * 1024
    without = tuple(replace(r, plan=replace(r.plan, options=())) for r in large.memory.history)
    assert tuple(replace(r, plan=replace(r.plan, options=())) for r in small.memory.history) == without
    assert small.memory.history[-1].plan.options or not any(r.plan.options for r in small.memory.history)
    assert replace(small.memory, history=()) == replace(large.memory, history=())


def test_a_book_that_fits_is_not_touched(lived):
    assert ledger.trimmed(lived) is lived


def test_an_ordinary_book_is_far_from_the_bound(lived):
    assert ledger._length(lived) < MAX_BYTES / 20


@pytest.mark.parametrize(
    "harm",
    [
        lambda body: body.pop("binaryData"),
        lambda body: body["binaryData"].update({"memory.json.gz": "!!"}),
        lambda body: body["binaryData"].update({"memory.json.gz": "AAAA"}),
        lambda body: body["binaryData"].update(
            {"memory.json.gz": body["binaryData"]["memory.json.gz"][:-40]}
        ),
    ],
    ids=["none", "not base64", "not gzip", "cut"],
)
def test_a_damaged_ledger_is_never_taken_for_an_empty_one(lived, harm):
    body = stored(lived)
    harm(body)
    with pytest.raises(LedgerError, match="delete it to start anew"):
        ledger.read(body)


def test_a_ledger_of_another_version_is_refused(lived, monkeypatch):
    monkeypatch.setattr(ledger, "LAYOUT", 2)
    body = stored(lived)
    monkeypatch.undo()
    with pytest.raises(LedgerError, match="another version"):
        ledger.read(body)


def test_an_empty_memory_can_be_kept():
    book = Book(Memory("default/made-up"), objects.UID)
    assert ledger.read(stored(book)) == book


def test_when_the_last_cycle_was_decided_stands_beside_what_an_older_operator_reads(lived):
    assert lived.decided_at is not None
    body = stored(lived)
    assert body["data"]["decidedAt"].endswith("Z")
    packed = gzip.decompress(base64.b64decode(body["binaryData"]["memory.json.gz"]))
    assert b"decidedAt" not in packed
    del body["data"]["decidedAt"]
    assert ledger.read(body) == replace(lived, decided_at=None)
