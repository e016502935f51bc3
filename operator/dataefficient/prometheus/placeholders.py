"""Filling the variables of a query in.

Every value is escaped as a label value, so that no name and no digest can end the string that it stands
in: letters outside a plain set become PromQL's own escapes. Which variables exist is part of the resource
and checked when it is read; an unknown one here is a mistake of the caller.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/-")


@dataclass(frozen=True)
class Subject:
    """What a query is about."""

    namespace: str
    name: str
    cycle: int
    run: str
    digest: str
    """Of the checkpoint; empty where there is none."""
    window_seconds: int
    """How far back the query has to look to see the whole run, or the whole cycle."""


def escaped(value: str) -> str:
    """``value`` for use inside a quoted PromQL string, single or double.

    In a raw string (backticks) the escapes stay as they are, so that it matches nothing but still
    cannot be left.
    """
    return "".join(letter if letter in _PLAIN else _escape(letter) for letter in value)


def _escape(letter: str) -> str:
    code = ord(letter)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def resolved(query: str, subject: Subject) -> str:
    """``query`` with its variables filled in.

    Raises:
        ValueError: a variable that does not exist; reading the resource has refused it before.
    """
    values = {
        "namespace": subject.namespace,
        "name": subject.name,
        "cycle": str(subject.cycle),
        "run": subject.run,
        "digest": subject.digest,
        "windowSeconds": str(subject.window_seconds),
    }

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise ValueError(f"${{{found[1]}}} is no variable; there are {', '.join(values)}")
        return escaped(values[found[1]])

    return _VARIABLE.sub(value, query)
