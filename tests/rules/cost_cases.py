"""Worlds for the alerts about cost, and about agreement with Prometheus."""

from __future__ import annotations

from rules.case import HEALTHY, LACKS, Fires, case
from rules.world import RESOURCE, always, condition, handed_over, of_resource, verdict, without


def _differs(kind: str, what: str) -> Fires:
    return Fires(
        f"{kind} of ads/flights is False: {what} is another in Prometheus. The condition's message has both "
        "figures.",
        {**RESOURCE, "type": kind},
    )


def _unanswered(query: str) -> Fires:
    return Fires(
        f"The answer to {query} of ads/flights has no number, so that neither agreement nor disagreement is "
        "known.",
        {**RESOURCE, "query": query},
    )


def _exhausts(part: str, share: str, end: str) -> Fires:
    return Fires(
        f"At what the last cycles cost, budget.{part} of ads/flights will be used to {share} by {end}. When "
        "it is used up, no run is started.",
        {**RESOURCE, "part": part},
    )


COST = (
    case(
        "BudgetExhaustsEarly",
        "the window's does not last",
        HEALTHY | {of_resource("budget_forecast_device_seconds", part="window"): always(125)},
        BudgetExhaustsEarly=_exhausts("window", "125%", "the end of the window"),
    ),
    case(
        "BudgetExhaustsEarly",
        "the whole does not last",
        HEALTHY | {of_resource("budget_forecast_device_seconds", part="total"): always(101)},
        BudgetExhaustsEarly=_exhausts("total", "101%", "schedule.endTime"),
    ),
    case(
        "BudgetExhaustsEarly",
        "it is used up just so",
        HEALTHY | {of_resource("budget_forecast_device_seconds", part="window"): always(100)},
    ),
    case(
        "BudgetExhaustsEarly",
        "it lasted again within minutes",
        HEALTHY
        | {of_resource("budget_forecast_device_seconds", part="window"): lambda now: 125 if now % 20 else 80},
    ),
    case(
        "BudgetExhaustsEarly",
        "there is no forecast yet",
        without(HEALTHY, "budget_forecast_device_seconds"),
    ),
    case(
        "BudgetExhaustsEarly",
        "there is no budget",
        without(HEALTHY, "budget_forecast_device_seconds", "budget_limit_device_seconds"),
    ),
    case(
        "BudgetExhaustsEarly",
        "the leader changes meanwhile",
        handed_over(
            HEALTHY | {of_resource("budget_forecast_device_seconds", part="window"): always(125)}, 60
        ),
        BudgetExhaustsEarly=_exhausts("window", "125%", "the end of the window"),
    ),
    case(
        "LedgerDisagrees",
        "on what a run cost",
        HEALTHY | condition("CostAgrees", "False"),
        LedgerDisagrees=_differs("CostAgrees", "the ledger's cost of a run"),
    ),
    case(
        "LedgerDisagrees",
        "on what a run reported",
        HEALTHY | condition("PrometheusAgrees", "False"),
        LedgerDisagrees=_differs("PrometheusAgrees", "the quality that a run reported"),
    ),
    case(
        "LedgerDisagrees",
        "nothing was compared",
        without(HEALTHY, "query_verdict")
        | condition("CostAgrees", "Unknown")
        | condition("PrometheusAgrees", "Unknown"),
    ),
    case("LedgerDisagrees", "no condition is exported", without(HEALTHY, "condition"), SeriesMissing=LACKS),
    *(
        case(
            "QueryUnanswered",
            f"{query} is {found}",
            HEALTHY | verdict(query, found),
            QueryUnanswered=_unanswered(query),
        )
        for query, found in (("cost", "Empty"), ("quality", "Failed"))
    ),
    case(
        "QueryUnanswered", "kpi.query has an alert of its own", HEALTHY | verdict("spec.kpi.query", "Stale")
    ),
    case("QueryUnanswered", "nothing is asked", without(HEALTHY, "query_verdict")),
    case(
        "QueryUnanswered",
        "it was answered again within the hour",
        HEALTHY
        | {of_resource("query_verdict", query="cost", verdict="Ok"): lambda now: float(now % 50 == 0)},
    ),
)
