"""One estimate from a log to a verdict: survey, pilot, experiments until the time is up.

Drives processes and the clock; what to run next is ``plan``'s, what may be said is ``verdict``'s.
"""

from __future__ import annotations

import time
from pathlib import Path

from dataefficient.contract import Data, ExitCode
from dataefficient.estimate import plan
from dataefficient.estimate.errors import EstimateError
from dataefficient.estimate.findings import knowledge, title, tuned
from dataefficient.estimate.measure import Measured, of_arm
from dataefficient.estimate.plan import Arm, Costs, Experiment
from dataefficient.estimate.runs import Failed, Layout, Run, Setting, instant, lay_out, measured
from dataefficient.estimate.served import compare
from dataefficient.estimate.survey import Options, Prepared, prepare
from dataefficient.estimate.verdict import Facts, Verdict, judge
from dataefficient.estimate.wording import counted
from dataefficient.estimate.working import MAX_ROWS

INTERRUPTED = "it was interrupted"
"""Why an estimate stopped that the owner ended."""
TRAINER_FAILED = 69
"""Exit code where the trainer gives no reason of its own."""
PILOT_ROWS = 60_000
_POLL_SECONDS = 0.05
_PAGE_SECONDS = 5.0
"""Kept back from the time allowed for stopping, the conclusions and the page, but at most a fifth."""
_TUNING_SHARE = 0.3
"""Share of the time after which the learning rate is settled with what was tried."""
_RECENT = 4
"""Runs whose slowest tells how long the next one takes."""


class Watcher:
    """Told how it goes; the base class says nothing."""

    def stage(self, text: str) -> None:
        """A stage began."""

    def tick(self, seconds: float, running: list[str]) -> None:
        """Time passes: seconds since the start and what runs now."""

    def finished(self, what: str, seconds: float, loss: float | None) -> None:
        """A run ended, with its mean log loss, or failed (None)."""


