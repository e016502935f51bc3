"""What is said: requests, reports and their parts, the exit codes and the names of the environment.

Plain frozen data with its meaning in the docstrings. How it becomes JSON is in ``codec``, what must be
true of it in ``reading``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

VERSION = "dataefficient.training/trainer-v1"
"""Value of ``version`` in requests and reports."""

REQUEST_VARIABLE = "DATAEFFICIENT_REQUEST"
"""Environment variable: path of the request file."""
REPORT_VARIABLE = "DATAEFFICIENT_REPORT"
"""Environment variable: path that the report is written to (the termination message on a cluster)."""
METRICS_PORT_VARIABLE = "DATAEFFICIENT_METRICS_PORT"
"""Environment variable: TCP port for ``/metrics`` while the run lasts; absent: serve nothing."""
PROGRESS_VARIABLE = "DATAEFFICIENT_PROGRESS"
"""Environment variable: path of a file that the trainer may overwrite with one JSON object
``{"rows": int, "totalRows": int | null, "rowsPerSecond": float}`` as it goes; only people read it."""

MAX_REPORT_BYTES = 3072
MAX_BLOCKS = 16
MIN_PAIRED_BLOCKS = 6
"""Fewer common time blocks than this decide nothing. A week of whole days has seven."""
MAX_FROZEN = 4
MAX_SLICES = 8
MAX_RIDERS = 3
"""Their reports share the report's length."""
RESERVED_NAMES = ("self", "start")
"""Names of models in a report that a request's ``frozen`` must not use."""


class ExitCode(enum.IntEnum):
    """Exit codes of a trainer. Any other is an unexplained failure and is tried again."""

    OK = 0
    USER_ERROR = 64
    """The request or the configuration is wrong; trying again cannot help."""
    DATA_ERROR = 65
    """The data cannot be used: a column is missing, a file is damaged."""
    DATA_NOT_READY = 75
    """The interval's data is not complete yet: wait and try again, outside the attempts' count."""
    EMPTY_INTERVAL = 76
    """Nothing to learn from is there: no row or, on a cold start, one label only. The cycle is skipped."""
    CHECKPOINT_MISSING = 77
    """A checkpoint named in the request is gone, damaged or of another model."""
    NOT_FINITE = 78
    """The loss was not finite; stopped before the optimizer step."""
    INTERRUPTED = 143
    """SIGTERM: a resumable state was saved."""


class Policy(enum.StrEnum):
    """How training rows are chosen. ``rate`` always is the expected share of *all* rows kept."""

    UNIFORM = "Uniform"
    NEGATIVES = "Negatives"
    """Keep every positive; keep negatives with one probability such that the share kept is ``rate``."""
    SCORED_NEGATIVES = "ScoredNegatives"
    """Keep every positive; keep negatives in proportion to p*sqrt(1-p) of a served score."""


class Role(enum.StrEnum):
    """Why a run exists."""

    CANDIDATE = "Candidate"
    """The cycle's next champion, if it passes the gate."""
    PROBE = "Probe"
    """A cold start on a part of the history."""
    TRIAL = "Trial"
    """A branch that trains a plan other than the one in force, beside it."""
    CONTROL = "Control"
    """A branch that trains full data at the largest size."""


@dataclass(frozen=True)
class Data:
    """Where the stream lies and what its columns mean."""

    uri: str
    time: str
    label: str
    key: tuple[str, ...]
    """Columns that identify an event; sampling and the evaluation share hash these, never a position."""
    group: str | None = None
    """Column whose rows are kept or dropped together (a request); replaces ``key`` in the sampling hash."""
    served_prediction: str | None = None


@dataclass(frozen=True)
class Train:
    """Rows to learn from: event time in [start, end), sampled."""

    start: datetime
    end: datetime
    policy: Policy
    rate: float
    """Expected share of all rows kept, in (0, 1]."""
    salt: str
    """Salt of the sampling hash, the same for the resource's whole life: rates are nested."""


@dataclass(frozen=True)
class Evaluation:
    """Rows to score, independent of what is trained on: a fixed hash share of the rows in [start, end).

    Every model is scored on a row before the run trains on that row or on a later one. Where
    ``start`` is not before the end of training this scores the finished model. Of the negatives a part may
    be left out, which the sums make up for.
    """

    start: datetime
    end: datetime
    share: float
    """Share of rows in (0, 1], by key hash."""
    salt: str
    boundaries: tuple[datetime, ...]
    """Ends of the time blocks, ascending, at most 16; the last equals ``end``."""
    negatives: float = 1.0
    """Share of the negatives among these rows that are scored, in (0, 1]; all positives are. Counts and sums
    are given for all rows: a block's scored negatives stand for all of its negatives."""
    slices: tuple[str, ...] = ()
    """Columns, at most ``MAX_SLICES``, of whose values the report is to tell those that do worst."""


@dataclass(frozen=True)
class CheckpointRef:
    """A checkpoint by place and content."""

    uri: str
    digest: str


@dataclass(frozen=True)
class Scales:
    """Multipliers on the trainer's own learning rate and batch size; a trainer may ignore them."""

    learning_rate: float = 1.0
    batch: float = 1.0


