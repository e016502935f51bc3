"""What each alert is tested on: worlds in which it fires, with its words, and worlds in which it does not.

In every world all alerts are looked at: those that are not named must be silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rules.world import (
    INTERVAL,
    JOB,
    LEADER,
    RESOURCE,
    STANDBY,
    World,
    always,
    condition,
    handed_over,
    healthy,
    of_operator,
    of_resource,
    since,
    step,
    stepping,
    until,
    verdict,
    without,
    without_resources,
)


@dataclass(frozen=True)
class Fires:
    """One alert that fires: its labels and its description. The severity is the rule's."""

    description: str
    labels: Mapping[str, str] = field(default_factory=lambda: RESOURCE)


@dataclass(frozen=True)
class Case:
    """A world, the minute at which it is looked at, and what fires then."""

    name: str
    about: str
    """The alert that this world is made for, without the prefix DataEfficient."""
    world: World
    fires: Mapping[str, Fires] = field(default_factory=dict)
    """By alert, without the prefix."""
    minute: int = 100

    @property
    def quiet(self) -> bool:
        """Whether the alert that it is made for must not fire."""
        return self.about not in self.fires


def _case(about: str, name: str, world: World, *, minute: int = 100, **fires: Fires) -> Case:
    return Case(name, about, world, fires, minute)


HEALTHY = healthy()
GONE = without_resources(HEALTHY)

ABSENT = Fires(
    "No process exports dataefficient_operator_leader in job det, namespace ops. Either none runs, or "
    "Prometheus does not reach it; no other alert of a resource can fire meanwhile.",
    JOB,
)
NEVER_THERE = Fires(
    "No process exports dataefficient_operator_leader. Either none runs, or Prometheus does not reach it; no "
    "other alert of a resource can fire meanwhile.",
    {},
)
NO_LEADER = Fires(
    "No operator of job det in namespace ops holds the Lease. Nothing is decided, and no resource is "
    "exported.",
    JOB,
)
IDLE = Fires(
    "The operator in namespace ops watches resources (1), and for three resyncs no visit has ended as it "
    "should. Nothing is decided.",
    JOB,
)
NOT_EXPORTED = Fires(
    "Not every watched resource is exported, so that the alerts about it cannot fire: a relabeling that "
    "drops series, an operator older than these rules, or visits that fail.",
    JOB,
)
LACKS = Fires(
    "ads/flights lacks a series that is always exported, so that the alerts about it cannot fire: a "
    "relabeling that drops series, an operator older than these rules, or visits that fail."
)
STANDING = {
    "cycle": always(5),
    "cycles_total": always(5),
    "champion_cycle": always(4),
    "cycle_due_timestamp_seconds": always(0),
    "last_decision_timestamp_seconds": always(0),
}
STUCK: World = {of_resource(name): values for name, values in STANDING.items()}
"""The cycle in hand has been due since the beginning."""
SUSPENDED: World = {**STUCK, of_resource("suspended"): always(1)}


def _undecided(intervals: str) -> Fires:
    return Fires(
        f"The cycle in hand of ads/flights has waited for {intervals} intervals for its decision. The "
        "champion is not renewed meanwhile."
    )


def _older(cycles: int) -> Fires:
    return Fires(
        f"What serves for ads/flights was made {cycles} cycles ago, or there is nothing that serves after as "
        "many cycles."
    )


