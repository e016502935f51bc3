"""Structured logs on the standard logging module: JSON for machines, one line for people.

Whoever works on a resource says so once, with ``about``, and each line written meanwhile carries resource,
cycle and run, also lines of code and of tasks begun there that know none of them. What is logged is for the
callers to say.
"""

from __future__ import annotations

import enum
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TextIO

Fields = Mapping[str, str | int]

FIELDS = ("resource", "cycle", "run")
"""What a line may be about, in the order in which it is shown."""
_about: ContextVar[Fields] = ContextVar("about", default=MappingProxyType({}))


class Format(enum.StrEnum):
    """How a line is written."""

    TEXT = "text"
    JSON = "json"


@contextmanager
def about(**fields: str | int) -> Iterator[None]:
    """Lines written meanwhile are about some of ``resource`` (``namespace/name``), ``cycle`` and ``run``.

    What is not named stays as it was.
    """
    assert set(fields) <= set(FIELDS), f"{sorted(set(fields) - set(FIELDS))} is no field of a log line"
    token = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(token)


def _given() -> dict[str, str | int]:
    found = _about.get()
    return {name: found[name] for name in FIELDS if name in found}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, what it is about, and the exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            **_given(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """Time, level, what the line is about, and the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, an exception below it."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds")
        where = " ".join(str(value) for value in _given().values())
        # On one line, because a name in a message may hold a line break and pass for a line of its own.
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        line = f"{time} {record.levelname:<7} {f'[{where}] ' if where else ''}{message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(style: Format, stream: TextIO, *, level: int | str = logging.INFO) -> None:
    """Send the records of all loggers to ``stream``, in place of whatever was configured before."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if style is Format.JSON else TextFormatter())
    root = logging.getLogger()
    for before in tuple(root.handlers):
        root.removeHandler(before)
    root.addHandler(handler)
    root.setLevel(level)
