"""The series of what a plan was chosen from, and of what was decided: curve, options, reasons.

Curves have no time axis, so each point is a series of its own under a bounded label: ``anchor`` numbers the
cold starts of the learning curve by their rows, ``option`` names a plan. How many there are at most is stated
here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from dataefficient.cycle.model import Option, Rung
from dataefficient.telemetry.series import Series, Values
from dataefficient.telemetry.view import ResourceView

MAX_ANCHORS = 8
"""Points of a learning curve: the parts of the history, and a replica."""
MAX_OPTIONS = 16
"""Plans of one choice that are exported: the chosen one, then what was measured, the cheapest first."""
MAX_CODES = 40
"""Enumerated reasons that are exported, the newest; there are fewer."""

CHOSEN = "Chosen"


def _anchors(read: Callable[[Rung], float]) -> Callable[[ResourceView, datetime], Values]:
    def values(view: ResourceView, _: datetime) -> Values:
        found = view.memory.convergence
        rungs = sorted(found.measured, key=lambda rung: rung.rows)[-MAX_ANCHORS:] if found else []
        return [((str(number),), read(rung)) for number, rung in enumerate(rungs, start=1)]

    return values


def _options(read: Callable[[Option], float | None]) -> Callable[[ResourceView, datetime], Values]:
    def values(view: ResourceView, _: datetime) -> Values:
        options = view.memory.plan.options if view.memory.plan else ()
        known = sorted(options, key=lambda o: (o.verdict != CHOSEN, o.gap_bound is None, o.cost_seconds))
        return [((str(option.point),), read(option)) for option in known[:MAX_OPTIONS]]

    return values


def _decided(view: ResourceView, _: datetime) -> Values:
    memory = view.memory
    newest: dict[str, int] = {}
    for record in memory.history:
        newest |= dict.fromkeys(record.codes, record.cycle)
    newest |= dict.fromkeys(memory.codes, memory.cycle)
    if memory.stopped is not None:
        newest[memory.stopped.code] = memory.cycle
    known = sorted(newest.items(), key=lambda item: -item[1])[:MAX_CODES]
    return [((code,), float(cycle)) for code, cycle in known]


CHOICE_SERIES: tuple[Series[ResourceView], ...] = (
    Series(
        "learning_curve_rows",
        "Rows of history that a cold start at full data was given; anchor numbers them from the fewest.",
        _anchors(lambda rung: rung.rows),
        ("anchor",),
    ),
    Series(
        "learning_curve_log_loss",
        "Its mean log loss in nats on the common later window.",
        _anchors(lambda rung: rung.loss),
        ("anchor",),
    ),
    Series(
        "learning_curve_log_loss_standard_error",
        "The standard error of that level.",
        _anchors(lambda rung: rung.standard_error),
        ("anchor",),
    ),
    Series(
        "plan_option_cost_device_seconds",
        "Expected cost of the candidate under each plan that was weighed for the cycle in hand.",
        _options(lambda option: option.cost_seconds),
        ("option",),
    ),
    Series(
        "plan_option_gap_ratio",
        "Its expected relative distance to full data at the largest size; absent: never measured.",
        _options(lambda option: option.gap),
        ("option",),
    ),
    Series(
        "plan_option_gap_bound_ratio",
        "The upper bound of that distance; absent: never measured.",
        _options(lambda option: option.gap_bound),
        ("option",),
    ),
    Series(
        "plan_option_chosen",
        "1 for the plan that was chosen, 0 for the others.",
        _options(lambda option: float(option.verdict == CHOSEN)),
        ("option",),
    ),
    Series(
        "decision_cycle",
        "Newest cycle in which something was decided for this enumerated reason.",
        _decided,
        ("code",),
    ),
)
