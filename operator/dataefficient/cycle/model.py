"""What the state machine remembers, sees and answers.

Plain frozen data that goes to JSON and back through the contract's codec, so that an observation can
be kept and its decision replayed. No rule lives here; the rules are in ``machine`` and ``planner``.
Durations are device-seconds (wall-clock seconds x devices) unless a name says otherwise.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dataefficient.contract import CheckpointRef, Role, RunReport, RunRequest, Slice
from dataefficient.cycle.answers import Answer, Heard
from dataefficient.cycle.figures import ColdStart, Forecast, Proposal, Saved, Surface
from dataefficient.planner.contrasts import Contrast, Past
from dataefficient.planner.knobs import Point

EXHAUSTED = "BudgetExhausted"
"""Code of a stop for want of budget."""
PILOT = 64
"""The first run trains on the last 1/64 of the history before the common window."""


class Step(enum.StrEnum):
    """Where in a cycle the resource stands; ``machine.advance`` has one function for each."""

    WAITING = "Waiting"
    """For the interval to end and its labels to be complete."""
    MEASURING = "Measuring"
    """Cycle 0: small cold starts on the history."""
    TRAINING = "Training"
    """The candidate and the branches beside it are running."""
    FINISHED = "Finished"
    """No interval is left."""
    STOPPED = "Stopped"
    """A person must act; ``Memory.stopped`` says on what."""


class FailureKind(enum.StrEnum):
    """Why a run gave no usable report."""

    USER_ERROR = "UserError"
    DATA_ERROR = "DataError"
    DATA_NOT_READY = "DataNotReady"
    EMPTY_INTERVAL = "EmptyInterval"
    CHECKPOINT_MISSING = "CheckpointMissing"
    NOT_FINITE = "NotFinite"
    NO_REPORT = "NoReport"
    GARBAGE = "GarbageReport"
    DEADLINE = "DeadlineExceeded"
    UNSCHEDULABLE = "Unschedulable"
    """No machine was found in time."""
    IMAGE_NOT_PULLED = "ImageNotPulled"
    NOT_STARTED = "NotStarted"
    """Its container could not be made."""
    CRASHED = "Crashed"
    PREEMPTED = "Preempted"
    """Ended from outside, through no fault of its own: paid, not counted against ``limits.maxAttempts``."""


@dataclass(frozen=True)
class Failure:
    """A run's failure: its kind and the trainer's own last words."""

    kind: FailureKind
    message: str


@dataclass(frozen=True)
class Rider:
    """A run that is done in the process of another: what its request, in there, does not say."""

    point: Point
    forecast_seconds: float | None
    """Expected device-seconds that it adds."""


@dataclass(frozen=True)
class RunPlan:
    """A run that is to be, or was, launched."""

    request: RunRequest
    point: Point
    devices: int
    forecast_seconds: float | None
    """Expected device-seconds, without its riders'; None where nothing was measured yet."""
    reserved_seconds: float
    """Device-seconds set aside for it and its riders: deadline x devices."""
    attempt: int = 1
    """Launches of this name so far, this one included, those that had to wait for data among them."""
    failures: int = 0
    """Attempts before this one that count against ``limits.maxAttempts``."""
    not_before: datetime | None = None
    cause: Failure | None = None
    """How the attempt before this one failed."""
    riders: tuple[Rider, ...] = ()
    """In the order of the request's."""


@dataclass(frozen=True)
class RunOutcome:
    """How one attempt ended; exactly one of ``report`` and ``failure`` is there."""

    run: str
    attempt: int
    device_seconds: float
    """Measured by the driver from launch to end; it is what is charged."""
    report: RunReport | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class CostEvidence:
    """What another meter than the driver's counted for a run, all its attempts, up to its reservation."""

    run: str
    seconds: float
    """Device-seconds."""


@dataclass(frozen=True)
class Observation:
    """What a driver saw: the time, the outcomes of runs that the memory holds as running, and what
    Prometheus answered since the last one."""

    now: datetime
    outcomes: tuple[RunOutcome, ...] = ()
    costs: tuple[CostEvidence, ...] = ()
    kpi: Answer | None = None
    """To ``kpi.query``, about what serves."""
    guardrails: Mapping[str, Answer] = field(default_factory=dict)
    """To the serving guardrails, by name."""
    approval: str = ""
    """The digest that a person has written, for as long as it stands there; empty: none."""
    run_now: bool = False
    """A person asks, now, that nothing be waited for that only a clock ends."""
    rollback: int | None = None
    """A person asks, now, for the champion that this cycle published; None: nobody does."""


@dataclass(frozen=True)
class Champion:
    """A published checkpoint."""

    checkpoint: CheckpointRef
    cycle: int
    point: Point
    position: datetime
    distance: float
    """Upper bound of the lineage's relative distance to the reference when it was published."""
    past: Past = ()
    """What its lineage trained under."""
    cold: str = ""
    """The cold start that its lineage goes back to, where that is not the reference's."""
    cold_age: float = 0.0
    """Cycles' worth of rows that the lineage has trained on since."""


