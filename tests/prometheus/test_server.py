"""Servers that misbehave. They are fakes, for faults that no real Prometheus shows on demand."""

import asyncio
import gzip
import json
import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web

from dataefficient.cycle.answers import Cause, Verdict
from dataefficient.prometheus.access import Access, access_from
from dataefficient.prometheus.question import Question, ask
from dataefficient.prometheus.server import HttpServer

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FINE = {
    "status": "success",
    "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1.0, "1"]}]},
}


def exchange(handler, *, access=None, timeout_seconds=5.0, max_bytes=10_000, prefix=""):
    """The answer of a fake server whose every request goes to ``handler``."""

    async def both():
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        (address,) = runner.addresses
        try:
            url = f"http://127.0.0.1:{address[1]}{prefix}"
            how = {"timeout_seconds": timeout_seconds, "max_bytes": max_bytes}
            async with HttpServer(url, access=access or Access(), **how) as server:
                question = Question("test", "x", 60.0, assume_fresh=True)
                return await ask(server, question, now=lambda: NOW)
        finally:
            await runner.cleanup()

    return asyncio.run(both())


def failed(answer):
    assert answer.verdict is Verdict.FAILED
    assert answer.value is None
    assert answer.message
    return answer.cause


def test_the_query_goes_by_post_with_the_servers_own_time_limit_below_the_prefix():
    seen = {}

    async def handler(request):
        seen.update(await request.post(), method=request.method, path=request.path)
        return web.json_response(FINE)

    assert exchange(handler, prefix="/prefix/", timeout_seconds=2.5).verdict is Verdict.OK
    assert seen == {"query": "x", "timeout": "2500ms", "method": "POST", "path": "/prefix/api/v1/query"}


def test_headers_of_the_installation_go_with_the_query():
    async def handler(request):
        tenant = request.headers.get("X-Scope-OrgID")
        return web.json_response(FINE, status=200 if tenant == "ads" else 401)

    assert exchange(handler, access=Access(headers={"X-Scope-OrgID": "ads"})).verdict is Verdict.OK
    assert failed(exchange(handler)) is Cause.UNAUTHORIZED


@pytest.mark.parametrize(
    ("secret", "header"),
    [
        ({"token": b"secret"}, "Bearer secret"),
        ({"username": b"u", "password": "p\u00e4ss".encode()}, "Basic dTpww6Rzcw=="),
    ],
)
def test_credentials_are_sent_and_never_shown(secret, header):
    async def handler(request):
        return web.json_response(FINE, status=200 if request.headers.get("Authorization") == header else 401)

    access = access_from(secret)
    assert exchange(handler, access=access).verdict is Verdict.OK
    assert header not in repr(access)
    assert failed(exchange(handler)) is Cause.UNAUTHORIZED


def test_a_redirection_is_not_followed():
    seen = []

    async def handler(request):
        seen.append(request.path)
        raise web.HTTPTemporaryRedirect("/elsewhere")

    assert failed(exchange(handler, access=access_from({"token": b"t"}))) is Cause.REDIRECTED
    assert seen == ["/api/v1/query"]


def test_a_server_that_never_answers_times_out():
    async def handler(request):
        await asyncio.Event().wait()

    assert failed(exchange(handler, timeout_seconds=0.05)) is Cause.TIMEOUT


def test_a_body_that_never_ends_is_given_up():
    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 4096)

    assert failed(exchange(handler)) is Cause.TOO_LARGE


def test_a_body_that_trickles_times_out():
    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await asyncio.Event().wait()

    assert failed(exchange(handler, timeout_seconds=0.05)) is Cause.TIMEOUT


def test_a_compressed_body_that_nobody_asked_for_is_not_unfolded():
    async def handler(request):
        assert request.headers["Accept-Encoding"] == "identity"
        body = gzip.compress(json.dumps(FINE).encode())
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    assert failed(exchange(handler)) is Cause.NOT_UNDERSTOOD


def test_a_connection_that_breaks_in_the_body_fails():
    async def handler(request):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"{")
        request.transport.abort()
        return response

    assert failed(exchange(handler)) is Cause.UNREACHABLE


@contextmanager
def no_http():
    """A listener that answers with a line that is not HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def test_what_is_no_http_server_fails(put_to):
    with no_http() as address:
        assert failed(put_to(address, query="up")) is Cause.UNREACHABLE
