"""Structured logs on the standard logging module: JSON for machines, one line for people.

Whoever works on a resource takes a logger that is bound to it, so that each line carries resource, cycle
and run, also lines of code that knows none of them. What is logged is for the callers to say.
"""

from __future__ import annotations

import enum
import json
import logging
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

FIELDS = ("resource", "cycle", "run")
"""What a line may be bound to, in the order in which it is shown."""


class Format(enum.StrEnum):
    """How a line is written."""

    CONSOLE = "console"
    JSON = "json"


class Bound(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines carry what it is bound to; ``extra`` of one call is added to it."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """The message as it is, its ``extra`` joined with what the logger is bound to."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs

    def to(self, **fields: str | int) -> Bound:
        """The same, bound to more, such as the cycle and then the run."""
        return Bound(self.logger, {**(self.extra or {}), **_checked(fields)})


def bound(logger: logging.Logger, **fields: str | int) -> Bound:
    """``logger`` bound to some of ``resource`` (``namespace/name``), ``cycle`` and ``run``."""
    return Bound(logger, _checked(fields))


def _checked(fields: Mapping[str, str | int]) -> Mapping[str, str | int]:
    assert set(fields) <= set(FIELDS), f"{sorted(set(fields) - set(FIELDS))} is no field of a log line"
    return fields


def _given(record: logging.LogRecord) -> dict[str, Any]:
    found = {name: getattr(record, name, None) for name in FIELDS}
    return {name: value for name, value in found.items() if value is not None}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, what it is bound to, and the exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            **_given(record),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class ConsoleFormatter(logging.Formatter):
    """Time, level, what the line is bound to, and the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, an exception below it."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds")
        where = " ".join(str(value) for value in _given(record).values())
        # On one line, because a name in a message may hold a line break and pass for a line of its own.
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        line = f"{time} {record.levelname:<7} {f'[{where}] ' if where else ''}{message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(style: Format, stream: TextIO, *, level: int = logging.INFO) -> None:
    """Send the records of all loggers to ``stream``, in place of whatever was configured before."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if style is Format.JSON else ConsoleFormatter())
    root = logging.getLogger()
    for before in tuple(root.handlers):
        root.removeHandler(before)
    root.addHandler(handler)
    root.setLevel(level)
