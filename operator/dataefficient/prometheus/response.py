"""From an HTTP status and body to samples or a refusal, after Prometheus' HTTP API.

Pure, so that every odd server can be written down as a test. It judges neither how many samples there
should be nor their age.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dataefficient.cycle.answers import Cause

MAX_BYTES = 1 << 20
"""A body longer than this is not read: one number is asked for."""
MAX_WARNINGS = 5
YEAR_5000 = 95_617_584_000
"""Unix seconds; later times are no times."""
MAX_TEXT = 300


@dataclass(frozen=True)
class Sample:
    """One series' value; ``value`` may be NaN or infinite here."""

    labels: Mapping[str, str]
    at: float
    """Time of evaluation by the server's clock, Unix seconds."""
    value: float


@dataclass(frozen=True)
class Samples:
    """The server carried the query out."""

    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """No samples, and why."""

    cause: Cause
    message: str
    warnings: tuple[str, ...] = field(default=())


Reply = Samples | Refused

_BY_TYPE = {
    "bad_data": Cause.BAD_QUERY,
    "execution": Cause.NOT_EXECUTED,
    "timeout": Cause.TIMEOUT,
    "canceled": Cause.TIMEOUT,
    "internal": Cause.SERVER_ERROR,
    "unavailable": Cause.SERVER_ERROR,
    "not_found": Cause.NOT_FOUND,
    "too_many_requests": Cause.THROTTLED,
}
_BY_STATUS = {
    401: (Cause.UNAUTHORIZED, "the credentials are missing or wrong: correct the Secret"),
    403: (Cause.FORBIDDEN, "the credentials are not allowed to query: extend their rights"),
    404: (Cause.NOT_FOUND, "the address has no Prometheus API below it: correct the address"),
    408: (Cause.TIMEOUT, "the server gave up"),
    429: (Cause.THROTTLED, "the server wants fewer queries"),
    504: (Cause.TIMEOUT, "a gateway gave up waiting"),
}


def shortened(text: str) -> str:
    """A server's text on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 3]}..."


def read(status: int, body: bytes) -> Reply:
    """What a finished exchange says."""
    if 300 <= status < 400:
        told = (
            "the server answers with a redirection, which is not followed, because credentials would go along"
        )
        return Refused(Cause.REDIRECTED, f"HTTP {status}: {told}; write the final address")
    content = _json_object(body)
    if content is not None and content.get("status") == "error":
        return _error(status, content)
    if status in _BY_STATUS:
        cause, told = _BY_STATUS[status]
        return Refused(cause, f"HTTP {status}: {told}")
    if status >= 500:
        return Refused(Cause.SERVER_ERROR, f"HTTP {status}: the server fails; look into its log")
    if status >= 400:
        return Refused(Cause.NOT_UNDERSTOOD, f"HTTP {status} without the error object of a Prometheus API")
    if content is None or content.get("status") != "success":
        return _not_understood(status, "is not the JSON of a Prometheus API; is the address right?")
    return _data(status, content)


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _warnings(content: Mapping[str, Any]) -> tuple[str, ...]:
    told = [content.get(name) for name in ("warnings", "infos")]
    found = [
        shortened(text) for one in told if isinstance(one, list) for text in one if isinstance(text, str)
    ]
    if len(found) > MAX_WARNINGS:
        return (*found[:MAX_WARNINGS], f"and {len(found) - MAX_WARNINGS} more")
    return tuple(found)


def _error(status: int, content: Mapping[str, Any]) -> Refused:
    kind, text = str(content.get("errorType", "")), str(content.get("error", ""))
    cause = _BY_TYPE.get(kind) or (_BY_STATUS[status][0] if status in _BY_STATUS else Cause.SERVER_ERROR)
    return Refused(cause, f"{shortened(kind)}: {shortened(text)}", _warnings(content))


def _not_understood(status: int, why: str) -> Refused:
    return Refused(Cause.NOT_UNDERSTOOD, f"HTTP {status}: the answer {why}")


def _data(status: int, content: Mapping[str, Any]) -> Reply:
    warnings = _warnings(content)
    data = content.get("data")
    kind, result = (data.get("resultType"), data.get("result")) if isinstance(data, dict) else (None, None)
    if kind in ("matrix", "string"):
        told = f"the query gives a {kind}; it must give one number"
        return Refused(Cause.NO_NUMBER, f"{told}: take away a trailing range such as [5m]", warnings)
    try:
        if kind == "scalar":
            return Samples((_sample({}, result),), warnings)
        if kind == "vector" and isinstance(result, list):
            if any("histogram" in one for one in result):
                told = "the query gives a native histogram; apply histogram_quantile or histogram_avg to it"
                return Refused(Cause.NO_NUMBER, told, warnings)
            return Samples(tuple(_sample(one["metric"], one["value"]) for one in result), warnings)
    except (KeyError, TypeError, ValueError, OverflowError):
        return _not_understood(status, "holds a sample that cannot be read")
    return _not_understood(status, "has neither a vector nor a scalar in it")


def _sample(labels: object, pair: object) -> Sample:
    if not isinstance(labels, dict) or not isinstance(pair, list):
        raise TypeError("a sample is labels and a pair of time and text")
    at, text = pair
    if isinstance(at, bool) or not isinstance(at, int | float) or not isinstance(text, str):
        raise TypeError("a pair is a time and a text")
    if not 0 <= at < YEAR_5000:
        raise ValueError("not a time")
    return Sample({str(name): str(value) for name, value in labels.items()}, float(at), float(text))
