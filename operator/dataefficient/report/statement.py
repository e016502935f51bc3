"""The savings statement: what a resource achieved, what it cost, and how sure that is.

Plain frozen data, the same for the terminal, the page and ``--json`` (the contract's codec). A figure
that was not measured is None here and a sentence beside it says why; it never becomes a number.
How the figures come about is in ``savings`` and ``build``; how they look is in ``text`` and ``html``.
Compute is in device-seconds, relative figures are fractions, intervals cover 95 % unless named otherwise.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from dataefficient.cycle.figures import Forecast
from dataefficient.cycle.model import Gate
from dataefficient.cycle.slicing import Slices
from dataefficient.planner.knobs import Point


class Lineage(enum.StrEnum):
    """The two controls that a saving is stated against."""

    LARGEST = "largest"
    """All rows, largest size."""
    RIGHT_SIZED = "right-sized"
    """All rows at the size that a careful team would have settled on."""


class Basis(enum.StrEnum):
    """Where a figure comes from."""

    MEASURED = "measured"
    EXTRAPOLATED = "extrapolated"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval; without bounds its spread is not known."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Stream:
    """The data that this is about."""

    uri: str
    time: str
    label: str
    key: tuple[str, ...]
    start: datetime
    end: datetime | None
    """End of the last finished cycle's interval."""
    history_rows: int | None
    """Usable rows of the history that cycle 0 trained on."""
    rows: int | None
    """Usable rows of history and finished cycles."""
    positive_share: float | None


@dataclass(frozen=True)
class Aim:
    """What the resource asks for."""

    metric: str
    target: float | None
    tolerance: float | None
    max_regression: float
    confidence: float
    currency: str
    price: float | None
    """Of one device for one hour; None: no price is given, so no money is stated."""
    device: str
    devices: int
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class CurvePoint:
    """The fitted learning curve at one number of examples, with its 80 % interval."""

    examples: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Rung:
    """One measured cold start: rows, log loss, standard error."""

    examples: float
    loss: float
    standard_error: float


@dataclass(frozen=True)
class Converged:
    """The data-convergence point in kept rows; ``point`` None: not within this data, ``reason`` says why."""

    point: float | None
    low: float | None
    high: float | None
    longest: float
    basis: Basis
    reason: str
    rungs: tuple[Rung, ...] = ()
    curve: tuple[CurvePoint, ...] = ()


@dataclass(frozen=True)
class Harm:
    """What a plan costs in quality: its believed gap to the reference, all its measurements together."""

    point: Point
    gap: Estimate
    measurements: int


@dataclass(frozen=True)
class Cell:
    """One plan on the surface: cost of an ordinary cycle by the cost model, and its gap if measured."""

    point: Point
    seconds: float
    gap: Estimate | None
    verdict: str


@dataclass(frozen=True)
class Surface:
    """All plans that the knobs allow, as believed today; ``rows`` of an ordinary cycle."""

    chosen: Point | None
    rows: float
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class RoleSpend:
    """Device-seconds of one purpose."""

    role: str
    seconds: float


@dataclass(frozen=True)
class CycleRow:
    """One cycle."""

    cycle: int
    start: datetime
    end: datetime
    point: Point | None
    """None: the cycle was skipped."""
    code: str
    reason: str
    forecast_kpi: Forecast | None
    kpi: Estimate | None
    forecast_cost: Forecast | None
    """Device-seconds of the candidate."""
    cost: float | None
    """Measured device-seconds of the candidate."""
    spent: float
    """Device-seconds of all its runs."""
    by_role: tuple[RoleSpend, ...]
    reference_forecast: float | None
    """What the cost model expects of full data at the largest size, in device-seconds."""
    gate: Gate | None
    published: bool
    """Whether one of the cycle's own models serves after it."""
    gap: float | None
    """Expected relative distance of the lineage to the reference."""
    bound: float | None
    notes: tuple[str, ...] = ()
    rows_read: int | None = None
    rows_kept: int | None = None


