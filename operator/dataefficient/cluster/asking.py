"""What is asked of Prometheus about a resource on one occasion, and what the answers say.

An occasion is a state of affairs in which new answers are worth having: another champion, another finished
run, another declaration. What each query is and when an answer counts is the Prometheus package's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from dataefficient.api.conditions import ConditionStatus, ConditionType, Reason
from dataefficient.api.schedule import interval
from dataefficient.api.serving import CostSource
from dataefficient.api.spec import Spec
from dataefficient.cluster.names import Key
from dataefficient.cluster.view import Answer as Condition
from dataefficient.cluster.view import View
from dataefficient.contract import Role
from dataefficient.cycle.answers import Answer, Cause, Verdict
from dataefficient.cycle.launch import name as run_name
from dataefficient.cycle.model import Champion, CostEvidence, Entry, Memory
from dataefficient.prometheus import agreement
from dataefficient.prometheus.agreement import CostFinding, Finding, RunCost
from dataefficient.prometheus.costs import cost_question, read_back
from dataefficient.prometheus.placeholders import Subject
from dataefficient.prometheus.question import Question, Server, ask
from dataefficient.prometheus.questions import guardrail_questions, kpi_question
from dataefficient.telemetry.run_series import LOG_LOSS, MODEL, identity, log_loss
from dataefficient.telemetry.series import PREFIX
from dataefficient.telemetry.view import FinishedRun

LONGEST_BACKOFF = 3600
"""Seconds between two attempts of a run, at most."""
MARGIN = 600


@dataclass(frozen=True)
class Occasion:
    """What new answers would be about; equal occasions need no asking again."""

    generation: int
    cycle: int
    candidate: FinishedRun | None
    champion: Champion | None


@dataclass(frozen=True)
class Reading:
    """What was answered on an occasion."""

    conditions: tuple[Condition, ...] = ()
    kpi: Answer | None = None
    costs: tuple[CostEvidence, ...] = ()
    answers: tuple[Answer, ...] = ()
    """All of them, for the metrics."""


def occasion(view: View, finished: tuple[FinishedRun, ...]) -> Occasion:
    """The occasion that a resource gives now."""
    candidates = [r for r in finished if r.plan.request.role is Role.CANDIDATE and r.outcome.report]
    generation, memory = view.resource.metadata.generation, view.memory
    return Occasion(generation, memory.cycle, candidates[-1] if candidates else None, memory.champion)


async def read(
    server: Server,
    key: Key,
    spec: Spec,
    memory: Memory,
    on: Occasion,
    *,
    now: Callable[[], datetime],
    told: Callable[[Answer, float], None],
) -> Reading:
    """Ask everything that there is to ask, at once; ``told`` hears each answer and the seconds it took."""
    run, champion = on.candidate, on.champion
    kpi = kpi_question(spec, _of_champion(key, spec, champion)) if champion else None
    back = _read_back(key, spec, run) if run else None
    device = spec.accelerators[0].resource
    cost = cost_question(spec.prometheus, device, _of_run(key, spec, run)) if run else None

    async def answered(question: Question | None) -> Answer | None:
        return None if question is None else await _answer(server, question, now=now, told=told)

    kpi_answer, quality, costs = await asyncio.gather(*map(answered, (kpi, back, cost)))
    conditions, evidence = [], []
    if kpi_answer is not None:
        reported = any(record.kpi is not None for record in memory.history)
        conditions.append(
            _condition(ConditionType.KPI_AVAILABLE, agreement.kpi_availability(kpi_answer, reported=reported))
        )
    if run is not None and back is not None and run.outcome.report is not None:
        loss = log_loss(run.outcome.report)
        assert loss is not None, "what was not measured is not read back"
        finding = agreement.quality(run.outcome.run, loss, quality)
        conditions.append(_condition(ConditionType.PROMETHEUS_AGREES, finding))
    if run is not None:
        compared = _compared(spec, memory, run, costs)
        conditions.append(_condition(ConditionType.COST_AGREES, compared.finding))
        if compared.counted > _settled(memory, run):
            evidence.append(CostEvidence(run.outcome.run, compared.counted))
    return Reading(
        tuple(conditions),
        kpi_answer,
        tuple(evidence),
        tuple(a for a in (kpi_answer, quality, costs) if a is not None),
    )


async def guard(
    server: Server,
    key: Key,
    spec: Spec,
    run: FinishedRun,
    *,
    now: Callable[[], datetime],
    told: Callable[[Answer, float], None],
) -> dict[str, Answer]:
    """The serving guardrails' answers about a candidate, by their names; all asked at once."""
    questions = guardrail_questions(spec, _of_run(key, spec, run))
    asked = (_answer(server, question, now=now, told=told) for question in questions.values())
    return dict(zip(questions, await asyncio.gather(*asked), strict=True))


