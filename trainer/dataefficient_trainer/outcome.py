"""The end of a run: was there anything to learn from, and what the report says."""

from __future__ import annotations

import dataclasses

from dataefficient.contract import CheckpointRef, Rows, RunReport, RunRequest, Seconds, format_time
from dataefficient_trainer import checkpoint, marks
from dataefficient_trainer.errors import DataError, EmptyIntervalError, NotReadyError
from dataefficient_trainer.events import Stream, instant, micros
from dataefficient_trainer.lineage import identity
from dataefficient_trainer.rules import Pace
from dataefficient_trainer.source import notice
from dataefficient_trainer.state import State


def check_rows(request: RunRequest, stream: Stream, state: State) -> None:
    """Refuse what cannot be learnt from.

    Labels that are all equal are refused on a cold start; a warm start or a fork has learnt both before,
    and only says so.

    Raises:
        EmptyIntervalError: no row in the interval, none to train on, or on a cold start one label only.
        NotReadyError: the stream ends before the interval of a later cycle begins.
        DataError: no usable label, or no time.
    """
    counts, data, train = state.counts, request.data, request.train
    if counts.read == 0:
        if counts.unusable:
            raise DataError(
                f"data.label: none of the {counts.unusable:,} rows of the interval has a usable label in "
                f"column {stream.label!r}: it must hold 0 and 1, or what "
                "trainer.config.label.atLeast or .equals makes one of; name another column, or convert it"
            )
        if stream.timeless and stream.timeless == stream.read_rows:
            strange, parts = stream.strange_time, stream.config.time.parts
            if parts:
                raise DataError(
                    f"trainer.config.time.parts: none of the {stream.timeless:,} rows read has numbers of a "
                    f"time in {' and '.join(repr(column) for column in parts.values())}; name columns that do"
                )
            raise DataError(
                f"data.time: none of the {stream.timeless:,} rows read has a time in column {data.time!r}"
                + (
                    ""
                    if strange is None
                    else f" that can be read: {strange!r}; say how it is written in "
                    "trainer.config.time, as {format: '%d/%m/%Y %H:%M'}"
                )
            )
        spans = [(s.start, s.end) for s in (train, request.evaluation) if s is not None]
        text = " or ".join(f"[{format_time(a)}, {format_time(b)})" for a, b in dict.fromkeys(spans))
        extent = stream.extent()
        # What lies before cycle 1 is there or never will be.
        if request.cycle > 0 and extent is not None and extent[1] < min(micros(start) for start, _ in spans):
            raise NotReadyError(
                f"{data.uri} ends at {instant(extent[1])}, before any of {text}: rows of it may still come. "
                "If the log is complete, set schedule.endTime"
            )
        raise EmptyIntervalError(f"no row of {data.uri} has its {data.time} in {text}{_lies(extent)}")
    if train is None:
        return
    if counts.train_rows == 0:
        raise EmptyIntervalError(
            f"no row of {data.uri} with a usable label has its {data.time} in the training interval "
            f"[{format_time(train.start)}, {format_time(train.end)}){_lies(stream.extent())}"
        )
    if counts.positives in {0, counts.train_rows}:
        found = f"all {counts.train_rows:,} training rows have the label {int(counts.positives > 0)}"
        if request.start is None and not request.fork:
            raise EmptyIntervalError(
                f"data.label: {found} (column {stream.label!r}); nothing can be learnt from that: check the "
                "column, trainer.config.label.atLeast and the interval"
            )
        notice(f"{found}; the model was trained on them all the same")


def _lies(extent: tuple[int, int] | None) -> str:
    return "" if extent is None else f"; rows were found from {instant(extent[0])} to {instant(extent[1])}"


def save(request: RunRequest, stream: Stream, state: State) -> CheckpointRef | None:
    """Write the checkpoint of a run that trained."""
    if state.model is None or request.train is None:
        return None
    facts = {
        **identity(stream),
        "size": request.size,
        "position": format_time(request.train.end),
        "shares": dataclasses.asdict(state.shares),
        "resource": request.resource,
        "run": request.run,
    }
    saved = checkpoint.save(
        checkpoint.join(request.output, checkpoint.CHECKPOINT), state.model.tensors(), facts
    )
    mark = marks.latest(stream.marks, micros(request.train.end))
    if mark is not None:
        checkpoint.write(marks.address(saved.uri), marks.to_json(mark))
    return saved


def report(
    request: RunRequest, stream: Stream, state: State, *, pace: Pace, saved: CheckpointRef | None
) -> RunReport:
    """The report, with start-up and total seconds still to be filled in."""
    counts, seconds = state.counts, state.clock.seconds
    extra: dict[str, float] = {
        "missingCells": state.cells.missing,
        "malformedCells": state.cells.malformed,
        "notFiniteCells": state.cells.not_finite,
    }
    for column, cut in state.cells.cut.items():
        most = stream.layout.features.lists[column].most
        notice(
            f"{column}: {cut:,} lists have more values than trainer.config.features.lists.{column}.most "
            f"({most}); of each the first are used"
        )
    for column, odd in state.cells.odd.items():
        length = stream.layout.features.vectors[column]
        notice(f"{column}: {odd:,} rows have another number of values than {length}; they count as missing")
    if stream.config.teacher is not None:
        state.heeded.tell(stream.config.teacher, counts.kept)
        extra |= {"taughtRows": state.heeded.rows, "teacherWeight": state.heeded.weight / max(counts.kept, 1)}
        if state.heeded.gap is not None:
            extra["teacherGap"] = state.heeded.gap
    served = request.data.served_prediction
    if state.logged is not None and state.scores is not None and served is not None:
        extra |= state.logged.tell(served, state.scores.rows)
    if counts.steps:
        extra |= {"steps": counts.steps, "batch": pace.batch, "trainLoss": counts.losses / counts.steps}
        extra |= {"sparseRate": pace.sparse, "denseRate": pace.dense}
    return RunReport(
        run=request.run,
        rows=Rows(
            read=counts.read,
            kept=counts.kept,
            bad=counts.unusable + stream.bad,
            positives=counts.positives,
            kept_positives=counts.kept_positives,
            evaluated=counts.evaluated,
            effective=counts.weight**2 / counts.square if counts.square else 0.0,
        ),
        seconds=Seconds(0.0, seconds["read"], seconds["train"], seconds["evaluate"], 0.0),
        checkpoint=saved,
        position=request.train.end if request.train else None,
        evaluated=state.scores.result() if state.scores else None,
        kept_checkpoints=checkpoint.existing(request.keep),
        extra={k: float(v) for k, v in extra.items()},
    )
