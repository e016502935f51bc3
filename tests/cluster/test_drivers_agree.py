"""One decision, two drivers: what either recorded is decided the same, byte for byte, on the other's path."""

import gzip
import json
from functools import partial

import pytest

from cluster import objects
from cluster.living import Life
from cluster.running import flights
from cycle.playing import made_up_report, with_riders
from dataefficient import contract
from dataefficient.api.load import parse_object
from dataefficient.cluster import brain, decisions, names
from dataefficient.cluster.api import CONFIG_MAPS, TRAININGS
from dataefficient.cluster.ledger import Book
from dataefficient.cluster.reconcile import _as_kept
from dataefficient.cycle.machine import advance, begin
from dataefficient.cycle.recording import line_of
from dataefficient.local import replay
from dataefficient.local.store import Store, read_resource
from local.drive_main import drive
from local.fake_resource import resource_body

CYCLES = 3


@pytest.fixture(scope="module", params=["fake", "flights"])
def store(request, tmp_path_factory):
    """What the local driver recorded of real processes; the trainers of flights learn from a real stream."""
    folder = tmp_path_factory.mktemp("local")
    file = folder / "resource.json"
    body = resource_body(folder, cycles=CYCLES, exploration={"share": "1"})
    if request.param == "flights":
        body = flights("default", folder, cycles=CYCLES - 1)
        body["spec"] |= {"exploration": {"share": "1"}}
    file.write_text(json.dumps(body))
    drive(file, folder / "work", begin=partial(begin, "default/made-up"), advance=advance)
    return Store.open(folder / "work")


@pytest.fixture(scope="module", params=[made_up_report, with_riders])
def life(request):
    """What the operator recorded of Jobs and pods, one run in each or several."""
    one = Life(objects.body(cycles=4, exploration={"share": "0.5"}), report_of=request.param)
    one.play()
    return one


def as_bytes(value):
    return json.dumps(contract.encode(value), separators=(",", ":"), allow_nan=False).encode()


def held_by(life):
    return decisions.files(life.api.of(CONFIG_MAPS)[names.decisions("made-up", objects.UID)])


def test_every_decision_that_the_local_driver_recorded_is_made_again_by_the_operator(store):
    count = 0
    for cycle in range(CYCLES):
        for one in replay.recorded(store, cycle):
            spec = store.resource_version(one.resource).spec
            _, decision = brain.decide(spec, one.before, one.observation, False)
            recorded = json.dumps(one.decision, separators=(",", ":")).encode()
            assert as_bytes(decision) == recorded
            assert as_bytes(_as_kept(Book(decision.memory, "uid")).memory) == as_bytes(decision.memory)
            count += 1
    assert count > 5


def test_a_recording_of_the_local_driver_is_kept_line_by_line_on_a_cluster(store):
    parsed = read_resource(store.resource_file)
    with_uid = parsed.model_copy(update={"metadata": parsed.metadata.model_copy(update={"uid": "u"})})
    for cycle in range(CYCLES):
        held, lines, previous = {}, b"", None
        for one in replay.recorded(store, cycle):
            _, decision = brain.decide(parsed.spec, one.before, one.observation, False)
            held = decisions.with_decision(held, with_uid, one.before, one.observation, decision)
            follows = previous == one.before
            lines += line_of(one.resource, one.before, one.observation, decision, follows=follows)
            previous = decision.memory
        path = store.folder / "decisions" / f"cycle-{cycle:03d}.jsonl.gz"
        assert gzip.decompress(path.read_bytes()) == lines
        (version,) = {r.resource for r in decisions.recorded(held, cycle)}
        kept = gzip.decompress(held[f"cycle-{cycle:06d}.jsonl.gz"])
        assert kept.replace(version.encode(), one.resource.encode()) == lines
        assert decisions.replay(held, cycle, advance) == (lines.count(b"\n"), None)


def test_a_recording_of_the_operator_is_replayed_from_a_work_folder(life, tmp_path):
    held = held_by(life)
    objects.as_work_folder(tmp_path, held)
    store = Store.create(tmp_path)
    assert replay.cycles(store) == decisions.cycles(held) == (0, 1, 2, 3, 4)
    for cycle in replay.cycles(store):
        there = decisions.recorded(held, cycle)
        assert tuple(replay.recorded(store, cycle)) == there
        assert replay.replay(store, cycle, advance) == (len(there), None)


def test_every_decision_that_the_operator_recorded_is_made_again_from_the_resources_own_file(life):
    spec = parse_object(life.api.of(TRAININGS)["made-up"], "made-up").spec
    count = 0
    for cycle in decisions.cycles(held_by(life)):
        for one in decisions.recorded(held_by(life), cycle):
            recorded = json.dumps(one.decision, separators=(",", ":")).encode()
            assert as_bytes(advance(spec, one.before, one.observation)) == recorded
            count += 1
    assert count > 5
