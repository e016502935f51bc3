"""What people see while runs go on.

A terminal gets a few live lines at its foot: cycle, runs with rows per second, KPI against target,
spending against budget, time left. Everything else (a pipe, a CI log, a dumb terminal) gets one plain
line for each finished run. Both say the decisions as they are made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dataefficient.api.schedule import interval
from dataefficient.api.spec import Spec
from dataefficient.contract import RunRequest
from dataefficient.cycle.model import Memory, RunOutcome
from dataefficient.local.pace import Pace, cycles_until
from dataefficient.local.store import is_control
from dataefficient.local.watch import Running, Watcher
from dataefficient.planner.budget import Spending, headroom
from dataefficient.planner.knobs import Point

NARROW = 76
"""Columns below which the runs' lines leave out what can be done without."""
HOUR = 3600.0


def watcher(spec: Spec, console: Console, cycles: int | None) -> Watcher:
    """The watcher that suits ``console``; ``cycles`` as in ``Work``."""
    live = console.is_terminal and not console.is_dumb_terminal and not os.environ.get("CI")
    return LiveWatcher(spec, console, cycles) if live else PlainWatcher(console)


class PlainWatcher:
    """One line for each thing that happened."""

    one_line: ClassVar[bool] = True
    """Whether a long sentence stays one line, for programs, or is folded, for people."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, sentence: str) -> None:
        """Print the sentence."""
        self._line(Text(sentence))

    def started(self, request: RunRequest) -> None:
        """Nothing: its end will be told."""

    def ended(self, request: RunRequest, outcome: RunOutcome) -> None:
        """Print how the run ended."""
        self._line(ending(request, outcome))

    def remembered(self, memory: Memory) -> None:
        """Nothing: what was decided is said in sentences."""

    def draw(self, running: Sequence[Running]) -> None:
        """Nothing moves."""

    def close(self) -> None:
        """Nothing is open."""

    def _line(self, text: Text) -> None:
        self._console.print(text, soft_wrap=self.one_line, highlight=False)


class LiveWatcher(PlainWatcher):
    """The same lines, and below them what is going on."""

    one_line = False

    def __init__(
        self,
        spec: Spec,
        console: Console,
        cycles: int | None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pace: Pace | None = None,
    ) -> None:
        super().__init__(console)
        self._spec = spec
        due = cycles_until(spec.schedule, now())
        self._cycles = due if cycles is None else min(cycles, due)
        self._pace = pace or Pace()
        self._memory: Memory | None = None
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def ended(self, request: RunRequest, outcome: RunOutcome) -> None:
        """Print how the run ended, and learn from how long it took."""
        super().ended(request, outcome)
        if is_control(request) and outcome.report is not None:
            self._pace.control(request.cycle, outcome.report.seconds.total)

    def remembered(self, memory: Memory) -> None:
        """Show the new state from now on."""
        self._memory = memory
        self._pace.cycle(memory.cycle)

    def draw(self, running: Sequence[Running]) -> None:
        """Renew the live lines."""
        self._live.update(self.lines(running), refresh=True)

    def close(self) -> None:
        """Take the live lines away."""
        self._live.stop()

    def lines(self, running: Sequence[Running]) -> RenderableType:
        """The live lines."""
        narrow = self._console.width < NARROW
        parts: list[RenderableType] = []
        if self._memory is not None:
            parts.append(Text(self._where(self._memory), style="bold"))
        table = Table.grid(padding=(0, 2))
        table.add_column(style="cyan", no_wrap=True)
        for _ in range(2 if narrow else 4):
            table.add_column(justify="right", no_wrap=True)
        for one in running:
            table.add_row(*_cells(one, narrow=narrow))
        parts.append(table)
        if self._memory is not None:
            parts.append(Text(kpi_line(self._spec, self._memory)))
            parts.append(Text(money_line(self._spec, self._memory)))
        parts.append(Text(self._time_left(), style="dim"))
        return Group(*parts)

    def _where(self, memory: Memory) -> str:
        period = interval(self._spec.schedule, memory.cycle)
        last = max(self._cycles - 1, 0)
        if period is None or memory.cycle > last:
            return f"All cycles up to {last} are done; the controls catch up"
        what = "cycle 0, the history" if memory.cycle == 0 else f"cycle {memory.cycle} of {last}"
        return f"{what}: {period.start:%Y-%m-%d} to {period.end:%Y-%m-%d}"

    def _time_left(self) -> str:
        left = self._pace.left(self._cycles)
        return f"time left: {_about(left)}" if left is not None else "time left: known after cycle 1"


def ending(request: RunRequest, outcome: RunOutcome) -> Text:
    """One line about how an attempt ended."""
    failure, report = outcome.failure, outcome.report
    if report is None:
        told = f"{failure.kind.value}: {failure.message}" if failure else "no report"
        return Text(f"{request.run}, attempt {outcome.attempt}: {told}", style="red")
    parts = []
    if request.train is not None:
        parts.append(str(Point(request.train.policy, request.train.rate, request.size)))
    seconds = report.seconds
    worked = max(seconds.total - seconds.startup, 1e-9)
    parts.append(
        f"{report.rows.read:,} rows in {seconds.total:.1f} s, {report.rows.read / worked:,.0f} rows/s"
    )
    evaluated = report.evaluated
    rows = sum(evaluated.n) if evaluated is not None else 0
    if evaluated is not None and rows > 0 and "self" in evaluated.models:
        parts.append(f"log loss {sum(evaluated.models['self'].loss) / rows:.4f}")
    return Text(f"{request.run}: {'; '.join(parts)}", style="dim" if is_control(request) else "")


def kpi_line(spec: Spec, memory: Memory) -> str:
    """The KPI against its target and the distance against the tolerance, as far as they are known."""
    last = next((record for record in reversed(memory.history) if record.kpi is not None), None)
    parts = []
    if last is None or last.kpi is None:
        parts.append("KPI: measured from cycle 1 on")
    else:
        error = f" ± {last.kpi_standard_error:.4f}" if last.kpi_standard_error is not None else ""
        parts.append(f"KPI {last.kpi:.4f}{error} in cycle {last.cycle}")
        if spec.kpi.target is not None and not spec.kpi.query:
            parts[-1] += f", target {spec.kpi.target} {'met' if last.kpi <= spec.kpi.target else 'missed'}"
    if spec.kpi.tolerance is not None and memory.history:
        parts.append(
            f"distance at most {memory.distance_bound:.2%} of {float(spec.kpi.tolerance):.2%} allowed"
        )
    return "; ".join(parts)


def money_line(spec: Spec, memory: Memory) -> str:
    """What was spent, and what the tightest bound of the budget leaves."""
    ledger = memory.ledger
    price = spec.accelerators[0].price_per_device_hour
    spent = f"spent {ledger.settled / HOUR:.4f} device hours"
    if price is not None:
        spent += f" ({ledger.settled / HOUR * float(price):.4f} {spec.budget.currency})"
    spending = Spending(
        total=ledger.settled, window=ledger.window, cycle=ledger.by_cycle.get(str(memory.cycle), 0.0)
    )
    left = headroom(spec.budget, None if price is None else float(price), spending, memory.cycle)
    if left.seconds is None:
        return f"{spent}; no budget is set"
    return f"{spent}; {left.part} leaves {left.seconds / HOUR:.4f} device hours"


def _cells(one: Running, *, narrow: bool) -> list[str]:
    progress = one.progress
    rows = "starting"
    if progress.rows is not None:
        rows = f"{progress.rows:,} rows"
        if progress.total:
            share = f"{min(progress.rows / progress.total, 1.0):.0%}"
            rows = share if narrow else f"{share} of {progress.total:,} rows"
    speed = f"{progress.rows_per_second:,.0f} rows/s" if progress.rows_per_second else ""
    if narrow:
        return [one.request.run, rows, speed]
    return [one.request.run, f"size {one.request.size}", rows, speed, f"{one.seconds:.0f} s"]


def _about(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(seconds, 1):.0f} s"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / HOUR:.1f} h"
