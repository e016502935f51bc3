"""Worlds for the alerts about quality: target, KPI and calibration."""

from __future__ import annotations

from rules.case import GONE, HEALTHY, LACKS, Fires, case
from rules.world import (
    LEADER,
    MINUTES,
    RESOURCE,
    STANDBY,
    World,
    always,
    condition,
    handed_over,
    of_operator,
    of_resource,
    series,
    since,
    step,
    until,
    without,
)

MISSED = Fires(
    "What serves for ads/flights misses kpi.target, pooled over kpi.overCycles cycles. No cheaper plan is "
    "adopted meanwhile."
)
INCONCLUSIVE = Fires(
    "For ads/flights there is no KPI to decide on, or its noise is larger than the tolerance. Training goes "
    "on at the present cost, and nothing is saved."
)
SKEWED = Fires(
    "On the rows of ads/flights the logged predictions lose at least 9.836% more log loss than the published "
    "model. Features at serving may differ from those logged, or the model that serves is stale."
)


def skew(run: str, cycle: float, gap: float, *, error: float = 0.001, end: int = MINUTES) -> World:
    """A run that tells how much worse served predictions are, and is exported before a minute."""
    told = {"servedGap": gap, "servedGapError": error}
    extra = {
        series("run_extra", {**LEADER, **RESOURCE, "run": run, "digest": "d9", "name": name}): until(
            end, value
        )
        for name, value in told.items()
    }
    return extra | {of_resource("run_cycle", run=run, digest="d9"): until(end, cycle)}


UNRESOLVED = {
    of_resource("plan_info", policy="Uniform", code="NotResolvable", digest="p2"): always(1),
}

QUALITY = (
    case("TargetMissed", "it is", HEALTHY | condition("TargetMet", "False"), TargetMissed=MISSED),
    case("TargetMissed", "it is not known", HEALTHY | condition("TargetMet", "Unknown")),
    case("TargetMissed", "no condition is exported", without(HEALTHY, "condition"), SeriesMissing=LACKS),
    case("TargetMissed", "it is finished", HEALTHY | condition("TargetMet", "False") | step("Finished")),
    case(
        "TargetMissed",
        "the leader changes meanwhile",
        handed_over(HEALTHY | condition("TargetMet", "False"), 60),
        TargetMissed=MISSED,
    ),
    case(
        "KpiInconclusive",
        "so small a distance cannot be told",
        without(HEALTHY, "plan_info") | UNRESOLVED,
        KpiInconclusive=INCONCLUSIVE,
    ),
    case(
        "KpiInconclusive",
        "kpi.query has no number",
        HEALTHY | condition("KPIAvailable", "False"),
        KpiInconclusive=INCONCLUSIVE,
    ),
    case(
        "KpiInconclusive",
        "no model has served for a cycle",
        HEALTHY | condition("KPIAvailable", "Unknown") | {of_resource("cycles_total"): always(1)},
    ),
    case("KpiInconclusive", "there is no plan yet", without(HEALTHY, "plan_info")),
    case(
        "KpiInconclusive",
        "it is finished",
        HEALTHY | condition("KPIAvailable", "False") | step("Finished"),
    ),
    case("KpiInconclusive", "no condition is exported", without(HEALTHY, "condition"), SeriesMissing=LACKS),
    case(
        "CalibrationOff",
        "it predicts a fifth too much",
        HEALTHY | {of_resource("champion_calibration_ratio", digest="d1"): always(1.2)},
        CalibrationOff=Fires(
            "The sum of the probabilities that the published model of ads/flights predicted is off the "
            "positives that came by 20%.",
            {**RESOURCE, "digest": "d1"},
        ),
    ),
    case(
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
    case(
        "CalibrationOff",
        "a small evaluation does it by chance",
        HEALTHY
        | {
            of_resource("champion_calibration_ratio", digest="d1"): always(1.2),
            of_resource("champion_calibration_standard_error_ratio", digest="d1"): always(0.07),
        },
    ),
    case(
        "CalibrationOff",
        "it is certain and small",
        HEALTHY | {of_resource("champion_calibration_ratio", digest="d1"): always(1.09)},
    ),
    case(
        "CalibrationOff",
        "another model serves by now",
        without(HEALTHY, "champion_info")
        | {
            of_resource("champion_calibration_ratio", digest="d1"): until(60, 1.2),
            of_resource("champion_info", digest="d1"): until(60, 1),
            of_resource("champion_info", digest="d2"): since(60, 1),
        },
    ),
    case(
        "CalibrationOff",
        "it is not known",
        without(HEALTHY, "champion_calibration_ratio", "champion_calibration_standard_error_ratio"),
    ),
    case(
        "ServingSkew",
        "what was served is a tenth worse, and the operator was started anew since",
        HEALTHY | skew("c004-candidate", 4, 0.1, end=50),
        ServingSkew=SKEWED,
    ),
    case(
        "ServingSkew",
        "a trial of the same cycle tells it too",
        HEALTHY | skew("c004-candidate", 4, 0.1) | skew("c004-trial", 4, 0.09),
        ServingSkew=SKEWED,
    ),
    case("ServingSkew", "it may be chance", HEALTHY | skew("c004-candidate", 4, 0.1, error=0.06)),
    case("ServingSkew", "it is certain and small", HEALTHY | skew("c004-candidate", 4, 0.019)),
    case("ServingSkew", "what was served is better", HEALTHY | skew("c004-candidate", 4, -0.1)),
    case(
        "ServingSkew",
        "it was so and has been mended",
        HEALTHY | skew("c003-candidate", 3, 0.1) | skew("c004-candidate", 4, 0.0),
    ),
    case(
        "ServingSkew",
        "newer runs do not tell it",
        HEALTHY
        | skew("c003-candidate", 3, 0.1)
        | {of_resource("run_cycle", run="c004-candidate", digest="d4"): always(4)},
        ServingSkew=SKEWED,
    ),
    case("ServingSkew", "no prediction is logged", HEALTHY),
    case(
        "ServingSkew",
        "the resource is gone",
        GONE
        | {of_operator("resources", who): always(0) for who in (LEADER, STANDBY)}
        | skew("c004-candidate", 4, 0.1, end=50),
    ),
)