class Session:
    """The experiments of one estimate."""

    def __init__(
        self, options: Options, prepared: Prepared, folder: Path, watcher: Watcher, began: float
    ) -> None:
        self.options, self.prepared, self.watcher = options, prepared, watcher
        self._folder, self._began = folder, began
        self.layout: Layout = lay_out(prepared.working.times, prepared.working.rows)
        self.results: dict[Experiment, Measured] = {}
        self.failures: dict[Experiment, Failed] = {}
        self.stopped = "everything planned was run"
        self._ratios: list[float] = []
        self._running: list[Run] = []
        self._digest: str | None = None
        self._pace: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self._began

    @property
    def left(self) -> float:
        """Seconds left for experiments."""
        allowed = self.options.minutes * 60
        return allowed - min(_PAGE_SECONDS, allowed / 5) - self.elapsed

    @property
    def positives(self) -> float:
        """Share of positives in the working copy."""
        return self.prepared.working.positives / self.prepared.working.rows

    def _setting(self) -> Setting:
        roles, folder = self.options.roles, self._folder / "runs"
        data = Data(
            str(self.prepared.working.path), roles.time, roles.label, self.prepared.key, None, roles.served
        )
        config = {"features": self.prepared.features.config()}
        return Setting(self.options.command, data, self.layout, config, folder)

    def run(self) -> None:
        """Pilot, then experiments until nothing useful fits. Never leaves a process behind."""
        try:
            costs = self._pilot()
            if costs is None:
                return
            rows = plan.history_that_fits(
                costs,
                len(self.layout.times),
                self.layout.scored / len(self.layout.times),
                self.left,
                self.options.workers,
            )
            if rows < self.prepared.working.rows:
                self.layout = lay_out(
                    self.prepared.working.times, max(rows, min(self.prepared.working.rows, 2_000))
                )
            self.watcher.stage("experiments")
            self._experiments(costs)
        except KeyboardInterrupt:
            self.stopped = INTERRUPTED
        finally:
            for run in self._running:
                run.stop()

    def _pilot(self) -> Costs | None:
        """Train once on few rows: does the trainer take this log, and how fast is it."""
        self.watcher.stage("pilot")
        whole = self.layout
        if whole.history > PILOT_ROWS:
            self.layout = _short(whole)
        run = Run(self._setting(), Experiment(Arm(), seed=99), max(5.0, self.left))
        self._running = [run]
        while not run.ended():
            if self.left <= 0:
                self.stopped = "the time was up during the pilot run"
                return None
            self.watcher.tick(self.elapsed, ["pilot"])
            time.sleep(_POLL_SECONDS)
        self._running = []
        result = run.result()
        self.layout = whole
        if isinstance(result, Failed):
            code = result.code if result.code in set(ExitCode) else TRAINER_FAILED
            raise EstimateError(f"the trainer could not use this log: {result.message}", code)
        rows, seconds = result.rows, result.seconds
        other = max(0.2, run.elapsed - seconds.read - seconds.train - seconds.evaluate)
        return Costs(
            other,
            seconds.read / max(1, rows.read),
            seconds.train / max(1, rows.kept),
            seconds.evaluate / max(1, rows.evaluated),
        )

    def _experiments(self, costs: Costs) -> None:
        started: set[Experiment] = set()
        while True:
            self._collect(costs)
            known = self._known()
            while len(self._running) < self.options.workers:
                wish = plan.next_experiment(
                    known, frozenset(started), lambda e: self._seconds(costs, e.arm), self.left
                )
                if wish is None:
                    break
                started.add(wish)
                self._running.append(Run(self._setting(), wish, self.left))
            if not self._running:
                if plan.next_experiment(known, frozenset(started), lambda _: 0.0, 1.0) is not None:
                    self.stopped = "the time was up"
                return
            if self.left <= 0:
                self.stopped = "the time was up"
                return
            self.watcher.tick(self.elapsed, [self._title(r.experiment) for r in self._running])
            time.sleep(_POLL_SECONDS)

    def _known(self) -> plan.Knowledge:
        served = self.options.roles.served is not None
        edge = None
        if self._pace is None:
            hurry = self.elapsed > _TUNING_SHARE * self.options.minutes * 60
            self._pace, edge = tuned(self.results, hurry=hurry)
        if self._pace is None:
            return plan.Knowledge(self.positives, served, edge=edge)
        return knowledge(self.results, self._pace, self.options.tolerance, self.positives, served=served)

    def _seconds(self, costs: Costs, arm: Arm) -> float:
        ratio = max(self._ratios[-_RECENT:], default=1.0)
        return ratio * costs.seconds(arm, self.layout.history, self.layout.scored)

    def _collect(self, costs: Costs) -> None:
        for run in [r for r in self._running if r.ended()]:
            self._running.remove(run)
            result = run.result()
            if isinstance(result, Failed):
                self.failures[run.experiment] = result
                self.watcher.finished(self._title(run.experiment), run.elapsed, None)
                continue
            one = measured(result, run.busy)
            self._digest = self._digest or one.digest
            if one.digest != self._digest:
                self.failures[run.experiment] = Failed(0, "it scored other rows than the rest")
                continue
            self.results[run.experiment] = one
            self._ratios.append(
                run.elapsed / costs.seconds(run.experiment.arm, self.layout.history, self.layout.scored)
            )
            self.watcher.finished(
                self._title(run.experiment), run.elapsed, sum(one.loss) / max(1, sum(one.n))
            )

    def verdict(self) -> Verdict:
        """Conclusions from what is known now."""
        roles, layout, working = self.options.roles, self.layout, self.prepared.working
        known = self._known()
        runs = of_arm(self.results, plan.reference(known.pace)) if known.pace is not None else []
        facts = Facts(
            path=self.options.path,
            log_rows=working.log_rows,
            log_rows_exact=working.log_rows_exact,
            rows=layout.history + layout.scored,
            history_rows=layout.history,
            scored_rows=layout.scored,
            positives=self.positives,
            history_positives=float(working.labels[layout.first : layout.cut].mean()),
            first=instant(layout.times[layout.first]).strftime("%Y-%m-%d %H:%M"),
            last=instant(layout.times[-1]).strftime("%Y-%m-%d %H:%M"),
            days=float(layout.times[-1] - layout.times[layout.first]) / 86_400e6,
            history_days=layout.days(layout.history),
            blocks=len(layout.boundaries),
            features=tuple(self.prepared.features.names()),
            columns=self.prepared.columns,
            notes=self.prepared.notes + self._window_note(),
            tolerance=self.options.tolerance,
            minutes_allowed=self.options.minutes,
            seconds_used=self.elapsed,
            stopped=self.stopped,
            left_out=self._left_out(known),
        )
        return judge(
            self.results,
            facts,
            pace=known.pace,
            days=layout.days,
            served=compare(working, roles, layout, runs),
        )

    def _window_note(self) -> tuple[str, ...]:
        working, minutes = self.prepared.working, self.options.minutes
        used = self.layout.history + self.layout.scored
        there = working.log_rows - working.bad_labels - working.bad_times
        if used >= there:
            return ()
        looked_at = min(there, MAX_ROWS)
        these = "all of them" if looked_at == there else f"the latest {looked_at:,}, which is the most,"
        more = minutes * looked_at / used
        return (
            (
                f"Only the latest {used:,} of {counted(there, exact=working.log_rows_exact)} rows fit into "
                f"{minutes:g} minutes; {these} need about {more:.0f} (--minutes {more:.0f})."
            ),
        )

    def _left_out(self, known: plan.Knowledge) -> tuple[str, ...]:
        out = [f"{self._title(e)} failed: {f.message}" for e, f in self.failures.items()]
        done = {e.arm for e in (*self.results, *self.failures)}
        arms = dict.fromkeys(wish.arm for wish in plan.wishes(known) if wish.arm not in done)
        return (*out, *(title(arm, self.positives, known.pace or 1.0) for arm in arms))

    def _title(self, experiment: Experiment) -> str:
        words = title(experiment.arm, self.positives, self._pace or 1.0)
        return words if experiment.seed == 0 else f"{words}, seed {experiment.seed + 1}"


def _short(whole: Layout) -> Layout:
    """The latest rows of a layout, enough for a pilot run; more where time is too coarse to split fewer."""
    rows = PILOT_ROWS
    while rows < len(whole.times):
        try:
            return lay_out(whole.times, rows)
        except EstimateError:
            rows *= 2
    return whole


def estimate(options: Options, folder: Path, watcher: Watcher) -> tuple[Verdict, Prepared]:
    """Read the log, run what fits, conclude.

    Raises:
        EstimateError: nothing could be estimated; the message says why.
    """
    began = time.monotonic()
    watcher.stage("reading the log")
    prepared = prepare(options, folder)
    session = Session(options, prepared, folder, watcher, began)
    session.run()
    return session.verdict(), prepared
