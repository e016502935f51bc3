import errno
import json
import os
import shutil
import subprocess

import pytest

from dataefficient.api.model import Model
from dataefficient.api.spec import Resource
from dataefficient.cycle.model import Memory, Observation, RunOutcome
from dataefficient.local import files
from dataefficient.local.errors import DiskError, Exit, WrongInputError
from dataefficient.local.replay import Recorder, recorded, replay
from dataefficient.local.store import IMMUTABLE, Store, place, read_resource
from local.fake_machine import advance, begin


@pytest.fixture
def store(tmp_path, write):
    file = write()
    made = Store.create(tmp_path / "w")
    made.adopt(read_resource(file), file.read_bytes())
    return made


def no_space(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_is_saved_is_what_is_read(store):
    memory = Memory("default/fake", cycle=3, levels=(0.1 + 0.2, 1 / 3))
    store.save(memory)
    assert Store.open(store.folder).memory() == memory


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_state_whole_and_names_the_folder(store, monkeypatch, call):
    store.save(Memory("default/fake", cycle=1))
    names = sorted(path.name for path in store.folder.iterdir())
    monkeypatch.setattr(files.os, call, no_space)
    with pytest.raises(DiskError, match=r"no space left\. Nothing was lost: free some space") as caught:
        store.save(Memory("default/fake", cycle=2))
    monkeypatch.undo()
    assert str(store.folder) in str(caught.value)
    assert caught.value.code == Exit.DISK == 74
    assert store.memory().cycle == 1
    assert {path.name for path in store.folder.iterdir()} <= {*names, "previous.json"}


def test_a_write_that_stops_half_way_leaves_the_old_state_whole(store, monkeypatch):
    store.save(Memory("default/fake", cycle=1))
    calls = []

    def half(descriptor, data):
        calls.append(len(data))
        if len(calls) > 1:
            no_space()
        return os.pwrite(descriptor, data[:10], 0)

    monkeypatch.setattr(files.os, "write", half)
    with pytest.raises(DiskError):
        store.save(Memory("default/fake", cycle=2))
    monkeypatch.undo()
    assert store.memory().cycle == 1


def test_a_disk_that_really_is_full_leaves_the_old_state_whole(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=False, capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("no right to mount a small file system here")
    try:
        store = Store.create(small / "w")
        store.save(Memory("default/fake", cycle=1))
        (small / "filler").write_bytes(b"x" * 32 * 1024)
        with pytest.raises(DiskError):
            store.save(Memory("default/fake", cycle=2, notes=("x" * 64 * 1024,)))
        assert store.memory().cycle == 1
        assert files.is_full(store.folder)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_another_error_of_the_disk_is_told_with_its_reason(store, monkeypatch):
    def read_only(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files.os, "write", read_only)
    with pytest.raises(DiskError, match=r"cannot be written \(Read-only file system\).*--workdir"):
        store.save(Memory("default/fake"))


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"layout": 1, "memory": {"cycle": "x"}}', b"\xff\xfe"]
)
def test_a_damaged_state_is_named_with_the_way_out_and_left_alone(store, damage):
    store.save(Memory("default/fake", cycle=1))
    store.save(Memory("default/fake", cycle=2))
    store.state_file.write_bytes(damage)
    with pytest.raises(
        WrongInputError, match=r"damaged .* Nothing was overwritten\. To go on one decision earlier: cp"
    ):
        store.memory()
    assert store.state_file.read_bytes() == damage
    shutil.copy(store.previous_file, store.state_file)
    assert store.memory().cycle == 1


def test_a_state_of_another_version_is_refused(store):
    store.save(Memory("default/fake"))
    body = json.loads(store.state_file.read_text())
    store.state_file.write_text(json.dumps({**body, "layout": 99}))
    with pytest.raises(WrongInputError, match="written by another version of this program"):
        store.memory()


def test_a_folder_that_no_run_worked_in_is_refused(tmp_path):
    with pytest.raises(WrongInputError, match="not a work folder of detctl run"):
        Store.open(tmp_path)


