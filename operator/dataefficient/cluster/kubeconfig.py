"""Which cluster, as whom, and in which namespace: found as kubectl finds it.

``KUBECONFIG``, else ``~/.kube/config``, else the service account of the pod that this runs in. Whatever is
wrong with those files is one error that names the file: the client library's own reading of them ends in
whatever its first wrong step raises. Nothing is asked of the cluster here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_HOME = "~/.kube/config"


class NoClusterError(Exception):
    """No usable way to a cluster is configured; the message names what is wrong and what to do."""


@dataclass(frozen=True)
class Cluster:
    """How a cluster is reached."""

    configuration: Configuration
    namespace: str
    """The one that is meant where none is named: the context's, else the pod's own, else ``default``."""


async def find(context: str | None = None, file: Path | None = None) -> Cluster:
    """The cluster that is meant.

    Args:
        context: name of a context of the kubeconfig; None: its current one.
        file: the kubeconfig, in place of those that are looked for.

    Raises:
        NoClusterError: there is none, or it cannot be used.
    """
    files = _files() if file is None else _given(file)
    if not files:
        return _own(context)
    named = os.pathsep.join(str(file) for file in files)
    try:
        configuration = Configuration()
        await config.load_kube_config(named, context, client_configuration=configuration)  # type: ignore[no-untyped-call]
        namespace = _namespace(named, context)
        await _try(configuration)
    except Exception as error:
        raise NoClusterError(f"the kubeconfig {named} cannot be used: {_told(error)}") from error
    return Cluster(configuration, namespace)


def _given(file: Path) -> Sequence[Path]:
    if not file.expanduser().exists():
        raise NoClusterError(f"--kubeconfig names {file}, and there is no such file; correct it")
    return (file.expanduser(),)


def _files() -> Sequence[Path]:
    """The kubeconfigs that are there; none: the pod's service account is meant.

    Raises:
        NoClusterError: ``KUBECONFIG`` names only what is not there.
    """
    named = os.environ.get("KUBECONFIG", "")
    paths = [Path(part).expanduser() for part in (named or _HOME).split(os.pathsep) if part]
    found = [path for path in paths if path.exists()]
    if named and not found:
        raise NoClusterError(f"KUBECONFIG names {named}, and there is no such file; correct or unset it")
    return found


def _own(context: str | None) -> Cluster:
    if context is not None:
        raise NoClusterError(
            f"there is no context {context!r}, for there is no kubeconfig: neither KUBECONFIG nor {_HOME}"
        )
    configuration = Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        raise NoClusterError(
            f"there is no kubeconfig (neither KUBECONFIG nor {_HOME}), and this is no pod with a service "
            "account; set KUBECONFIG"
        ) from error
    try:
        namespace = _OWN_NAMESPACE.read_text().strip()
    except OSError:
        namespace = ""
    return Cluster(configuration, namespace or "default")


def _namespace(named: str, context: str | None) -> str:
    contexts, current = config.list_kube_config_contexts(named)  # type: ignore[no-untyped-call]
    chosen = current if context is None else next(c for c in contexts if c["name"] == context)
    namespace: str = chosen["context"].get("namespace") or "default"
    return namespace


async def _try(configuration: Configuration) -> None:
    """Read the certificates, which the client does when it is made."""
    async with ApiClient(configuration):
        pass


def _told(error: Exception) -> str:
    if isinstance(error, (config.ConfigException, yaml.YAMLError, OSError)):
        return " ".join(str(error).removeprefix("Invalid kube-config file. ").split()).rstrip(".")
    return "it must hold clusters, contexts, users and a current-context, as `kubectl config view` shows"
