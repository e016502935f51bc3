"""Worlds for the alerts about the operator itself."""

from __future__ import annotations

from rules.case import GONE, HEALTHY, LACKS, Fires, case
from rules.world import (
    JOB,
    LEADER,
    STANDBY,
    always,
    handed_over,
    of_operator,
    since,
    until,
    without,
)

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
OPERATOR = (
    case("OperatorAbsent", "all is well", HEALTHY),
    case(
        "OperatorAbsent",
        "it goes away",
        {name: until(60, 1) for name in GONE if "operator_leader" in name},
        OperatorAbsent=ABSENT,
    ),
    case("OperatorAbsent", "it never was there", {}, OperatorAbsent=NEVER_THERE),
    case(
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
    case(
        "OperatorAbsent",
        "it is away for as long as a rollout takes",
        {name: lambda now, v=v: v(now) if not 90 <= now < 98 else None for name, v in HEALTHY.items()},
        minute=97,
    ),
    case(
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
    case("NoLeader", "the other takes over", handed_over(HEALTHY, 97)),
    case("NoLeader", "a minute without one", GONE | {of_operator("leader"): until(97, 1, 0)}),
    case("NoLeader", "there is no operator at all", {}, OperatorAbsent=NEVER_THERE),
    case(
        "NotReconciling",
        "visits have ceased",
        HEALTHY | {of_operator("last_visit_timestamp_seconds"): always(0)},
        NotReconciling=IDLE,
    ),
    case(
        "NotReconciling",
        "no visit has ever ended as it should",
        without(HEALTHY, "operator_last_visit_timestamp_seconds"),
        NotReconciling=IDLE,
    ),
    case(
        "NotReconciling",
        "it crashes every ten minutes before its first visit",
        {
            name: lambda now, v=v: v(now) if now % 10 < 3 else None
            for name, v in without(GONE, "operator_last_visit_timestamp_seconds").items()
        },
        NotReconciling=IDLE,
    ),
    case(
        "NotReconciling",
        "it has just started",
        {
            name: lambda now, v=v: v(now) if now > 93 else None
            for name, v in without(HEALTHY, "operator_last_visit_timestamp_seconds").items()
        },
    ),
    case(
        "NotReconciling",
        "there is nothing to visit",
        without(GONE, "operator_last_visit_timestamp_seconds")
        | {of_operator("resources", who): always(0) for who in (LEADER, STANDBY)},
    ),
    case(
        "NotReconciling",
        "visits are as rare as they are to be",
        HEALTHY
        | {of_operator("resync_seconds", who): always(3600) for who in (LEADER, STANDBY)}
        | {of_operator("last_visit_timestamp_seconds"): always(0)},
    ),
    case(
        "SeriesMissing",
        "a relabeling drops what tells of the resources",
        GONE,
        SeriesMissing=NOT_EXPORTED,
    ),
    case(
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
        case("SeriesMissing", f"{name} is missing", without(HEALTHY, name), SeriesMissing=LACKS)
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
    case("SeriesMissing", "the leader has changed", handed_over(HEALTHY, 60)),
    case(
        "SeriesMissing",
        "a resource was made just now",
        HEALTHY | {of_operator("resources", who): since(90, 2, 1) for who in (LEADER, STANDBY)},
    ),
    case(
        "SeriesMissing",
        "there is no resource",
        GONE | {of_operator("resources", who): always(0) for who in (LEADER, STANDBY)},
    ),
)