@dataclass(frozen=True)
class RunRequest:
    """Everything one run is told. Paths and URIs are absolute."""

    resource: str
    """``namespace/name``."""
    cycle: int
    run: str
    """Name of the run, unique in the resource, e.g. ``c003-candidate``."""
    role: Role
    data: Data
    train: Train | None
    """None: score only."""
    evaluation: Evaluation | None
    size: int
    """Model size on the trainer's scale."""
    seed: int
    """Initial weights and shuffling. Branches of one champion share it."""
    output: str
    """Where the checkpoint goes: a folder or an fsspec prefix that belongs to this run."""
    start: CheckpointRef | None = None
    """Warm start; None: cold. It is also scored, frozen, as model ``start``. It has another size only where
    the trainer ``converts_sizes``."""
    frozen: Mapping[str, CheckpointRef] = field(default_factory=dict)
    """More checkpoints to score, by name, at most 4."""
    keep: tuple[str, ...] = ()
    """URIs of checkpoints that must stay; the trainer may delete others beside ``output``."""
    scales: Scales = Scales()
    config: Mapping[str, Any] = field(default_factory=dict)
    """``spec.trainer.config``, untouched."""
    device: str = "cpu"
    """``cpu`` or ``cuda`` or ``tpu``."""
    threads: int = 1
    deadline_seconds: float | None = None
    riders: tuple[RunRequest, ...] = ()
    """Runs that this one does beside its own, in one process that reads the stream once for all: at most 3,
    each a request as it would be alone, without riders. A rider's ``evaluation`` is None or this one's. Asked
    only of a trainer that ``takes_riders``."""
    fork: bool = False
    """Of a rider: it begins, without ``start``, as a copy of what the leading run's own model is when the
    stream comes to ``train.start``."""
    version: ClassVar[str] = VERSION


@dataclass(frozen=True)
class Rows:
    """Rows of the run. ``read`` = rows of the intervals with a usable label; ``bad`` = rows refused."""

    read: int
    kept: int
    """Rows trained on."""
    bad: int = 0
    positives: int = 0
    """Positives among the rows of the training interval, before sampling."""
    kept_positives: int = 0
    evaluated: int = 0
    effective: float = 0.0
    """Effective sample size of the kept rows, (sum w)^2 / sum w^2 with w = 1/probability."""


@dataclass(frozen=True)
class Seconds:
    """Wall-clock seconds of the run by purpose; ``total`` covers process start to report."""

    startup: float
    read: float
    train: float
    evaluate: float
    total: float


@dataclass(frozen=True)
class Scored:
    """One model on the evaluation rows; the sequences run over the request's blocks.

    ``loss`` sums log loss in nats; ``predicted`` sums probabilities.
    """

    loss: tuple[float, ...]
    predicted: tuple[float, ...]
    auc: float | None = None
    divergence: float | None = None
    """Of a frozen model: half its Jeffreys divergence from the frozen ``champion``, or from ``start`` where
    no ``champion`` is asked for: the mean over the rows, in nats, of (p - q)(logit p - logit q) / 2. None: it
    is not told."""


@dataclass(frozen=True)
class Slice:
    """One value of a slice column: rows, and summed loss of the run's model and of ``start``."""

    column: str
    value: str
    n: int
    loss: float
    start_loss: float | None = None
    error: float | None = None
    """Standard error of ``loss - start_loss``; None: not told."""


@dataclass(frozen=True)
class Evaluated:
    """The evaluation rows, common to all models, and each model's sums on them."""

    n: tuple[int, ...]
    positives: tuple[int, ...]
    digest: str
    """Digest of the row set and its labels: only equal digests are paired."""
    models: Mapping[str, Scored]
    """``self`` is the run's model as it learns; ``start`` and the request's ``frozen`` names beside it."""
    slices: tuple[Slice, ...] = ()


@dataclass(frozen=True)
class RunReport:
    """What one run gives back."""

    run: str
    rows: Rows
    seconds: Seconds
    checkpoint: CheckpointRef | None
    """None for a run that trained nothing."""
    position: datetime | None
    """The checkpoint has seen the stream up to here, exclusive."""
    evaluated: Evaluated | None
    kept_checkpoints: tuple[str, ...] = ()
    """URIs from the request's ``keep`` that still exist."""
    extra: Mapping[str, float] = field(default_factory=dict)
    """A few further finite numbers for people (gradient norm, device use)."""
    takes_riders: bool = False
    """Whether the trainer does the ``riders`` of a request."""
    converts_sizes: bool = False
    """Whether a run may start from a model of another size: a larger one then predicts as the one that it
    starts from, a smaller one as nearly as it can."""
    tells_divergence: bool = False
    """Whether the trainer tells the ``divergence`` of frozen models."""
    riders: tuple[RunReport, ...] = ()
    """Those of the request's riders that ended well. What they scored is in this report's ``evaluated``,
    under their run's name. Their ``seconds`` are what they took of the process, without its start-up; of the
    leading run's, only ``total`` holds them too."""
    version: ClassVar[str] = VERSION
