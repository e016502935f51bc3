"""One pass over the stream for one run or several: who is given which chunk, and what one failing means.

The run of the request leads; its riders get their own chunks of the same rows, so that each ends as it would
alone. Each keeps a state of its own, the leading run's the last: a fork that has begun is never missing from
disk where the leading run has passed the place.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from dataefficient.contract import RunReport, RunRequest
from dataefficient_trainer import marks
from dataefficient_trainer.checks import check
from dataefficient_trainer.config import Config
from dataefficient_trainer.errors import DataError, StoppedError, TrainerError
from dataefficient_trainer.events import Chunk, Chunks, Stream, union
from dataefficient_trainer.lineage import Loaded
from dataefficient_trainer.marks import Mark
from dataefficient_trainer.run import Run
from dataefficient_trainer.source import notice
from dataefficient_trainer.telemetry import Progress

RIDER_ERRORS = (TrainerError, OSError, MemoryError, RuntimeError)
"""What ends a rider and nothing else; torch reports a device without memory as a RuntimeError."""


@dataclass
class Lane:
    """Runs with the same chunks, the leading one last."""

    chunks: Chunks
    runs: list[Run]


class OnePass:
    """A request's run and its riders.

    Args:
        request: what was asked.
        config: its parsed configuration.
        stream: the opened stream.
        stopped: True once SIGTERM has arrived.
        progress: where people look.

    Attributes:
        first_row_at: Unix time of the first row; None before it.
    """

    def __init__(
        self,
        *,
        request: RunRequest,
        config: Config,
        stream: Stream,
        stopped: Callable[[], bool],
        progress: Progress,
    ) -> None:
        self.request, self.config, self.stream = request, config, stream
        self.stopped, self.progress = stopped, progress
        self.first_row_at: float | None = None
        self._loaded: Loaded = {}
        self._enter(resume=True)

    def _enter(self, *, resume: bool) -> None:
        """Make the runs and let them go on where they stopped."""
        self.leader = Run(
            request=self.request,
            config=self.config,
            stream=self.stream,
            loaded=self._loaded,
            progress=self.progress,
        )
        if resume:
            self.leader.resume()
        self.riders: list[Run] = []
        for rider in self.request.riders:
            if why := self.leader.state.failed.get(rider.run):
                self._tell(rider, why)
            else:
                self._attempt(rider, self._take_along, rider, resume)
        lost = [r.request.run for r in self.riders if r.waits and r.request.run in self.leader.state.forked]
        if lost:
            notice(f"the resumable state of {', '.join(lost)} is gone; all runs start from the beginning")
            self._enter(resume=False)
        self.progress.resume_at(self.leader.rows)

    def _take_along(self, request: RunRequest, resume: bool) -> None:  # noqa: FBT001
        check(request)
        run = Run(
            request=request,
            config=self.config,
            stream=self.stream,
            loaded=self._loaded,
            leader=self.request,
        )
        if resume:
            run.resume()
        self.riders.append(run)

    def execute(self) -> RunReport:
        """Do everything but write the report.

        Raises:
            TrainerError: of the kind that says what is wrong with the leading run.
        """
        self._snapshot_at = time.monotonic() + self.config.snapshot_seconds
        while True:
            try:
                self._read()
                break
            except DataError as error:
                # Where only riders have gone, the leading run does not care what the data are.
                low, high = self.leader.span
                beyond = [r for r in self.riders if r.span[0] < low or r.span[1] > high]
                if not beyond:
                    raise
                for rider in beyond:
                    self._lose(rider.request, error)
                self.stream.rewind()
        riders: list[RunReport] = []
        for rider in tuple(self.riders):
            self._attempt(rider.request, lambda run: riders.append(run.finish()), rider)
        return self._report(riders)

    def _report(self, riders: list[RunReport]) -> RunReport:
        report = self.leader.finish()
        if report.evaluated is not None:
            scored = {r.run: r.evaluated.models["self"] for r in riders if r.evaluated is not None}
            report = replace(
                report, evaluated=replace(report.evaluated, models={**report.evaluated.models, **scored})
            )
        spent = {run.request.run: {"startup": run.beside, "total": run.spent} for run in self.riders}
        told = tuple(
            replace(r, evaluated=None, kept_checkpoints=(), seconds=replace(r.seconds, **spent[r.run]))
            for r in riders
        )
        return replace(report, takes_riders=True, converts_sizes=True, tells_divergence=True, riders=told)

    # ------------------------------------------------------------------ reading

    def _lanes(self) -> list[Lane]:
        """Forks go on with the chunks of the leading run, where need be beyond its end."""
        forks = [r for r in self.riders if r.request.fork]
        low, high = self.leader.span
        main = (low, max([high, *(fork.span[1] for fork in forks)]))
        groups: dict[tuple[int, int], list[Run]] = {}
        for run in (*self.riders, self.leader):
            span = main if run is self.leader or run.request.fork else run.span
            groups.setdefault(span, []).append(run)
        return [
            Lane(Chunks(self.stream, span, min(r.rows for r in runs if not r.waits)), runs)
            for span, runs in groups.items()
        ]

    def _read(self) -> None:
        lanes = self._lanes()
        spans = union([lane.chunks.span for lane in lanes])
        pieces = self.stream.pieces(spans, self._begin(spans[0][0]))
        clock = self.leader.state.clock
        more = True
        while more:
            with clock.charge("read"):
                piece = next(pieces, None)
            more = piece is not None
            for lane in lanes:
                with clock.charge("read"):
                    chunks = lane.chunks.rest() if piece is None else lane.chunks.add(piece)
                for chunk in chunks:
                    self._carry(lane, chunk)

    def _begin(self, low: int) -> Mark | None:
        """Where to begin to read, if nothing before ``low`` is needed; None: at the stream's begin."""
        starts = {ref for r in (self.request, *self.request.riders) if (ref := r.start) is not None}
        found = [mark for ref in starts if (mark := marks.beside(ref)) is not None]
        return marks.latest(filter(self.stream.believes, found), low)

    def _carry(self, lane: Lane, chunk: Chunk) -> None:
        """Give a chunk to the runs of its lane."""
        if self.first_row_at is None:
            self.first_row_at = time.time()
        for run in lane.runs:
            if run is self.leader:
                run.feed(chunk)
            elif run in self.riders:
                self._attempt(run.request, self._feed_rider, run, chunk)
            self._pause()

    def _feed_rider(self, rider: Run, chunk: Chunk) -> None:
        if rider.waits:
            if chunk.times[-1] < rider.train_span[0]:
                return
            rider.fork(self.leader, chunk)
            self.leader.state.forked.append(rider.request.run)
        rider.feed(chunk)

    def _pause(self) -> None:
        """Between two chunks of a run: stop if asked to, and save all states now and then."""
        if self.stopped():
            self._write()
            raise StoppedError(
                f"stopped by SIGTERM after {self.leader.rows:,} rows; the same request continues from there"
            )
        if time.monotonic() >= self._snapshot_at:
            self._write()
            self._snapshot_at = time.monotonic() + self.config.snapshot_seconds

    def _write(self) -> None:
        for rider in tuple(self.riders):
            self._attempt(rider.request, rider.write)
        self.leader.write()

    # ------------------------------------------------------------------ riders that fail

    def _attempt(self, request: RunRequest, act: Callable[..., None], *arguments: object) -> None:
        """Do something for a rider; the rider ends where it fails."""
        try:
            act(*arguments)
        except RIDER_ERRORS as error:
            self._lose(request, error)

    def _lose(self, request: RunRequest, error: Exception) -> None:
        why = " ".join(str(error).split()) or type(error).__name__
        self.leader.state.failed[request.run] = why
        self.riders = [rider for rider in self.riders if rider.request is not request]
        self._tell(request, why)

    def _tell(self, request: RunRequest, why: str) -> None:
        notice(f"{request.run} failed and is left out, {self.request.run} goes on: {why}")
