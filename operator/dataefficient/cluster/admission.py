"""Whether a resource may be acted on: what its schema cannot say, and what the API server says of its Job.

A refusal is a condition with the field's path and never an exception. The rendered Job is tried once for
each generation, before anything is spent.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from dataefficient.api.conditions import Reason
from dataefficient.api.errors import InvalidResource
from dataefficient.api.load import parse_object
from dataefficient.api.schedule import interval
from dataefficient.api.spec import Resource
from dataefficient.cluster.api import JOBS, Api, ApiError, Body
from dataefficient.cluster.manifests import job
from dataefficient.cluster.policy import Policy
from dataefficient.cluster.view import Refused
from dataefficient.contract import Policy as SamplingPolicy
from dataefficient.contract import Role
from dataefficient.cycle.launch import Wanted, devices, plan_run
from dataefficient.cycle.model import Memory
from dataefficient.planner.knobs import Point
from dataefficient.prometheus.access import AccessRefused, chosen_address

_TRIAL_SECONDS = 3600.0
_POD_SECURITY = "would violate PodSecurity"


def admit(body: Body, policy: Policy) -> Resource | Refused:
    """The resource as it will be acted on, the installation's defaults filled in; or why it is refused."""
    about = body["metadata"]
    try:
        resource = parse_object(_priced(body, policy), f"{about['namespace']}/{about['name']}")
    except InvalidResource as error:
        return Refused(Reason.INVALID, "; ".join(str(e) for e in error.errors))
    spec = resource.spec
    if spec.checkpoints.uri is None:
        return Refused(
            Reason.CHECKPOINTS_NEED_URI,
            "spec.checkpoints.uri: found nothing; allowed: an address, or a path on a volume of the "
            "template, that every pod of the resource reaches; make the resource anew with it, since it "
            "cannot be changed",
        )
    try:
        chosen_address(
            spec.prometheus.address,
            default=policy.prometheus_default or None,
            allowed=policy.prometheus_allowed,
        )
    except AccessRefused as error:
        return Refused(Reason.ADDRESS_NOT_ALLOWED, str(error))
    return _above_cap(resource, policy) or resource


def _priced(body: Body, policy: Policy) -> dict[str, Any]:
    """``body`` with the installation's prices where it has none."""
    priced: dict[str, Any] = copy.deepcopy(dict(body))
    spec = priced.get("spec")
    entries = spec.get("accelerators") if isinstance(spec, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and "pricePerDeviceHour" not in entry:
            price = policy.prices.get(str(entry.get("name")))
            if price is not None:
                entry["pricePerDeviceHour"] = price
    return priced


def _above_cap(resource: Resource, policy: Policy) -> Refused | None:
    total = resource.spec.budget.total
    for name, cap, found in (
        ("money", policy.max_money, total.money if total else None),
        ("deviceHours", policy.max_hours, total.device_hours if total else None),
    ):
        if cap is not None and (found is None or found > cap):
            shown = "nothing, which is no bound" if found is None else f'"{found}"'
            return Refused(
                Reason.BUDGET_ABOVE_CAP,
                f'spec.budget.total.{name}: found {shown}; allowed: at most "{cap}" in this installation; '
                "lower it, or ask who installed the operator",
            )
    return None


async def try_template(api: Api, resource: Resource) -> Refused | None:
    """Why the API server would refuse the resource's Jobs; None: it accepts them.

    Raises:
        ApiError: the server could not be asked.
    """
    try:
        _, warnings = await api.create(JOBS, resource.metadata.namespace, sample_job(resource), dry_run=True)
    except ApiError as error:
        if not error.is_refusal:
            raise
        return Refused(Reason.TEMPLATE_REJECTED, f"spec.trainer.template: {error}")
    insecure = next((w for w in warnings if _POD_SECURITY in w), None)
    if insecure is not None:
        return Refused(Reason.TEMPLATE_REJECTED, f"spec.trainer.template: {insecure}")
    return None


def sample_job(resource: Resource) -> Mapping[str, Any]:
    """A Job as the resource's runs will have it."""
    spec = resource.spec
    history = interval(spec.schedule, 0)
    assert history is not None, "every schedule has a history"
    span = (history.start, history.end)
    point = Point(
        SamplingPolicy.UNIFORM, float(spec.knobs.sampling_rate.max), max(spec.knobs.model_size.values)
    )
    name = f"{resource.metadata.namespace}/{resource.metadata.name}"
    wanted = Wanted("dry-run", Role.PROBE, point, span, span)
    return job(resource, plan_run(spec, Memory(name), wanted, _TRIAL_SECONDS * devices(spec)))
