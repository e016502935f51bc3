"""Control lineages: the same stream trained by habit, to hold the savings against.

Two lineages from cycle 0 on, apart from the operator's own runs and charged to no arm: all rows at the
largest size, and all rows at the size that a careful team would have settled on. Both train every
interval, warm from their own last checkpoint, and are scored on the evaluation rows of the cycle's
candidate, so that block sums pair. Everything follows from files of finished runs: nothing here is
remembered elsewhere, and nothing is repeated.

The right size: each size trains once on the whole history, cold, and is scored on the history's last
quarter as it learns. The smallest size whose log loss lies above the largest size's by at most a quarter
of the tolerance (a quarter of maxRegression where no tolerance is given) is the right one. These runs
are also the lineages' cycle 0.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dataefficient.api.spec import Spec
from dataefficient.contract import CheckpointRef, Evaluation, Policy, Role, RunReport, RunRequest, Train
from dataefficient.cycle.model import Failure, FailureKind, RunOutcome
from dataefficient.local.store import CONTROL_PREFIX, Store
from dataefficient.planner.evidence import paired

SELECTION_BLOCKS = 16
TIE_SHARE = 0.25
"""Part of the tolerance within which two sizes count as equal."""
MAX_ATTEMPTS = 3


class Kind(enum.StrEnum):
    """Which habit."""

    LARGEST = "largest"
    RIGHT_SIZED = "right-sized"


@dataclass(frozen=True)
class Lineage:
    """One control: ``runs`` from cycle 0 on, each with how it ended (None: it has not)."""

    kind: Kind
    size: int | None
    """None: the sizes have not all been measured."""
    rule: str
    """How the size was chosen, as a sentence."""
    runs: tuple[tuple[RunRequest, RunOutcome | None], ...] = ()
    failure: Failure | None = None
    """Why the lineage ended early; None: it did not."""

    @property
    def device_seconds(self) -> float:
        """Spent on finished runs."""
        return math.fsum(outcome.device_seconds for _, outcome in self.runs if outcome)


@dataclass(frozen=True)
class Controls:
    """What the control lineages are, and which runs they need next."""

    lineages: tuple[Lineage, ...]
    """The largest size first."""
    selection: tuple[tuple[RunRequest, RunOutcome | None], ...]
    """The cold runs on the history, one a size."""
    wanted: tuple[RunRequest, ...]
    """Runs that may be launched now; the same call names them again until they have ended."""

    @property
    def any(self) -> bool:
        """Whether any control run has ended: with ``--control`` alone they are run."""
        return any(outcome is not None for _, outcome in self.selection)


def controls(spec: Spec, store: Store) -> Controls | None:
    """The control lineages of ``store``, as its finished runs define them.

    Returns:
        None before the operator's own first run was launched: it sets seed, data and threads.
    """
    template = next((request for request, _ in store.runs()), None)
    if template is None:
        return None
    sizes = sorted(spec.knobs.model_size.values)
    selection = tuple(_with_outcome(store, _cold(spec, template, size)) for size in sizes)
    wanted = [request for request, outcome in selection if outcome is None]
    size, rule = _right_size(spec, selection)
    lineages = []
    for lineage in (
        Lineage(Kind.LARGEST, sizes[-1], "the largest size that the resource allows"),
        Lineage(Kind.RIGHT_SIZED, size, rule),
    ):
        grown, following = _grown(spec, store, lineage, selection)
        lineages.append(grown)
        wanted += following
    unique = {request.run: request for request in wanted}
    return Controls(tuple(lineages), selection, tuple(unique.values()))


def _grown(
    spec: Spec, store: Store, lineage: Lineage, selection: tuple[tuple[RunRequest, RunOutcome | None], ...]
) -> tuple[Lineage, list[RunRequest]]:
    """The lineage as far as it has come, and the run that it needs next, if any."""
    size = lineage.size
    first = next((pair for pair in selection if pair[0].size == size), None)
    if first is None or size is None:
        return lineage, []
    runs = [first]
    for candidate in _candidates(store):
        before = runs[-1][1]
        if before is None or before.report is None:
            break
        runs.append(_with_outcome(store, _warm(spec, candidate, size, before.report)))
    request, outcome = runs[-1]
    grown = replace(lineage, runs=tuple(runs), failure=outcome.failure if outcome else None)
    return grown, [request] if outcome is None else []


def _candidates(store: Store) -> Iterator[RunRequest]:
    """Candidates of cycles 1, 2, ... that gave a report, in order."""
    for request, outcome in store.runs():
        trained = outcome is not None and outcome.report is not None and request.train is not None
        if request.role is Role.CANDIDATE and request.cycle > 0 and trained:
            yield request


def _with_outcome(store: Store, request: RunRequest) -> tuple[RunRequest, RunOutcome | None]:
    """The run as it was first asked for, and how it ended once no attempt is left or it succeeded."""
    asked = store.request(request.run) or request
    outcome = store.last_outcome(request.run)
    if outcome is not None and outcome.failure is not None and again(outcome):
        return asked, None
    return asked, outcome


def again(outcome: RunOutcome) -> bool:
    """Whether a control's failed run is to be tried once more."""
    chance = {FailureKind.CRASHED, FailureKind.NO_REPORT, FailureKind.GARBAGE, FailureKind.DATA_NOT_READY}
    failed = outcome.failure
    return failed is not None and failed.kind in chance and outcome.attempt < MAX_ATTEMPTS


