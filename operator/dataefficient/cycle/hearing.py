"""Taking in what Prometheus answered: levels of what serves, guardrails, and costs above the ledger's.

What is heard is only kept here; what it may do is in ``serving``. A cost only ever rises, by evidence that
was held against the run's reservation where it was gathered, so that settled spend never falls.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from dataefficient.api.spec import Spec
from dataefficient.cycle.answers import Answer, Heard
from dataefficient.cycle.model import CostEvidence, Ledger, Memory, Observation
from dataefficient.planner import budget

MAX_TOLD = 200


def hear(spec: Spec, memory: Memory, observation: Observation) -> tuple[Memory, list[str]]:
    """Memory with the observation's answers and costs in it, and sentences for the log."""
    if observation.kpi is not None and memory.champion is not None:
        answer = observation.kpi
        now = Heard(
            memory.cycle, memory.champion.point, answer.verdict, answer.value, answer.message[:MAX_TOLD]
        )
        # Asked again in one cycle, as after a restart: the later answer is the cycle's.
        before = tuple(one for one in memory.heard if one.cycle != now.cycle)
        memory = replace(memory, heard=(*before, now)[-2 * spec.kpi.over_cycles :])
    names = {guardrail.name for guardrail in spec.serving_guardrails}
    known = {**memory.guarded, **{name: _short(a) for name, a in observation.guardrails.items()}}
    memory = replace(memory, guarded={name: known[name] for name in sorted(names & set(known))})
    told = []
    for evidence in observation.costs:
        ledger, more = _raised(memory.ledger, evidence, budget.window_start(spec.budget, observation.now))
        memory = replace(memory, ledger=ledger)
        if more > 0.0:
            told.append(f"{evidence.run} cost {more:.0f} device-seconds more than was seen; they are charged")
    return memory, told


def _short(answer: Answer) -> Answer:
    """The answer as the memory keeps it; the observation, recorded with its decision, has it whole."""
    return replace(answer, query="", message=answer.message[:MAX_TOLD], warnings=())


def _raised(ledger: Ledger, evidence: CostEvidence, window: datetime | None) -> tuple[Ledger, float]:
    """The ledger with the run's cost raised to the evidence, and by how much."""
    of_run = [entry for entry in ledger.entries if entry.run == evidence.run]
    rode = [entry.seconds for entry in ledger.entries if entry.rode_in == evidence.run]
    more = evidence.seconds - sum(entry.seconds for entry in of_run) - sum(rode)
    if not of_run or more <= 0.0:
        return ledger, 0.0
    last = of_run[-1]
    role, cycle = last.role.value, str(last.cycle)
    raised = replace(last, seconds=last.seconds + more)
    in_cycle = {k: v + more if k == cycle else v for k, v in ledger.by_cycle.items()}
    return (
        replace(
            ledger,
            settled=ledger.settled + more,
            by_role={**ledger.by_role, role: ledger.by_role.get(role, 0.0) + more},
            by_cycle=in_cycle,
            window=ledger.window + (more if ledger.window_start == window else 0.0),
            entries=tuple(raised if entry is last else entry for entry in ledger.entries),
        ),
        more,
    )
