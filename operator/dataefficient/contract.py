"""The trainer contract: what one run is given and what it gives back.

A run is one launch of a trainer, any program in any language. It reads a request (JSON, the file
named by ``DATAEFFICIENT_REQUEST``), trains and scores as asked, and writes a report (compact JSON of
at most 3,072 bytes, the file named by ``DATAEFFICIENT_REPORT``). The prose version with examples is
``docs/trainer-contract.md``.

This module is the only one that trainer and operator share. It imports the standard library alone,
so a trainer may vendor it. It is not the resource's schema (``dataefficient.api``) and decides nothing.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
MIN_PAIRED_BLOCKS = 8
"""Fewer common time blocks than this decide nothing."""
MAX_FROZEN = 4
MAX_SLICES = 8


class ExitCode(enum.IntEnum):
    """Exit codes of a trainer. Any other is an unexplained failure and is tried again."""

    OK = 0
    USER_ERROR = 64
    """The request or the configuration is wrong; trying again cannot help."""
    DATA_ERROR = 65
    """The data cannot be used: a column is missing, a file is damaged, all labels are equal."""
    DATA_NOT_READY = 75
    """The interval's data is not complete yet: wait and try again, outside the attempts' count."""
    EMPTY_INTERVAL = 76
    """No row lies in the interval: the cycle is skipped."""
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


class ContractError(ValueError):
    """A request or report that breaks the contract; the message names the field."""


def format_time(instant: datetime) -> str:
    """RFC 3339 in UTC with a ``Z``, microseconds only where there are some."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Inverse of :func:`format_time`; a time without an offset is refused."""
    try:
        instant = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise ContractError(f"{text!r} is not an RFC 3339 time such as 2001-01-31T00:00:00Z") from error
    if instant.tzinfo is None:
        raise ContractError(f"{text!r} has no time zone; write it in UTC with a final Z")
    return instant.astimezone(UTC)


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
    """Rows to score, unsampled but for ``share``: a fixed hash share of the rows in [start, end).

    Every model is scored on a row before the run trains on that row or on a later one. Where
    ``start`` is not before the end of training this scores the finished model.
    """

    start: datetime
    end: datetime
    share: float
    """Share of rows in (0, 1], by key hash."""
    salt: str
    boundaries: tuple[datetime, ...]
    """Ends of the time blocks, ascending, at most 16; the last equals ``end``."""


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
    """Warm start; None: cold. It is also scored, frozen, as model ``start``."""
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