OPERATOR = (
    _case("OperatorAbsent", "all is well", HEALTHY),
    _case(
        "OperatorAbsent",
        "it goes away",
        {name: until(60, 1) for name in GONE if "operator_leader" in name},
        OperatorAbsent=ABSENT,
    ),
    _case("OperatorAbsent", "it never was there", {}, OperatorAbsent=NEVER_THERE),
    _case(
        "OperatorAbsent",
        "one of two installations goes away",
        HEALTHY
        | {
            of_operator("leader", {"job": "other", "namespace": "lab", "instance": "10.0.0.9:8080"}): until(
                60, 1
            )
        },
        OperatorAbsent=Fires(
            ABSENT.description.replace("det", "other").replace("ops", "lab"),
            {"job": "other", "namespace": "lab"},
        ),
    ),
    _case(
        "OperatorAbsent",
        "it is away for as long as a rollout takes",
        {name: lambda now, v=v: v(now) if not 90 <= now < 98 else None for name, v in HEALTHY.items()},
        minute=97,
    ),
    _case(
        "NoLeader",
        "nobody takes over",
        GONE
        | {
            of_operator("leader"): until(60, 1, 0),
            of_operator("last_visit_timestamp_seconds"): lambda minute: 60.0 * min(minute, 60),
        },
        minute=110,
        NoLeader=NO_LEADER,
        NotReconciling=IDLE,
    ),
    _case("NoLeader", "the other takes over", handed_over(HEALTHY, 97)),
    _case("NoLeader", "a minute without one", GONE | {of_operator("leader"): until(97, 1, 0)}),
    _case("NoLeader", "there is no operator at all", {}, OperatorAbsent=NEVER_THERE),
    _case(
        "NotReconciling",
        "visits have ceased",
        HEALTHY | {of_operator("last_visit_timestamp_seconds"): always(0)},
        NotReconciling=IDLE,
    ),
    _case(
        "NotReconciling",
        "no visit has ever ended as it should",
        without(HEALTHY, "operator_last_visit_timestamp_seconds"),
        NotReconciling=IDLE,
    ),
    _case(
        "NotReconciling",
        "it crashes every ten minutes before its first visit",
        {
            name: lambda now, v=v: v(now) if now % 10 < 3 else None
            for name, v in without(GONE, "operator_last_visit_timestamp_seconds").items()
        },
        NotReconciling=IDLE,
    ),
    _case(
        "NotReconciling",
        "it has just started",
        {
            name: lambda now, v=v: v(now) if now > 93 else None
            for name, v in without(HEALTHY, "operator_last_visit_timestamp_seconds").items()
        },
    ),
    _case(
        "NotReconciling",
        "there is nothing to visit",
        without(GONE, "operator_last_visit_timestamp_seconds")
        | {of_operator("resources", who): always(0) for who in (LEADER, STANDBY)},
    ),
    _case(
        "NotReconciling",
        "visits are as rare as they are to be",
        HEALTHY
        | {of_operator("resync_seconds", who): always(3600) for who in (LEADER, STANDBY)}
        | {of_operator("last_visit_timestamp_seconds"): always(0)},
    ),
    _case(
        "SeriesMissing",
        "a relabeling drops what tells of the resources",
        GONE,
        SeriesMissing=NOT_EXPORTED,
    ),
    _case(
        "SeriesMissing",
        "an operator of before these rules",
        without(
            HEALTHY,
            "operator_refused",
            "operator_resync_seconds",
            "operator_last_visit_timestamp_seconds",
            "suspended",
            "last_decision_timestamp_seconds",
            "cycle_due_timestamp_seconds",
            "cycle_interval_seconds",
        ),
        SeriesMissing=NOT_EXPORTED,
    ),
    *(
        _case("SeriesMissing", f"{name} is missing", without(HEALTHY, name), SeriesMissing=LACKS)
        for name in (
            "condition",
            "cycle",
            "cycles_total",
            "step",
            "suspended",
            "cycle_interval_seconds",
            "last_decision_timestamp_seconds",
        )
    ),
    _case("SeriesMissing", "the leader has changed", handed_over(HEALTHY, 60)),
    _case(
        "SeriesMissing",
        "a resource was made just now",
        HEALTHY | {of_operator("resources", who): since(90, 2, 1) for who in (LEADER, STANDBY)},
    ),
    _case(
        "SeriesMissing",
        "there is no resource",
        GONE | {of_operator("resources", who): always(0) for who in (LEADER, STANDBY)},
    ),
)

REFUSED = {of_operator("refused", **RESOURCE): always(1)}
REFUSED_WORDS = Fires("ads/flights is not accepted. Its condition Accepted says why and what to do.")

