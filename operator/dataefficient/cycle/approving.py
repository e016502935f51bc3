"""What a person's word does in mode Recommend: it approves what waits, once.

A word that approved something is remembered, so that it may stand where it was written for ever. What waits
is decided in ``proposing``. Light to import: the operator's main process asks it at every visit.
"""

from __future__ import annotations

from dataclasses import replace

from dataefficient.api.spec import Mode, Spec
from dataefficient.cycle.figures import Ask
from dataefficient.cycle.model import Memory, Step

KEPT = 16
"""Approved digests that are remembered."""
APPROVED = "Approved: "
"""How the sentence about an approval begins."""


def is_new(spec: Spec, memory: Memory, word: str) -> bool:
    """Whether the word approves what waits."""
    asked = memory.proposal
    return spec.mode is Mode.RECOMMEND and asked is not None and word == asked.digest


def take_up(spec: Spec, memory: Memory, word: str) -> tuple[Memory, list[str]]:
    """Memory with the approval in it, and sentences for the log; any other word changes nothing."""
    asked = memory.proposal
    if asked is None or not is_new(spec, memory, word):
        return memory, []
    cycle = memory.cycle + (memory.step is Step.TRAINING)
    effect = {
        Ask.PLAN: f"{asked.point} is in force from cycle {cycle} on",
        Ask.MEASUREMENT: f"the history is measured before cycle {cycle} trains",
        Ask.TRIAL: f"a trial of {asked.point} begins with cycle {cycle}",
        Ask.RUN: f"cycle {cycle} goes on",
    }[asked.ask]
    memory = replace(
        memory,
        proposal=None,
        granted=memory.granted if asked.ask is Ask.RUN else asked,
        cleared=asked.since if asked.holds else memory.cleared,
        approvals=(*memory.approvals, asked.digest)[-KEPT:],
    )
    return memory, [f"{APPROVED}{asked.digest}, {effect}"]


def objection(spec: Spec, memory: Memory, word: str) -> str | None:
    """Why a word approves nothing, and what would; None: it does, or has done so before."""
    if not word or word in memory.approvals or is_new(spec, memory, word):
        return None
    if spec.mode is not Mode.RECOMMEND:
        return f"{word} approves nothing: mode Enforce acts without approval"
    if memory.proposal is None:
        return f"{word} approves nothing: nothing waits for approval now"
    return f"{word} is not, or no longer, what waits for approval. {memory.proposal.told}"
