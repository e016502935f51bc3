"""What kubelets and Prometheus ask the operator's process."""

import asyncio

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Gauge

from dataefficient.cluster.health import serving


def asked(path, *, healthy=None, ready=None):
    registry = CollectorRegistry()
    Gauge("made_up", "A gauge.", registry=registry).set(7)

    async def ask():
        here = "127.0.0.1"
        how = {"registry": registry, "healthy": lambda: healthy, "ready": lambda: ready}
        async with (
            serving(host=here, port=0, **how) as port,
            aiohttp.ClientSession() as session,
            session.get(f"http://{here}:{port}{path}") as answer,
        ):
            return answer.status, await answer.text()

    return asyncio.run(ask())


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_all_is_well(path):
    assert asked(path) == (200, "ok\n")


def test_what_is_wrong_is_said_where_it_is_asked_for():
    stopped = "reconciling has stopped\n"
    assert asked("/healthz", healthy=stopped) == (503, stopped)
    assert asked("/readyz", healthy=stopped) == (200, "ok\n")
    assert asked("/readyz", ready="the watches have not begun\n")[0] == 503


def test_metrics_are_there_in_any_state():
    status, text = asked("/metrics", healthy="wrong\n", ready="not yet\n")
    assert status == 200
    assert "made_up 7.0" in text
