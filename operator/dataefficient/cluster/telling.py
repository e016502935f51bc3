"""A decision's sentences as events: the enumerated reason is the event's.

What is said again is counted and not repeated; see ``events``. What is decided is the state machine's.
"""

from __future__ import annotations

import re

from dataefficient.api.spec import Resource
from dataefficient.cluster import names
from dataefficient.cluster.events import Events
from dataefficient.cycle.model import Decision, Memory, Step
from dataefficient.telemetry.logs import about

WARNINGS = frozenset(
    {
        "RunFailed",
        "AwaitingApproval",
        "Rejected",
        "FellBack",
        "LeftOut",
        "WaitsForWindow",
        "ControlUnaffordable",
        "ControlPromoted",
        "HarmGrew",
        "NotRunNow",
        "NotRolledBack",
    }
)
"""Reasons about which a person may have to do something; so is whatever stops the resource."""
ASKING = frozenset({"AwaitingApproval", "Recommended"})
_RUN = re.compile(r"(c[0-9]{3,}-[a-z0-9-]+)(, attempt |: )")


async def tell_of(events: Events, resource: Resource, memory: Memory, decision: Decision) -> None:
    """One event for each sentence of the decision, in their order.

    Args:
        memory: as it is after the decision.
    """
    stopped = memory.stopped if memory.step is Step.STOPPED else None
    for code, sentence in zip(decision.codes, decision.events, strict=True):
        told = sentence
        if code in ASKING and memory.proposal is not None and sentence == memory.proposal.told:
            told = f"{sentence}: write it into the annotation {names.APPROVE_ANNOTATION}"
        warning = code in WARNINGS or (stopped is not None and sentence == stopped.message)
        run = _RUN.match(sentence)
        with about(**({"run": run[1]} if run else {})):
            await events.tell(resource, code, told, warning=warning)