STATE = (
    _case("Refused", "from the beginning", GONE | REFUSED, Refused=REFUSED_WORDS),
    _case("Refused", "after an edit", HEALTHY | REFUSED, Refused=REFUSED_WORDS),
    _case("Refused", "for a few minutes", HEALTHY | {of_operator("refused", **RESOURCE): since(90, 1, 0)}),
    _case(
        "Refused",
        "the leader changes meanwhile",
        handed_over(HEALTHY | REFUSED, 60),
        Refused=REFUSED_WORDS,
    ),
    _case("Refused", "nothing is", HEALTHY),
    _case(
        "Stopped",
        "it waits for a person",
        HEALTHY | step("Stopped"),
        Stopped=Fires(
            "ads/flights starts no run any more. Its condition Ready says on what it stopped and what to do."
        ),
    ),
    _case("Stopped", "it is finished", HEALTHY | step("Finished")),
    _case("Stopped", "the step is not exported", without(HEALTHY, "step"), SeriesMissing=LACKS),
    _case("NoDecision", "the cycle in hand does not end", HEALTHY | STUCK, NoDecision=_undecided("10.0")),
    _case(
        "NoDecision",
        "two intervals are not yet over",
        HEALTHY | STUCK | {of_resource("cycle_interval_seconds"): always(3100)},
    ),
    _case(
        "NoDecision",
        "cycles catch up with a stream that is years ahead",
        HEALTHY | {of_resource("cycle_due_timestamp_seconds"): stepping(INTERVAL, -1e8)},
    ),
    _case(
        "NoDecision",
        "catching up comes to a halt",
        HEALTHY | STUCK | {of_resource("cycle_due_timestamp_seconds"): always(-1e8)},
        NoDecision=_undecided("10.0"),
    ),
    _case(
        "NoDecision",
        "a person has suspended it",
        HEALTHY | SUSPENDED | {of_resource("cycle_interval_seconds"): always(2900)},
    ),
    _case(
        "NoDecision",
        "it is finished",
        without(HEALTHY | STUCK | step("Finished"), "cycle_due_timestamp_seconds"),
    ),
    _case(
        "NoDecision",
        "the time of the last decision is missing",
        without(HEALTHY | STUCK, "last_decision_timestamp_seconds"),
        SeriesMissing=LACKS,
    ),
    _case(
        "NoDecision",
        "the leader changes meanwhile",
        handed_over(HEALTHY | STUCK, 60),
        NoDecision=_undecided("10.0"),
    ),
    _case(
        "ChampionTooOld",
        "four cycles have published nothing",
        HEALTHY | {of_resource("champion_cycle"): stepping(1, 1)},
        ChampionTooOld=_older(4),
    ),
    _case(
        "ChampionTooOld",
        "three cycles have published nothing",
        HEALTHY | {of_resource("champion_cycle"): stepping(1, 2)},
    ),
    _case(
        "ChampionTooOld",
        "there never was one",
        without(HEALTHY, "champion_cycle", "champion_info"),
        ChampionTooOld=_older(15),
    ),
    _case(
        "ChampionTooOld",
        "the first cycles have none yet",
        without(HEALTHY, "champion_cycle", "champion_info")
        | {of_resource("cycle"): always(3), of_resource("cycles_total"): always(3)},
    ),
    _case(
        "ChampionTooOld",
        "it has been suspended for ten intervals",
        HEALTHY | SUSPENDED,
        ChampionTooOld=_older(10),
    ),
    _case(
        "ChampionTooOld",
        "it is finished",
        HEALTHY | step("Finished") | {of_resource("champion_cycle"): always(0)},
    ),
    _case("ChampionTooOld", "the cycle is missing", without(HEALTHY, "cycle"), SeriesMissing=LACKS),
)

MISSED = Fires(
    "What serves for ads/flights misses kpi.target, pooled over kpi.overCycles cycles. No cheaper plan is "
    "adopted meanwhile."
)
INCONCLUSIVE = Fires(
    "For ads/flights there is no KPI to decide on, or its noise is larger than the tolerance. Training goes "
    "on at the present cost, and nothing is saved."
)
UNRESOLVED = {
    of_resource("plan_info", policy="Uniform", code="NotResolvable", digest="p2"): always(1),
}

