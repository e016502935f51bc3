"""What a resource asks of Prometheus about itself: its KPI and its guardrails, variables filled in."""

from __future__ import annotations

from dataefficient.api.spec import Spec
from dataefficient.prometheus.placeholders import Subject, resolved
from dataefficient.prometheus.question import Question


def kpi_question(spec: Spec, subject: Subject) -> Question | None:
    """What ``kpi.query`` asks, about the champion; None where none is given."""
    kpi = spec.kpi
    if not kpi.query:
        return None
    return Question(
        name="spec.kpi.query",
        query=resolved(kpi.query, subject),
        max_age_seconds=kpi.max_age_seconds,
        freshness_query=resolved(kpi.freshness_query, subject),
        assume_fresh=kpi.assume_fresh,
    )


def guardrail_questions(spec: Spec, subject: Subject) -> dict[str, Question]:
    """What the serving guardrails ask, about the candidate, by the guardrail's name."""
    return {
        guardrail.name: Question(
            name=f"spec.servingGuardrails[{i}].query",
            query=resolved(guardrail.query, subject),
            max_age_seconds=guardrail.max_age_seconds,
            freshness_query=resolved(guardrail.freshness_query, subject),
            assume_fresh=guardrail.assume_fresh,
        )
        for i, guardrail in enumerate(spec.serving_guardrails)
    }