def _cold(spec: Spec, template: RunRequest, size: int) -> RunRequest:
    start, end = spec.schedule.history_from, spec.schedule.start_time
    quarter = (end - start) / 4
    first = end - quarter
    ends = [first + quarter * i / SELECTION_BLOCKS for i in range(1, SELECTION_BLOCKS)]
    blocks = (*ends, end)
    evaluation = Evaluation(first, end, 0.1, f"{template.resource}/evaluation", blocks)
    if template.evaluation is not None:
        evaluation = replace(template.evaluation, start=first, end=end, boundaries=blocks)
    sampling = template.train.salt if template.train else f"{template.resource}/sampling"
    run = f"{CONTROL_PREFIX}c000-size-{size}"
    return replace(
        template,
        cycle=0,
        run=run,
        role=Role.CONTROL,
        train=Train(start, end, Policy.UNIFORM, _rate(spec), sampling),
        evaluation=evaluation,
        size=size,
        output=f"controls/size-{size}/{run}",
        start=None,
        frozen={},
        keep=(),
        deadline_seconds=None,
        fork=False,
    )


def _warm(spec: Spec, candidate: RunRequest, size: int, before: RunReport) -> RunRequest:
    """The candidate's run of the same cycle, by habit: all rows since ``before``, at ``size``."""
    assert candidate.train is not None
    assert before.checkpoint is not None
    assert before.position is not None
    start: CheckpointRef = before.checkpoint
    run = f"{CONTROL_PREFIX}c{candidate.cycle:03d}-size-{size}"
    return replace(
        candidate,
        run=run,
        role=Role.CONTROL,
        train=replace(candidate.train, start=before.position, policy=Policy.UNIFORM, rate=_rate(spec)),
        size=size,
        output=f"controls/size-{size}/{run}",
        start=start,
        frozen={},
        keep=(start.uri,),
        deadline_seconds=None,
    )


def _rate(spec: Spec) -> float:
    """The most data that the resource allows, as for the operator's own reference."""
    return float(spec.knobs.sampling_rate.max)


def _right_size(
    spec: Spec, selection: tuple[tuple[RunRequest, RunOutcome | None], ...]
) -> tuple[int | None, str]:
    """The smallest size that ties the largest, and how that was found."""
    allowed = float(spec.kpi.tolerance if spec.kpi.tolerance is not None else spec.kpi.max_regression)
    margin = allowed * TIE_SHARE
    if any(outcome is None for _, outcome in selection):
        return None, "not all sizes have been measured on the history yet"
    largest = _loss(selection[-1][1])
    if largest is None:
        return None, "the largest size could not be measured on the history"
    for request, outcome in selection[:-1]:
        loss = _loss(outcome)
        gap = paired(loss[0], largest[0], loss[1]) if loss and loss[2] == largest[2] else None
        if gap is not None and gap.gap <= margin:
            return request.size, (
                f"the smallest size whose log loss on the history's last quarter lies at most {margin:.3%} "
                f"(a quarter of what is allowed) above the largest size's: {gap.gap:+.3%}, standard error "
                f"{gap.standard_error:.3%}"
            )
    return selection[-1][0].size, (
        f"no smaller size comes within {margin:.3%} of the largest on the history's last quarter"
    )


def _loss(outcome: RunOutcome | None) -> tuple[tuple[float, ...], tuple[int, ...], str] | None:
    """Block losses, block rows and digest of a selection run; None: it failed."""
    if outcome is None or outcome.report is None or outcome.report.evaluated is None:
        return None
    evaluated = outcome.report.evaluated
    return evaluated.models["self"].loss, evaluated.n, evaluated.digest