@dataclass(frozen=True)
class Spend:
    """Device-seconds of an arm; ``startup`` is the part that trains and scores nothing."""

    seconds: float
    startup: float
    evaluating: float

    @property
    def working(self) -> float:
        """Without start-up."""
        return self.seconds - self.startup


@dataclass(frozen=True)
class Saving:
    """Ours against a control's over the same cycles; ``compute`` and ``working`` are fractions of theirs."""

    scope: str
    cycles: tuple[int, ...]
    ours: Spend
    theirs: Spend
    compute: Estimate
    working: Estimate | None
    """Start-up left out on both sides; None where the control's start-up is all that it spent."""
    money: Estimate | None
    """None: no price."""


@dataclass(frozen=True)
class Difference:
    """Ours minus the control's on the same rows."""

    value: Estimate
    standard_error: float | None
    rows: int
    blocks: int
    cycles: tuple[int, ...]


@dataclass(frozen=True)
class ControlCycle:
    """A control in one cycle: its spend, and its frozen model beside ours."""

    cycle: int
    seconds: float
    level: float | None
    gap: Estimate | None
    """Relative log loss of ours over the control's; None: not paired."""


@dataclass(frozen=True)
class BreakEven:
    """First cycle by whose end less was spent in all than by the control; None: not foreseeable."""

    cycle: int | None
    basis: Basis
    reason: str


@dataclass(frozen=True)
class Expected:
    """A saving against a control that was not run: extrapolated from what runs were measured to cost."""

    size: int
    """Of the control."""
    cycles: tuple[int, int]
    """The first and the last one that is counted."""
    ours: float
    """Device-seconds that were charged, experiments included."""
    theirs: float
    """Device-seconds that the cost model says of all rows at that size."""
    compute: Estimate
    """A fraction of theirs; its interval covers 80 %."""
    money: Estimate | None
    """None: no price."""


@dataclass(frozen=True)
class Distance:
    """How far what serves is from full data at the largest size, over the resource's whole life.

    Believed from trials, watches and control branches; relative log loss, above zero is worse.
    """

    value: float
    bound: float
    """Upper bound, at ``confidence``."""
    confidence: float
    cycle: int
    """The last one that it rests on."""


@dataclass(frozen=True)
class Comparison:
    """Everything that is stated against one control."""

    lineage: Lineage
    description: str
    reason: str
    """Why there is no figure, or how far the measurement goes."""
    measured: bool
    rule: str = ""
    """How its size was chosen."""
    size: int | None = None
    whole: Saving | None = None
    steady: Saving | None = None
    candidates: Saving | None = None
    """Steady state without experiments: candidates alone."""
    kpi: Difference | None = None
    kpi_reason: str = ""
    auc: Difference | None = None
    calibration: Difference | None = None
    break_even: BreakEven | None = None
    cycles: tuple[ControlCycle, ...] = ()
    expected: Expected | None = None
    """Where nothing was measured, what the cost of runs says."""


@dataclass(frozen=True)
class Claim:
    """One figure's standing: what it is, where it comes from, how."""

    what: str
    basis: Basis
    how: str


@dataclass(frozen=True)
class Statement:
    """The whole statement."""

    resource: str
    state: str
    """How far the resource is, as a sentence."""
    headline: str
    detail: str
    """The second sentence: what the first does not say."""
    stream: Stream
    aim: Aim
    convergence: Converged | None
    cycles: tuple[CycleRow, ...]
    rates: tuple[Harm, ...]
    surface: Surface | None
    spent: float
    by_role: tuple[RoleSpend, ...]
    """Candidates, probes, trials, controls, failed attempts."""
    comparisons: tuple[Comparison, ...]
    """Always both controls, the largest first."""
    calibration: Estimate | None
    """Sum of predictions over sum of labels of what served."""
    distance: Distance | None
    claims: tuple[Claim, ...]
    notes: tuple[str, ...]
    slices: Slices | None = None
    """None: the resource names none, or no cycle has told of any."""
    unknown: tuple[str, ...] = ()
    """What is not known any more of what went before, a sentence each."""
    written: datetime | None = None
