"""Credentials for Prometheus, from a Secret of the resource's namespace.

A Secret is used only if its owner has labelled it for this, and is readable only where a RoleBinding was
made for it: otherwise a resource would turn the operator's rights into its author's.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from dataefficient.api.spec import GROUP
from dataefficient.cluster.api import Api, ApiError, Kind
from dataefficient.prometheus.access import Access, AccessRefused, access_from

SECRETS = Kind("/api/v1", "secrets")
LABEL = f"{GROUP}/prometheus"
_FIELD = "spec.prometheus.secretName"


async def prometheus_access(api: Api, namespace: str, name: str | None) -> Access:
    """What is shown to Prometheus; nothing where no Secret is named.

    Raises:
        AccessRefused: the Secret cannot be used; the message says what to do.
        ApiError: the API server could not be asked.
    """
    if name is None:
        return Access()
    try:
        secret = await api.get(SECRETS, namespace, name)
    except ApiError as error:
        if error.status == 403:
            told = f"no RoleBinding in namespace {namespace} lets the operator read Secret {name}"
            hint = "ask who installed it to add the namespace to the chart's prometheus.secretNamespaces"
            raise AccessRefused(f"{_FIELD}: {told}; {hint}") from error
        raise
    if secret is None:
        raise AccessRefused(f"{_FIELD}: found {name}; no such Secret in namespace {namespace}; create it")
    if (secret["metadata"].get("labels") or {}).get(LABEL) != "true":
        raise AccessRefused(f'{_FIELD}: Secret {name} is not labelled {LABEL}: "true"; label it')
    try:
        return access_from(_decoded(secret.get("data") or {}))
    except AccessRefused as error:
        raise AccessRefused(f"{_FIELD}: Secret {name}: {error}") from error


def _decoded(data: Mapping[str, str]) -> dict[str, bytes]:
    try:
        return {key: base64.b64decode(text, validate=True) for key, text in data.items()}
    except (binascii.Error, ValueError) as error:
        raise AccessRefused("its data are not base64") from error
