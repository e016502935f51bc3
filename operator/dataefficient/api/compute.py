"""What a run may use and cost: accelerators, budget, limits and the trainer's pod.

Only the declaration; spending is in the ledger and forecasts are the planner's.
"""

from __future__ import annotations

import enum
import itertools
import json
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field, JsonValue

from dataefficient.api.model import Cel, Model, Problem, Rule
from dataefficient.api.names import CheckpointUri, ComparabilityKey, Currency, Label, TimeZone
from dataefficient.api.quantity import Amount
from dataefficient.api.zones import zone_problem

MAX_CONFIG_BYTES = 16 * 1024
MAX_TEMPLATE_BYTES = 32 * 1024
TRAINER_CONTAINER = "trainer"


class Device(enum.StrEnum):
    """The extended resource that a pod requests."""

    NVIDIA = "nvidia.com/gpu"
    TPU = "google.com/tpu"
    CPU = "cpu"
    """Counts cores."""


class Accelerator(Model):
    """One kind of machine that runs may use."""

    name: Label = Field(
        default="cpu",
        description="Name of this entry in plans, the ledger and reports. Default cpu.",
    )
    resource: Device = Field(
        default=Device.CPU,
        description="What a pod requests: nvidia.com/gpu, google.com/tpu or cpu (cores). Default cpu. "
        "Any other value is refused.",
    )
    per_pod: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=1,
        description="Devices per pod, in the units of resource. Default 1. A number that no node has "
        "leaves the run unscheduled until limits.maxWaitSeconds.",
    )
    pods: Annotated[int, Field(ge=1, le=256)] = Field(
        default=1,
        description="Pods per run. Default 1. Only the report of the pod with index 0 counts.",
    )
    price_per_device_hour: Amount | None = Field(
        default=None,
        description="Price of one device for one hour, in budget.currency, as a decimal string such as "
        '"2.21". No default: without it cost is counted in device hours alone, and a budget in money '
        "is refused.",
    )


def _some_bound(part: BudgetPart) -> Iterator[Problem]:
    if part.device_hours is None and part.money is None:
        yield Problem((), None, "deviceHours, money or both", "name at least one, or remove the part")


class BudgetPart(Model):
    """A bound on what may be spent."""

    device_hours: Amount | None = Field(
        default=None,
        description='Device hours (cores for cpu), as a decimal string such as "4". Default: no such bound.',
    )
    money: Amount | None = Field(
        default=None,
        description="Money in budget.currency, as a decimal string. Default: no such bound. Needs "
        "accelerators[].pricePerDeviceHour.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            needs=("device_hours", "money"),
            check=_some_bound,
            cel=Cel("has(self.deviceHours) || has(self.money)", "needs deviceHours, money or both"),
        ),
    )


class Period(enum.StrEnum):
    """Length of a budget window."""

    DAY = "Day"
    WEEK = "Week"
    MONTH = "Month"


class BudgetWindow(BudgetPart):
    """A bound for each period of the wall clock; unused budget is not carried over."""

    period: Period = Field(
        description="Day, Week (from Monday) or Month. Each begins at midnight in timeZone. Required."
    )
    time_zone: TimeZone = Field(
        default="Etc/UTC",
        description="Time zone of the period's beginning, an IANA name. Default Etc/UTC.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        *BudgetPart.rules,
        Rule(needs=("time_zone",), check=lambda window: zone_problem(window.time_zone)),
    )


_PARTS = ("initial", "perCycle")
_BOUNDS = ("total", "window")
_UNITS = (("device_hours", "deviceHours"), ("money", "money"))


def _parts_fit(budget: Budget) -> Iterator[Problem]:
    parts = dict(_given(budget))
    for part, bound, (unit, name) in itertools.product(_PARTS, _BOUNDS, _UNITS):
        small, large = (getattr(parts.get(which), unit, None) for which in (part, bound))
        if small is not None and large is not None and small > large:
            yield Problem(
                (part, name),
                str(small),
                f"at most budget.{bound}.{name}, which is {large}",
                f"lower it or raise budget.{bound}.{name}",
            )


