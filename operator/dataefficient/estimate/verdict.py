"""The page in plain words: what the owner of the log may conclude, and what not.

Pure: facts and measurements in, sentences and numbers out; ``page`` and ``html`` only lay them out.
The order of a reader's questions: can I save, at what cost; is the data enough; how sure; what else.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from dataefficient.estimate import plan
from dataefficient.estimate.columns import Column
from dataefficient.estimate.findings import (
    CONFIDENCE,
    FEWEST,
    RESOLVES,
    Converged,
    Finding,
    History,
    Lever,
    Status,
    confidence_each,
    findings,
    history,
    rarer,
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
from dataefficient.estimate.wording import percent, rounded_down, rounded_up, span

WORTH = 0.05
"""Savings below this share of the compute are not worth a change."""
_BLURRED = 0.003
"""Standard error of the gain on a constant above which too few rows are to blame, not the features."""
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
    log_rows_exact: bool
    """Whether they were counted, or estimated."""
    rows: int
    """Usable rows that the experiments used."""
    history_rows: int
    scored_rows: int
    positives: float
    """Share of positives."""
    history_positives: float
    """The same in the history that models learn from."""
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
    gain_error: float
    """Standard error of that gain."""


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
    quality = _quality(results, pace, facts.history_positives)
    found = findings(results, pace, facts.tolerance, facts.positives)
    past = history(results, pace, facts.tolerance, facts.history_rows)
    best = _best(found)
    spread = seeds(results)
    if quality.better_than_constant <= 0:
        best = None
        if quality.gain_error > _BLURRED:
            answer, headline = Answer.TOO_SMALL, _nothing_learned(quality, facts)
        else:
            answer, headline = Answer.NO_SIGNAL, _no_signal(quality)
    elif best is not None:
        answer, headline = Answer.SAVINGS, _savings(best, facts)
    elif rarer(runs[0]) < FEWEST:
        answer, headline = Answer.TOO_SMALL, _how_few(rarer(runs[0]), facts)
    elif _too_small(found, facts.tolerance):
        answer, headline = Answer.TOO_SMALL, _how_small(found, facts)
    else:
        answer, headline = Answer.NOTHING, _nothing(found, facts.tolerance)
    sentences: list[str] = []
    if quality.better_than_constant > 0:
        sentences.append(_history_sentence(past, facts, days))
        sentences += _lever_sentences(found, facts.tolerance)
    if 0 < quality.normalized_entropy < _PREDICTABLE:
        sentences.append(
            f"The label is suspiciously easy: the model leaves {100 * quality.normalized_entropy:.0f} % of "
            "its entropy. Check that no feature is known only after the event."
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


def _quality(results: Results, pace: float, share: float) -> Quality:
    runs = of_arm(results, plan.reference(pace))
    gains = [g for m in runs if (g := against_constant(m, share)) is not None]
    assert gains, "the layout has blocks enough"
    aucs = [m.auc for m in runs if m.auc is not None]
    return Quality(
        log_loss=sum(sum(m.loss) for m in runs) / len(runs) / sum(runs[0].n),
        normalized_entropy=1.0 + gains[0].gap,
        auc=sum(aucs) / len(aucs) if aucs else None,
        calibration=calibration(runs),
        better_than_constant=-max(g.upper(CONFIDENCE) for g in gains),
        gain_error=gains[0].error,
    )


def _best(found: tuple[Finding, ...]) -> Finding | None:
    saving = [f for f in found if f.status is Status.SAVES and f.saved >= WORTH]
    return max(saving, key=lambda f: f.saved, default=None)


def _savings(best: Finding, facts: Facts) -> str:
    cost = f"{percent(best.gap, sign=True)} log loss" if best.gap > best.error else "no measurable log loss"
    return (
        f"About {rounded_down(best.saved)} of the training compute could be saved: {best.title} cost {cost} "
        f"(at most {percent(max(0.0, best.high), sign=True)} at {100 * CONFIDENCE:.0f} % confidence; your "
        f"tolerance is {percent(facts.tolerance)})."
    )


def _nothing_learned(quality: Quality, facts: Facts) -> str:
    return (
        f"This log is too small to tell: after {facts.history_rows:,} rows the model is not yet measurably "
        f"better than the constant share of positives (standard error {percent(quality.gain_error)}). Keep "
        "the data, and come back with more of it."
    )


def _no_signal(quality: Quality) -> str:
    return (
        "These features do not predict this label: on later rows the model is not measurably better than "
        f"the constant share of positives (normalized entropy {quality.normalized_entropy:.3f}). Any data "
        "and any model look enough for that, so nothing is promised. Check label and features first."
    )


def _nothing(found: tuple[Finding, ...], tolerance: float) -> str:
    if any(f.status is Status.UNDECIDED for f in found):
        return (
            f"Nothing can be promised at a tolerance of {percent(tolerance)}: no way of saving was shown to "
            f"stay inside it. Keep all rows and the model's size.{_by_more_seeds(found, tolerance)}"
        )
    return (
        f"Nothing can be saved at a tolerance of {percent(tolerance)}: every way tried costs more. Keep all "
        "rows and the model's size."
    )


def _by_more_seeds(found: tuple[Finding, ...], tolerance: float) -> str:
    """Where noise between seeds, not the log, hides an arm that looks good."""
    if any(
        f.status is Status.UNDECIDED and f.gap <= tolerance and f.seed_error >= f.block_error for f in found
    ):
        return " More --minutes allow more seeds, which may change this."
    return ""


def _sharpest(found: tuple[Finding, ...]) -> Finding | None:
    """The arm that is told best."""
    return min(found, key=lambda f: f.error, default=None)


def _too_small(found: tuple[Finding, ...], tolerance: float) -> bool:
    """Whether the time blocks alone blur the differences beyond what the tolerance needs."""
    undecided = [f for f in found if f.status is Status.UNDECIDED and f.lever is not Lever.LARGER]
    return bool(undecided) and min(f.block_error for f in undecided) > RESOLVES * tolerance


def _how_small(found: tuple[Finding, ...], facts: Facts) -> str:
    sharpest = _sharpest(found)
    assert sharpest is not None
    wanted = facts.tolerance * RESOLVES
    rows = facts.rows * (sharpest.block_error / wanted) ** 2
    return (
        f"This log is too small to tell: the paired standard error is {percent(sharpest.block_error)} of the "
        f"log loss, {sharpest.block_error / wanted:.1f} times what a tolerance of {percent(facts.tolerance)} "
        f"allows. With about {rounded_up(rows)} rows like these it could be told. Until then keep the data."
    )


def _how_few(rows: int, facts: Facts) -> str:
    needed = rounded_up(facts.rows * FEWEST / max(1, rows))
    return (
        f"This log is too small to tell: only {rows:,} of the held-out rows have the rarer label, and at "
        f"least {FEWEST} are needed. About {needed} rows like these have them. Until then keep the data."
    )


def _history_sentence(past: History, facts: Facts, days: Callable[[float], float]) -> str:
    whole = f"{span(facts.history_days)} of history ({facts.history_rows:,} rows)"
    if past.status is Converged.YES:
        assert past.rows is not None
        assert past.low is not None
        assert past.high is not None
        return (
            f"Converged: the last {span(days(past.rows))} of {whole} are enough, about "
            f"{rounded_up(past.rows)} rows (80 % interval {rounded_up(past.low)} to "
            f"{rounded_up(past.high)}). That is for a training from scratch."
        )
    if past.status is Converged.NO:
        half = next((r for r in past.rungs if r.history == 0.5), None)
        cost = f" The latest half alone: {percent(half.gap, sign=True)} log loss." if half else ""
        need = ""
        if past.need is not None and past.need > facts.history_rows:
            need = f" Extrapolated, about {rounded_up(past.need)} rows would be enough."
        known = (
            "Not converged" if half is None or half.gap > facts.tolerance else "Not shown to have converged"
        )
        return f"{known} within this log: keep all {whole}.{cost}{need}"
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
            f"least {percent(-larger.high)}) at {percent(-larger.saved)} more compute. Decide on that before "
            "saving."
        )
    return out


def _arm_sentence(finding: Finding) -> str:
    name = finding.title[0].upper() + finding.title[1:]
    compute = (
        f"saving {rounded_down(finding.saved)}"
        if finding.saved >= 0
        else f"and {percent(-finding.saved)} more"
    )
    return (
        f"{name}: {percent(finding.gap, sign=True)} log loss (upper bound "
        f"{percent(finding.high, sign=True)}), {compute} of the training compute; {_WORDS[finding.status]}."
    )


def _how_sure(found: tuple[Finding, ...], past: History, spread: Seeds, facts: Facts) -> tuple[str, ...]:
    out = []
    sharpest = _sharpest(found)
    if sharpest is not None:
        out.append(
            f"Differences are paired on the same {facts.scored_rows:,} latest rows, which no run trained on, "
            f"in {facts.blocks} time blocks; their standard error is {percent(sharpest.block_error)} at best."
        )
    ahead = span(facts.days - facts.history_days)
    out.append(f"Models were scored up to {ahead} after the end of their data; fresher ones may differ less.")
    if spread.replicas:
        runs = f"{spread.replicas} replica{'s' if spread.replicas > 1 else ''}"
        out.append(f"Seeds alone move the log loss by {percent(spread.deviation)} ({runs}); this is added.")
    else:
        out.append(
            "No replica fitted into the time: the noise between seeds is not known, no saving is claimed."
        )
    each = confidence_each([f.arm for f in found])
    out.append(
        f"All claims of this page together hold with {100 * CONFIDENCE:.0f} % confidence (each bound at "
        f"{100 * each:.1f} %), for this log and this trainer's model; yours may differ."
    )
    if past.status is Converged.YES and past.rows is not None:
        below = sum(r.rows <= past.rows for r in past.rungs)
        out.append(
            f"The convergence point is read off a curve through {len(past.rungs)} lengths of history, "
            f"{below} of them at or below it. All other costs are measured, not extrapolated."
        )
    out.append("Compute is measured in seconds of reading and training on this machine; start-up is apart.")
    return tuple(out)
