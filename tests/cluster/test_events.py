"""Events and log lines of a real operator on a real API server: one event a decision, each line complete."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

from cluster import objects
from cluster.running import Watched, eventually, operating, quick
from dataefficient.api.load import parse_object
from dataefficient.cluster.aio import AioApi
from dataefficient.cluster.events import QUIET, Events

TOLD = "Cycle 3: all rows, size 32. Full data"


@pytest.fixture
def resource(cluster, kind, namespace):
    body = objects.body()
    body["metadata"] = {"name": "made-up", "namespace": namespace}
    cluster.apply(body)
    return parse_object(cluster.get("det", "made-up", "-n", namespace), "made-up")


def test_what_is_said_again_also_by_another_operator_is_counted_and_not_repeated(
    cluster, resource, namespace
):
    begun = datetime.now(UTC).replace(microsecond=0)
    times = [begun, begun + timedelta(minutes=1), begun + QUIET, begun + 2 * QUIET]

    async def tell():
        settings = Configuration()
        await load_kube_config(str(cluster.kubeconfig), client_configuration=settings)
        async with ApiClient(settings) as client:
            clock = iter(times)
            # The last one is an operator that has just started and remembers nothing.
            one = Events(api=AioApi(client, may_write=lambda: True), now=lambda: next(clock))
            other = Events(api=AioApi(client, may_write=lambda: True), now=lambda: next(clock))
            for events in (one, one, one, other):
                await events.tell(resource, "NothingCheaperCertified", TOLD)

    asyncio.run(tell())
    (event,) = cluster.get("events", "-n", namespace)["items"]
    assert (event["reason"], event["message"]) == ("NothingCheaperCertified", TOLD)
    assert event["count"] == 3  # the second came within the quiet time
    assert event["firstTimestamp"] == f"{times[0]:%Y-%m-%dT%H:%M:%SZ}"
    assert event["lastTimestamp"] == f"{times[-1]:%Y-%m-%dT%H:%M:%SZ}"
    described = cluster.kubectl("describe", "det", "made-up", "-n", namespace)
    assert "NothingCheaperCertified" in described
    assert "(x3 over" in described


def test_each_decision_of_a_life_is_one_event_and_each_line_of_the_log_names_what_it_is_about(
    cluster, kind, node, namespace, tmp_path
):
    cluster.apply(quick(namespace, tmp_path, cycles=2, env={"FAKE_FAULTS": "c001-candidate=crash-once"}))
    watched = Watched(cluster, namespace)
    with operating(cluster, tmp_path, namespace, "--log-format", "json") as operator:
        memory = eventually(watched.finished, of=operator)
        eventually(lambda: watched.status().get("step") == "Finished", of=operator)
        lines = [json.loads(line) for line in operator.log.read_text().splitlines()]
    events = watched.events()
    assert len(events) == len(set(events))
    reasons = {reason for reason, _ in events}
    assert {code for record in memory.history for code in record.codes} <= reasons
    assert {"RunStarted", "RunFailed", "Published"} <= reasons
    assert sum(reason == "Published" for reason, _ in events) == 3

    said = {message for _, message in events}
    about_it = [line for line in lines if line["message"].partition(": ")[2] in said]
    assert len(about_it) >= len(events)
    assert {line["resource"] for line in about_it} == {f"{namespace}/quick"}
    assert {line["cycle"] for line in about_it} == {0, 1, 2}
    runs = [line for line in about_it if line["message"].startswith(("RunStarted", "RunFailed"))]
    assert runs
    for line in runs:
        assert line["message"].partition(": ")[2].startswith(line["run"])
        assert line["run"].startswith(f"c{line['cycle']:03d}-")
