"""The page in plain words: what the owner of the log may conclude, and what not.

Pure: facts and measurements in, sentences and numbers out; ``page`` and ``html`` only lay them out.
The order of a reader's questions: can I save, at what cost; is the data enough; how sure; what else.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass

from dataefficient.estimate import plan
from dataefficient.estimate.columns import Column
from dataefficient.estimate.findings import (
    CONFIDENCE,
    RESOLVES,
    Converged,
    Finding,
    History,
    Lever,
    Status,
    confidence_each,
    findings,
    history,
)
from dataefficient.estimate.measure import (
    Results,
    Seeds,
    against_constant,
    calibration,
    of_arm,
    seeds,
)
from dataefficient.estimate.served import Served, served_sentences

WORTH = 0.05
"""Savings below this share of the compute are not worth a change."""
_PREDICTABLE = 0.2
"""Normalized entropy below which the label is suspiciously easy."""


class Answer(enum.StrEnum):
    """The one-word answer."""

    SAVINGS = "Savings"
    NOTHING = "Nothing"
    TOO_SMALL = "TooSmallToTell"
    NO_SIGNAL = "NoSignal"
    UNFINISHED = "Unfinished"


@dataclass(frozen=True)
class Facts:
    """The log and the run of the estimate, as far as the page speaks of them."""

    path: str
    log_rows: int
    rows: int
    """Usable rows that the experiments used."""
    history_rows: int
    scored_rows: int
    positives: float
    """Share of positives."""
    first: str
    last: str
    days: float
    history_days: float
    blocks: int
    features: tuple[str, ...]
    columns: tuple[Column, ...]
    notes: tuple[str, ...]
    """What was found in the data and done about it."""
    tolerance: float
    minutes_allowed: float
    seconds_used: float
    stopped: str
    """Why it ended: done, out of time, interrupted."""
    left_out: tuple[str, ...] = ()
    """What was not tried and why."""


@dataclass(frozen=True)
class Quality:
    """The reference model on the held-out rows."""

    log_loss: float
    normalized_entropy: float
    """Log loss over that of the constant share of positives in the history."""
    auc: float | None
    calibration: float
    better_than_constant: float
    """Relative gain on the constant, at the lower bound."""


@dataclass(frozen=True)
class Verdict:
    """Everything on the page."""

    answer: Answer
    headline: str
    sentences: tuple[str, ...]
    """What follows, most important first."""
    how_sure: tuple[str, ...]
    facts: Facts
    quality: Quality | None
    history: History | None
    findings: tuple[Finding, ...]
    best: Finding | None
    """The finding that the headline rests on."""
    seeds: Seeds | None
    learning_rate: float | None
    served: Served | None
    experiments: int


def judge(
    results: Results,
    facts: Facts,
    *,
    pace: float | None,
    days: Callable[[float], float],
    served: Served | None = None,
) -> Verdict:
    """Draw the conclusions.

    Args:
        results: finished experiments.
        facts: of the log.
        pace: learning rate that was settled on; None where the time ended before.
        days: days that the latest so many rows of the history span.
        served: the served prediction's comparison, if there is one.
    """
    runs = of_arm(results, plan.reference(pace)) if pace is not None else []
    if pace is None or not runs:
        return _unfinished(results, facts)
    trained = runs[0].trained_positives / max(1, runs[0].read)
    quality = _quality(results, pace, trained)
    found = findings(results, pace, facts.tolerance, facts.positives)
    past = history(results, pace, facts.tolerance, facts.history_rows)
    best = _best(found)
    spread = seeds(results)
    if quality.better_than_constant <= 0:
        answer, headline = Answer.NO_SIGNAL, _no_signal(quality)
        best = None
    elif best is not None:
        answer, headline = Answer.SAVINGS, _savings(best, facts)
    elif _too_small(found, facts.tolerance):
        answer, headline = Answer.TOO_SMALL, _how_small(found, facts)
    else:
        answer, headline = Answer.NOTHING, _nothing(found, facts.tolerance)
    sentences: list[str] = []
    if answer is not Answer.NO_SIGNAL:
        sentences.append(_history_sentence(past, facts, days))
        sentences += _lever_sentences(found, facts.tolerance)
    if 0 < quality.normalized_entropy < _PREDICTABLE:
        sentences.append(
            f"The label is suspiciously easy: the model leaves {quality.normalized_entropy:.0%} of its "
            "entropy. Check that "
            "no feature is known only after the event."
        )
    if served is not None:
        sentences += served_sentences(served)
    return Verdict(
        answer=answer,
        headline=headline,
        sentences=tuple(sentences),
        how_sure=_how_sure(found, past, spread, facts),
        facts=facts,
        quality=quality,
        history=past,
        findings=found,
        best=best,
        seeds=spread,
        learning_rate=pace,
        served=served,
        experiments=len(results),
    )


def _unfinished(results: Results, facts: Facts) -> Verdict:
    return Verdict(
        answer=Answer.UNFINISHED,
        headline="Nothing can be said yet: the time ended before the whole history was trained on once.",
        sentences=(),
        how_sure=("Allow more time with --minutes.",),
        facts=facts,
        quality=None,
        history=None,
        findings=(),
        best=None,
        seeds=None,
        learning_rate=None,
        served=None,
        experiments=len(results),
    )


def percent(share: float, *, sign: bool = False) -> str:
    """A share as percent with as many digits as it needs, e.g. ``+0.13 %``."""
    value = 100 * share
    digits = 2 if abs(value) < 10 else 0
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return f"{text} %"


def _whole(share: float) -> str:
    """A saving, rounded down so that it is never promised too high."""
    return f"{math.floor(100 * share + 1e-9)} %"


def _quality(results: Results, pace: float, share: float) -> Quality:
    runs = of_arm(results, plan.reference(pace))
    rows = sum(runs[0].n)
    loss = sum(sum(m.loss) for m in runs) / len(runs) / rows
    gains = [against_constant(m, share) for m in runs]
    gain = next((g for g in gains if g is not None), None)
    ratio = 1.0 + (gain.gap if gain else 0.0)
    aucs = [m.auc for m in runs if m.auc is not None]
    bound = -max(g.upper(CONFIDENCE) for g in gains if g is not None) if gain else 0.0
    return Quality(loss, ratio, sum(aucs) / len(aucs) if aucs else None, calibration(runs), bound)


def _best(found: tuple[Finding, ...]) -> Finding | None:
    saving = [f for f in found if f.status is Status.SAVES and f.saved >= WORTH]
    return max(saving, key=lambda f: f.saved, default=None)


def _savings(best: Finding, facts: Facts) -> str:
    cost = f"{percent(best.gap, sign=True)} log loss" if best.gap > 0 else "no measurable log loss"
    return (
        f"About {_whole(best.saved)} of the training compute could be saved: {best.title} cost {cost} "
        f"(at most {percent(max(0.0, best.high), sign=True)} at {CONFIDENCE:.0%} confidence; "
        f"your tolerance is {percent(facts.tolerance)})."
    )


def _no_signal(quality: Quality) -> str:
    return (
        "These features do not predict this label: on later rows the model is not measurably better than "
        "the constant "
        f"share of positives (normalized entropy {quality.normalized_entropy:.3f}). Any data and any model "
        "look enough "
        "for that, so nothing is promised. Check label and features first."
    )


def _nothing(found: tuple[Finding, ...], tolerance: float) -> str:
    if any(f.status is Status.UNDECIDED for f in found):
        return (
            f"Nothing can be promised at a tolerance of {percent(tolerance)}: no way of saving was shown "
            "to stay inside it. "
            "Keep all rows and the model's size."
        )
    return (
        f"Nothing can be saved at a tolerance of {percent(tolerance)}: every way tried costs more. "
        "Keep all rows and the model's size."
    )


def _sharpest(found: tuple[Finding, ...]) -> Finding | None:
    """The arm that is told best."""
    return min(found, key=lambda f: f.error, default=None)


def _too_small(found: tuple[Finding, ...], tolerance: float) -> bool:
    """Whether even an arm without any cost could not have been shown to be free."""
    undecided = [f for f in found if f.status is Status.UNDECIDED and f.lever is not Lever.LARGER]
    return bool(undecided) and min(f.high - f.gap for f in undecided) > tolerance


def _how_small(found: tuple[Finding, ...], facts: Facts) -> str:
    sharpest = _sharpest(found)
    assert sharpest is not None
    block, seed = sharpest.block_error, sharpest.seed_error
    wanted = facts.tolerance * RESOLVES
    text = (
        f"This log is too small to tell: the paired standard error is {percent(math.hypot(block, seed))} "
        "of the log loss, and a "
        f"tolerance of {percent(facts.tolerance)} needs {percent(wanted)} or less."
    )
    if block > wanted:
        rows = facts.rows * (block / wanted) ** 2
        text += f" With about {_round(rows)} rows like these it could be told."
    if seed > wanted:
        text += " More seeds are needed too: allow more --minutes."
    return text + " Until then keep the data."


def _round(rows: float) -> str:
    digits = max(0, len(str(int(rows))) - 2)
    return f"{math.ceil(rows / 10**digits) * 10**digits:,}"


def _span(days: float) -> str:
    if days >= 2:
        return f"{days:.0f} days"
    return f"{days * 24:.0f} hours" if days * 24 >= 2 else f"{days * 1440:.0f} minutes"


def _history_sentence(past: History, facts: Facts, days: Callable[[float], float]) -> str:
    whole = f"{_span(facts.history_days)} of history ({facts.history_rows:,} rows)"
    if past.status is Converged.YES:
        assert past.rows is not None
        assert past.low is not None
        assert past.high is not None
        return (
            f"Converged: the last {_span(days(past.rows))} of {whole} are enough, about "
            f"{_round(past.rows)} rows "
            f"(80 % interval {_round(past.low)} to {_round(past.high)}). This is what a training from "
            "scratch needs."
        )
    if past.status is Converged.NO:
        half = next((r for r in past.rungs if r.history == 0.5), None)
        cost = f" The latest half alone: {percent(half.gap, sign=True)} log loss." if half else ""
        need = ""
        if past.need is not None and past.need > facts.history_rows:
            need = f" Extrapolated, about {_round(past.need)} rows would be enough."
        return f"Not converged within this log: keep all {whole}.{cost}{need}"
    return f"Whether the history is long enough is not known: {past.reason}. Keep all {whole}."


_WORDS = {
    Status.SAVES: "inside the tolerance",
    Status.COSTS: "outside the tolerance",
    Status.UNDECIDED: "not shown to be inside the tolerance",
    Status.BETTER: "better",
}


def _lever_sentences(found: tuple[Finding, ...], tolerance: float) -> list[str]:
    out = []
    order = (Lever.BOTH, Lever.NEGATIVES, Lever.SCORED, Lever.UNIFORM, Lever.SIZE)
    for lever in order:
        ours = [f for f in found if f.lever is lever]
        good = [f for f in ours if f.status is Status.SAVES]
        shown = max(good, key=lambda f: f.saved) if good else min(ours, key=lambda f: f.high, default=None)
        if shown is not None:
            out.append(_arm_sentence(shown))
    larger = next((f for f in found if f.lever is Lever.LARGER), None)
    if larger is not None and larger.status is Status.BETTER and -larger.gap >= tolerance:
        out.append(
            f"Quality can still be bought: {larger.title} is better by {percent(-larger.gap)} log loss (at "
            "least "
            f"{percent(-larger.high)}) at {percent(-larger.saved)} more compute. Decide on that before "
            "saving."
        )
    return out


def _arm_sentence(finding: Finding) -> str:
    name = finding.title[0].upper() + finding.title[1:]
    compute = (
        f"saving {_whole(finding.saved)}" if finding.saved >= 0 else f"and {percent(-finding.saved)} more"
    )
    return (
        f"{name}: {percent(finding.gap, sign=True)} log loss (upper bound "
        f"{percent(finding.high, sign=True)}), "
        f"{compute} of the training compute; {_WORDS[finding.status]}."
    )


def _how_sure(found: tuple[Finding, ...], past: History, spread: Seeds, facts: Facts) -> tuple[str, ...]:
    out = []
    sharpest = _sharpest(found)
    if sharpest is not None:
        out.append(
            f"Differences are paired on the same {facts.scored_rows:,} latest rows, which no run trained "
            f"on, in {facts.blocks} "
            f"time blocks; standard error from the blocks {percent(sharpest.block_error)} at best."
        )
    if spread.replicas:
        out.append(
            f"Seeds alone move the log loss by {percent(spread.deviation)} ({spread.replicas} replicas); "
            "this is added."
        )
    else:
        out.append(
            "No replica fitted into the time, so the noise between seeds is not known and no saving is "
            "claimed."
        )
    each = confidence_each([f.arm for f in found])
    out.append(
        f"All claims of this page together hold with {CONFIDENCE:.0%} confidence (each bound at "
        f"{each:.1%}), for this log and this "
        "trainer's model; yours may differ."
    )
    out.append(
        "Costs in quality are measured, not extrapolated; only the convergence point is read off a fitted "
        "curve."
    )
    if past.status is Converged.YES and past.rows is not None:
        below = [r for r in past.rungs if r.rows <= past.rows]
        out.append(
            f"The convergence point rests on {len(past.rungs)} lengths of history, {len(below)} at or "
            "below it."
        )
    out.append(
        "Compute saved is measured in seconds of reading and training on this machine; start-up and "
        "scoring are apart."
    )
    return tuple(out)
