"""What a person is told who looks at a resource of which little or nothing is there."""

import asyncio

import pytest

from cluster import objects
from cluster.fake_api import FakeApi
from cluster.living import KEY, Life
from dataefficient.cluster import decisions
from dataefficient.cluster.api import CONFIG_MAPS, TRAININGS, ApiError
from dataefficient.cluster.kept import NotKeptError, kept
from dataefficient.cluster.names import Key
from dataefficient.cycle.machine import advance


@pytest.fixture(scope="module")
def life():
    one = Life(objects.body(cycles=7))
    one.play()
    return one


def look(api, key=KEY):
    return asyncio.run(kept(api, key))


def told(api, key=KEY):
    with pytest.raises(NotKeptError) as caught:
        look(api, key)
    return str(caught.value)


def test_spec_memory_and_decisions_are_found(life):
    found = look(life.api)
    assert found.memory == life.memory()
    assert found.resource.spec == objects.resource(cycles=7).spec
    for cycle in decisions.cycles(found.decided):
        assert decisions.replay(found.decided, cycle, advance)[1] is None


def test_looking_writes_nothing(life):
    before = life.api.writes
    look(life.api)
    assert life.api.writes == before


def test_every_run_whose_decision_is_kept_is_there_in_full(life):
    found = look(life.api)
    runs = {request.run: outcome for request, outcome in decisions.runs(found.decided, found.memory)}
    first = decisions.cycles(found.decided)[0]
    recent = [run for record in found.memory.history[first:] for run in record.runs]
    assert len(recent) > 4
    assert {run.run for run in recent} <= set(runs)
    assert all(runs[run.run].device_seconds == run.device_seconds for run in recent)


def test_a_run_that_goes_on_has_no_outcome_yet():
    one = Life(objects.body())
    one.visit()
    found = look(one.api)
    assert [outcome for _, outcome in decisions.runs(found.decided, found.memory)] == [None]


def test_a_name_that_is_not_there_is_told_with_those_that_are(life):
    assert told(life.api, Key("default", "made-down")) == (
        "namespace default has no DataEfficientTraining made-down; there are made-up"
    )
    assert "'kubectl get det -A' lists them all" in told(life.api, Key("elsewhere", "made-up"))


def test_a_cluster_without_the_kind_is_told_as_such():
    api = FakeApi()
    api.refuse[("LIST", TRAININGS.plural)] = ApiError(404, "NotFound", "404 page not found")
    assert told(api).startswith("the cluster does not know the kind DataEfficientTraining; install the chart")


def test_who_may_not_list_is_told_the_namespace_alone():
    api = FakeApi()
    api.refuse[("LIST", TRAININGS.plural)] = ApiError(403, "Forbidden", "no")
    assert told(api).startswith("namespace default has no DataEfficientTraining made-up; name its namespace")


def test_a_deleted_resource_that_is_remembered_says_how_to_go_on(life):
    api = FakeApi()
    api.objects = {k: v for k, v in life.api.objects.items() if k[0] != TRAININGS.plural}
    assert "ConfigMap made-up-ledger still remembers one; apply it again" in told(api)


def test_a_resource_that_no_operator_has_seen_says_so():
    api = FakeApi()
    api.apply(objects.body())
    assert told(api).startswith("nothing was decided yet for default/made-up: no operator has seen it")


def test_a_resource_that_is_not_accepted_says_why():
    one = Life(objects.body(checkpoints=None))
    one.visit()
    assert "the operator does not accept it. spec.checkpoints.uri: found nothing" in told(one.api)


def test_a_damaged_ledger_says_what_to_do():
    one = Life(objects.body())
    one.visit()
    one.api.objects[CONFIG_MAPS.plural, "default", "made-up-ledger"]["binaryData"] = {}
    assert "Put a copy of ConfigMap made-up-ledger back" in told(one.api)


def test_a_ledger_of_another_is_none(life):
    one = Life(objects.body())
    one.visit()
    one.api.objects[CONFIG_MAPS.plural, "default", "made-up-ledger"]["metadata"]["labels"] = {}
    assert told(one.api).startswith("nothing was decided yet for default/made-up")