def test_a_changed_resource_is_told_field_by_field_and_taken_over(store, write):
    file = write(mode="Recommend", horizonCycles=7)
    changes = store.adopt(read_resource(file), file.read_bytes())
    assert set(changes) == {"spec.mode: Enforce -> Recommend", "spec.horizonCycles: 20 -> 7"}
    assert store.resource().spec.horizon_cycles == 7
    assert store.adopt(read_resource(file), file.read_bytes()) == ()


def test_a_field_that_cannot_be_changed_is_refused_and_nothing_is_taken_over(store, write):
    file = write(checkpoints={"uri": "elsewhere"})
    with pytest.raises(
        WrongInputError, match=r"spec.checkpoints.uri cannot be changed \(nothing -> elsewhere\)"
    ):
        store.adopt(read_resource(file), file.read_bytes())
    assert store.resource().spec.checkpoints.uri is None


def test_every_field_that_the_api_server_holds_fixed_is_held_here():
    def fixed(model, path):
        for rule in model.rules:
            if rule.cel and "oldSelf" in rule.cel.rule:
                yield from (
                    f"{path}.{f.alias}"
                    for f in model.model_fields.values()
                    if f"oldSelf.{f.alias}" in rule.cel.rule
                )
        for field in model.model_fields.values():
            if isinstance(inner := field.annotation, type) and issubclass(inner, Model):
                yield from fixed(inner, f"{path}.{field.alias}")

    found = {path.lstrip(".") for path in fixed(Resource, "")}
    assert found
    assert found <= set(IMMUTABLE)


def test_an_outcome_outlives_the_process(store):
    outcome = RunOutcome("c000-pilot", 2, 1.5)
    store.run_folder("c000-pilot").mkdir()
    store.put_outcome(outcome)
    assert Store(store.folder).outcome("c000-pilot", 2) == outcome
    assert Store(store.folder).last_outcome("c000-pilot") == outcome
    assert Store(store.folder).outcome("c000-pilot", 1) is None


@pytest.mark.parametrize(("uri", "placed"), [("s3://b/x", "s3://b/x"), ("x", "/w/x"), ("/a/x", "/a/x")])
def test_only_relative_paths_are_placed(uri, placed, tmp_path):
    assert place(uri, tmp_path.__class__("/w")) == placed


@pytest.fixture
def decided(store):
    """A store with two recorded decisions of cycle 0, and their resource."""
    spec, recorder = store.resource().spec, Recorder(store)
    memory = begin()
    start = spec.schedule.start_time
    for _ in range(2):
        observation = Observation(start, ())
        decision = advance(spec, memory, observation)
        recorder.record(memory, observation, decision)
    return store


def test_a_recorded_decision_made_again_is_identical(decided):
    assert replay(decided, 0, advance) == (2, None)


def test_a_decision_that_comes_out_differently_is_named_by_its_first_difference(decided):
    def other(spec, memory, observation):
        decision = advance(spec, memory, observation)
        plans = tuple(
            plan.__class__(**{**vars(plan), "reserved_seconds": 1.0}) for plan in decision.memory.running
        )
        return decision.__class__(
            decision.memory.__class__(**{**vars(decision.memory), "running": plans}), decision.start
        )

    count, difference = replay(decided, 0, other)
    assert count == 1
    assert (
        str(difference) == "cycle 0, decision 1: decision.memory.running[0].reservedSeconds was 20.0, now 1.0"
    )


def test_a_decision_is_made_again_with_the_resource_that_was_in_force(decided, write):
    file = write(mode="Recommend")
    decided.adopt(read_resource(file), file.read_bytes())
    seen = []
    replay(decided, 0, lambda spec, *rest: (seen.append(spec.mode.value), advance(spec, *rest))[1])
    assert seen == ["Enforce", "Enforce"]


def test_a_half_written_last_decision_is_dropped_and_more_can_follow(decided):
    path = decided.folder / "decisions" / "cycle-000.jsonl.gz"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert len(list(recorded(decided, 0))) == 2
    observation = Observation(decided.resource().spec.schedule.start_time)
    Recorder(decided).record(begin(), observation, advance(decided.resource().spec, begin(), observation))
    assert len(list(recorded(decided, 0))) == 3


def test_a_cycle_without_decisions_is_refused_with_those_that_have_some(decided):
    with pytest.raises(
        WrongInputError, match="no decision of cycle 4 is recorded; recorded are the cycles 0 to 0"
    ):
        list(recorded(decided, 4))
