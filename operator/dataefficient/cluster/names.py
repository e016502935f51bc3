"""Names and labels of everything that belongs to a resource on the cluster.

A child's name follows from the resource's UID, the run and the attempt, so that acting twice creates nothing
twice. Only strings; the objects themselves are in ``manifests``.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from dataefficient.api.spec import GROUP

MAX_CHILD = 63
"""Longest name of a Job: its pods carry it as a label."""

RESOURCE_LABEL = f"{GROUP}/resource"
"""On every child: the name of the resource. Watches select by its presence."""
UID_LABEL = f"{GROUP}/uid-hash"
RUN_LABEL = f"{GROUP}/run"
ATTEMPT_LABEL = f"{GROUP}/attempt"
CYCLE_LABEL = f"{GROUP}/cycle"
ROLE_LABEL = f"{GROUP}/role"
MANAGER_LABEL = "app.kubernetes.io/managed-by"
MANAGER = "data-efficient-training"

APPROVE_ANNOTATION = f"{GROUP}/approve"
"""A person writes the digest of what waits for approval in mode Recommend."""
RESUME_ANNOTATION = f"{GROUP}/resume"
"""A person writes any new word: what stopped the resource has been mended."""
RUN_NOW_ANNOTATION = f"{GROUP}/run-now"
"""A person writes any new word: nothing is to be waited for that a clock alone would end."""
ROLLBACK_ANNOTATION = f"{GROUP}/rollback"
"""A person writes the cycle whose champion is to serve again; a hyphen and anything make it a new word."""

STOPPED_ANNOTATION = f"{GROUP}/stopped"
"""On a Job that the operator suspended for good, and not one that waits in a queue: ``KIND: why``."""
GENERATION_ANNOTATION = f"{GROUP}/generation"
"""On a Job: generation of the spec that it was launched under."""


class Key(NamedTuple):
    """A resource."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def uid_hash(uid: str) -> str:
    """Five characters that tell a resource from an earlier one of its name."""
    return hashlib.sha256(uid.encode()).hexdigest()[:5]


def child(name: str, uid: str, run: str, attempt: int) -> str:
    """Name of the Job, and of its request, of one attempt.

    Where it would be too long the resource's part is cut: the rest tells attempts apart.
    """
    tail = f"-{uid_hash(uid)}-{run}-{attempt}"
    return f"{name[: MAX_CHILD - len(tail)].rstrip('-')}{tail}"


def ledger(name: str) -> str:
    """ConfigMap of what is remembered."""
    return f"{name}-ledger"


def decisions(name: str, uid: str) -> str:
    """ConfigMap of the last cycles' recorded decisions."""
    return f"{name}-{uid_hash(uid)}-decisions"


def champion(name: str) -> str:
    """ConfigMap that serving reads the published checkpoint from."""
    return f"{name}-champion"


def candidate(name: str) -> str:
    """ConfigMap of the checkpoint that waits to be published."""
    return f"{name}-candidate"


def labels(name: str, uid: str) -> dict[str, str]:
    """Labels of every child."""
    return {MANAGER_LABEL: MANAGER, RESOURCE_LABEL: name, UID_LABEL: uid_hash(uid)}
