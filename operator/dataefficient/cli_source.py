"""Where ``report``, ``why`` and ``replay`` look: a work folder of this machine, or a resource on a cluster.

One set of options for the three, and for each of the two places an object that answers the same questions.
The cluster is only read, once, and what went wrong there becomes a message and an exit code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from dataefficient.cli_cluster import Where, ask, check_name
from dataefficient.cycle.model import Memory
from dataefficient.cycle.recording import Advance, DamagedError, Difference
from dataefficient.local.errors import WrongInputError
from dataefficient.local.store import Store

if TYPE_CHECKING:
    from dataefficient.api.spec import Spec
    from dataefficient.cluster.api import Api
    from dataefficient.cluster.kept import Kept
    from dataefficient.report import Statement

RIGHTS = "It takes the verb get on dataefficienttrainings and configmaps there; the role view has both"

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Source(Protocol):
    """A resource, as far as it is remembered somewhere."""

    page: Path
    """Where its report goes if nobody says otherwise."""

    def memory(self) -> Memory:
        """What is remembered."""

    def spec(self) -> Spec:
        """What it asks for."""

    def recorded(self) -> tuple[int, ...]:
        """Cycles whose decisions are recorded, oldest first."""

    def replay(self, cycle: int, advance: Advance) -> tuple[int, Difference | None]:
        """Make the decisions of a cycle again: how many there are, and the first that differs."""

    def statement(self) -> Statement:
        """The savings statement."""


@dataclass(frozen=True)
class Place:
    """What the command line names: a work folder, or a resource on a cluster."""

    workdir: Path | None
    name: str | None
    namespace: str | None
    context: str | None

    def open(self) -> Source:
        """What is remembered there.

        Raises:
            WrongInputError: there is nothing of the kind.
            ClusterError: the cluster cannot be looked at.
        """
        if self.workdir is not None and self.name is not None:
            raise click.UsageError(
                f"Found both WORKDIR {self.workdir} and --name {self.name}: give one, the folder of a "
                "'detctl run' or the name of a resource on a cluster."
            )
        if self.name is not None:
            check_name("--name", self.name)
            check_name("--namespace", self.namespace)
            return remote(Where(self.namespace, self.context), self.name)
        for option, value in (("--namespace", self.namespace), ("--context", self.context)):
            if value is not None:
                raise click.UsageError(
                    f"Found {option} {value} without --name: give the name of the resource too."
                )
        if self.workdir is None:
            raise click.UsageError(
                "Nothing to look at: give WORKDIR, the folder of a 'detctl run', or --name for a resource on "
                "a cluster."
            )
        return Folder(Store.open(self.workdir))


def place_options(command: _Command) -> _Command:
    """``WORKDIR``, or ``--name``, ``--namespace`` and ``--context``: the command is given a ``place``."""

    def with_place(
        *,
        workdir: Path | None,
        name: str | None,
        namespace: str | None,
        context: str | None,
        **others: Any,
    ) -> Any:
        return command(Place(workdir, name, namespace, context), **others)

    wrapped: Any = functools.update_wrapper(with_place, command)
    for decorate in (
        click.option(
            "--context",
            metavar="NAME",
            default=None,
            help="Context of the kubeconfig, which is found as kubectl finds it: KUBECONFIG, then "
            "~/.kube/config, then the pod's service account. Default: the current one.",
        ),
        click.option(
            "-n",
            "--namespace",
            metavar="NAMESPACE",
            default=None,
            help="The resource's namespace. Default: the context's, or the pod's own.",
        ),
        click.option(
            "--name", metavar="NAME", default=None, help="A resource on a cluster, in place of WORKDIR."
        ),
        click.argument(
            "workdir", metavar="[WORKDIR]", required=False, type=click.Path(path_type=Path), default=None
        ),
    ):
        wrapped = decorate(wrapped)
    found: _Command = wrapped
    return found


def remote(where: Where, name: str) -> Remote:
    """A resource on a cluster; errors as for :meth:`Place.open`."""
    return Remote(ask(where, functools.partial(_kept, name=name), needs=RIGHTS))


class Folder:
    """A work folder."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.page = store.folder / "report.html"

    def memory(self) -> Memory:
        """See the Protocol."""
        return self.store.memory()

    def spec(self) -> Spec:
        """See the Protocol."""
        return self.store.resource().spec

    def recorded(self) -> tuple[int, ...]:
        """See the Protocol."""
        from dataefficient.local.replay import cycles  # noqa: PLC0415

        return cycles(self.store)

    def replay(self, cycle: int, advance: Advance) -> tuple[int, Difference | None]:
        """See the Protocol."""
        from dataefficient.local.replay import replay  # noqa: PLC0415

        return replay(self.store, cycle, advance)

    def statement(self) -> Statement:
        """See the Protocol."""
        from dataefficient import report  # noqa: PLC0415 - plots and statistics, not needed to run

        return report.build(self.store.folder)


class Remote:
    """A resource on a cluster."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self.page = Path(f"{kept.resource.metadata.name}-report.html")

    def memory(self) -> Memory:
        """See the Protocol."""
        return self._kept.memory

    def spec(self) -> Spec:
        """See the Protocol."""
        return self._kept.resource.spec

    def recorded(self) -> tuple[int, ...]:
        """See the Protocol."""
        from dataefficient.cluster.decisions import cycles  # noqa: PLC0415

        return cycles(self._kept.decided)

    def replay(self, cycle: int, advance: Advance) -> tuple[int, Difference | None]:
        """See the Protocol."""
        from dataefficient.cluster.decisions import NotRecordedError, replay  # noqa: PLC0415

        try:
            return replay(self._kept.decided, cycle, advance)
        except NotRecordedError as error:
            raise WrongInputError(f"{self._kept.memory.resource}: {error}") from error
        except DamagedError as error:
            raise WrongInputError(
                f"{self._kept.memory.resource}: the recorded decisions cannot be read ({error}); delete the "
                "resource's ConfigMap that ends in -decisions, and recording begins anew"
            ) from error

    def statement(self) -> Statement:
        """See the Protocol."""
        from dataefficient import report  # noqa: PLC0415 - plots and statistics, not needed to run

        return report.build_from_cluster(self._kept)


async def _kept(api: Api, namespace: str, name: str) -> Kept:
    from dataefficient.cluster.kept import NotKeptError, kept  # noqa: PLC0415
    from dataefficient.cluster.names import Key  # noqa: PLC0415

    try:
        return await kept(api, Key(namespace, name))
    except NotKeptError as error:
        raise WrongInputError(str(error)) from error
