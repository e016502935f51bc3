"""What a person is asked to approve in mode Recommend.

One thing is asked at a time: a run above ``approval.aboveMoney``, else a change of plan, else an experiment.
Its digest stays the same for as long as the same thing is asked for, so that an approval is no race against
the next cycle. What is worth asking for is decided in ``planning`` and ``branches``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dataefficient.contract import encode
from dataefficient.cycle.figures import Ask, Forecast, Proposal
from dataefficient.cycle.knowledge import Knowledge
from dataefficient.cycle.model import Memory
from dataefficient.planner.choice import Choice
from dataefficient.planner.knobs import Point

Told = tuple[tuple[str, str], ...]
"""Enumerated reasons, each with its sentence."""
RECOMMENDED, WAITS = "Recommended: ", "Waits for approval: "
"""How the sentences that ask begin."""


@dataclass(frozen=True)
class Suggestion:
    """What the planner would have approved; fields as in ``Proposal``."""

    ask: Ask
    point: Point
    told: str
    cost: Forecast | None = None
    kpi: Forecast | None = None
    saving: float | None = None


def in_force(
    k: Knowledge, choice: Choice, costs: Mapping[Point, float], otherwise: Point
) -> tuple[Choice, Memory, Told]:
    """The choice as it may be acted on, the memory with its approvals settled, and what is told of it.

    In mode Recommend the approved plan goes on. An approved change takes its place unless it would now be a
    step down that is not certain any more.

    Args:
        choice: what the planner would do.
        costs: device-seconds of the plans that the lineage may run at once.
        otherwise: the plan in force where none was approved that it may run.
    """
    if k.enforce:
        return choice, replace(k.memory, proposal=None, granted=None, approved=None), ()
    memory = k.memory
    told: Told = ()
    keep = memory.approved if memory.approved in costs else otherwise
    assert keep is not None
    if memory.granted is not None and memory.granted.ask is Ask.PLAN:
        keep, memory, told = _granted(k, memory.granted.point, choice, costs, keep)
    memory = replace(memory, approved=keep, proposal=None)
    if choice.point is None or choice.point == keep:
        return choice, memory, told
    reason = f"Changes wait for approval; recommended: {choice.point}"
    return replace(choice, point=keep, code="Recommended", reason=reason), memory, told


def _granted(
    k: Knowledge, wanted: Point, choice: Choice, costs: Mapping[Point, float], keep: Point
) -> tuple[Point, Memory, Told]:
    """The plan in force, the memory with the grant used up, and what is told of it."""
    if wanted not in costs and k.ruling.hold:
        held = f"The approved plan, {wanted}, is held back. {k.ruling.hold[0]}"
        return keep, k.memory, (("ApprovalHeld", held),)
    memory = replace(k.memory, granted=None)
    if wanted not in costs:
        lapsed = f"The approved plan, {wanted}, is not open to the model in force any more"
        return keep, memory, (("ApprovalLapsed", lapsed),)
    verdict = next((o.verdict for o in choice.options if o.point == wanted), "")
    certain = wanted == choice.point or verdict.startswith(("Chosen", "Inside"))
    if certain or costs[wanted] >= costs[keep]:
        return wanted, memory, (("ApprovedInForce", f"In force, as approved: {wanted}"),)
    lapsed = f"The approved plan, {wanted}, is not put in force any more. {verdict}"
    return keep, memory, (("ApprovalLapsed", lapsed),)


def propose(k: Knowledge, memory: Memory, asked: Suggestion, *, holds: bool = False) -> Memory:
    """Memory with the proposal; what was asked for already keeps its digest.

    Args:
        k: with the memory that the cycle was planned from.
        holds: the cycle in hand waits for it.
    """
    before = k.memory.proposal
    if before is not None and holds and before.since != k.memory.cycle:
        before = None
    if before is not None and (before.ask, before.point, before.holds) != (asked.ask, asked.point, holds):
        before = None
    since, digest = k.memory.cycle, ""
    if before is not None:
        since, digest = before.since, before.digest
    else:
        named = [memory.resource, asked.ask.value, since, encode(asked.point), holds, *memory.approvals[-1:]]
        digest = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:12]
    told = f"{asked.told.rstrip('.')}. The digest that approves it is {digest}"
    proposal = Proposal(
        digest, asked.ask, since, asked.point, holds, asked.cost, asked.kpi, asked.saving, told
    )
    return replace(memory, proposal=proposal)