def unguarded(key: Key, spec: Spec, run: FinishedRun, why: str, now: datetime) -> dict[str, Answer]:
    """The same where nobody can be asked."""
    questions = guardrail_questions(spec, _of_run(key, spec, run))
    return {
        name: Answer(one.name, one.query, now, Verdict.FAILED, cause=Cause.UNREACHABLE, message=why)
        for name, one in questions.items()
    }


async def _answer(
    server: Server, question: Question, *, now: Callable[[], datetime], told: Callable[[Answer, float], None]
) -> Answer:
    begun = now()
    answer = await ask(server, question, now=now)
    told(answer, (now() - begun).total_seconds())
    return answer


def without_server(spec: Spec, why: str, reason: Reason = Reason.NOT_COMPARED) -> Reading:
    """The reading where nobody can be asked."""
    finding = Finding(ConditionStatus.UNKNOWN, reason, why)
    kinds = [ConditionType.PROMETHEUS_AGREES, ConditionType.COST_AGREES]
    conditions = [_condition(kind, finding) for kind in kinds]
    if spec.kpi.query:
        unknown = Finding(ConditionStatus.FALSE, Reason.FAILED, f"spec.kpi.query: {why}")
        conditions.append(_condition(ConditionType.KPI_AVAILABLE, unknown))
    return Reading(tuple(conditions))


def _condition(kind: ConditionType, finding: Finding) -> Condition:
    return Condition(kind, finding.status, finding.reason, finding.message)


def _compared(spec: Spec, memory: Memory, run: FinishedRun, answer: Answer | None) -> CostFinding:
    """The run's cost, all attempts together: the queries see the pods of all."""
    entries = _entries(memory, run)
    earlier = sum(e.seconds for e in entries if e.attempt != run.plan.attempt)
    settled = _settled(memory, run)
    price = spec.accelerators[0].price_per_device_hour
    cost = RunCost(
        run.outcome.run,
        settled=settled,
        reserved=earlier + run.plan.reserved_seconds,
        devices=run.plan.devices,
        price_per_hour=None if price is None else float(price),
    )
    check = spec.prometheus.cost
    source = CostSource.NONE if not entries else check.source
    return agreement.cost(cost, answer, source, float(check.max_difference))


def _settled(memory: Memory, run: FinishedRun) -> float:
    """What the ledger holds of a run's process, all its attempts."""
    return sum(entry.seconds for entry in _entries(memory, run))


def _entries(memory: Memory, run: FinishedRun) -> list[Entry]:
    name = run.outcome.run
    return [entry for entry in memory.ledger.entries if name in (entry.run, entry.rode_in)]


def _read_back(key: Key, spec: Spec, run: FinishedRun) -> Question | None:
    if run.outcome.report is None or log_loss(run.outcome.report) is None:
        return None
    return read_back(PREFIX + LOG_LOSS, _of_run(key, spec, run), model=MODEL)


def _of_run(key: Key, spec: Spec, run: FinishedRun) -> Subject:
    name, digest = identity(run)
    attempt = run.plan.reserved_seconds / run.plan.devices + LONGEST_BACKOFF
    window = ceil(attempt * run.plan.attempt) + spec.prometheus.settle_seconds + MARGIN
    return Subject(key.namespace, key.name, run.plan.request.cycle, name, digest, window)


def _of_champion(key: Key, spec: Spec, champion: Champion) -> Subject:
    period = interval(spec.schedule, max(champion.cycle, 1)) or interval(spec.schedule, 0)
    assert period is not None, "every schedule has a history"
    window = ceil((period.end - period.start).total_seconds())
    name = run_name(champion.cycle, "candidate")
    return Subject(key.namespace, key.name, champion.cycle, name, champion.checkpoint.digest, window)
