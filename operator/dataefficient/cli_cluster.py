"""Asking a cluster something on a person's behalf: found as kubectl finds it, once, with plain errors.

What goes wrong on the way becomes one message and an exit code. What is asked is the caller's.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from dataefficient.local.errors import Exit, LocalError, WrongInputError

if TYPE_CHECKING:
    from dataefficient.cluster.api import Api, ApiError

UNKNOWN_KIND = (
    "the cluster does not know the kind DataEfficientTraining; install the chart, or name another cluster "
    "with --context"
)
_NAME = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_Found = TypeVar("_Found")


class ClusterError(LocalError):
    """The cluster could not be asked, or refused."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Where:
    """Which cluster and namespace are meant; None: what kubectl would take."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: Path | None = None


def check_name(option: str, value: str | None) -> None:
    """Refuse what no object can be called, before anything is sent.

    Raises:
        UsageError: naming the option and what is allowed.
    """
    if value is not None and not _NAME.fullmatch(value):
        raise click.UsageError(
            f"{option}: found {value!r}; allowed: up to 63 of a-z, 0-9 and -, not at its ends."
        )


def ask(
    where: Where, work: Callable[[Api, str], Awaitable[_Found]], *, needs: str, writes: bool = False
) -> _Found:
    """What ``work`` finds, given the server and the namespace that is meant.

    Args:
        needs: the rights that it takes, as a sentence for who lacks one.
        writes: whether it may change anything.

    Raises:
        WrongInputError: there is no cluster to ask, or nothing of what was named.
        ClusterError: the cluster does not answer, or refuses.
    """
    return asyncio.run(_ask(where, work, needs, writes=writes))


async def _ask(
    where: Where, work: Callable[[Api, str], Awaitable[_Found]], needs: str, *, writes: bool
) -> _Found:
    from dataefficient.cluster.api import ApiError  # noqa: PLC0415

    try:
        client = importlib.import_module("kubernetes.aio.client")
        kubeconfig = importlib.import_module("dataefficient.cluster.kubeconfig")
        aio = importlib.import_module("dataefficient.cluster.aio")
    except ModuleNotFoundError as error:
        raise WrongInputError(
            f"looking at a cluster needs the package {error.name}, which is not installed; "
            "pip install 'data-efficient-training[operator]'"
        ) from error
    try:
        cluster = await kubeconfig.find(where.context, where.kubeconfig)
    except kubeconfig.NoClusterError as error:
        raise WrongInputError(str(error)) from error
    try:
        async with client.ApiClient(cluster.configuration) as connection:
            api = aio.AioApi(connection, may_write=lambda: writes)
            return await work(api, where.namespace or cluster.namespace)
    except ApiError as error:
        raise _refused(error, cluster.configuration.host, needs) from error


def _refused(error: ApiError, host: str, needs: str) -> ClusterError:
    """The error as a person can act on it."""
    told = str(error).rstrip(".")
    if error.status == 401:
        return ClusterError(
            f"the cluster at {host} does not accept the credentials ({told}); log in again, or name another "
            "context with --context",
            Exit.FORBIDDEN,
        )
    if error.status == 403:
        return ClusterError(f"{told}. {needs}", Exit.FORBIDDEN)
    if error.status == 404:
        return ClusterError(UNKNOWN_KIND, Exit.WRONG_INPUT)
    if error.status in (400, 422):
        return ClusterError(f"the cluster does not take it: {told}", Exit.WRONG_INPUT)
    if error.status == 0:
        return ClusterError(
            f"the cluster at {host} does not answer ({told}); see that it runs and is reached from here, or "
            "name another with --context",
            Exit.CLUSTER,
        )
    return ClusterError(f"the cluster at {host} answers {error.status}: {told}; try again", Exit.CLUSTER)