@dataclass(frozen=True)
class Branch:
    """A trial or a control: a lineage beside the champion's.

    ``age`` counts the cycles that it has trained apart; ``looks`` the paired comparisons so far.
    """

    role: Role
    point: Point
    began: int
    age: int
    checkpoint: CheckpointRef | None = None
    position: datetime | None = None
    looks: int = 0
    cold: str = ""
    """Name of its cold start; empty: it goes on from a champion."""
    cold_age: float = 0.0
    """Cycles' worth of rows that the cold start was given."""
    converted: bool = False
    """It goes on from a champion of another size; ``cold`` then names what its conversion lost."""
    target: Point | None = None
    """The plan that a trial is for, where it is a milder one that the law of the rate speaks of."""
    watch: bool = False
    """A trial of a neighbouring rate that tells what the plan in force loses, and is not there to serve."""
    changed: bool = False
    """It told of a change of the stream, from which it recovers."""


@dataclass(frozen=True)
class Entry:
    """One line of the ledger: an attempt that was paid for."""

    cycle: int
    run: str
    attempt: int
    role: Role
    seconds: float
    rode_in: str = ""
    """The run whose process it was part of; empty: it had its own."""


@dataclass(frozen=True)
class Ledger:
    """What was spent, in device-seconds; totals only grow, ``entries`` is the recent tail."""

    settled: float = 0.0
    by_role: Mapping[str, float] = field(default_factory=dict)
    by_cycle: Mapping[str, float] = field(default_factory=dict)
    window_start: datetime | None = None
    window: float = 0.0
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Rung:
    """One cold start at full data and the largest size, scored on the common later window."""

    rows: int
    loss: float
    standard_error: float
    """Between time blocks, of the level; differences between rungs are paired and far better known."""


@dataclass(frozen=True)
class Convergence:
    """What the history told. ``examples`` and its bounds are rows; None: not within this data."""

    examples: float | None
    low: float | None
    high: float | None
    longest: float
    """Rows of the longest history that was measured or extrapolated to."""
    reason: str
    measured: tuple[Rung, ...] = ()
    cycle: int = 0
    """Cycle in which it was measured."""
    earlier: bool = False
    """Whether another trainer was measured."""


@dataclass(frozen=True)
class Measured:
    """What a run cost and how it was made up: the cost model's raw material."""

    size: int
    read: int
    trained: int
    evaluated: int
    """Rows scored x models scored."""
    startup: float | None
    """None: it rode in the process of another."""
    reading: float
    training: float
    evaluating: float
    total: float
    carrying: float = 0.0
    """Seconds that the model of a run that rode took to load and to save; else they are in ``startup``."""


@dataclass(frozen=True)
class Refusal:
    """A point that was tried and refused: it is not tried again before ``not_before``."""

    point: Point
    count: int
    not_before: int


@dataclass(frozen=True)
class Option:
    """A plan that was weighed, for ``why``."""

    point: Point
    cost_seconds: float
    gap: float | None
    """Expected relative distance to the reference; None: never measured."""
    gap_bound: float | None
    verdict: str
    """``Chosen`` or the reason of its refusal, as a sentence."""


@dataclass(frozen=True)
class Gate:
    """The publish question: candidate against the frozen champion on the last third."""

    gap: float | None
    standard_error: float | None
    allowed: float
    published: bool
    reason: str


@dataclass(frozen=True)
class Plan:
    """What a cycle will run."""

    cycle: int
    point: Point
    train_from: datetime
    train_to: datetime
    cost: Forecast | None
    """Device-seconds of the candidate."""
    kpi: Forecast | None
    """Level (log loss) that the champion in force is expected to show on the interval."""
    reason: str
    code: str
    """Enumerated reason."""
    options: tuple[Option, ...] = ()
    digest: str = ""


@dataclass(frozen=True)
class RunSummary:
    """One run, as the history keeps it."""

    run: str
    role: Role
    point: Point
    rows_read: int
    rows_kept: int
    rows_evaluated: int
    seconds: float
    device_seconds: float
    checkpoint: str | None
    outcome: str


@dataclass(frozen=True)
class CycleRecord:
    """One finished cycle."""

    cycle: int
    start: datetime
    end: datetime
    plan: Plan | None
    kpi: float | None
    """Level of the model that was serving during the interval, on unsampled rows."""
    kpi_standard_error: float | None
    distance: float | None
    """Expected relative distance of the lineage to the reference, and its bound, after the cycle."""
    distance_bound: float | None
    gate: Gate | None
    spent_seconds: float
    runs: tuple[RunSummary, ...]
    notes: tuple[str, ...]
    """What else was decided, a sentence each: trials, controls, roll-backs, skips."""
    codes: tuple[str, ...] = ()
    """The same as enumerated reasons."""
    champion: str | None = None
    """Digest of the champion after the cycle."""
    slices: tuple[Slice, ...] = ()
    """Values of ``kpi.slices`` on which the candidate did worst against what it started from, worst first."""


@dataclass(frozen=True)
class Stopped:
    """Why nothing more is done until a person acts."""

    code: str
    message: str
    step: Step
    """Where to go on afterwards."""


