"""Worlds for the alerts about how a resource goes on: refused, stopped, late, or with an old champion."""

from __future__ import annotations

from rules.case import GONE, HEALTHY, LACKS, Fires, case
from rules.world import (
    INTERVAL,
    RESOURCE,
    World,
    always,
    handed_over,
    of_operator,
    of_resource,
    since,
    step,
    stepping,
    without,
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
BEGINNING: World = {of_resource("cycle"): always(0), of_resource("cycles_total"): always(0)}
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


REFUSED = {of_operator("refused", **RESOURCE): always(1)}
REFUSED_WORDS = Fires("ads/flights is not accepted. Its condition Accepted says why and what to do.")

STATE = (
    case("Refused", "from the beginning", GONE | REFUSED, Refused=REFUSED_WORDS),
    case("Refused", "after an edit", HEALTHY | REFUSED, Refused=REFUSED_WORDS),
    case("Refused", "for a few minutes", HEALTHY | {of_operator("refused", **RESOURCE): since(90, 1, 0)}),
    case(
        "Refused",
        "the leader changes meanwhile",
        handed_over(HEALTHY | REFUSED, 60),
        Refused=REFUSED_WORDS,
    ),
    case("Refused", "nothing is", HEALTHY),
    case(
        "Stopped",
        "it waits for a person",
        HEALTHY | step("Stopped"),
        Stopped=Fires(
            "ads/flights starts no run any more. Its condition Ready says on what it stopped and what to do."
        ),
    ),
    case("Stopped", "it is finished", HEALTHY | step("Finished")),
    case("Stopped", "the step is not exported", without(HEALTHY, "step"), SeriesMissing=LACKS),
    case("NoDecision", "the cycle in hand does not end", HEALTHY | STUCK, NoDecision=_undecided("10.0")),
    case(
        "NoDecision",
        "cycle 0 takes hours of short intervals",
        without(HEALTHY | STUCK | BEGINNING, "champion_cycle", "champion_info"),
    ),
    case(
        "NoDecision",
        "cycle 0 takes days",
        without(HEALTHY | STUCK | BEGINNING, "champion_cycle", "champion_info")
        | {
            of_resource("last_decision_timestamp_seconds"): always(-100_000),
            of_resource("cycle_due_timestamp_seconds"): always(-200_000),
        },
        NoDecision=_undecided("176.7"),
    ),
    case(
        "NoDecision",
        "two intervals are not yet over",
        HEALTHY | STUCK | {of_resource("cycle_interval_seconds"): always(3100)},
    ),
    case(
        "NoDecision",
        "cycles catch up with a stream that is years ahead",
        HEALTHY | {of_resource("cycle_due_timestamp_seconds"): stepping(INTERVAL, -1e8)},
    ),
    case(
        "NoDecision",
        "catching up comes to a halt",
        HEALTHY | STUCK | {of_resource("cycle_due_timestamp_seconds"): always(-1e8)},
        NoDecision=_undecided("10.0"),
    ),
    case(
        "NoDecision",
        "a person has suspended it",
        HEALTHY | SUSPENDED | {of_resource("cycle_interval_seconds"): always(2900)},
    ),
    case(
        "NoDecision",
        "it is finished",
        without(HEALTHY | STUCK | step("Finished"), "cycle_due_timestamp_seconds"),
    ),
    case(
        "NoDecision",
        "the time of the last decision is missing",
        without(HEALTHY | STUCK, "last_decision_timestamp_seconds"),
        SeriesMissing=LACKS,
    ),
    case(
        "NoDecision",
        "the leader changes meanwhile",
        handed_over(HEALTHY | STUCK, 60),
        NoDecision=_undecided("10.0"),
    ),
    case(
        "ChampionTooOld",
        "four cycles have published nothing",
        HEALTHY | {of_resource("champion_cycle"): stepping(1, 1)},
        ChampionTooOld=_older(4),
    ),
    case(
        "ChampionTooOld",
        "three cycles have published nothing",
        HEALTHY | {of_resource("champion_cycle"): stepping(1, 2)},
    ),
    case(
        "ChampionTooOld",
        "there never was one",
        without(HEALTHY, "champion_cycle", "champion_info"),
        ChampionTooOld=_older(15),
    ),
    case(
        "ChampionTooOld",
        "the first cycles have none yet",
        without(HEALTHY, "champion_cycle", "champion_info")
        | {of_resource("cycle"): always(3), of_resource("cycles_total"): always(3)},
    ),
    case(
        "ChampionTooOld",
        "it has been suspended for ten intervals",
        HEALTHY | SUSPENDED,
        ChampionTooOld=_older(10),
    ),
    case(
        "ChampionTooOld",
        "it is finished",
        HEALTHY | step("Finished") | {of_resource("champion_cycle"): always(0)},
    ),
    case("ChampionTooOld", "the cycle is missing", without(HEALTHY, "cycle"), SeriesMissing=LACKS),
)
