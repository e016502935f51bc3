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
import functools
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
MAX_INTEGER = 2**63 - 1
RESERVED_NAMES = ("self", "start")
"""Names of models in a report that a request's ``frozen`` must not use."""


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


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def format_time(instant: datetime) -> str:
    """RFC 3339 in UTC with a ``Z``, microseconds only where there are some."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Inverse of :func:`format_time`; a time without an offset is refused."""
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            raise ContractError(f"{_shown(text)} has no time zone; write it in UTC with a final Z")
        return instant.astimezone(UTC)
    except ContractError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise ContractError(f"{_shown(text)} is not an RFC 3339 time such as 2001-01-31T00:00:00Z") from error


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


class _Field(typing.NamedTuple):
    name: str
    hint: Any
    default: Any
    optional: bool
    required: bool


@functools.cache
def _fields(kind: type) -> dict[str, _Field]:
    """JSON name -> field; resolving the annotations takes far longer than decoding, so it is kept."""
    hints = typing.get_type_hints(kind)
    missing = dataclasses.MISSING
    return {
        _camel(f.name): _Field(
            f.name,
            hints[f.name],
            f.default,
            type(None) in typing.get_args(hints[f.name]),
            f.default is missing and f.default_factory is missing,
        )
        for f in dataclasses.fields(kind)
    }


