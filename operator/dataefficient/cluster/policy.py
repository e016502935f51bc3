"""What the installation allows and supplies for all resources, read once from a file.

prometheus: {default: "", allowed: [], headers: {}}
prices: {a100: "2.21"}                 # money per device hour, by accelerators[].name
maxBudget: {money: "", deviceHours: ""}    # cap on budget.total; empty: none
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

_HEADER = re.compile(r"[A-Za-z0-9-]+")
_OWN = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "transfer-encoding",
    }
)
"""Headers that are the request's own, or a Secret's."""


class PolicyError(ValueError):
    """The file cannot be used; the message names the field."""


@dataclass(frozen=True)
class Policy:
    """Allowed addresses and what is sent there, default prices, and the cap on budgets."""

    prometheus_default: str = ""
    prometheus_allowed: tuple[str, ...] = ()
    prometheus_headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every query, such as the tenant's of a Mimir or a Cortex."""
    prices: Mapping[str, str] = field(default_factory=dict)
    max_money: Decimal | None = None
    max_hours: Decimal | None = None


def read_policy(path: Path | None) -> Policy:
    """The policy in ``path``; nothing is allowed and nothing supplied where none is named.

    Raises:
        PolicyError: not there, or not YAML of this form: no cap is lifted by a typing error.
    """
    if path is None:
        return Policy()
    try:
        body = yaml.safe_load(path.read_text()) or {}
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read ({error.strerror or error}); correct the path") from error
    except (ValueError, yaml.YAMLError) as error:
        raise PolicyError(f"{path}: is no YAML ({' '.join(str(error).split())})") from error
    prometheus = _mapping(body, "prometheus", path)
    allowed = prometheus.get("allowed") or []
    if not isinstance(allowed, list) or not all(isinstance(a, str) for a in allowed):
        raise PolicyError(f"{path}: prometheus.allowed: found {allowed!r}; allowed: a list of addresses")
    cap = _mapping(body, "maxBudget", path)
    prices = _mapping(body, "prices", path)
    for name, price in prices.items():
        _amount(price, f"prices.{name}", path)
    return Policy(
        prometheus_default=str(prometheus.get("default") or ""),
        prometheus_allowed=tuple(allowed),
        prometheus_headers=_headers(prometheus, path),
        prices={str(k): str(v) for k, v in prices.items()},
        max_money=_amount(cap.get("money"), "maxBudget.money", path),
        max_hours=_amount(cap.get("deviceHours"), "maxBudget.deviceHours", path),
    )


def _headers(prometheus: dict[str, Any], path: Path) -> dict[str, str]:
    found: dict[Any, Any] = _mapping(prometheus, "headers", path, within="prometheus.")
    for name, value in found.items():
        if not isinstance(name, str) or not _HEADER.fullmatch(name) or name.lower() in _OWN:
            raise PolicyError(
                f"{path}: prometheus.headers: found {name!r}; allowed: names of headers such as "
                "X-Scope-OrgID, none that every request has, and no credentials, which belong into a Secret "
                "(spec.prometheus.secretName)"
            )
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise PolicyError(
                f"{path}: prometheus.headers.{name}: found {value!r}; allowed: one line of text"
            )
    return found


def _mapping(body: Any, name: str, path: Path, *, within: str = "") -> dict[str, Any]:
    found = body.get(name) if isinstance(body, dict) else body
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise PolicyError(f"{path}: {within}{name}: found {found!r}; allowed: a mapping")
    return found


def _amount(value: Any, name: str, path: Path) -> Decimal | None:
    if value in (None, ""):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount <= 0:
        raise PolicyError(f'{path}: {name}: found {value!r}; allowed: a number above 0, such as "2.21"')
    return amount