def _given(budget: Budget) -> Iterator[tuple[str, BudgetPart]]:
    named = {
        "initial": budget.initial,
        "perCycle": budget.per_cycle,
        "total": budget.total,
        "window": budget.window,
    }
    return ((name, part) for name, part in named.items() if part is not None)


def _parts_fit_cel() -> Iterator[Cel]:
    for part, bound, (_, unit) in itertools.product(_PARTS, _BOUNDS, _UNITS):
        small, large = f"self.{part}", f"self.{bound}"
        present = " && ".join(f"has({x})" for x in (small, f"{small}.{unit}", large, f"{large}.{unit}"))
        yield Cel(
            f"!({present}) || double({small}.{unit}) <= double({large}.{unit})",
            f"{part}.{unit} is greater than {bound}.{unit}",
            f".{part}.{unit}",
        )


class Budget(Model):
    """What the resource may cost. Every part that is given holds; the tightest decides."""

    currency: Currency = Field(
        default="USD",
        description="ISO 4217 code of all money in this resource. Default USD. Cannot be changed: the "
        "ledger is kept in it.",
    )
    initial: BudgetPart | None = Field(
        default=None, description="For cycle 0, which trains on the history. Default: no bound of its own."
    )
    per_cycle: BudgetPart | None = Field(
        default=None,
        description="For each later cycle, its probes, teachers, controls and evaluation included. "
        "Default: no bound of its own.",
    )
    total: BudgetPart | None = Field(
        default=None,
        description="For the resource's whole life. Default: no bound. When it is spent, runs stop. An "
        "edit that lowers a budget below what is reserved for a run ends that run, which keeps its "
        "checkpoint and goes on with what is left.",
    )
    window: BudgetWindow | None = Field(
        default=None, description="For each day, week or month of the wall clock. Default: no bound."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(needs=("initial", "per_cycle", "total", "window"), check=_parts_fit),
        *(Rule(needs=(), cel=cel) for cel in _parts_fit_cel()),
        Rule(
            needs=(), cel=Cel("self.currency == oldSelf.currency", "currency cannot be changed", ".currency")
        ),
    )

    def parts(self) -> Iterator[tuple[str, BudgetPart]]:
        """The parts that are given, by their names in the file."""
        return _given(self)


class Approval(Model):
    """What waits for a person in mode Recommend, beside changes of plan and experiments."""

    above_money: Amount | None = Field(
        default=None,
        description="A cycle with a run that is forecast to cost more waits for approval, in "
        "budget.currency, as a decimal string. Default: no such bound. Needs "
        "accelerators[].pricePerDeviceHour; in mode Enforce it has no effect.",
    )


class Limits(Model):
    """When the operator stops trying."""

    max_attempts: Annotated[int, Field(ge=1, le=100)] = Field(
        default=5,
        description="Launches of one run before it counts as failed; preemptions are not counted. Default 5.",
    )
    max_wait_seconds: Annotated[int, Field(ge=1, le=2_592_000)] = Field(
        default=86_400,
        description="Seconds that one attempt may wait for machines before it is given up. Default "
        "86400, a day. A container whose image cannot be pulled, or that cannot be started, is given up "
        "after a minute on its machine, or after this time where it is less.",
    )


def _config_size(trainer: Trainer) -> Iterator[Problem]:
    size = canonical_size(trainer.config)
    if size > MAX_CONFIG_BYTES:
        yield Problem(
            ("config",),
            f"{size} bytes",
            f"at most {MAX_CONFIG_BYTES} bytes as JSON",
            "move large tables to a file that the trainer reads",
        )


def _template_size(trainer: Trainer) -> Iterator[Problem]:
    size = canonical_size(trainer.template)
    if size > MAX_TEMPLATE_BYTES:
        yield Problem(
            ("template",),
            f"{size} bytes",
            f"at most {MAX_TEMPLATE_BYTES} bytes as JSON",
            "move scripts and files into the image or a ConfigMap",
        )


