"""Who leads, with a clock that the test turns."""

import asyncio

import pytest

from cluster.fake_api import FakeApi
from dataefficient.cluster.aio import AioApi
from dataefficient.cluster.api import CONFIG_MAPS, LEASES, ApiError, NotLeaderError
from dataefficient.cluster.lease import Elector, Leadership


class Candidate:
    def __init__(self, api, clock, identity):
        self.leadership = Leadership(clock=clock)
        self.gains = 0
        self.elector = Elector(
            api=api,
            leadership=self.leadership,
            namespace="default",
            name="det",
            identity=identity,
            seconds=15.0,
            clock=clock,
            gained=self._gained,
        )

    def _gained(self):
        self.gains += 1

    def step(self):
        asyncio.run(self.elector.step())
        return self.leadership.holds()


@pytest.fixture
def world():
    now = [1000.0]
    api = FakeApi()
    first, second = (Candidate(api, lambda: now[0], name) for name in ("one", "two"))
    return now, api, first, second


def test_one_leads_and_the_other_waits(world):
    _, _, first, second = world
    assert first.step()
    assert not second.step()
    assert first.gains == 1


def test_a_leader_that_renews_is_never_replaced(world):
    now, _, first, second = world
    for _ in range(50):
        assert first.step()
        assert not second.step()
        now[0] += 3.0
    assert first.gains == 1


def test_another_takes_over_once_the_lease_was_not_renewed_for_its_length(world):
    now, api, first, second = world
    first.step(), second.step()
    now[0] += 14.0
    assert not second.step()
    now[0] += 2.0
    assert second.step()
    assert api.of(LEASES)["det"]["spec"]["leaseTransitions"] == 1


def test_a_leader_that_was_stopped_does_not_lead_when_it_wakes(world):
    now, _, first, second = world
    first.step(), second.step()
    now[0] += 12.5
    assert not first.leadership.holds()
    now[0] += 3.0
    second.step()
    assert second.leadership.holds()
    assert not first.step()


def test_a_leader_stops_before_another_may_take_over(world):
    now, _, first, second = world
    first.step(), second.step()
    while first.leadership.holds():
        assert not second.step()
        now[0] += 0.1
    stopped = now[0]
    while not second.step():
        now[0] += 0.1
    assert now[0] - stopped > 2.0


def test_a_server_that_does_not_answer_costs_the_lead_only_with_the_lease(world):
    now, api, first, _ = world
    first.step()
    api.refuse[("GET", "leases")] = ApiError(0, "Unreachable", "no answer")
    now[0] += 3.0
    assert first.step()
    now[0] += 13.0
    api.refuse[("GET", "leases")] = ApiError(0, "Unreachable", "no answer")
    assert not first.step()


def test_what_is_given_back_is_taken_at_once(world):
    _, _, first, second = world
    first.step(), second.step()
    asyncio.run(first.elector.release())
    assert not first.leadership.holds()
    assert second.step()


def test_without_the_lead_no_write_is_sent_and_reads_are():
    class Client:
        sent = 0

        async def param_serialize(self, *_, **__):
            Client.sent += 1
            raise OSError("no network here")

    api = AioApi(Client(), may_write=lambda: False)
    with pytest.raises(NotLeaderError):
        asyncio.run(api.create(CONFIG_MAPS, "default", {"metadata": {"name": "x"}}))
    assert Client.sent == 0
    with pytest.raises(ApiError):
        asyncio.run(api.get(CONFIG_MAPS, "default", "x"))
    assert Client.sent == 1
