"""What people have written into a resource's annotations, and which of it is new.

A word acts once: it is remembered in the ledger, and shown in ``status.handledRequests``, so that it may
stand where it was written for ever. What it does is decided in ``cycle``. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from dataefficient.api.spec import Resource
from dataefficient.cluster import names
from dataefficient.cluster.ledger import Book
from dataefficient.cycle.model import Memory

HANDLED = 16
LONGEST = 50
"""Characters of a word that count: with the request's name before it, the status has room for 63."""
_CYCLE = re.compile(r"([0-9]{1,6})(-.*)?")


def approval(resource: Resource) -> str:
    """The digest that is approved; empty: none."""
    return _word(resource, names.APPROVE_ANNOTATION)


@dataclass(frozen=True)
class Asked:
    """What is asked for and was not heard before."""

    words: tuple[str, ...] = ()
    """As they are remembered."""
    resume: bool = False
    run_now: bool = False
    rollback: int | None = None
    unreadable: str = ""
    """Why a roll-back cannot be understood; empty: it can, or none is asked for."""


def asked(resource: Resource, book: Book) -> Asked:
    """The requests in the resource's annotations that ``book`` does not know."""
    found = Asked()
    word = _word(resource, names.RESUME_ANNOTATION)
    if word and word not in book.handled:
        found = replace(found, words=(word,), resume=True)
    word = run_now_word(_word(resource, names.RUN_NOW_ANNOTATION))
    if word and word not in book.handled:
        found = replace(found, words=(*found.words, word), run_now=True)
    given = _word(resource, names.ROLLBACK_ANNOTATION)
    word = rollback_word(given)
    if word and word not in book.handled:
        cycle = _CYCLE.fullmatch(given)
        found = replace(found, words=(*found.words, word), rollback=int(cycle[1]) if cycle else None)
        if cycle is None:
            told = (
                f"{names.ROLLBACK_ANNOTATION}: found {given!r}; allowed: the cycle whose champion is to "
                "serve again, such as 4, and after it a hyphen and anything new, such as 4-again"
            )
            found = replace(found, unreadable=told)
    return found


def run_now_word(given: str) -> str:
    """How the word is remembered; empty: there is none."""
    return f"run-now:{given[:LONGEST]}" if given else ""


def rollback_word(given: str) -> str:
    """How the word is remembered; empty: there is none."""
    return f"rollback:{given[:LONGEST]}" if given else ""


def shown(book: Book, memory: Memory) -> tuple[str, ...]:
    """What the status names as handled: the newest of either kind, so that neither hides the other."""
    return (*book.handled[-HANDLED // 2 :], *memory.approvals[-HANDLED // 2 :])


def has_acted(resource: Resource, book: Book) -> bool:
    """Whether a person has done something about the resource since the last decision."""
    return (
        bool(asked(resource, book).words)
        or resource.metadata.generation != book.generation
        or resource.metadata.uid != book.uid
    )


def taken_up(resource: Resource, book: Book) -> Book:
    """``book`` with what a person has done taken note of."""
    assert resource.metadata.uid is not None
    return replace(
        book,
        uid=resource.metadata.uid,
        generation=resource.metadata.generation,
        handled=(*book.handled, *asked(resource, book).words)[-HANDLED:],
        launched=book.launched if book.uid == resource.metadata.uid else (),
    )


def _word(resource: Resource, annotation: str) -> str:
    """What a person has written there, as far as it is kept."""
    return resource.metadata.annotations.get(annotation, "").strip()[:63]
