"""The series of what a resource's compute is worth: its price, savings and overhead."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from dataefficient.cycle.figures import Saved
from dataefficient.telemetry.series import Kind, Series, Values, one
from dataefficient.telemetry.view import ResourceView


def _price(view: ResourceView, _: datetime) -> Values:
    price = view.spec.accelerators[0].price_per_device_hour
    return [((view.spec.budget.currency,), None if price is None else float(price))]


def _saved(read: Callable[[Saved], float]) -> Callable[[ResourceView, datetime], Values]:
    return lambda view, _: one(read(view.memory.saved) if view.memory.saved else None)


def _full(view: ResourceView, _: datetime) -> Values:
    saved = view.memory.saved
    if saved is None:
        return []
    return [(("mean",), saved.full.mean), (("low",), saved.full.low), (("high",), saved.full.high)]


COST_SERIES: tuple[Series[ResourceView], ...] = (
    Series(
        "price_per_device_hour",
        "Price of one device for one hour; absent where none is declared.",
        _price,
        ("currency",),
    ),
    Series(
        "savings_cycles",
        "Finished cycles that the savings cover.",
        _saved(lambda saved: saved.to_cycle - saved.from_cycle + 1),
    ),
    Series(
        "savings_spent_device_seconds",
        "What those cycles took, with all their runs.",
        _saved(lambda saved: saved.spent),
    ),
    Series(
        "savings_full_data_device_seconds",
        "What full data at the largest size would have taken by the measured cost of runs.",
        _full,
        ("bound",),
    ),
    Series(
        "overhead_device_seconds",
        "Device-seconds, since this process first saw the resource, that did not train what serves: startup, "
        "preempted and failed attempts, probes (with trials and controls) and evaluation are paid; queued is "
        "time that runs waited for machines, which is not.",
        lambda v, _: [((cause,), seconds) for cause, seconds in v.overhead.items()],
        ("cause",),
        Kind.COUNTER,
    ),
)
