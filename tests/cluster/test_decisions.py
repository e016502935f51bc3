"""Recorded decisions on the cluster: replayable, bounded, the same form as the local driver's."""

import gzip
import json
from dataclasses import replace
from random import Random

import pytest

from cluster import objects
from cycle.playing import Player
from dataefficient.cluster import decisions
from dataefficient.cluster.decisions import MAX_BYTES, NotRecordedError
from dataefficient.cycle.machine import advance
from dataefficient.cycle.recording import DamagedError, parse

RESOURCE = objects.resource(cycles=12)


@pytest.fixture(scope="module")
def played():
    player = Player(RESOURCE.spec)
    player.play()
    return player


@pytest.fixture(scope="module")
def held(played):
    files = {}
    for (before, observation), decision in zip(played.observations, played.decisions, strict=True):
        files = decisions.with_decision(files, RESOURCE, before, observation, decision)
    return files


def sent(files):
    return len(json.dumps(decisions.config_map(RESOURCE, files, version="1")["binaryData"]))


def test_the_last_five_cycles_are_kept_and_are_decided_the_same_again(played, held):
    cycles = sorted(name for name in held if name.startswith("cycle-"))
    assert len(cycles) == decisions.CYCLES
    last = played.memory.cycle
    for cycle in range(last - decisions.CYCLES + 1, last):
        count, difference = decisions.replay(held, cycle, advance)
        assert count
        assert difference is None


def test_another_decision_is_found_out(held, played):
    cycle = played.memory.cycle - 1

    def other(spec, memory, observation):
        decision = advance(spec, memory, observation)
        return replace(decision, events=("something else",))

    _, difference = decisions.replay(held, cycle, other)
    assert "events" in difference.path


def test_an_older_cycle_says_that_it_is_gone(held):
    with pytest.raises(NotRecordedError, match="kept are cycles"):
        decisions.recorded(held, 0)


def test_it_stays_within_its_bound_and_keeps_the_newest(played):
    before, observation = played.observations[-1]
    decision = played.decisions[-1]
    noise = Random(1)
    files = {}
    for cycle in range(12):
        noted = tuple(noise.randbytes(4000).hex() for _ in range(4))
        told = replace(decision, events=noted)
        for _ in range(3):
            memory = replace(before, cycle=cycle)
            files = decisions.with_decision(files, RESOURCE, memory, observation, told)
            assert sent(files) <= MAX_BYTES + 1024
    assert decisions.recorded(files, 11)


def test_one_decision_that_is_too_much_alone_is_not_kept(played):
    before, observation = played.observations[-1]
    huge = replace(played.decisions[-1], events=(Random(1).randbytes(200_000).hex(),))
    assert decisions.with_decision({}, RESOURCE, before, observation, huge) == {}


def test_versions_of_the_resource_go_with_the_last_decision_that_names_them(played):
    files = {}
    for number, ((before, observation), decision) in enumerate(
        zip(played.observations, played.decisions, strict=True)
    ):
        version = objects.resource(cycles=12, horizonCycles=5 + number // 4)
        files = decisions.with_decision(files, version, before, observation, decision)
    named = {
        json.loads(line)["resource"]
        for name, data in files.items()
        if name.startswith("cycle-")
        for line in gzip.decompress(data).splitlines()
    }
    kept = {n.removeprefix("resource-").split(".")[0] for n in files if n.startswith("resource-")}
    assert kept == named


def test_damaged_lines_are_told_as_such(held, played):
    cycle = played.memory.cycle - 1
    name = f"cycle-{cycle:06d}.jsonl.gz"
    with pytest.raises(DamagedError):
        decisions.recorded({name: held[name][:-10]}, cycle)
    with pytest.raises(DamagedError, match="decision 1"):
        list(parse([b"{}"], cycle))
