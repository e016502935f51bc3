"""The verdict on a terminal: one page, readable from 60 columns up. Lays out; draws no conclusion."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from dataefficient.estimate.columns import Use
from dataefficient.estimate.findings import Finding, Lever, Status
from dataefficient.estimate.verdict import Answer, Facts, Verdict
from dataefficient.estimate.wording import counted, percent

_STYLE = {
    Answer.SAVINGS: "bold green",
    Answer.NOTHING: "bold",
    Answer.TOO_SMALL: "bold yellow",
    Answer.NO_SIGNAL: "bold yellow",
    Answer.UNFINISHED: "bold yellow",
}
_MARK = {
    Status.SAVES: "inside",
    Status.COSTS: "outside",
    Status.UNDECIDED: "not shown",
    Status.BETTER: "better",
}
_WIDE = 90


def show(verdict: Verdict, console: Console, *, next_step: str) -> None:
    """Print the page."""
    facts = verdict.facts
    console.print(Rule(Text("Data efficiency estimate", style="bold"), align="left"))
    console.print(Text(verdict.headline, style=_STYLE[verdict.answer]))
    if verdict.sentences:
        console.print()
        for sentence in verdict.sentences:
            _item(console, sentence)
    if verdict.findings:
        console.print()
        console.print(_table(verdict.findings, wide=console.width >= _WIDE))
        console.print(
            Text(f"Bounds are one-sided; the tolerance is {percent(facts.tolerance)}.", style="dim")
        )
    if verdict.history is not None and len(verdict.history.rungs) > 1:
        console.print()
        console.print(_rungs(verdict))
    _section(console, "How sure", verdict.how_sure)
    _section(console, "The log", (*log_lines(verdict), *facts.notes))
    if facts.left_out:
        _section(console, "Not tried", (shortened(facts.left_out),))
    console.print()
    console.print(Text(used_line(verdict), style="dim"))
    console.print(Text(f"Next: {next_step}"))


def mark(finding: Finding) -> str:
    """One or two words for where an arm stands."""
    if finding.lever is Lever.LARGER and finding.status is Status.UNDECIDED:
        return "no better"
    return _MARK[finding.status]


def used_line(verdict: Verdict) -> str:
    """Time used against allowed, and why it ended."""
    facts = verdict.facts
    return (
        f"{verdict.experiments} runs in {facts.seconds_used / 60:.1f} of {facts.minutes_allowed:g} minutes; "
        f"it ended because {facts.stopped}."
    )


def shortened(items: tuple[str, ...], most: int = 6) -> str:
    """A list in one line, its end counted rather than listed."""
    text = ", ".join(items[:most])
    return text + (f" and {len(items) - most} more" if len(items) > most else "")


def log_lines(verdict: Verdict) -> tuple[str, ...]:
    """The log in sentences."""
    facts = verdict.facts
    lines = [
        (
            f"{facts.path}: {counted(facts.log_rows, exact=facts.log_rows_exact)} rows; used "
            f"{facts.rows:,}, {facts.first} to {facts.last} UTC, {100 * facts.positives:.2f} % positive."
        ),
        (
            f"Features: {', '.join(facts.features)}. Check this list: a column known only after the event "
            "makes everything here wrong."
        ),
    ]
    if unused := _unused(facts):
        lines.append(f"Not used: {unused}.")
    if verdict.quality is not None:
        q = verdict.quality
        auc = f", AUC {q.auc:.3f}" if q.auc is not None else ""
        lines.append(
            f"Reference model on all rows: log loss {q.log_loss:.4f}, normalized entropy "
            f"{q.normalized_entropy:.3f}{auc}, calibration {q.calibration:.2f}; learning rate x "
            f"{verdict.learning_rate:g}, the best of those tried."
        )
    return tuple(lines)


def _unused(facts: Facts) -> str:
    return "; ".join(
        f"{c.name} ({c.note})" for c in facts.columns if c.use is Use.UNUSED and c.name not in facts.features
    )


def _section(console: Console, name: str, lines: tuple[str, ...]) -> None:
    if lines:
        console.print()
        console.print(Text(name, style="bold"))
        for line in lines:
            _item(console, line)


def _item(console: Console, text: str) -> None:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=1)
    grid.add_column(overflow="fold")
    grid.add_row("-", Text(text, style="yellow" if text.startswith(("Warning", "Alarm")) else ""))
    console.print(Padding(grid, 0))


def _table(findings: tuple[Finding, ...], *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column("Way of training", overflow="fold", ratio=1)
    table.add_column("Log loss", justify="right", no_wrap=True)
    if wide:
        table.add_column("Bounds", justify="right", no_wrap=True)
        table.add_column("Rows", justify="right", no_wrap=True)
    else:
        table.add_column("At most", justify="right", no_wrap=True)
    table.add_column("Compute", justify="right", no_wrap=True)
    if wide:
        table.add_column("Seeds", justify="right", no_wrap=True)
    table.add_column("Tolerance", no_wrap=True)
    for f in findings:
        style = {Status.SAVES: "green", Status.BETTER: "green", Status.COSTS: "red"}.get(f.status, "")
        cells = [f.title, percent(f.gap, sign=True)]
        if wide:
            cells += [
                f"{percent(f.low, sign=True)} to {percent(f.high, sign=True)}",
                f"{100 * f.rows_kept:.0f} %",
            ]
        else:
            cells += [percent(f.high, sign=True)]
        cells.append(f"{100 * (-f.saved):+.0f} %")
        if wide:
            cells.append(str(f.seeds))
        table.add_row(*cells, Text(mark(f), style=style))
    return table


def _rungs(verdict: Verdict) -> Table:
    assert verdict.history is not None
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for name in ("Latest history", "Rows", "Log loss", "Against all"):
        table.add_column(name, justify="left" if name == "Latest history" else "right", no_wrap=True)
    for rung in verdict.history.rungs:
        share = "all" if rung.history == 1 else f"1/{round(1 / rung.history)}"
        table.add_row(
            share,
            f"{rung.rows:,}",
            f"{rung.loss:.5f}",
            "" if rung.history == 1 else percent(rung.gap, sign=True),
        )
    return table
