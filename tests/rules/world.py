"""A made-up world of series for promtool: one healthy resource under a leader, and what a test changes.

A world lasts two hours, one sample a minute, and begins at Unix time 0. A cycle of the resource takes ten.
"""

from __future__ import annotations

from collections.abc import Callable

MINUTES = 120
INTERVAL = 600
CYCLE = 5
"""Cycle in hand at the beginning."""

Values = Callable[[int], float | None]
"""The value in each minute; None: no sample, so that the series is stale."""
World = dict[str, Values]

JOB = {"job": "det", "namespace": "ops"}
LEADER = {**JOB, "pod": "det-a", "instance": "10.0.0.1:8080"}
STANDBY = {**JOB, "pod": "det-b", "instance": "10.0.0.2:8080"}
RESOURCE = {"resource_namespace": "ads", "resource": "flights"}
QUERIES = ("cost", "quality", "spec.kpi.query")


def series(name: str, labels: dict[str, str]) -> str:
    """A series as Prometheus writes it."""
    inside = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"dataefficient_{name}{{{inside}}}"


def of_operator(name: str, who: dict[str, str] = LEADER, **more: str) -> str:
    """A series of an operator process."""
    return series(f"operator_{name}", {**who, **more})


def of_resource(name: str, who: dict[str, str] = LEADER, **more: str) -> str:
    """A series of the resource, as the leader exports it."""
    return series(name, {**who, **RESOURCE, **more})


def always(value: float) -> Values:
    """The same value for two hours."""
    return lambda minute: value


def since(minute: int, value: float, before: float | None = None) -> Values:
    """A value from a minute on, and another one before."""
    return lambda now: value if now >= minute else before


def until(minute: int, value: float, after: float | None = None) -> Values:
    """A value before a minute, and another one from then on."""
    return lambda now: value if now < minute else after


def stepping(step: float, begin: float = 0.0) -> Values:
    """What grows by so much with each cycle."""
    return lambda minute: begin + step * (minute // (INTERVAL // 60))


def healthy() -> World:
    """Everything as it should be: two operators, one of which leads, and a resource that keeps its pace."""
    world: World = {
        of_operator("leader"): always(1),
        of_operator("leader", STANDBY): always(0),
        of_operator("last_visit_timestamp_seconds"): lambda minute: 60.0 * minute,
        of_operator("refused", **RESOURCE): always(0),
    }
    for who in (LEADER, STANDBY):
        world |= {
            of_operator("resources", who): always(1),
            of_operator("resync_seconds", who): always(600),
            of_operator("queue_oldest_seconds", who): always(0),
        }
    world |= {
        of_resource("cycle"): stepping(1, CYCLE),
        of_resource("cycles_total"): stepping(1, CYCLE),
        of_resource("champion_cycle"): stepping(1, CYCLE - 1),
        of_resource("cycle_due_timestamp_seconds"): stepping(INTERVAL),
        of_resource("last_decision_timestamp_seconds"): stepping(INTERVAL),
        of_resource("cycle_interval_seconds"): always(INTERVAL),
        of_resource("suspended"): always(0),
        of_resource("plan_info", policy="Uniform", code="CheapestInsideTolerance", digest="p1"): always(1),
        of_resource("champion_info", digest="d1"): always(1),
        of_resource("champion_calibration_ratio", digest="d1"): always(1.02),
        of_resource("champion_calibration_standard_error_ratio", digest="d1"): always(0.005),
    }
    for step in ("Waiting", "Measuring", "Training", "Finished", "Stopped"):
        world[of_resource("step", step=step)] = always(float(step == "Training"))
    for part, forecast in (("window", 80), ("total", 99)):
        world[of_resource("budget_forecast_device_seconds", part=part)] = always(forecast)
        world[of_resource("budget_limit_device_seconds", part=part)] = always(100)
    for kind in ("Accepted", "KPIAvailable", "TargetMet", "CostAgrees", "PrometheusAgrees"):
        world |= condition(kind, "True")
    for query in QUERIES:
        world |= verdict(query, "Ok")
    return world


def condition(kind: str, status: str, who: dict[str, str] = LEADER) -> World:
    """A condition with this status."""
    return {
        of_resource("condition", who, type=kind, status=one): always(float(one == status))
        for one in ("True", "False", "Unknown")
    }


def verdict(query: str, found: str) -> World:
    """A query with this verdict on its newest answer."""
    return {
        of_resource("query_verdict", query=query, verdict=one): always(float(one == found))
        for one in ("Ok", "Empty", "Stale", "Failed")
    }


def step(found: str) -> World:
    """The resource at this step."""
    return {
        of_resource("step", step=one): always(float(one == found))
        for one in ("Waiting", "Measuring", "Training", "Finished", "Stopped")
    }


def without(world: World, *names: str) -> World:
    """The world without the series of these names."""
    gone = {f"dataefficient_{name}" for name in names}
    return {name: values for name, values in world.items() if name.partition("{")[0] not in gone}


def without_resources(world: World) -> World:
    """The world in which no resource is exported, as when nobody leads."""
    return {name: values for name, values in world.items() if 'resource="' not in name}


def handed_over(world: World, minute: int) -> World:
    """The world in which the standby takes over at a minute, half of one after the leader has gone."""
    taken: World = {}
    for name, values in world.items():
        if LEADER["pod"] not in name:
            continue
        other = name.replace(LEADER["pod"], STANDBY["pod"]).replace(LEADER["instance"], STANDBY["instance"])
        taken[name] = lambda now, values=values: values(now) if now < minute else None
        taken[other] = lambda now, values=values: values(now) if now > minute else None
    taken[of_operator("leader", STANDBY)] = since(minute + 1, 1, 0)
    for name in ("resources", "resync_seconds", "queue_oldest_seconds"):
        taken[of_operator(name, STANDBY)] = world[of_operator(name, STANDBY)]
    return taken


def notation(values: Values) -> str:
    """Two hours of values, as promtool reads them."""
    return " ".join("_" if (v := values(minute)) is None else f"{v:.10g}" for minute in range(MINUTES + 1))
