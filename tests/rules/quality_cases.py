"""Worlds for the alerts about quality: target, KPI and calibration."""

from __future__ import annotations

from rules.case import HEALTHY, LACKS, Fires, case
from rules.world import RESOURCE, always, condition, handed_over, of_resource, since, step, until, without

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
)
