"""From options to the page: runs the estimate under a progress display and writes what was asked for."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from dataefficient.contract import encode
from dataefficient.estimate import page
from dataefficient.estimate.errors import EstimateError
from dataefficient.estimate.html import render
from dataefficient.estimate.log import ROW_TIME, Roles
from dataefficient.estimate.resource import resource
from dataefficient.estimate.runs import command_of
from dataefficient.estimate.session import INTERRUPTED, Watcher, estimate
from dataefficient.estimate.survey import Options

INTERRUPTED_CODE = 130


@dataclass(frozen=True)
class Wishes:
    """The command's options, read."""

    path: str
    time: str | None
    """The column; None: there is none, and rows lie in the order of it."""
    label: tuple[str, ...]
    """One column, or several of which any makes a row positive."""
    at_least: float | None
    equals: tuple[str, ...]
    """Values of the label's column that are positive; empty: it holds 0 and 1, or numbers."""
    time_format: str | None
    key: tuple[str, ...]
    features: str | None
    columns: tuple[str, ...]
    exclude: tuple[str, ...]
    served: str | None
    minutes: float
    tolerance: float
    as_json: bool
    html: Path | None
    resource: Path | None
    workdir: Path | None
    trainer: tuple[str, ...]
    """Command line of another trainer; empty: the one installed."""


def estimate_and_show(wishes: Wishes) -> None:
    """Estimate, print the page or JSON, write the files asked for.

    Raises:
        EstimateError: nothing could be estimated.
        SystemExit: 130 where it was interrupted, after the page.
    """
    options = Options(
        path=wishes.path,
        roles=Roles(
            time=wishes.time or ROW_TIME,
            label="_or_".join(wishes.label),
            any_of=wishes.label if len(wishes.label) > 1 else (),
            key=wishes.key,
            served=wishes.served,
            at_least=wishes.at_least,
            equals=wishes.equals,
            time_format=wishes.time_format,
            in_order=wishes.time is None,
        ),
        minutes=wishes.minutes,
        tolerance=wishes.tolerance,
        command=command_of(wishes.trainer or (sys.executable, "-m", "dataefficient_trainer")),
        features=wishes.features,
        columns=wishes.columns,
        exclude=wishes.exclude,
    )
    try:
        with _polite(), _folder(wishes.workdir) as folder, _watcher(wishes.minutes) as watcher:
            verdict, prepared = estimate(options, folder, watcher)
    except KeyboardInterrupt:
        raise EstimateError("interrupted before anything was known", INTERRUPTED_CODE) from None
    next_step = _next(wishes)
    # The page first: what follows may fail on a full disk.
    if wishes.as_json:
        click.echo(json.dumps(encode(verdict), indent=2, allow_nan=False))
    else:
        page.show(verdict, Console(highlight=False), next_step=next_step)
    text = resource(options, prepared, verdict.learning_rate)
    if wishes.resource is not None:
        _write(wishes.resource, text)
    if wishes.html is not None:
        _write(wishes.html, render(verdict, next_step=next_step, resource=text))
        if not wishes.as_json:
            click.echo(f"Page: {wishes.html}")
    if verdict.facts.stopped == INTERRUPTED:
        raise SystemExit(INTERRUPTED_CODE)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EstimateError(f"{path}: cannot be written: {error.strerror}", 74) from error


def _next(wishes: Wishes) -> str:
    if wishes.resource is not None:
        return f"detctl run -f {shlex.quote(str(wishes.resource))} --control"
    return "add --write-resource det.yaml, then replay this log: detctl run -f det.yaml --control"


@contextmanager
def _polite() -> Iterator[None]:
    """Let SIGTERM end like an interrupt: with a page, and without trainers left behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _folder(workdir: Path | None) -> Iterator[Path]:
    if workdir is not None:
        workdir.mkdir(parents=True, exist_ok=True)
        yield workdir
        return
    with tempfile.TemporaryDirectory(prefix="detctl-estimate-") as name:
        yield Path(name)


class _Lines(Watcher):
    """One line on stderr for each finished run: for dumb terminals and files."""

    def stage(self, text: str) -> None:
        click.echo(f"{text} ...", err=True)

    def finished(self, what: str, seconds: float, loss: float | None) -> None:
        result = f"log loss {loss:.5f}" if loss is not None else "failed"
        click.echo(f"  {what}: {result} in {seconds:.1f} s", err=True)


class _Bar(Watcher):
    """A bar of the time allowed, and what runs."""

    def __init__(self, progress: Progress, seconds: float) -> None:
        self._progress, self._done, self._last = progress, 0, ""
        self._task = progress.add_task("reading the log", total=seconds, last="")
        self._began = time.monotonic()

    def stage(self, text: str) -> None:
        self._progress.update(self._task, description=text)

    def tick(self, seconds: float, running: list[str]) -> None:
        self._progress.update(self._task, completed=seconds, last=escape(self._last or ", ".join(running)))

    def finished(self, what: str, seconds: float, loss: float | None) -> None:  # noqa: ARG002
        self._done += 1
        self._last = f"{what}: {loss:.5f}" if loss is not None else f"{what}: failed"
        self._progress.update(self._task, description=f"experiments, {self._done} done")


@contextmanager
def _watcher(minutes: float) -> Iterator[Watcher]:
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal or os.environ.get("TERM", "dumb") == "dumb":
        yield _Lines()
        return
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=20)),
        BarColumn(16),
        TextColumn(
            "{task.completed:.0f} of {task.total:.0f} s", table_column=Column(no_wrap=True, min_width=11)
        ),
        TextColumn("{task.fields[last]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
    )
    with Progress(*columns, console=console, transient=True, expand=True) as progress:
        yield _Bar(progress, minutes * 60)
