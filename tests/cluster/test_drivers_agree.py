"""One decision, two drivers: what the local one recorded is decided the same on the cluster's path."""

import gzip
import json
from pathlib import Path

import pytest

from dataefficient import contract
from dataefficient.cluster import brain, decisions
from dataefficient.cluster.ledger import Book
from dataefficient.cluster.reconcile import _as_kept
from dataefficient.cycle.machine import advance
from dataefficient.cycle.recording import parse
from dataefficient.local.replay import recorded
from dataefficient.local.store import Store, read_resource
from local.drive_main import drive
from local.fake_resource import resource_body


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """What the local driver recorded of real processes."""
    folder = tmp_path_factory.mktemp("local")
    file = folder / "fake.json"
    body = resource_body(folder, cycles=3, exploration={"share": "1"})
    file.write_text(json.dumps(body))
    drive(file, folder / "work", advance=advance)
    return Store.open(folder / "work")


def plain(value):
    return json.loads(json.dumps(contract.encode(value)))


def test_every_recorded_decision_of_the_local_driver_is_made_again_on_the_clusters_path(store):
    count = 0
    for cycle in range(3):
        for one in recorded(store, cycle):
            spec = store.resource_version(one.resource).spec
            _, decision = brain.decide(spec, one.before, one.observation, False)
            kept = _as_kept(Book(decision.memory, "uid")).memory
            assert plain(kept) == one.decision["memory"]
            assert plain(decision)["memory"] == one.decision["memory"]
            count += 1
    assert count > 5


def test_both_drivers_write_the_same_lines(store):
    parsed = read_resource(store.resource_file)
    with_uid = parsed.model_copy(update={"metadata": parsed.metadata.model_copy(update={"uid": "u"})})
    for cycle in range(3):
        files = {}
        local = list(recorded(store, cycle))
        for one in local:
            _, decision = brain.decide(parsed.spec, one.before, one.observation, False)
            files = decisions.with_decision(files, with_uid, one.before, one.observation, decision)
        again = decisions.recorded(files, cycle)
        assert [r.decision for r in again] == [r.decision for r in local]
        assert [r.observation for r in again] == [r.observation for r in local]
        assert decisions.replay(files, cycle, advance) == (len(local), None)


def test_a_recording_is_read_by_either(store):
    path = Path(store.folder) / "decisions" / "cycle-000.jsonl.gz"
    assert list(parse(gzip.decompress(path.read_bytes()).splitlines(), 0)) == list(recorded(store, 0))
