"""The goals of forecasting, each with its figure, and the tables behind them; text and JSON.

A goal is judged from defaults alone and on everything that was measured: no curve, shape, design or share is
left out of a figure that decides.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curvebench.extrapolation import (
    ALONE,
    PLANNER,
    SHARES,
    WITH_ERRORS,
    Attempt,
    Standing,
    not_worse,
    standings,
)
from curvebench.measured import METRICS
from curvebench.real import TOLERANCE, RealStop
from curvebench.recovery import Recovery
from curvebench.stopping import Stop, Summary, summaries

LOST = BOUGHT = 1.5
COVERED = (0.75, 0.85)
RECOVERED = 0.9
SECONDS = 1.0
FREE = tuple(f"free {name}" for name in ALONE[:-1])
FEWEST_CURVES = 400
FEWEST_PAIRS = 30

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Goal:
    """One goal and how it stands."""

    what: str
    asked: str
    figure: str
    reached: bool


@dataclass(frozen=True)
class Found:
    """Everything that was measured."""

    stops: list[Stop]
    attempts: list[Attempt]
    reals: list[RealStop]
    recoveries: list[Recovery]
    seconds: float
    about: str
    """Date, machine, commit and what was run."""

    @property
    def pairs(self) -> int:
        """Classifier-and-set pairs with a forecast."""
        return len({(a.curve.data, a.curve.classifier) for a in self.attempts})

    def rankings(self) -> dict[str, list[Standing]]:
        """Standings of the planner among the families: all, by metric, by share, free fits, errors given."""
        names, attempts = (PLANNER, *ALONE), self.attempts
        found = {"all": standings(attempts, names)}
        for metric in METRICS:
            found[metric] = standings([a for a in attempts if a.curve.metric == metric], names)
        for share in SHARES:
            given = [a for a in attempts if a.share == share]
            if given:
                found[f"{100 * share:g} % given"] = standings(given, names)
        if all(name in attempts[0].forecasts for name in FREE):
            found["against free fits"] = standings(attempts, (PLANNER, *FREE, "last"))
        found["with errors given"] = standings(attempts, (WITH_ERRORS, *ALONE))
        return found


def goals(found: Found) -> list[Goal]:
    """The goals, in the order of the plan."""
    s = summaries(found.stops)[0]
    enough = s.curves >= FEWEST_CURVES
    rankings = found.rankings()
    judged = [rankings[name] for name in ("all", "against free fits") if name in rankings]
    worst = min(min(r.alpha, r.beta) for r in found.recoveries)
    first, rival = judged[0][0], min(judged[0][1:], key=lambda o: o.rank)
    close = min(judged[0][1:], key=lambda o: o.error)
    low, high = COVERED
    return [
        Goal(
            "convergence point: loses",
            f"median <= {LOST} tolerances",
            f"{s.lost:.2f}",
            enough and s.lost <= LOST,
        ),
        Goal(
            "convergence point: buys",
            f"median <= {BOUGHT} x",
            f"{s.bought:.2f} x",
            enough and s.bought <= BOUGHT,
        ),
        Goal(
            "convergence point: 80 % intervals",
            f"hold {percent(low)} to {percent(high)}",
            f"{percent(s.covered)} of {s.curves} curves",
            enough and low <= s.covered <= high,
        ),
        Goal(
            "extrapolation: average rank",
            "no family better",
            f"{first.rank:.2f}; best rival {rival.name} {rival.rank:.2f}",
            found.pairs >= FEWEST_PAIRS and all(t[0].rank <= min(o.rank for o in t[1:]) for t in judged),
        ),
        Goal(
            "extrapolation: squared error",
            "no family better",
            f"root {first.error:.4f}; best rival {close.name} {close.error:.4f}",
            found.pairs >= FEWEST_PAIRS and all(t[0].error <= min(o.error for o in t[1:]) for t in judged),
        ),
        Goal(
            "surface: exponents within intervals",
            f">= {percent(RECOVERED)}",
            f"{percent(worst)} in the worst design",
            worst >= RECOVERED,
        ),
        Goal(
            "surface: a fit without bootstrap",
            f"< {SECONDS:g} s",
            f"{found.seconds:.2f} s",
            found.seconds < SECONDS,
        ),
    ]


def percent(share: float) -> str:
    """A share in whole per cent."""
    return f"{100 * share:.0f} %"


def columns(head: Sequence[str], rows: Rows) -> str:
    """Text in columns: the first to the left, the others to the right."""
    every = [list(head), *[list(r) for r in rows]]
    widths = [max(len(r[i]) for r in every) for i in range(len(head))]
    lines = [
        [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True))]
        for r in every
    ]
    lines.insert(1, ["-" * w for w in widths])
    return "\n".join("  ".join(line).rstrip() for line in lines)


def text(found: Found) -> str:
    """The whole result for people."""
    verdicts = [(g.what, g.asked, g.figure, "reached" if g.reached else "missed") for g in goals(found)]
    blocks = [found.about, columns(("goal", "asked", "figure", ""), verdicts)]
    blocks += [
        _stopping(summaries(found.stops)),
        _real(found.reals),
        *_rankings(found),
        _surface(found.recoveries),
    ]
    return "\n\n".join(blocks) + "\n"


def _stopping(groups: Sequence[Summary]) -> str:
    head = (
        "curves",
        "n",
        "loses",
        "(90 %)",
        "buys",
        "(90 %)",
        "point held",
        "end held",
        "point",
        "wrong",
        "none",
        "wrong",
    )
    rows = [
        (
            g.group,
            str(g.curves),
            f"{g.lost:.2f}",
            f"{g.lost_90:.2f}",
            f"{g.bought:.2f}",
            f"{g.bought_90:.2f}",
            percent(g.covered),
            percent(g.ahead),
            *(
                str(n)
                for n in (
                    g.point_right + g.point_wrong,
                    g.point_wrong,
                    g.none_right + g.none_wrong,
                    g.none_wrong,
                )
            ),
        )
        for g in groups
    ]
    note = (
        "Convergence points from the first fifth of simulated curves. loses: in tolerances, median;\n"
        "buys: by the true amount, median; held: share of 80 % intervals that hold the truth; point, none:\n"
        'answers, and how many are wrong; "not within this data" is none and stops at the whole history.'
    )
    return note + "\n" + columns(head, rows)


def _real(reals: Sequence[RealStop]) -> str:
    if not reals:
        return "No measured curve is long enough for a convergence point."
    by_set = {r.data: [x for x in reals if x.data == r.data] for r in reals}
    rows = [
        (
            name,
            str(len(group)),
            f"{np.median([r.lost for r in group]):.2f}",
            f"{np.median([r.stopped / r.point for r in group]):.2f}",
            percent(float(np.mean([r.held for r in group]))),
            str(sum(r.answered for r in group)),
        )
        for name, group in [("all", list(reals)), *by_set.items()]
    ]
    note = (
        f"The same on {len(reals)} measured curves (log loss, tolerance {100 * TOLERANCE:g} %);\n"
        "buys: by the first anchor within the tolerance. Their ends have noise too; they decide nothing."
    )
    return note + "\n" + columns(("data", "curves", "loses", "buys", "point held", "points named"), rows)


def _rankings(found: Found) -> list[str]:
    blocks = []
    for name, table in found.rankings().items():
        rows = [(s.name, f"{s.rank:.2f}", f"{s.error:.4f}", f"{s.median:.4f}", f"{s.p:.3f}") for s in table]
        verdict = "not worse" if not_worse(table) else "worse in rank or error than one below"
        note = f"Extrapolation to the last anchor, {name}: the planner is {verdict}"
        blocks.append(note + "\n" + columns(("forecast", "rank", "root of MSE", "median error", "p"), rows))
    head = (
        f"{len(found.attempts)} forecasts of {found.pairs} classifier-and-set pairs, error rate and log loss."
    )
    return [head, *blocks]


def _surface(recoveries: Sequence[Recovery]) -> str:
    rows = [
        (
            f"{r.sizes} x {r.amounts}",
            f"{100 * r.noise:g} %",
            str(r.simulations),
            percent(r.alpha),
            percent(r.beta),
            percent(r.unidentified),
        )
        for r in recoveries
    ]
    head = ("sizes x data", "noise", "n", "alpha held", "beta held", "not identified")
    return "Surfaces with known exponents: share of 95 % intervals that hold them\n" + columns(head, rows)


def record(found: Found) -> str:
    """The same as JSON."""
    result: dict[str, Any] = {
        "about": found.about,
        "goals": [asdict(g) for g in goals(found)],
        "stopping": [asdict(s) for s in summaries(found.stops)],
        "real": [asdict(r) for r in found.reals],
        "extrapolation": {name: [asdict(s) for s in table] for name, table in found.rankings().items()},
        "curves": [
            {
                "data": a.curve.data,
                "classifier": a.curve.classifier,
                "metric": a.curve.metric,
                "given": a.share,
                "anchors": a.known,
                "truth": float(a.curve.loss[-1]),
                "forecasts": a.forecasts,
            }
            for a in found.attempts
        ],
        "surface": [asdict(r) for r in found.recoveries],
        "seconds": found.seconds,
    }
    return json.dumps(rounded(result), indent=1) + "\n"


def rounded(value: Any) -> Any:
    """Numbers to five digits, so that a record can be compared by eye."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
