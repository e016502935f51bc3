"""``detctl operator``: drives the resources of a cluster until it is told to end.

Options and their environment variables only; what the operator does is in ``cluster``.
"""

from __future__ import annotations

import importlib
import os
import re
import socket
from pathlib import Path

import click

from dataefficient.cluster.settings import Settings
from dataefficient.telemetry.logs import Format

_NAMESPACE = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def _own_namespace() -> str:
    try:
        return _OWN_NAMESPACE.read_text().strip() or "default"
    except OSError:
        return "default"


def _names(_context: click.Context, _option: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _NAMESPACE.fullmatch(name):
            raise click.BadParameter(
                f"{name!r} is no name of a namespace; allowed: up to 63 of a-z, 0-9 and -, not at its ends."
            )
    return names


@click.command("operator", context_settings={"auto_envvar_prefix": "DETCTL_OPERATOR"})
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    envvar="DETCTL_OPERATOR_NAMESPACES",
    metavar="NAME",
    callback=_names,
    help="Drive the resources of this namespace only; may be given several times. In the environment: names "
    "separated by blanks. Default: all namespaces.",
)
@click.option(
    "--leader-election/--no-leader-election",
    default=True,
    show_default=True,
    help="Act only while holding the Lease, so that several replicas may run.",
)
@click.option(
    "--lease-name", default="data-efficient-training", show_default=True, metavar="NAME", help="The Lease."
)
@click.option(
    "--lease-namespace",
    default=_own_namespace,
    show_default="the pod's own, else default",
    metavar="NAME",
    help="Namespace of the Lease.",
)
@click.option(
    "--identity",
    default=lambda: f"{socket.gethostname()}_{os.getpid()}",
    show_default="host name and process",
    metavar="NAME",
    help="Name of this process in the Lease.",
)
@click.option(
    "--lease-seconds",
    type=click.FloatRange(min=1.0, max=300.0),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="After so many seconds without renewal another replica takes over.",
)
@click.option(
    "--host",
    default=Settings.host,
    show_default=True,
    metavar="ADDRESS",
    help="Address to serve on.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    metavar="NUMBER",
    show_default=True,
    help="Port of /healthz, /readyz and /metrics; 0: any that is free, which is logged.",
)
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="YAML with what this installation allows and supplies: prometheus {default, allowed}, prices by "
    "accelerator, maxBudget {money, deviceHours}. Default: nothing is allowed, nothing supplied.",
)
@click.option(
    "--log-format",
    type=click.Choice([f.value for f in Format]),
    default=Format.TEXT.value,
    show_default=True,
    help="Lines for people, or one JSON object a line.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="The least severe messages that are written.",
)
@click.option(
    "--resync-seconds",
    type=click.FloatRange(min=1.0),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Look at every resource at least so often.",
)
def operator_command(
    namespaces: tuple[str, ...],
    *,
    leader_election: bool,
    lease_name: str,
    lease_namespace: str,
    identity: str,
    lease_seconds: float,
    host: str,
    port: int,
    policy: Path | None,
    log_format: str,
    log_level: str,
    resync_seconds: float,
) -> int:
    """Drive the DataEfficientTraining resources of a cluster.

    Finds the cluster as kubectl does: KUBECONFIG, then ~/.kube/config, then the pod's service account.
    Ends on SIGTERM within seconds; runs go on, and the next operator takes them up where they are.

    Every option can be given in the environment, as DETCTL_OPERATOR_ and its name: DETCTL_OPERATOR_PORT.

    It ends with 0 when told to; 64 for a wrong option, policy file or kubeconfig, or where the cluster does
    not know the kind; 75 where the cluster does not answer; 77 where it refuses; 70 for a fault of its own.
    """
    try:
        process = importlib.import_module("dataefficient.cluster.process")
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"the operator needs the package {error.name}, which is not installed; "
            "pip install 'data-efficient-training[operator]'"
        ) from error
    code: int = process.main(
        Settings(
            namespaces=namespaces,
            leader_election=leader_election,
            lease_name=lease_name,
            lease_namespace=lease_namespace,
            identity=identity,
            lease_seconds=lease_seconds,
            host=host,
            port=port,
            policy_file=policy,
            log_format=Format(log_format),
            log_level=log_level,
            resync_seconds=resync_seconds,
        )
    )
    return code