def _one_container(trainer: Trainer) -> Iterator[Problem]:
    spec = trainer.template.get("spec")
    if not isinstance(spec, dict):
        yield Problem(
            ("template", "spec"), spec, "a pod spec", "write spec: {containers: [{name: trainer, ...}]}"
        )
        return
    containers = spec.get("containers")
    path = ("template", "spec", "containers")
    allowed = "exactly one container, named trainer"
    if not isinstance(containers, list) or not containers:
        yield Problem(path, containers, allowed, "add {name: trainer, command: [...]}")
        return
    names = [c.get("name") if isinstance(c, dict) else c for c in containers]
    if len(names) > 1:
        yield Problem(
            path,
            names,
            allowed,
            "make the others native sidecars: initContainers with restartPolicy Always",
        )
    elif names != [TRAINER_CONTAINER]:
        yield Problem((*path, 0, "name"), names[0], allowed, "rename it to trainer")


class Trainer(Model):
    """The program that trains: any image or command that keeps the trainer contract."""

    config: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Settings handed to the trainer as they are; the trainer says what it knows. Default "
        "{}. At most 16 KiB as JSON. A change starts new curves: see comparabilityKey.",
    )
    comparability_key: ComparabilityKey | None = Field(
        default=None,
        description="Runs of one key are compared with each other. With another key champion and ledger "
        "stay, curves begin anew, and what was measured before counts with wider intervals, so that more "
        "rows may be taken until it is measured again. Default: a digest of config and the container's "
        "image. Give one to keep it through changes that change no result, such as a rebuilt image.",
    )
    template: dict[str, Any] = Field(
        description="A PodTemplateSpec with exactly one container, named trainer; further containers must "
        "be native sidecars (initContainers with restartPolicy Always). Required, at most 32 KiB as JSON. "
        "Locally its command, args and env run as a process. What the API server refuses is shown in the "
        "condition Accepted before anything is spent.",
        json_schema_extra={
            "required": ["spec"],
            "properties": {
                "spec": {
                    "description": "A PodSpec.",
                    "type": "object",
                    "required": ["containers"],
                    "x-kubernetes-preserve-unknown-fields": True,
                    "properties": {
                        "containers": {
                            "description": "Exactly one container, named trainer.",
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 1,
                            "items": {
                                "description": "A Container.",
                                "type": "object",
                                "required": ["name"],
                                "x-kubernetes-preserve-unknown-fields": True,
                                "properties": {
                                    "name": {
                                        "description": "trainer.",
                                        "type": "string",
                                        "enum": [TRAINER_CONTAINER],
                                    }
                                },
                            },
                        }
                    },
                }
            },
        },
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(needs=("config",), check=_config_size),
        Rule(needs=("template",), check=_template_size),
        Rule(needs=("template",), check=_one_container),
    )


class Checkpoints(Model):
    """Where checkpoints lie. Only trainers touch the place."""

    uri: CheckpointUri | None = Field(
        default=None,
        description="Folder or address that fsspec writes. Default: the local runner's work folder; on a "
        "cluster it must be given. Cannot be changed.",
    )
    keep: Annotated[int, Field(ge=2, le=32)] = Field(
        default=5,
        description="Champions kept, 2 to 32. Default 5. At least control.lookbackCycles + 1, since "
        "controls start from old ones.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            needs=(),
            cel=Cel(
                "has(self.uri) == has(oldSelf.uri) && (!has(self.uri) || self.uri == oldSelf.uri)",
                "uri cannot be changed",
                ".uri",
            ),
        ),
    )


class OnDelete(enum.StrEnum):
    """What becomes of the published model's ConfigMaps when the resource is deleted."""

    KEEP = "Keep"
    DELETE = "Delete"


class Promotion(Model):
    """The ConfigMaps NAME-champion and NAME-candidate, which serving reads."""

    on_delete: OnDelete = Field(
        default=OnDelete.KEEP,
        description="Keep: they outlive the resource, so that serving keeps its model. Delete: they go with "
        "it. Default Keep. Checkpoints stay in either case.",
    )


def canonical_size(value: object) -> int:
    """Bytes of ``value`` as compact JSON in UTF-8."""
    return len(json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode())
