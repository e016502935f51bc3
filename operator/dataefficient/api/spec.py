"""The resource ``DataEfficientTraining`` as a user writes it.

Every field says its default, its unit and what a wrong value leads to: the CRD and ``kubectl explain``
are generated from this text. The status is in ``status``, reading files in ``load``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dataefficient.api.compute import (
    Accelerator,
    Approval,
    Budget,
    Checkpoints,
    Device,
    Limits,
    Promotion,
    Trainer,
)
from dataefficient.api.measure import Data, Guardrail, Kpi
from dataefficient.api.model import Cel, Model, Problem, Rule
from dataefficient.api.names import Cron, Label, Name, TimeZone
from dataefficient.api.quantity import Fraction, Instant, Share, Unique
from dataefficient.api.serving import CostSource, Prometheus, ServingGuardrail
from dataefficient.api.zones import cron_problem, zone_problem
from dataefficient.contract import Policy, format_time

GROUP = "dataefficient.training"
API_VERSION = f"{GROUP}/v1alpha1"
KIND = "DataEfficientTraining"


class Mode(enum.StrEnum):
    """Whether decisions take effect."""

    RECOMMEND = "Recommend"
    """Retrain with the last approved plan; changes wait for approval."""
    ENFORCE = "Enforce"
    """Act on every decision."""


class Correction(enum.StrEnum):
    """How the bias of negative sampling is undone."""

    LOG_ODDS = "LogOdds"
    """The logit is shifted in training by the log-odds that sampling added."""


def _one_rhythm(schedule: Schedule) -> Iterator[Problem]:
    allowed = "exactly one of everySeconds and cron"
    if schedule.every_seconds is None and schedule.cron is None:
        yield Problem(
            ("everySeconds",), None, allowed, "say how often to retrain, such as everySeconds: 86400"
        )
    if schedule.every_seconds is not None and schedule.cron is not None:
        yield Problem(("cron",), schedule.cron, allowed, "remove one of the two")


def _zone_needs_cron(schedule: Schedule) -> Iterator[Problem]:
    if schedule.time_zone is not None and schedule.cron is None:
        yield Problem(
            ("timeZone",), schedule.time_zone, "a time zone beside cron only", "remove it or use cron"
        )


def _history_before_start(schedule: Schedule) -> Iterator[Problem]:
    if schedule.history_from >= schedule.start_time:
        yield Problem(
            ("historyFrom",),
            schedule.history_from,
            f"a time before startTime, which is {format_time(schedule.start_time)}",
            "cycle 0 trains on what lies between; move one of them",
        )


def _start_before_end(schedule: Schedule) -> Iterator[Problem]:
    if schedule.end_time is not None and schedule.end_time <= schedule.start_time:
        yield Problem(
            ("endTime",),
            schedule.end_time,
            f"a time after startTime, which is {format_time(schedule.start_time)}",
            "move one of them, or remove endTime to go on for ever",
        )


class Schedule(Model):
    """When to retrain, and on which interval of the stream. All times are event times."""

    history_from: Instant = Field(
        description="Where the history begins: cycle 0 trains on [historyFrom, startTime). RFC 3339. "
        "Required."
    )
    start_time: Instant = Field(
        description="Where cycle 1 begins. In the past: cycles catch up, interval by interval. RFC 3339. "
        "Required. Cannot be changed."
    )
    every_seconds: Annotated[int, Field(ge=60, le=31_622_400)] | None = Field(
        default=None,
        description="Length of each interval in seconds, 60 to 31622400. Default none. Exactly one of "
        "everySeconds and cron must be given.",
    )
    cron: Cron | None = Field(
        default=None,
        description="Ends of intervals as a cron expression of five fields. Default none. Exactly one of "
        "everySeconds and cron must be given.",
    )
    time_zone: TimeZone | None = Field(
        default=None,
        description="Time zone of cron, an IANA name. Default Etc/UTC. Refused without cron.",
    )
    label_delay_seconds: Annotated[int, Field(ge=0, le=31_622_400)] = Field(
        default=0,
        description="Seconds after an interval's end until its labels are complete. Default 0. Too small: "
        "late labels are trained on as negatives.",
    )
    end_time: Instant | None = Field(
        default=None,
        description="No interval that ends later is run. RFC 3339. Default: go on for ever.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            needs=("every_seconds", "cron"),
            check=_one_rhythm,
            cel=Cel("has(self.everySeconds) != has(self.cron)", "needs exactly one of everySeconds and cron"),
        ),
        Rule(
            needs=("time_zone", "cron"),
            check=_zone_needs_cron,
            cel=Cel("!has(self.timeZone) || has(self.cron)", "timeZone goes with cron only", ".timeZone"),
        ),
        Rule(
            needs=("history_from", "start_time"),
            check=_history_before_start,
            cel=Cel(
                "self.historyFrom < self.startTime", "historyFrom must lie before startTime", ".historyFrom"
            ),
        ),
        Rule(
            needs=("start_time", "end_time"),
            check=_start_before_end,
            cel=Cel(
                "!has(self.endTime) || self.startTime < self.endTime",
                "endTime must lie after startTime",
                ".endTime",
            ),
        ),
        Rule(needs=("cron",), check=lambda schedule: cron_problem(schedule.cron)),
        Rule(needs=("time_zone",), check=lambda schedule: zone_problem(schedule.time_zone)),
        Rule(
            needs=(),
            cel=Cel("self.startTime == oldSelf.startTime", "startTime cannot be changed", ".startTime"),
        ),
    )


class Sampling(Model):
    """Which ways of dropping rows may be tried."""

    policies: Annotated[tuple[Policy, ...], Field(min_length=1, max_length=3), Unique()] = Field(
        default=(Policy.UNIFORM, Policy.NEGATIVES),
        description="Uniform, Negatives (keep all positives) and ScoredNegatives (keep negatives by a served "
        "score). Default Uniform and Negatives. What is not listed is never tried.",
    )
    correction: Correction = Field(
        default=Correction.LOG_ODDS,
        description="How the bias of dropping negatives is undone: LogOdds shifts the logit in training by "
        "what sampling added. Default LogOdds, the only one for now; any other is refused.",
    )


def _rates_in_order(rate: SamplingRate) -> Iterator[Problem]:
    if rate.min > rate.max:
        yield Problem(("min",), str(rate.min), f"at most max, which is {rate.max}", "lower min or raise max")


class SamplingRate(Model):
    """Bounds of the share of rows trained on."""

    min: Fraction = Field(
        default=Decimal("0.05"),
        description='Smallest share of all rows to keep, above 0 and at most max. Default "0.05".',
    )
    max: Fraction = Field(
        default=Decimal("1"),
        description='Largest share of all rows to keep, at most 1. Default "1". Below 1 the reference '
        "itself is never trained in full, and this is said.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            needs=("min", "max"),
            check=_rates_in_order,
            cel=Cel("double(self.min) <= double(self.max)", "min is greater than max", ".min"),
        ),
    )


class ModelSize(Model):
    """The sizes that the trainer knows."""

    values: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...], Field(min_length=1, max_length=16), Unique()
    ] = Field(
        description="Model sizes on the trainer's scale, 1 to 16 different positive integers. Required. The "
        "largest is the reference. One value: the size is never changed.",
    )


class Knobs(Model):
    """What the planner may turn."""

    sampling_rate: SamplingRate = Field(
        default_factory=SamplingRate, description="Bounds of the sampling rate."
    )
    model_size: ModelSize = Field(description="Sizes to choose from. Required.")


class Exploration(Model):
    """What experiments may cost."""

    share: Share = Field(
        default=Decimal("0.1"),
        description="Share of the reference's cost per cycle that probes and trials may take; may be saved "
        'up over 15 cycles. 0 to 1, default "0.1". "0": nothing new is ever tried.',
    )


class Control(Model):
    """Branches that train full data and certify what is saved."""

    every_cycles: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=10,
        description="Cycles between two controls. Default 10. Fewer cost more; more leave the distance to "
        "the reference uncertain for longer, so that less can be saved.",
    )
    lookback_cycles: Annotated[int, Field(ge=1, le=31)] = Field(
        default=3,
        description="A control starts at the champion of so many cycles ago, 1 to 31. Default 3. Needs "
        "checkpoints.keep of at least one more.",
    )


def _keep_covers_lookback(spec: Spec) -> Iterator[Problem]:
    needed = spec.control.lookback_cycles + 1
    if spec.checkpoints.keep < needed:
        yield Problem(
            ("checkpoints", "keep"),
            spec.checkpoints.keep,
            f"at least control.lookbackCycles + 1, which is {needed}",
            "raise keep or lower control.lookbackCycles",
        )


def _money_needs_price(spec: Spec) -> Iterator[Problem]:
    priced = next(
        (f"budget.{name}.money" for name, part in spec.budget.parts() if part.money is not None),
        None if spec.approval.above_money is None else "approval.aboveMoney",
    )
    if priced is None:
        return
    for i, accelerator in enumerate(spec.accelerators):
        if accelerator.price_per_device_hour is None:
            yield Problem(
                ("accelerators", i, "pricePerDeviceHour"),
                None,
                f"a price, because {priced} is given",
                "add the price of one device hour, or remove what is given in money",
            )


def _hours_fit_money(spec: Spec) -> Iterator[Problem]:
    """Device hours of one part at their price, against the money of the whole."""
    price = spec.accelerators[0].price_per_device_hour
    parts = dict(spec.budget.parts())
    for small in ("initial", "perCycle"):
        hours = parts[small].device_hours if small in parts else None
        for large in ("total", "window"):
            money = parts[large].money if large in parts else None
            if hours is not None and money is not None and price is not None and hours * price > money:
                yield Problem(
                    ("budget", small, "deviceHours"),
                    str(hours),
                    f"at most budget.{large}.money, which buys {money / price:.6g} device hours",
                    f"lower it or raise budget.{large}.money",
                )


_SEEN = {
    CostSource.OPENCOST: (Device.NVIDIA, Device.CPU),
    CostSource.DCGM: (Device.NVIDIA,),
    CostSource.GKE: (Device.NVIDIA, Device.TPU),
}
"""What a source sees, where that is not everything."""


def _source_sees_devices(spec: Spec) -> Iterator[Problem]:
    source, device = spec.prometheus.cost.source, spec.accelerators[0].resource
    if device not in _SEEN.get(source, (device,)):
        seen = " and ".join(_SEEN[source])
        yield Problem(
            ("prometheus", "cost", "source"),
            source.value,
            f"a source that sees accelerators[0].resource, {device.value}; {source.value} sees {seen}",
            "choose another, such as KubeStateMetrics",
        )


def _guardrails_differ(spec: Spec) -> Iterator[Problem]:
    names = [guardrail.name for guardrail in spec.serving_guardrails]
    for i, name in enumerate(names):
        if name in names[:i]:
            yield Problem(
                ("servingGuardrails", i), name, "entries whose names all differ", f"rename the second {name}"
            )


class Spec(Model):
    """What the model must achieve and what it may cost."""

    mode: Mode = Field(
        default=Mode.RECOMMEND,
        description="Recommend: retrain with the last approved plan, at first full data at the largest size; "
        "changes of plan and experiments wait until the annotation dataefficient.training/approve holds the "
        "digest in status.recommendation. Enforce: act on every decision. Default Recommend.",
    )
    approval: Approval = Field(
        default_factory=Approval, description="Which runs wait for approval in mode Recommend."
    )
    suspend: bool = Field(
        default=False,
        description="True starts no new run and stops the running attempt, which resumes later. Default "
        "false.",
    )
    schedule: Schedule = Field(description="When to retrain and on which interval. Required.")
    data: Data = Field(description="Where the stream of events lies and what its columns mean. Required.")
    kpi: Kpi = Field(description="What the model must achieve. Required.")
    guardrails: Annotated[tuple[Guardrail, ...], Field(max_length=16)] = Field(
        default=(), description="Further bounds that a candidate must keep to be published. Default none."
    )
    serving_guardrails: Annotated[tuple[ServingGuardrail, ...], Field(max_length=8)] = Field(
        default=(),
        description="Bounds on numbers that Prometheus knows about what serves; at most 8. Default none.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    sampling: Sampling = Field(
        default_factory=Sampling, description="Which ways of dropping rows may be tried."
    )
    knobs: Knobs = Field(description="What the planner may turn, and how far. Required.")
    horizon_cycles: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=20,
        description="Cycles within which an experiment or a change of size must pay back. Default 20.",
    )
    exploration: Exploration = Field(default_factory=Exploration, description="What experiments may cost.")
    control: Control = Field(
        default_factory=Control, description="Branches that train full data and certify what is saved."
    )
    budget: Budget = Field(
        default_factory=Budget, description="What the resource may cost. Default: no bound."
    )
    accelerators: Annotated[tuple[Accelerator, ...], Field(min_length=1, max_length=1)] = Field(
        default=(Accelerator(),),
        description="Machines that runs may use. Exactly one entry is accepted for now. Default one cpu core "
        "without a price.",
    )
    limits: Limits = Field(default_factory=Limits, description="When the operator stops trying.")
    trainer: Trainer = Field(description="The program that trains. Required.")
    checkpoints: Checkpoints = Field(default_factory=Checkpoints, description="Where checkpoints lie.")
    promotion: Promotion = Field(
        default_factory=Promotion, description="What serving reads the published model from."
    )
    prometheus: Prometheus = Field(default_factory=Prometheus, description="The server that answers queries.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            needs=("control", "checkpoints"),
            check=_keep_covers_lookback,
            cel=Cel(
                "self.checkpoints.keep > self.control.lookbackCycles",
                "checkpoints.keep must be at least control.lookbackCycles + 1",
                ".checkpoints.keep",
            ),
        ),
        Rule(needs=("approval", "budget", "accelerators"), check=_money_needs_price),
        Rule(needs=("budget", "accelerators"), check=_hours_fit_money),
        Rule(needs=("serving_guardrails",), check=_guardrails_differ),
        Rule(
            needs=("prometheus", "accelerators"),
            check=_source_sees_devices,
            cel=Cel(
                "self.prometheus.cost.source in ['None', 'KubeStateMetrics']"
                " || self.accelerators[0].resource == 'nvidia.com/gpu'"
                " || (self.prometheus.cost.source == 'OpenCost' && self.accelerators[0].resource == 'cpu')"
                " || (self.prometheus.cost.source == 'GKE'"
                " && self.accelerators[0].resource == 'google.com/tpu')",
                "the cost source does not see these accelerators",
                ".prometheus.cost.source",
            ),
        ),
    )


class Metadata(Model):
    """The part of Kubernetes' object metadata that matters here."""

    name: Name = Field(
        description="Name of the resource: a DNS label of at most 40 characters, because the names of its "
        "children append to it. Required."
    )
    namespace: Label = Field(default="default", description="Namespace. Default default.")
    uid: str | None = Field(default=None, description="Set by the API server; absent in local files.")
    generation: int = Field(default=0, description="Set by the API server; 0 in local files.")
    resource_version: str | None = Field(default=None, description="Set by the API server.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels. Default none.")
    annotations: dict[str, str] = Field(default_factory=dict, description="Annotations. Default none.")


class Resource(Model):
    """A whole ``DataEfficientTraining``, its status apart."""

    api_version: Literal["dataefficient.training/v1alpha1"] = Field(
        description="dataefficient.training/v1alpha1."
    )
    kind: Literal["DataEfficientTraining"] = Field(description="DataEfficientTraining.")
    metadata: Metadata = Field(description="Name and namespace. Required.")
    spec: Spec = Field(description="What the model must achieve and what it may cost. Required.")
