"""The result of a benchmark as plain data, the same for the table, the page and the JSON file.

It is made from the cache alone: what has not been run is said to be missing, by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dataefficient.planner.evidence import Paired
from dataefficient.planner.knobs import Point
from streambench import figures
from streambench.execute import NotRunError, RunFailedError
from streambench.figures import STEADY_FROM, Comparison, ForecastErrors, Seeded
from streambench.identity import Machine
from streambench.settings import Settings
from streambench.study import FIRST, Arm, Study
from streambench.tuning import Tuned


@dataclass(frozen=True)
class ArmResult:
    """An arm against both controls."""

    arm: Arm
    plans: tuple[str, ...]
    """What it ran in the last cycle, seed by seed."""
    level: float | None
    """Log loss from cycle 5 on, over all rows and seeds."""
    seconds: float
    """Device-seconds of the whole life, mean over seeds."""
    startup: float
    """Part of them in which nothing was trained or scored."""
    against: Mapping[str, Comparison]
    """By control."""


@dataclass(frozen=True)
class OperatorResult:
    """What is asked of the operator alone."""

    search_seconds: float
    """Device-seconds of all but candidates, mean over seeds."""
    search_of_control: float
    """The same as a share of the largest control's whole cost."""
    search_of_grid: float | None
    forecasts: ForecastErrors
    plans: Mapping[str, tuple[str, ...]]
    """By seed: the plan of each cycle, with the code of its reason."""


@dataclass(frozen=True)
class OracleResult:
    """What would have been chosen by trying everything."""

    point: str
    is_control: bool
    """Nothing can be saved on this stream within limits."""
    grid_seconds: float
    points: int
    plan_ratio: float | None
    """The operator's plan from cycle 5 on over the oracle's, without search, in device-seconds."""
    plan_ratio_working: float | None
    """The same without start-up."""


@dataclass(frozen=True)
class TuningResult:
    """What was chosen on the history."""

    rates: Mapping[str, float]
    right_size: int
    sizes: tuple[int, ...]
    linear: Paired | None
    """The largest size against the linear model; negative is better."""


@dataclass(frozen=True)
class StreamResult:
    """One stream."""

    name: str
    what: str
    changes: int | None = None
    cycles: int = 0
    rows: int | None = None
    """Of an ordinary cycle: those on which its model was judged."""
    positives: float | None = None
    tuning: TuningResult | None = None
    arms: tuple[ArmResult, ...] = ()
    operator: OperatorResult | None = None
    oracle: OracleResult | None = None
    missing: tuple[str, ...] = ()
    """What is not here and why, a sentence each."""

    def of(self, arm: Arm, control: Arm = Arm.LARGEST) -> Comparison | None:
        """The arm's comparison with a control; None: not measured."""
        found = next((a for a in self.arms if a.arm is arm), None)
        return found.against.get(control.value) if found else None


@dataclass(frozen=True)
class Result:
    """The whole benchmark."""

    settings: Settings
    date: datetime
    commit: str
    machine: Machine
    workers: int
    load: float
    """Mean length of the machine's run queue when the result was written, over 15 minutes."""
    streams: tuple[StreamResult, ...]
    note: str = ""
    """A remark of whoever ran it."""


