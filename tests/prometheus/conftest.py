import asyncio
import shutil
from datetime import UTC, datetime

import pytest

from dataefficient.prometheus.access import Access
from dataefficient.prometheus.question import Question, ask
from dataefficient.prometheus.server import HttpServer
from prometheus.live import Exporter, prometheus


@pytest.fixture(scope="session")
def binary():
    """The Prometheus that is on PATH."""
    found = shutil.which("prometheus")
    if found is None:
        pytest.skip(
            "NO PROMETHEUS ON PATH: the verdicts are NOT proved against a real server. "
            "Install one (Debian: apt-get install prometheus) and run the tests again"
        )
    return found


@pytest.fixture(scope="session")
def exporter():
    running = Exporter().start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def mortal():
    """An exporter that one test stops."""
    running = Exporter().start()
    running.set("mortal", 1)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def address(binary, exporter, mortal, tmp_path_factory):
    targets = {"test": exporter.address, "mortal": mortal.address}
    with prometheus(binary, tmp_path_factory.mktemp("prometheus"), targets) as running:
        yield running


def put(address, *, access=None, timeout_seconds=10.0, max_bytes=1 << 20, **question):
    """The answer to one question, asked of the server at ``address``."""
    question = Question(**{"name": "test", "max_age_seconds": 60.0, **question})

    async def exchange():
        how = {"access": access or Access(), "timeout_seconds": timeout_seconds, "max_bytes": max_bytes}
        async with HttpServer(address, **how) as server:
            return await ask(server, question, now=lambda: datetime.now(UTC))

    return asyncio.run(exchange())


@pytest.fixture
def asked(address):
    """Asks the real server."""
    return lambda query, **how: put(address, query=query, **how)


@pytest.fixture
def put_to():
    """Asks any address."""
    return put