QUALITY = (
    _case("TargetMissed", "it is", HEALTHY | condition("TargetMet", "False"), TargetMissed=MISSED),
    _case("TargetMissed", "it is not known", HEALTHY | condition("TargetMet", "Unknown")),
    _case("TargetMissed", "no condition is exported", without(HEALTHY, "condition"), SeriesMissing=LACKS),
    _case("TargetMissed", "it is finished", HEALTHY | condition("TargetMet", "False") | step("Finished")),
    _case(
        "TargetMissed",
        "the leader changes meanwhile",
        handed_over(HEALTHY | condition("TargetMet", "False"), 60),
        TargetMissed=MISSED,
    ),
    _case(
        "KpiInconclusive",
        "so small a distance cannot be told",
        without(HEALTHY, "plan_info") | UNRESOLVED,
        KpiInconclusive=INCONCLUSIVE,
    ),
    _case(
        "KpiInconclusive",
        "kpi.query has no number",
        HEALTHY | condition("KPIAvailable", "False"),
        KpiInconclusive=INCONCLUSIVE,
    ),
    _case(
        "KpiInconclusive",
        "no model has served for a cycle",
        HEALTHY | condition("KPIAvailable", "Unknown") | {of_resource("cycles_total"): always(1)},
    ),
    _case("KpiInconclusive", "there is no plan yet", without(HEALTHY, "plan_info")),
    _case(
        "KpiInconclusive",
        "it is finished",
        HEALTHY | condition("KPIAvailable", "False") | step("Finished"),
    ),
    _case("KpiInconclusive", "no condition is exported", without(HEALTHY, "condition"), SeriesMissing=LACKS),
    _case(
        "CalibrationOff",
        "it predicts a fifth too much",
        HEALTHY | {of_resource("champion_calibration_ratio", digest="d1"): always(1.2)},
        CalibrationOff=Fires(
            "The sum of the probabilities that the published model of ads/flights predicted is off the "
            "positives that came by 20%.",
            {**RESOURCE, "digest": "d1"},
        ),
    ),
    _case(
        "CalibrationOff",
        "it predicts a fifth too little, and the operator was started anew since",
        HEALTHY
        | {
            of_resource("champion_calibration_ratio", digest="d1"): until(50, 0.8),
            of_resource("champion_calibration_standard_error_ratio", digest="d1"): until(50, 0.005),
        },
        CalibrationOff=Fires(
            "The sum of the probabilities that the published model of ads/flights predicted is off the "
            "positives that came by 20%.",
            {**RESOURCE, "digest": "d1"},
        ),
    ),
    _case(
        "CalibrationOff",
        "a small evaluation does it by chance",
        HEALTHY
        | {
            of_resource("champion_calibration_ratio", digest="d1"): always(1.2),
            of_resource("champion_calibration_standard_error_ratio", digest="d1"): always(0.07),
        },
    ),
    _case(
        "CalibrationOff",
        "it is certain and small",
        HEALTHY | {of_resource("champion_calibration_ratio", digest="d1"): always(1.09)},
    ),
    _case(
        "CalibrationOff",
        "another model serves by now",
        without(HEALTHY, "champion_info")
        | {
            of_resource("champion_calibration_ratio", digest="d1"): until(60, 1.2),
            of_resource("champion_info", digest="d1"): until(60, 1),
            of_resource("champion_info", digest="d2"): since(60, 1),
        },
    ),
    _case(
        "CalibrationOff",
        "it is not known",
        without(HEALTHY, "champion_calibration_ratio", "champion_calibration_standard_error_ratio"),
    ),
)


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
    _case(
        "BudgetExhaustsEarly",
        "the window's does not last",
        HEALTHY | {of_resource("budget_forecast_device_seconds", part="window"): always(125)},
        BudgetExhaustsEarly=_exhausts("window", "125%", "the end of the window"),
    ),
    _case(
        "BudgetExhaustsEarly",
        "the whole does not last",
        HEALTHY | {of_resource("budget_forecast_device_seconds", part="total"): always(101)},
        BudgetExhaustsEarly=_exhausts("total", "101%", "schedule.endTime"),
    ),
    _case(
        "BudgetExhaustsEarly",
        "it is used up just so",
        HEALTHY | {of_resource("budget_forecast_device_seconds", part="window"): always(100)},
    ),
    _case(
        "BudgetExhaustsEarly",
        "it lasted again within minutes",
        HEALTHY
        | {of_resource("budget_forecast_device_seconds", part="window"): lambda now: 125 if now % 20 else 80},
    ),
    _case(
        "BudgetExhaustsEarly",
        "there is no forecast yet",
        without(HEALTHY, "budget_forecast_device_seconds"),
    ),
    _case(
        "BudgetExhaustsEarly",
        "there is no budget",
        without(HEALTHY, "budget_forecast_device_seconds", "budget_limit_device_seconds"),
    ),
    _case(
        "BudgetExhaustsEarly",
        "the leader changes meanwhile",
        handed_over(
            HEALTHY | {of_resource("budget_forecast_device_seconds", part="window"): always(125)}, 60
        ),
        BudgetExhaustsEarly=_exhausts("window", "125%", "the end of the window"),
    ),
    _case(
        "LedgerDisagrees",
        "on what a run cost",
        HEALTHY | condition("CostAgrees", "False"),
        LedgerDisagrees=_differs("CostAgrees", "the ledger's cost of a run"),
    ),
    _case(
        "LedgerDisagrees",
        "on what a run reported",
        HEALTHY | condition("PrometheusAgrees", "False"),
        LedgerDisagrees=_differs("PrometheusAgrees", "the quality that a run reported"),
    ),
    _case(
        "LedgerDisagrees",
        "nothing was compared",
        without(HEALTHY, "query_verdict")
        | condition("CostAgrees", "Unknown")
        | condition("PrometheusAgrees", "Unknown"),
    ),
    _case("LedgerDisagrees", "no condition is exported", without(HEALTHY, "condition"), SeriesMissing=LACKS),
    *(
        _case(
            "QueryUnanswered",
            f"{query} is {found}",
            HEALTHY | verdict(query, found),
            QueryUnanswered=_unanswered(query),
        )
        for query, found in (("cost", "Empty"), ("quality", "Failed"))
    ),
    _case(
        "QueryUnanswered", "kpi.query has an alert of its own", HEALTHY | verdict("spec.kpi.query", "Stale")
    ),
    _case("QueryUnanswered", "nothing is asked", without(HEALTHY, "query_verdict")),
    _case(
        "QueryUnanswered",
        "it was answered again within the hour",
        HEALTHY
        | {of_resource("query_verdict", query="cost", verdict="Ok"): lambda now: float(now % 50 == 0)},
    ),
)

CASES = (*OPERATOR, *STATE, *QUALITY, *COST)