@dataclass
class _Gathered:
    arms: dict[Arm, list[Seeded]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def stream_result(study: Study) -> StreamResult:
    """Everything that the cache knows of a stream."""
    stream = study.found.stream
    base = StreamResult(stream.name, stream.what, stream.changes)
    try:
        tuned = study.tuned()
    except (NotRunError, RunFailedError) as error:
        return _with_missing(base, [_missing("tuning", error)])
    gathered = _gather(study)
    controls: dict[Arm, Sequence[Seeded]] = {
        a: gathered.arms[a] for a in (Arm.LARGEST, Arm.RIGHT_SIZED) if a in gathered.arms
    }
    arms = tuple(_arm(arm, lives, controls) for arm, lives in gathered.arms.items())
    largest = gathered.arms.get(Arm.LARGEST, [])
    rows, positives = _rows(largest)
    oracle = _oracle(study, tuned, gathered)
    return StreamResult(
        stream.name,
        stream.what,
        stream.changes,
        cycles=max((c.cycle for s in largest for c in s.life.cycles), default=0),
        rows=rows,
        positives=positives,
        tuning=TuningResult(
            {str(size): rate for size, rate in tuned.rates.items()},
            tuned.right_size,
            study.unit(0).sizes,
            tuned.linear,
        ),
        arms=arms,
        operator=_operator(gathered, oracle),
        oracle=oracle,
        missing=tuple(gathered.missing),
    )


def absent(name: str, what: str, reason: str) -> StreamResult:
    """A stream that could not be begun."""
    return StreamResult(name, what, missing=(reason,))


def _with_missing(result: StreamResult, missing: Sequence[str]) -> StreamResult:
    return StreamResult(result.name, result.what, result.changes, missing=tuple(missing))


def _missing(what: str, error: Exception) -> str:
    told = "not run yet" if isinstance(error, NotRunError) else f"failed: {error}"
    return f"{what}: {told}"


def _gather(study: Study) -> _Gathered:
    gathered = _Gathered()
    for arm in (*FIRST, Arm.ORACLE):
        for seed in study.settings.read_seeds:
            try:
                found = study.live(arm, seed)
            except (NotRunError, RunFailedError) as error:
                gathered.missing.append(_missing(f"{arm.value}, seed {seed}", error))
            else:
                gathered.arms.setdefault(arm, []).append(found)
    return gathered


def _arm(arm: Arm, lives: Sequence[Seeded], controls: Mapping[Arm, Sequence[Seeded]]) -> ArmResult:
    spend = figures.spent([s.life for s in lives], 0)
    scores = [score for s in lives for cycle, score in s.scores.items() if cycle >= STEADY_FROM]
    rows = sum(sum(score.n) for score in scores)
    against = {
        control.value: found
        for control, theirs in controls.items()
        if control is not arm and (found := figures.compare(lives, theirs)) is not None
    }
    return ArmResult(
        arm,
        tuple(_plan(s.life.cycles[-1].point) for s in lives),
        sum(sum(score.scored.loss) for score in scores) / rows if rows else None,
        spend.seconds / len(lives),
        spend.startup / len(lives),
        against,
    )


def _plan(point: Point | None) -> str:
    return "skipped" if point is None else str(point)


def _rows(largest: Sequence[Seeded]) -> tuple[int | None, float | None]:
    scores = [score for s in largest for score in s.scores.values()]
    if not scores:
        return None, None
    n = sum(sum(score.n) for score in scores)
    return round(n / len(scores)), sum(sum(score.positives) for score in scores) / n


def _operator(gathered: _Gathered, oracle: OracleResult | None) -> OperatorResult | None:
    both = figures.pairs(gathered.arms.get(Arm.OPERATOR, []), gathered.arms.get(Arm.LARGEST, []))
    if not both:
        return None
    mine, control = [a for a, _ in both], [b for _, b in both]
    search = figures.search(mine) / len(mine)
    return OperatorResult(
        search,
        search / (figures.total(control) / len(control)),
        search / oracle.grid_seconds if oracle is not None else None,
        figures.forecasts(mine),
        {str(s.seed): tuple(f"{_plan(c.point)} ({c.reason})" for c in s.life.cycles) for s in mine},
    )


def _oracle(study: Study, tuned: Tuned, gathered: _Gathered) -> OracleResult | None:
    try:
        chosen = study.chosen(tuned)
    except (NotRunError, RunFailedError):
        return None
    both = figures.pairs(gathered.arms.get(Arm.OPERATOR, []), gathered.arms.get(Arm.ORACLE, []))
    a, b = (figures.spent([pair[i].life for pair in both], STEADY_FROM, candidates=True) for i in (0, 1))
    return OracleResult(
        str(chosen.point),
        chosen.point == study.grid()[0],
        chosen.grid_seconds,
        chosen.points,
        a.seconds / b.seconds if b.seconds > 0.0 else None,
        a.working / b.working if b.working > 0.0 else None,
    )


def now() -> datetime:
    """The date of a result."""
    return datetime.now(UTC).replace(microsecond=0)
