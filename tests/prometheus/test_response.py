import json

import pytest

from dataefficient.cycle.answers import Cause
from dataefficient.prometheus.response import MAX_WARNINGS, Refused, Samples, read


def body(kind, result, **more):
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}, **more}).encode()


def vector(*pairs):
    return body("vector", [{"metric": {"a": "b"}, "value": pair} for pair in pairs])


def test_a_vector_and_a_scalar_are_read():
    reply = read(200, vector([1700000000.5, "0.25"], [1700000000, "1e+06"]))
    assert isinstance(reply, Samples)
    assert [(s.at, s.value, s.labels) for s in reply.samples] == [
        (1700000000.5, 0.25, {"a": "b"}),
        (1700000000.0, 1e6, {"a": "b"}),
    ]
    assert read(200, body("scalar", [1.0, "-Inf"])).samples[0].value == float("-inf")
    assert read(200, body("vector", [])) == Samples(())


def test_warnings_are_kept_and_bounded():
    reply = read(200, body("vector", [], warnings=["a  b\nc", 7, *map(str, range(20))]))
    assert reply.warnings[0] == "a b c"
    assert len(reply.warnings) == MAX_WARNINGS + 1
    assert reply.warnings[-1] == "and 16 more"
    assert read(200, body("matrix", [], warnings=["partial"])).warnings == ("partial",)
    assert read(200, body("vector", [], infos=["no counter"])).warnings == ("no counter",)
    assert read(200, body("vector", [], warnings="text", infos=None)).warnings == ()


@pytest.mark.parametrize(
    ("status", "content", "cause"),
    [
        (400, {"errorType": "bad_data"}, Cause.BAD_QUERY),
        (422, {"errorType": "execution"}, Cause.NOT_EXECUTED),
        (503, {"errorType": "timeout"}, Cause.TIMEOUT),
        (503, {"errorType": "canceled"}, Cause.TIMEOUT),
        (500, {"errorType": "internal"}, Cause.SERVER_ERROR),
        (503, {"errorType": "unavailable"}, Cause.SERVER_ERROR),
        (429, {"errorType": "too_many_requests"}, Cause.THROTTLED),
        (429, {"errorType": "another"}, Cause.THROTTLED),
        (500, {"errorType": "another"}, Cause.SERVER_ERROR),
        (200, {}, Cause.SERVER_ERROR),
    ],
)
def test_an_error_object_is_named_by_its_type(status, content, cause):
    reply = read(status, json.dumps({"status": "error", "error": "why\nso", **content}).encode())
    assert isinstance(reply, Refused)
    assert reply.cause is cause
    assert "why so" in reply.message


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (301, Cause.REDIRECTED),
        (307, Cause.REDIRECTED),
        (401, Cause.UNAUTHORIZED),
        (403, Cause.FORBIDDEN),
        (404, Cause.NOT_FOUND),
        (405, Cause.NOT_UNDERSTOOD),
        (429, Cause.THROTTLED),
        (500, Cause.SERVER_ERROR),
        (502, Cause.SERVER_ERROR),
        (504, Cause.TIMEOUT),
        (200, Cause.NOT_UNDERSTOOD),
        (204, Cause.NOT_UNDERSTOOD),
    ],
)
@pytest.mark.parametrize("text", [b"", b"<html>gateway</html>", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_api_object_is_named_by_its_status(status, cause, text):
    reply = read(status, text)
    assert isinstance(reply, Refused)
    assert reply.cause is cause
    assert str(status) in reply.message


@pytest.mark.parametrize(
    "text",
    [
        b'{"status": "success"}',
        b'{"status": "success", "data": null}',
        body("vector", None),
        body("vector", {}),
        body("vector", [1]),
        body("vector", [{"metric": {}}]),
        body("vector", [{"metric": None, "value": [1, "1"]}]),
        body("table", []),
        vector([1, 1]),
        vector([1, "one"]),
        vector([True, "1"]),
        vector(["1", "1"]),
        vector([1]),
        vector([-1, "1"]),
        vector([1e300, "1"]),
        vector([float("nan"), "1"]),
        body("scalar", []),
        body("scalar", None),
    ],
)
def test_data_of_another_form_is_no_sample(text):
    assert read(200, text).cause is Cause.NOT_UNDERSTOOD


def test_a_native_histogram_is_no_number():
    reply = read(200, body("vector", [{"metric": {}, "histogram": [1.0, {"count": "1"}]}]))
    assert reply.cause is Cause.NO_NUMBER
    assert "histogram_quantile" in reply.message