def encode(value: Any) -> Any:
    """Plain JSON values of a dataclass tree: camelCase names, defaults and None left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((name, f.default, getattr(value, f.name)) for name, f in _fields(type(value)).items())
        return {name: encode(v) for name, default, v in pairs if v is not None and v != default}
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
        raise ContractError(f"{path}: expected an object, found {_shown(value)}")
    fields = _fields(kind)  # type: ignore[arg-type]  # mypy does not see that classes are hashable
    unknown = sorted(value.keys() - fields.keys() - {"version"})
    if unknown:
        raise ContractError(f"{path}.{unknown[0]}: unknown field; allowed are {', '.join(fields)}")
    arguments = {}
    for name, f in fields.items():
        if name in value:
            arguments[f.name] = decode(f.hint, value[name], f"{path}.{name}")
        elif f.optional:
            arguments[f.name] = None
        elif f.required:
            raise ContractError(f"{path}.{name}: missing")
    return kind(**arguments)


def decode(kind: Any, value: Any, path: str) -> Any:
    """Inverse of :func:`encode` for the type ``kind``.

    Raises:
        ContractError: names ``path`` and what was expected there.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        inner = next(a for a in arguments if a is not type(None))
        return None if value is None else decode(inner, value, path)
    if origin is tuple:
        if not isinstance(value, list):
            raise ContractError(f"{path}: expected a list, found {_shown(value)}")
        return tuple(decode(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, dict):
            raise ContractError(f"{path}: expected an object, found {_shown(value)}")
        return {k: decode(arguments[1], v, f"{path}.{k}") for k, v in value.items()}
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_dataclass(kind, value, path)
    if kind is datetime:
        try:
            return parse_time(value)
        except ContractError as error:
            raise ContractError(f"{path}: {error}") from None
    return _decode_scalar(kind, value, path)


def _decode_scalar(kind: type[Any], value: Any, path: str) -> Any:
    if issubclass(kind, enum.Enum):
        try:
            return kind(value)
        except ValueError as error:
            allowed = ", ".join(str(m.value) for m in kind)
            raise ContractError(f"{path}: {_shown(value)} is not one of {allowed}") from error
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not _finite(value):
            raise ContractError(f"{path}: expected a finite number, found {_shown(value)}")
        return float(value)
    if isinstance(value, bool) != (kind is bool) or not isinstance(value, kind):
        raise ContractError(f"{path}: expected {_JSON_NAMES[kind]}, found {_shown(value)}")
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ContractError(f"{path}: an integer of more than 64 bits")
    return value


_JSON_NAMES = {int: "an integer", str: "a string", bool: "true or false"}


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def to_json(message: RunRequest | RunReport) -> str:
    """Compact JSON of a message.

    Raises:
        ContractError: a number is not finite, or a report exceeds 3,072 bytes.
    """
    body = {"version": VERSION, **encode(message)}
    text = json.dumps(body, separators=(",", ":"), sort_keys=False, allow_nan=False)
    if isinstance(message, RunReport) and len(text.encode()) > MAX_REPORT_BYTES:
        raise ContractError(
            f"the report has {len(text.encode())} bytes; at most {MAX_REPORT_BYTES} are allowed"
        )
    return text


def _load(text: str | bytes, what: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except RecursionError:
        raise ContractError(f"{what}: not JSON: nested too deeply") from None
    except ValueError as error:
        raise ContractError(f"{what}: not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ContractError(f"{what}: expected an object, found {type(body).__name__}")
    if body.get("version") != VERSION:
        raise ContractError(f"{what}.version: {_shown(body.get('version'))} is not {VERSION!r}")
    return body


def parse_request(text: str | bytes) -> RunRequest:
    """Read a request.

    Raises:
        ContractError: not JSON, another version, a field that is missing, unknown or of a wrong type, or
            a request that cannot be met.
    """
    request: RunRequest = _decode_dataclass(RunRequest, _load(text, "request"), "request")
    if len(request.frozen) > MAX_FROZEN:
        raise ContractError(f"request.frozen: {len(request.frozen)} checkpoints; at most {MAX_FROZEN}")
    for name in RESERVED_NAMES:
        if name in request.frozen:
            raise ContractError(f"request.frozen.{name}: the name is reserved")
    if not request.data.key:
        raise ContractError("request.data.key: at least one column is needed")
    for path, value in (
        ("size", request.size),
        ("threads", request.threads),
        ("deadlineSeconds", request.deadline_seconds),
        ("scales.learningRate", request.scales.learning_rate),
        ("scales.batch", request.scales.batch),
    ):
        if value is not None and value <= 0:
            raise ContractError(f"request.{path}: {value} is not positive")
    if request.train is None and request.evaluation is None:
        raise ContractError("request.train: missing, and so is request.evaluation: there is nothing to do")
    if request.train is None and request.start is None and not request.frozen:
        raise ContractError("request.start: missing, and so are train and frozen: there is no model to score")
    _check_rows(request)
    return request


def _check_rows(request: RunRequest) -> None:
    for name, rows in (("train", request.train), ("evaluation", request.evaluation)):
        if rows is not None and rows.start >= rows.end:
            raise ContractError(f"request.{name}.end: {format_time(rows.end)} is not after the start")
    if request.train is not None and not 0.0 < request.train.rate <= 1.0:
        raise ContractError(f"request.train.rate: {request.train.rate} is outside (0, 1]")
    if request.evaluation is not None:
        if not 0.0 < request.evaluation.share <= 1.0:
            raise ContractError(f"request.evaluation.share: {request.evaluation.share} is outside (0, 1]")
        blocks = request.evaluation.boundaries
        if not 1 <= len(blocks) <= MAX_BLOCKS or list(blocks) != sorted(set(blocks)):
            raise ContractError(
                f"request.evaluation.boundaries: 1 to {MAX_BLOCKS} ascending times are needed"
            )
        if blocks[0] <= request.evaluation.start or blocks[-1] != request.evaluation.end:
            raise ContractError(
                "request.evaluation.boundaries: the first must follow the start, the last be the end"
            )


def parse_report(text: str | bytes, request: RunRequest) -> RunReport:
    """Read a report and hold it against the request that it answers.

    Raises:
        ContractError: too long, not JSON, of another run, or numbers that cannot be true.
    """
    size = len(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    if size > MAX_REPORT_BYTES:
        raise ContractError(f"report: {size} bytes; at most {MAX_REPORT_BYTES} are allowed")
    report: RunReport = _decode_dataclass(RunReport, _load(text, "report"), "report")
    if report.run != request.run:
        raise ContractError(f"report.run: {_shown(report.run)} is not {request.run!r}")
    if request.train is not None:
        if report.checkpoint is None:
            raise ContractError("report.checkpoint: missing, though the run was asked to train")
        if report.position is None:
            raise ContractError("report.position: missing, though the run was asked to train")
        if report.position > request.train.end:
            end = format_time(request.train.end)
            raise ContractError(f"report.position: {format_time(report.position)} is after train.end, {end}")
    _check_counts(report.rows)
    if min(dataclasses.astuple(report.seconds)) < 0 or report.seconds.total <= 0:
        raise ContractError("report.seconds: a duration is negative or the total is zero")
    if request.evaluation is not None:
        _check_evaluated(report, request, len(request.evaluation.boundaries))
    return report


def _check_counts(rows: Rows) -> None:
    if min(dataclasses.astuple(rows)) < 0:
        raise ContractError("report.rows: a count is negative")
    for small, large in (
        ("kept", "read"),
        ("positives", "read"),
        ("kept_positives", "kept"),
        ("effective", "kept"),
    ):
        if getattr(rows, small) > getattr(rows, large) * (1 + 1e-6):
            found = f"{getattr(rows, small)} is more than {large}, {getattr(rows, large)}"
            raise ContractError(f"report.rows.{_camel(small)}: {found}")


def _check_evaluated(report: RunReport, request: RunRequest, blocks: int) -> None:
    evaluated = report.evaluated
    if evaluated is None:
        raise ContractError("report.evaluated: missing, though the run was asked to score")
    expected = {"self"} if request.train is not None else set()
    expected |= set(request.frozen) | ({"start"} if request.start else set())
    if missing := sorted(expected - set(evaluated.models)):
        raise ContractError(f"report.evaluated.models.{missing[0]}: missing")
    for name, counts in (("n", evaluated.n), ("positives", evaluated.positives)):
        if len(counts) != blocks:
            raise ContractError(f"report.evaluated.{name}: {len(counts)} blocks, expected {blocks}")
    if any(not 0 <= p <= n for n, p in zip(evaluated.n, evaluated.positives, strict=True)):
        raise ContractError("report.evaluated.positives: not between 0 and n in some block")
    for name, scored in evaluated.models.items():
        _check_scored(scored, evaluated.n, f"report.evaluated.models.{name}")
    if len(evaluated.slices) > MAX_SLICES:
        raise ContractError(
            f"report.evaluated.slices: {len(evaluated.slices)}; at most {MAX_SLICES} are allowed"
        )
    for i, part in enumerate(evaluated.slices):
        if min(part.n, part.loss, part.start_loss or 0.0) < 0:
            raise ContractError(f"report.evaluated.slices[{i}]: a count or a summed log loss is negative")


def _check_scored(scored: Scored, n: tuple[int, ...], path: str) -> None:
    for name, sums in (("loss", scored.loss), ("predicted", scored.predicted)):
        if len(sums) != len(n):
            raise ContractError(f"{path}.{name}: {len(sums)} blocks, expected {len(n)}")
    if min(scored.loss) < 0:
        raise ContractError(f"{path}.loss: a summed log loss is negative")
    if any(rows == 0 and loss > 0 for rows, loss in zip(n, scored.loss, strict=True)):
        raise ContractError(f"{path}.loss: a block without rows has a loss")
    if any(not 0 <= p <= rows for rows, p in zip(n, scored.predicted, strict=True)):
        raise ContractError(f"{path}.predicted: not between 0 and n in some block")
    if scored.auc is not None and not 0.0 <= scored.auc <= 1.0:
        raise ContractError(f"{path}.auc: {scored.auc} is outside [0, 1]")
