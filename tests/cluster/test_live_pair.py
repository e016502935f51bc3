"""One resource on one stream, driven by both drivers with the real trainer: the same plans, cycle by cycle.

Here the local driver's processes and the operator's pods train on the same flights. What a run costs is
counted in examples (`counting`), since the seconds of two machines, or of two hours, never agree; all else is
measured.
"""

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest

from cluster import counting
from cluster.objects import as_work_folder
from cluster.running import FLIGHTS, Watched, eventually, operating, quick
from dataefficient import contract
from dataefficient.api.load import parse_object
from dataefficient.cluster import decisions, names
from dataefficient.cycle.machine import begin
from dataefficient.cycle.model import Decision, Step
from dataefficient.local import replay
from dataefficient.local.store import Store
from local.drive_main import drive

CYCLES = 5
OPERATOR = (sys.executable, "-P", counting.__file__)


@pytest.fixture
def namespace(cluster):
    """Always of this name: samples and seeds follow from it, and with them whether the trial wins."""
    cluster.kubectl("create", "namespace", "live-pair")
    account = ("serviceaccount/default", "--namespace=live-pair")
    cluster.kubectl("wait", "--for=create", *account, "--timeout=30s")
    yield "live-pair"
    cluster.kubectl("delete", "namespace", "live-pair", "--wait=false")


def resource(namespace, folder):
    """Late flights of some weeks in cycles of two days: enough for a trial to begin, to last and to win."""
    container = {
        "name": "trainer",
        "image": "trainer:1",
        "command": ["python", "-m", "dataefficient_trainer"],
    }
    features = {
        "categorical": ["origin", "destination"],
        "derived": {"hour": {"from": "departure", "part": "hour"}},
    }
    body = quick(namespace, folder, name="flights")
    body["spec"] |= {
        "schedule": {
            "historyFrom": "2001-02-15T00:00:00Z",
            "startTime": "2001-03-01T00:00:00Z",
            "everySeconds": 2 * 86400,
            "endTime": f"2001-03-{1 + 2 * CYCLES:02d}T00:00:00Z",
        },
        "data": {
            "uri": str(FLIGHTS),
            "time": "departure",
            "label": "late",
            "key": ["departure", "origin", "destination"],
        },
        "kpi": {"tolerance": "0.01", "maxRegression": "0.05"},
        "knobs": {"samplingRate": {"min": "0.2", "max": "1"}, "modelSize": {"values": [4, 16]}},
        "exploration": {"share": "0.25"},
        "trainer": {
            "config": {"learningRate": 0.15, "features": features},
            "template": {"spec": {"containers": [container]}},
        },
    }
    return body


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def unordered(memory):
    """``memory`` without the order in which runs that went on together happened to end, and when that was."""
    history = tuple(replace(r, runs=tuple(sorted(r.runs, key=lambda s: s.run))) for r in memory.history)
    entries = tuple(sorted(memory.ledger.entries, key=lambda e: e.run))
    measured = tuple(sorted(memory.measured, key=repr))
    saved = memory.saved and replace(memory.saved, as_of=EPOCH)
    ledger = replace(memory.ledger, entries=entries)
    return replace(memory, history=history, measured=measured, ledger=ledger, saved=saved)


@pytest.mark.slow
def test_both_drivers_make_the_same_plans_of_the_same_stream(cluster, kind, node, namespace, tmp_path):
    body = resource(namespace, tmp_path)
    file = tmp_path / "flights.json"
    file.write_text(json.dumps(body))
    begun = partial(begin, f"{namespace}/flights")
    here = drive(file, tmp_path / "work", begin=begun, advance=counting.counting)
    # The second lineage begins without the first one's checkpoints, under the same addresses.
    (tmp_path / "checkpoints").rename(tmp_path / "first")
    cluster.apply(body)
    watched = Watched(cluster, namespace, "flights")
    with operating(cluster, tmp_path, namespace, program=OPERATOR) as operator:
        there = eventually(watched.finished, of=operator, seconds=400)

    assert here.step is there.step is Step.FINISHED
    for mine, theirs in zip(unordered(here).history, unordered(there).history, strict=True):
        assert contract.encode(theirs) == contract.encode(mine)
    assert contract.encode(unordered(there)) == contract.encode(unordered(here))

    # The life had something in it: a trial that won, and a plan that changed.
    plans = [record.plan.point for record in here.history]
    assert len(plans) == CYCLES + 1
    assert plans[0].rate == 1.0 > plans[-1].rate
    assert {"TrialStarted", "TrialAccepted"} <= {code for r in here.history for code in r.codes}

    # What either recorded, the other makes again.
    resource_there = parse_object(watched.body(), "flights")
    held = decisions.files(watched.config_map(names.decisions("flights", resource_there.metadata.uid)))
    assert decisions.cycles(held) == tuple(range(1, CYCLES + 1))
    as_work_folder(tmp_path / "from-cluster", held)
    store = Store.open(tmp_path / "work")
    for cycle in decisions.cycles(held):
        assert_same(replay_of_local_recording(store, resource_there, cycle))
        assert_same(replay_of_cluster_recording(tmp_path / "from-cluster", cycle))


def replay_of_local_recording(store, resource_there, cycle):
    """Through the cluster's ConfigMap."""
    held = {}
    for one in replay.recorded(store, cycle):
        decision = contract.decode(Decision, one.decision, "decision")
        held = decisions.with_decision(held, resource_there, one.before, one.observation, decision)
    return decisions.replay(held, cycle, counting.counting)


def replay_of_cluster_recording(folder, cycle):
    """Through a work folder."""
    return replay.replay(Store.create(folder), cycle, counting.counting)


def assert_same(replayed):
    count, difference = replayed
    assert count
    assert difference is None