@dataclass(frozen=True)
class Slice:
    """One value of a slice column: rows, and summed loss of the run's model and of ``start``."""

    column: str
    value: str
    n: int
    loss: float
    start_loss: float | None = None


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
    version: ClassVar[str] = VERSION


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def encode(value: Any) -> Any:
    """Plain JSON values of a dataclass tree: camelCase names, defaults and None left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {_camel(f.name): encode(v) for f, v in pairs if v is not None and v != f.default}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, Mapping):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(v) for v in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ContractError(f"{value} is not a finite number")
        return value
    return value


def _decode_dataclass(kind: type[Any], value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise ContractError(f"{path}: expected an object, found {value!r}")
    hints = typing.get_type_hints(kind)
    fields = {_camel(f.name): f for f in dataclasses.fields(kind)}
    unknown = sorted(set(value) - set(fields) - {"version"})
    if unknown:
        raise ContractError(f"{path}.{unknown[0]}: unknown field; allowed are {', '.join(fields)}")
    arguments = {}
    for name, f in fields.items():
        if name in value:
            arguments[f.name] = decode(hints[f.name], value[name], f"{path}.{name}")
        elif type(None) in typing.get_args(hints[f.name]):
            arguments[f.name] = None
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise ContractError(f"{path}.{name}: missing")
    return kind(**arguments)


def decode(kind: Any, value: Any, path: str) -> Any:
    """Inverse of :func:`encode` for the type ``kind``.

    Raises:
        ContractError: names ``path`` and what was expected there.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return decode(next(a for a in arguments if a is not type(None)), value, path)
    if origin is tuple:
        if not isinstance(value, list):
            raise ContractError(f"{path}: expected a list, found {value!r}")
        return tuple(decode(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, dict):
            raise ContractError(f"{path}: expected an object, found {value!r}")
        return {str(k): decode(arguments[1], v, f"{path}.{k}") for k, v in value.items()}
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_dataclass(kind, value, path)
    if kind is datetime:
        return parse_time(value)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        try:
            return kind(value)
        except ValueError as error:
            allowed = ", ".join(str(m.value) for m in kind)
            raise ContractError(f"{path}: {value!r} is not one of {allowed}") from error
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ContractError(f"{path}: expected a finite number, found {value!r}")
        return float(value)
    if isinstance(value, bool) != (kind is bool) or not isinstance(value, kind):
        raise ContractError(f"{path}: expected {kind.__name__}, found {value!r}")
    return value


def to_json(message: RunRequest | RunReport) -> str:
    """Compact JSON of a message.

    Raises:
        ContractError: a number is not finite, or a report exceeds 3,072 bytes.
    """
    body = {"version": VERSION, **encode(message)}
    text = json.dumps(body, separators=(",", ":"), sort_keys=False, allow_nan=False)
    if isinstance(message, RunReport) and len(text.encode()) > MAX_REPORT_BYTES:
        raise ContractError(f"the report has {len(text.encode())} bytes; at most {MAX_REPORT_BYTES} are allowed")
    return text


def _load(text: str | bytes, what: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError as error:
        raise ContractError(f"{what}: not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ContractError(f"{what}: expected an object, found {type(body).__name__}")
    if body.get("version") != VERSION:
        raise ContractError(f"{what}.version: {body.get('version')!r} is not {VERSION!r}")
    return body


def parse_request(text: str | bytes) -> RunRequest:
    """Read a request.

    Raises:
        ContractError: not JSON, another version, or a field that is missing, unknown or of a wrong type.
    """
    request: RunRequest = _decode_dataclass(RunRequest, _load(text, "request"), "request")
    if len(request.frozen) > MAX_FROZEN:
        raise ContractError(f"request.frozen: {len(request.frozen)} checkpoints; at most {MAX_FROZEN}")
    if request.train is not None and not 0.0 < request.train.rate <= 1.0:
        raise ContractError(f"request.train.rate: {request.train.rate} is outside (0, 1]")
    if request.evaluation is not None:
        if not 0.0 < request.evaluation.share <= 1.0:
            raise ContractError(f"request.evaluation.share: {request.evaluation.share} is outside (0, 1]")
        blocks = request.evaluation.boundaries
        if not 1 <= len(blocks) <= MAX_BLOCKS or list(blocks) != sorted(set(blocks)):
            raise ContractError(f"request.evaluation.boundaries: 1 to {MAX_BLOCKS} ascending times are needed")
    if request.size < 1:
        raise ContractError(f"request.size: {request.size} is not a positive integer")
    return request


def parse_report(text: str | bytes, request: RunRequest) -> RunReport:
    """Read a report and hold it against the request that it answers.

    Raises:
        ContractError: too long, not JSON, of another run, or numbers that cannot be true.
    """
    size = len(text.encode() if isinstance(text, str) else text)
    if size > MAX_REPORT_BYTES:
        raise ContractError(f"report: {size} bytes; at most {MAX_REPORT_BYTES} are allowed")
    report: RunReport = _decode_dataclass(RunReport, _load(text, "report"), "report")
    if report.run != request.run:
        raise ContractError(f"report.run: {report.run!r} is not {request.run!r}")
    if request.train is not None and (report.checkpoint is None or report.position is None):
        raise ContractError("report.checkpoint: missing, though the run was asked to train")
    if min(report.rows.read, report.rows.kept, report.rows.bad, report.rows.evaluated) < 0:
        raise ContractError("report.rows: a count is negative")
    if min(dataclasses.astuple(report.seconds)) < 0 or report.seconds.total <= 0:
        raise ContractError("report.seconds: a duration is negative or the total is zero")
    if request.evaluation is not None:
        _check_evaluated(report, request, len(request.evaluation.boundaries))
    return report


def _check_evaluated(report: RunReport, request: RunRequest, blocks: int) -> None:
    evaluated = report.evaluated
    if evaluated is None:
        raise ContractError("report.evaluated: missing, though the run was asked to score")
    expected = {"self"} if request.train is not None else set()
    expected |= set(request.frozen) | ({"start"} if request.start else set())
    if missing := sorted(expected - set(evaluated.models)):
        raise ContractError(f"report.evaluated.models.{missing[0]}: missing")
    if len(evaluated.n) != blocks or len(evaluated.positives) != blocks:
        raise ContractError(f"report.evaluated.n: {len(evaluated.n)} blocks where the request has {blocks}")
    if any(not 0 <= p <= n for n, p in zip(evaluated.n, evaluated.positives, strict=True)):
        raise ContractError("report.evaluated.positives: not between 0 and n in some block")
    for name, scored in evaluated.models.items():
        if len(scored.loss) != blocks or len(scored.predicted) != blocks:
            raise ContractError(f"report.evaluated.models.{name}: {len(scored.loss)} blocks, expected {blocks}")
        if min(scored.loss, default=0.0) < 0:
            raise ContractError(f"report.evaluated.models.{name}.loss: a summed log loss is negative")
        if any(not 0 <= p <= n for n, p in zip(evaluated.n, scored.predicted, strict=True)):
            raise ContractError(f"report.evaluated.models.{name}.predicted: not between 0 and n in some block")
