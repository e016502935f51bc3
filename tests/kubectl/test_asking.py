"""Writing a request: onto the version that was looked at, again where it has changed, until it is heard."""

import asyncio

import pytest

from cluster import objects
from cluster.fake_api import FakeApi
from cluster.living import KEY
from dataefficient.cli_cluster import ClusterError
from dataefficient.cluster.api import TRAININGS, ConflictError
from dataefficient.cluster.names import Key
from dataefficient.kubectl import acting
from dataefficient.kubectl.asking import ATTEMPTS, one, write
from dataefficient.local.errors import Exit, LocalError, WrongInputError


class Busy(FakeApi):
    """A server whose objects change before the first so many patches."""

    def __init__(self, changes=0):
        super().__init__()
        self.changes, self.patches = changes, []
        self.apply(objects.body())

    async def patch(self, kind, namespace, name, body):
        self.patches.append(body)
        if self.changes:
            self.changes -= 1
            await super().patch(kind, namespace, name, {"metadata": {"labels": {"n": str(self.changes)}}})
        held = self.objects[kind.plural, namespace, name]["metadata"]["resourceVersion"]
        if body["metadata"]["resourceVersion"] != held:
            raise ConflictError(409, "Conflict", "it has changed")
        return await super().patch(kind, namespace, name, body)


def asked(api, prepare, *, seconds=None, dry_run=False, key=KEY):
    said = []
    done = asyncio.run(write(api, key, prepare, dry_run=dry_run, seconds=seconds, written=said.append))
    return done, said


def test_a_request_names_the_version_that_was_looked_at_and_is_written_anew_onto_a_later_one():
    api = Busy(changes=2)
    done, said = asked(api, acting.suspension)
    assert api.of(TRAININGS)["made-up"]["spec"]["suspend"] is True
    assert len({body["metadata"]["resourceVersion"] for body in api.patches}) == 3
    assert len(said) == 1
    assert not done.heard


def test_what_never_stands_still_is_given_up_with_nothing_written():
    api = Busy(changes=ATTEMPTS)
    with pytest.raises(ClusterError, match="changes all the time, so nothing was written") as caught:
        asked(api, acting.suspension)
    assert caught.value.code is Exit.CLUSTER
    assert not api.of(TRAININGS)["made-up"]["spec"].get("suspend")


def test_a_dry_run_writes_nothing():
    api = Busy()
    done, said = asked(api, acting.suspension, dry_run=True)
    assert "No run is started any more." in done.request.told
    assert (api.patches, said) == ([], [])


def test_a_request_that_nobody_hears_stays_written_and_says_so():
    api = Busy()
    with pytest.raises(ClusterError, match=r"has heard it within .* The request stays written"):
        asked(api, acting.suspension, seconds=0.01)
    assert api.of(TRAININGS)["made-up"]["spec"]["suspend"] is True


def test_a_request_is_heard_once_its_word_and_its_generation_are_in_the_status():
    request = acting.Request({}, "told", "word")
    for status, heard in (
        ({}, False),
        ({"observedGeneration": 3}, False),
        ({"observedGeneration": 2, "handledRequests": ["word"]}, False),
        ({"observedGeneration": 3, "handledRequests": ["other", "word"]}, True),
    ):
        assert request.is_heard({"status": status}, 3) is heard


def test_a_roll_back_that_the_operator_refuses_after_all_is_told():
    request = acting.Request({}, "told", "word", unlike=4)
    assert request.is_refused({"status": {"champion": {"cycle": 4}}})
    assert not request.is_refused({"status": {"champion": {"cycle": 2}}})


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (acting.resumption, "default/made-up is neither suspended nor stopped"),
        (acting.approval("0123456789ab", "made-up"), "in mode Enforce, which acts without approval"),
    ],
)
def test_where_there_is_nothing_to_do_nothing_is_written(prepare, words):
    api = Busy()
    with pytest.raises(acting.NothingToDoError, match=words) as caught:
        asked(api, prepare)
    assert caught.value.code is Exit.NOTHING
    assert api.patches == []


@pytest.mark.parametrize("prepare", [acting.hurry, acting.going_back(None)])
def test_before_anything_was_decided_there_is_nothing_to_hurry_or_to_go_back_to(prepare):
    with pytest.raises(LocalError, match="nothing was decided yet for default/made-up"):
        asked(Busy(), prepare)


def test_a_resource_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(WrongInputError, match="has no DataEfficientTraining slow; there are made-up"):
        asyncio.run(one(Busy(), Key("default", "slow")))
