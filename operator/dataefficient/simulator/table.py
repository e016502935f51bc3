"""From many results to the table: how often each promise held, scenario by scenario.

Only arithmetic on :class:`~dataefficient.simulator.harness.Result`; the goals stand beside the figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from dataefficient.simulator.harness import Coverage, Result

GOALS = (
    "exceeded: share of seeds ever outside the tolerance, cycles: share of cycles; steady: compute of the "
    "last half over the best fixed plan's\n"
    "goals: exceeded <= 5 % (but tight-budget), overruns 0, steady <= 1.10 (but small-stream, tight-budget), "
    "overhead where nothing pays <= 10 % (5 cycles) and <= 5 % (20), coverage 75-85 %"
)
_COLUMNS = (
    "scenario",
    "seeds",
    "exceeded",
    "cycles",
    "overruns",
    "steady",
    "with trials",
    "over 5",
    "over 20",
    "kpi 80 %",
    "cost 80 %",
    "s/seed",
    "stopped",
)


@dataclass(frozen=True)
class Row:
    """One scenario's line. Ratios and overheads are None where no seed had them."""

    scenario: str
    seeds: int
    exceeded: float
    """Share of seeds whose true gap ever exceeded the tolerance."""
    outside: float
    """Share of all cycles after which it did."""
    overruns: int
    """Seeds with at least one."""
    steady: float | None
    steady_all: float | None
    """With controls and trials."""
    overhead_5: float | None
    overhead_20: float | None
    """Means over seeds: the promise is about what is paid."""
    kpi: float | None
    cost: float | None
    stopped: dict[str, int]
    decisions: float
    spent: dict[str, float]
    """Share of all spending by role."""
    ledger_error: float
    seconds: float
    """Mean seconds of one seed's simulation."""


def row(results: Sequence[Result]) -> Row:
    """The line of one scenario's results; at least one is needed."""
    roles = Counter[str]()
    for result in results:
        roles.update(result.spent)
    whole = sum(roles.values())
    return Row(
        scenario=results[0].scenario,
        seeds=len(results),
        exceeded=fmean(result.exceeded for result in results),
        outside=sum(r.cycles_outside for r in results) / max(sum(r.cycles for r in results), 1),
        overruns=sum(bool(result.overruns) for result in results),
        steady=_over(median, [r.steady_ratio for r in results]),
        steady_all=_over(median, [r.steady_ratio_all for r in results]),
        overhead_5=_over(fmean, [r.overhead_5 for r in results]),
        overhead_20=_over(fmean, [r.overhead_20 for r in results]),
        kpi=_share([r.kpi for r in results]),
        cost=_share([r.cost for r in results]),
        stopped=dict(Counter(r.stopped for r in results if r.stopped is not None)),
        decisions=fmean(r.decisions for r in results),
        spent={role: seconds / whole for role, seconds in sorted(roles.items())},
        ledger_error=max(r.ledger_error for r in results),
        seconds=fmean(r.seconds for r in results),
    )


def _over(statistic: Callable[[list[float]], float], values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistic(known) if known else None


def _share(parts: Sequence[Coverage]) -> float | None:
    total = sum(part.total for part in parts)
    return sum(part.inside for part in parts) / total if total else None


def render(rows: Sequence[Row]) -> str:
    """The table as text, a line for each scenario, the goals below."""
    lines = [_COLUMNS, *(_cells(line) for line in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_COLUMNS))]
    body = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([body[0], "  ".join("-" * width for width in widths), *body[1:], GOALS])


def _cells(line: Row) -> tuple[str, ...]:
    return (
        line.scenario,
        str(line.seeds),
        f"{line.exceeded:.1%}",
        f"{line.outside:.1%}",
        str(line.overruns),
        _number(line.steady, ".3f"),
        _number(line.steady_all, ".3f"),
        _number(line.overhead_5, "+.1%"),
        _number(line.overhead_20, "+.1%"),
        _number(line.kpi, ".1%"),
        _number(line.cost, ".1%"),
        f"{line.seconds:.2f}",
        ", ".join(f"{code} {count}" for code, count in sorted(line.stopped.items())) or "-",
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
