"""Pieces of PromQL that every dashboard uses, so that a change of leader never shows as two resources."""

from __future__ import annotations

RESOURCE = ("resource_namespace", "resource")
MANY = 'resource_namespace=~"$namespace",resource=~"$resource"'
"""Selects what the variables of a dashboard of many resources say."""
ONE = 'resource_namespace="$namespace",resource="$resource"'
HOUR = "3600"


def selector(name: str, *matchers: str) -> str:
    """The series ``name``, which always carries braces."""
    return f"dataefficient_{name}{{{','.join(matchers)}}}"


def matching(label: str, value: str) -> str:
    """A matcher for one value."""
    return f'{label}="{value}"'


def by(*labels: str) -> str:
    """A grouping by resource and ``labels``."""
    return f"by ({', '.join((*RESOURCE, *labels))})"


def latest(name: str, *matchers: str, keep: tuple[str, ...] = ()) -> str:
    """A gauge of each resource, whoever exported it, with ``keep`` of its own labels."""
    return f"max {by(*keep)} ({selector(name, *matchers)})"


def on(*labels: str) -> str:
    """Matching by resource and ``labels``."""
    return f"on ({', '.join((*RESOURCE, *labels))})"


def quantile(share: float, histogram: str, *matchers: str) -> str:
    """A quantile of a histogram over the interval that Grafana suggests."""
    buckets = f"rate({selector(f'{histogram}_bucket', *matchers)}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by (le) ({buckets}))"


def or_zero(expression: str, where: str) -> str:
    """``expression``, or 0 where it has no series although ``where`` has: nothing happened."""
    return f"({expression}) or (0 * {where})"


def priced(device_seconds: str, *matchers: str) -> str:
    """Money for device-seconds of resources, by ``currency``; nothing where no price is declared."""
    price = latest("price_per_device_hour", *matchers, keep=("currency",))
    return f"({device_seconds}) / {HOUR} * {on()} group_right () {price}"