@dataclass(frozen=True)
class Memory:
    """All that is remembered between two decisions; the status on a cluster, a file locally."""

    resource: str
    cycle: int = 0
    step: Step = Step.WAITING
    running: tuple[RunPlan, ...] = ()
    """Intent: written before anything is launched."""
    done: tuple[RunOutcome, ...] = ()
    """Outcomes of this cycle's finished runs."""
    launched: tuple[RunPlan, ...] = ()
    """Plans of this cycle's finished runs."""
    notes: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    """What was decided with the plan, as sentences and as enumerated reasons."""
    plan: Plan | None = None
    champion: Champion | None = None
    previous_champions: tuple[Champion, ...] = ()
    successor: Champion | None = None
    """A branch that won: the next candidate starts from it instead, while the champion goes on serving."""
    adopted: Point | None = None
    """Plan that a trial certified: in force from the next cycle on."""
    trial: Branch | None = None
    control: Branch | None = None
    contrasts: tuple[Contrast, ...] = ()
    convergence: Convergence | None = None
    measured: tuple[Measured, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    refused_in_row: int = 0
    no_trial_before: int = 0
    """First cycle in which a trial may begin again after a refusal."""
    rejections: int = 0
    """Candidates rejected in a row."""
    looks: int = 0
    """Decisions on trials so far: what alpha spending counts."""
    last_control: int = 0
    """Cycle of the last control, or the one in which the lineage left the reference."""
    row_rate: float | None = None
    """Rows of the stream per second of event time."""
    positives: float | None = None
    """Share of positives among the rows that the latest candidate was scored on."""
    pilot_part: int = PILOT
    """The pilot trains on the last 1/this; more where no row lies in the last 1/`PILOT`."""
    window_cycles: int = 1
    """Cycles that are as long as the window at the history's end that small runs are scored on."""
    time_blocks: int | None = None
    """Time blocks of a cycle that had rows, as its models were scored last."""
    levels: tuple[float, ...] = ()
    """Served log loss of the latest cycles, oldest first."""
    level_spread: float = 0.0
    """Standard deviation of the level between time blocks of the history."""
    seed_noise: float = 0.0006
    """Standard deviation between cold starts with different seeds, relative loss; the start value is the
    middle of what was seen on a real stream (0.03 to 0.1 %)."""
    distance: float = 0.0
    """Expected relative distance of the lineage to the reference."""
    distance_bound: float = 0.0
    account: float = 0.0
    """Device-seconds that exploration may spend."""
    evaluation_share: float = 0.1
    """Share of the rows that an ordinary cycle scores its two models on."""
    look_share: float | None = None
    """The same where branches are compared; None: no other."""
    evaluation_negatives: float = 1.0
    """Share of the negatives among those rows that is scored."""
    scores_all: bool = False
    """Whether the trainer was seen to score all negatives, whatever part is asked for."""
    ledger: Ledger = field(default_factory=Ledger)
    history: tuple[CycleRecord, ...] = ()
    heard: tuple[Heard, ...] = ()
    """What ``kpi.query`` gave, by cycle, oldest first."""
    guarded: Mapping[str, Answer] = field(default_factory=dict)
    """The newest answer to each serving guardrail."""
    takes_riders: bool = False
    """Whether the trainer does several runs in one process, as its newest report says."""
    converts_sizes: bool = False
    """Whether a run may start from a model of another size, as the trainer's newest report says."""
    tells_divergence: bool = False
    """Whether the trainer tells how far predictions lie apart, as its newest report says."""
    crashed_with_riders: bool = False
    """Whether a process with riders failed under this trainer: no other is asked to take any."""
    key: str | None = None
    """Comparability key of the newest runs."""
    renewed: int | None = None
    """Newest cycle that began with another key."""
    cold_starts: tuple[ColdStart, ...] = ()
    surface: Surface | None = None
    saved: Saved | None = None
    retry_at: datetime | None = None
    """Data were not ready: look again then."""
    proposal: Proposal | None = None
    """What waits for a person's approval."""
    granted: Proposal | None = None
    """What was approved and is not carried out yet."""
    approved: Point | None = None
    """The plan in force in mode Recommend."""
    cleared: int | None = None
    """Newest cycle whose runs may cost more than ``approval.aboveMoney``."""
    approvals: tuple[str, ...] = ()
    """Digests that were approved, newest last."""
    hurried: int | None = None
    """Newest cycle that a person asked to begin before its labels were due."""
    held_until: int | None = None
    """After a roll-back: the first cycle that may run or try a cheaper plan again."""
    anew: bool = False
    """The runs in hand descend from a champion that was taken back: the cycle is planned anew after them."""
    stopped: Stopped | None = None


@dataclass(frozen=True)
class Decision:
    """The answer: what to remember first, then what to launch, and when to ask again."""

    memory: Memory
    start: tuple[RunPlan, ...] = ()
    wait_until: datetime | None = None
    """None with nothing running: the resource is finished or stopped."""
    events: tuple[str, ...] = ()
    """Sentences for the log, in order."""
    codes: tuple[str, ...] = ()
    """The same as enumerated reasons, one for each sentence."""
