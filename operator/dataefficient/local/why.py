"""A cycle's decision in sentences, from what was remembered of it.

Nothing is computed anew here: ``replay`` does that. A figure that was not measured is said to be missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dataefficient import contract
from dataefficient.api.spec import Mode, Spec
from dataefficient.contract import Role
from dataefficient.cycle.figures import Forecast
from dataefficient.cycle.model import CycleRecord, Gate, Memory, Option, Plan, Step
from dataefficient.cycle.slicing import sliced
from dataefficient.local.errors import WrongInputError

TRIMMED = (
    "The options that were weighed are not kept any more: what is remembered has outgrown its ConfigMap, and "
    "the options of the oldest cycles go first. Those of later cycles are there."
)


@dataclass(frozen=True)
class Told:
    """A cycle in sentences; ``record`` None: it is still running, and ``plan`` is all there is."""

    cycle: int
    plan: Plan | None
    record: CycleRecord | None
    lines: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        body: dict[str, Any] = {"cycle": self.cycle, "finished": self.record is not None}
        body["optionsKept"] = self.plan is None or bool(self.plan.options)
        if self.plan is not None:
            body["plan"] = contract.encode(self.plan)
        if self.record is not None:
            body["record"] = {k: v for k, v in contract.encode(self.record).items() if k != "plan"}
        return {**body, "sentences": [line.strip() for line in self.lines if line]}


def newest(memory: Memory) -> int:
    """The newest cycle that was planned; the one that is waited for where none was."""
    if memory.history and (memory.plan is None or memory.plan.cycle != memory.cycle):
        return memory.history[-1].cycle
    return memory.cycle


def explain(memory: Memory, spec: Spec, cycle: int) -> Told:
    """The decision of ``cycle``.

    Raises:
        WrongInputError: the cycle has not been planned.
    """
    record = next((r for r in memory.history if r.cycle == cycle), None)
    plan = record.plan if record else (memory.plan if memory.plan and memory.plan.cycle == cycle else None)
    if record is None and plan is None:
        raise WrongInputError(_unknown(memory, cycle))
    told = [*_sentences(spec, cycle, plan, record), *_waits(spec, memory, cycle)]
    return Told(cycle, plan, record, tuple(told))


def _waits(spec: Spec, memory: Memory, cycle: int) -> Iterator[str]:
    """What a person is asked for, with the newest planned cycle; finished ones have it in their notes."""
    asked = memory.proposal
    if spec.mode is not Mode.RECOMMEND or asked is None or memory.plan is None or memory.plan.cycle != cycle:
        return
    if all(asked.told not in record.notes for record in memory.history):
        yield ""
        yield _sentence(asked.told)


def _unknown(memory: Memory, cycle: int) -> str:
    known = [r.cycle for r in memory.history]
    if memory.cycle == cycle and memory.step is not Step.FINISHED:
        return f"cycle {cycle} has begun and has no plan yet ({memory.step.value})"
    if not known:
        return f"cycle {cycle} is unknown; no cycle has finished yet"
    span = f"known are {known[0]} to {known[-1]}"
    if cycle < known[0]:
        return f"cycle {cycle} is not remembered any more; {span}"
    return f"cycle {cycle} is unknown; {span}"


def _sentences(spec: Spec, cycle: int, plan: Plan | None, record: CycleRecord | None) -> Iterator[str]:
    if record is not None:
        yield f"Cycle {cycle}, {record.start:%Y-%m-%d %H:%M} to {record.end:%Y-%m-%d %H:%M} UTC."
    else:
        yield f"Cycle {cycle} is running."
    if plan is None:
        yield "Nothing was trained."
    else:
        yield f"Chosen: {plan.point}. {_sentence(plan.reason)}"
        yield f"Trained on events of {plan.train_from:%Y-%m-%d %H:%M} to {plan.train_to:%Y-%m-%d %H:%M} UTC."
        yield from _cost(plan, record)
        yield from _kpi(spec, plan, record)
    if record is not None:
        yield from _distance(spec, record)
        if record.gate is not None and not any(record.gate.reason in note for note in record.notes):
            yield _gate(record.gate)
        yield from (_sentence(note) for note in record.notes)
        yield from _slices(record)
        yield f"Spent in this cycle: {record.spent_seconds:.1f} device-seconds."
        yield from _runs(record)
    if plan is not None and plan.options:
        yield ""
        yield "Options weighed, cheapest first:"
        yield from (f"  {_option(o)}" for o in sorted(plan.options, key=lambda o: o.cost_seconds))
    elif plan is not None:
        yield ""
        yield TRIMMED


def _cost(plan: Plan, record: CycleRecord | None) -> Iterator[str]:
    candidates = [r for r in record.runs if r.role is Role.CANDIDATE] if record else []
    actual = sum(r.device_seconds for r in candidates)
    cost = actual if candidates else None
    yield _against("Cost of the candidate", plan.cost, cost, "{:.1f}", " device-seconds")


def _kpi(spec: Spec, plan: Plan, record: CycleRecord | None) -> Iterator[str]:
    actual = record.kpi if record else None
    if plan.cycle == 0:
        yield "No model served yet, so there is no KPI."
        return
    sentence = _against("Log loss of the served model", plan.kpi, actual, "{:.4f}", "")
    if actual is not None and spec.kpi.target is not None and not spec.kpi.query:
        met = "meets" if actual <= float(spec.kpi.target) else "misses"
        sentence += f" Alone this cycle {met} the target of {spec.kpi.target}."
    yield sentence


def _against(what: str, forecast: Forecast | None, actual: float | None, form: str, unit: str) -> str:
    expected = "no forecast, since nothing was measured before"
    if forecast is not None:
        mean, low, high = (form.format(x) for x in (forecast.mean, forecast.low, forecast.high))
        expected = f"forecast {mean}{unit} (80 % interval {low} to {high})"
    if actual is None:
        return f"{what}: {expected}; not measured."
    place = ""
    if forecast is not None:
        place = ", inside" if forecast.low <= actual <= forecast.high else ", outside the interval"
    return f"{what}: {expected}; actual {form.format(actual)}{unit}{place}."


def _distance(spec: Spec, record: CycleRecord) -> Iterator[str]:
    if record.distance is None or record.distance_bound is None:
        yield "How far the model is from full data at the largest size is not known."
        return
    allowed = "" if spec.kpi.tolerance is None else f"; {float(spec.kpi.tolerance):.3%} is allowed"
    yield (
        f"Distance to full data at the largest size: about {record.distance:.3%}, at most "
        f"{record.distance_bound:.3%}{allowed}."
    )


def _gate(gate: Gate) -> str:
    verdict = "Published" if gate.published else "Not published"
    return f"{verdict}: {_sentence(gate.reason)}"


def _slices(record: CycleRecord) -> Iterator[str]:
    if record.slices:
        cold = all(part.start_loss is None for part in record.slices)
        against = "" if cold else ", against the model that it started from"
        yield f"Values of kpi.slices on which the candidate did worst{against}:"
    for part in map(sliced, record.slices):
        beside = "" if part.gap is None else f", {part.gap:+.2%}"
        if part.error is not None:
            beside += f" (standard error {part.error:.2%})"
        yield f"  {part.column} {part.value}: {part.rows:,} rows, log loss {part.loss:.4f}{beside}"


def _runs(record: CycleRecord) -> Iterator[str]:
    for run in record.runs:
        yield (
            f"  {run.run}: {run.point}; {run.rows_read:,} rows read, {run.rows_kept:,} trained on; "
            f"{run.device_seconds:.1f} device-seconds; {run.outcome}"
        )


def _option(option: Option) -> str:
    gap = ""
    if option.gap is not None:
        bound = f", at most {option.gap_bound:+.3%}" if option.gap_bound is not None else ""
        gap = f", gap {option.gap:+.3%}{bound}"
    return f"{option.point}: {option.cost_seconds:.1f} device-seconds{gap}. {_sentence(option.verdict)}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
