"""Asking for one number, and the verdict on the answer.

A number counts only if it is the one sample, finite, and fresh. Freshness is checked on a bare selector,
whose sample has a time, or by a query that the user gives for it: behind any other expression Prometheus
reports the time of evaluation, which is always new. All ages are taken by the server's clock.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from dataefficient.cycle.answers import Answer, Cause, Verdict
from dataefficient.prometheus.response import Refused, Reply, Sample, Samples, shortened

FUTURE_SECONDS = 60.0
"""A sample may lie so far ahead of the server's clock: exporters may stamp samples by their own."""
SHOWN_SERIES = 3

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_QUOTED = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`[^`]*`"
_MATCHER = rf"(?:[a-zA-Z_][a-zA-Z0-9_]*\s*(?:=~|!~|!=|=)\s*)?(?:{_QUOTED})"
_MATCHERS = rf"\{{\s*(?:{_MATCHER}\s*(?:,\s*{_MATCHER}\s*)*,?\s*)?\}}"
_SELECTOR = re.compile(rf"(?:{_NAME}\s*(?:{_MATCHERS})?|{_MATCHERS})")
_WORDS = frozenset({"inf", "nan"})


class Server(Protocol):
    """Something that carries out instant queries."""

    async def instant(self, query: str, *, at: float | None = None) -> Reply:
        """The query's samples at the server's Unix time ``at``, by default its now. Never raises."""


@dataclass(frozen=True)
class Question:
    """A query for one number, its variables filled in, and what makes its answer fresh."""

    name: str
    query: str
    max_age_seconds: float
    freshness_query: str = ""
    """PromQL for the Unix time of the newest data; empty: ``query`` must be a bare selector."""
    assume_fresh: bool = False
    of_the_past: bool = False
    """It names a time that is over, so that the age of its samples says nothing."""


def is_bare_selector(query: str) -> bool:
    """Whether ``query`` is a metric name, matchers in braces, or both, and nothing else."""
    text = query.strip()
    return _SELECTOR.fullmatch(text) is not None and text.lower() not in _WORDS


@dataclass(frozen=True)
class _Bad:
    """Why an answer is not Ok."""

    verdict: Verdict
    cause: Cause
    message: str


async def ask(server: Server, question: Question, *, now: Callable[[], datetime]) -> Answer:
    """The answer to ``question``, with its verdict. Never raises for what a server does."""
    asked_at = now()
    reply = await server.instant(question.query)
    warnings = reply.warnings
    found = _one_number(reply)
    if isinstance(found, _Bad):
        return _answer(question, asked_at, found, warnings)
    sampled_at: float | None = None
    if question.of_the_past:
        pass
    elif question.assume_fresh:
        warnings = (*warnings, "the age of the data was not checked (assumeFresh)")
    else:
        newest = await _newest(server, question, found.at)
        if isinstance(newest, Samples):
            warnings = (*warnings, *newest.warnings)
        judged = _fresh(question, newest, found.at)
        if isinstance(judged, _Bad):
            return _answer(question, asked_at, judged, warnings, found.at)
        sampled_at = judged
    return Answer(
        name=question.name,
        query=question.query,
        asked_at=asked_at,
        verdict=Verdict.OK,
        value=found.value,
        evaluated_at=_instant(found.at),
        sampled_at=None if sampled_at is None else _instant(sampled_at),
        warnings=warnings,
    )


def _answer(
    question: Question,
    asked_at: datetime,
    bad: _Bad,
    warnings: tuple[str, ...],
    evaluated_at: float | None = None,
) -> Answer:
    return Answer(
        name=question.name,
        query=question.query,
        asked_at=asked_at,
        verdict=bad.verdict,
        evaluated_at=None if evaluated_at is None else _instant(evaluated_at),
        cause=bad.cause,
        message=bad.message,
        warnings=warnings,
    )


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _one_number(reply: Reply) -> Sample | _Bad:
    if isinstance(reply, Refused):
        return _Bad(Verdict.FAILED, reply.cause, reply.message)
    if not reply.samples:
        told = "no series matches; is it scraped, and are the labels right?"
        return _Bad(Verdict.EMPTY, Cause.NO_SERIES, told)
    if len(reply.samples) > 1:
        shown = ", ".join(_labels(sample) for sample in reply.samples[:SHOWN_SERIES])
        told = f"{len(reply.samples)} series match, such as {shown}"
        hint = "aggregate them to one, for example with sum or max"
        return _Bad(Verdict.MULTIPLE, Cause.MANY_SERIES, f"{told}; {hint}")
    sample = reply.samples[0]
    if not math.isfinite(sample.value):
        told = f"the value is {sample.value}, as of a division by zero"
        return _Bad(Verdict.NOT_FINITE, Cause.NOT_FINITE, told)
    return sample


def _labels(sample: Sample) -> str:
    return shortened("{" + ", ".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items())) + "}")


async def _newest(server: Server, question: Question, at: float) -> Reply | None:
    """The reply on the time of the newest data, at the very time of the value; None: nothing can tell."""
    if question.freshness_query:
        return await server.instant(question.freshness_query, at=at)
    if is_bare_selector(question.query):
        return await server.instant(f"timestamp({question.query})", at=at)
    return None


def _fresh(question: Question, newest: Reply | None, at: float) -> float | _Bad:
    """Time of the newest data, if it is new enough."""
    if newest is None:
        told = "the age of the data cannot be told from this expression"
        return _Bad(Verdict.STALE, Cause.AGE_UNKNOWN, f"{told}: give freshnessQuery, or assumeFresh: true")
    found = _one_number(newest)
    if isinstance(found, _Bad):
        if found.verdict is Verdict.FAILED:
            return _Bad(found.verdict, found.cause, f"asking for the age of the data: {found.message}")
        told = f"the query for the age of the data is {found.verdict.value}"
        return _Bad(Verdict.STALE, Cause.AGE_IMPOSSIBLE, f"{told}: {found.message}")
    age = at - found.value
    if age < -FUTURE_SECONDS or found.value < 0:
        told = f"the query for the age of the data gives {found.value:.6g}, which is no Unix time in the past"
        return _Bad(Verdict.STALE, Cause.AGE_IMPOSSIBLE, f"{told}: it must be in seconds")
    if age > question.max_age_seconds:
        told = f"the newest data are {age:.0f} s old; at most {question.max_age_seconds:.0f} s are allowed"
        return _Bad(Verdict.STALE, Cause.TOO_OLD, f"{told} (maxAgeSeconds)")
    return found.value
