"""Options of ``kubectl det``, as kubectl's users expect them, and the exit codes.

What is given before the verb counts where the verb itself is not given another.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from dataefficient.cli_cluster import Where, check_name
from dataefficient.local.errors import Exit

_Command = TypeVar("_Command", bound=Callable[..., Any])
PLACE = "dataefficient.kubectl.place"
"""Where the options before the verb are kept."""
_KINDS = ("det/", "dataefficienttraining/", "dataefficienttrainings/")


def place(command: _Command) -> _Command:
    """``-n``, ``--context`` and ``--kubeconfig``: the command is given a ``where``."""

    def with_where(
        context: click.Context,
        *,
        namespace: str | None,
        kube_context: str | None,
        kubeconfig: Path | None,
        **others: Any,
    ) -> Any:
        before: Where = context.meta[PLACE]
        check_name("--namespace", namespace)
        where = Where(
            namespace or before.namespace, kube_context or before.context, kubeconfig or before.kubeconfig
        )
        return command(where, **others)

    wrapped: Any = click.pass_context(functools.update_wrapper(with_where, command))
    found: _Command = place_options(wrapped)
    return found


def place_options(command: Any) -> Any:
    """The options that say which cluster and namespace are meant."""
    for decorate in (
        click.option(
            "--kubeconfig",
            type=click.Path(path_type=Path, dir_okay=False),
            default=None,
            metavar="FILE",
            help="The kubeconfig. Default: KUBECONFIG, then ~/.kube/config, then the pod's service account.",
        ),
        click.option(
            "--context",
            "kube_context",
            default=None,
            metavar="NAME",
            help="Context of the kubeconfig. Default: the current one.",
        ),
        click.option(
            "-n",
            "--namespace",
            default=None,
            metavar="NAMESPACE",
            help="The resource's namespace. Default: the context's.",
        ),
    ):
        command = decorate(command)
    return command


def bare(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """A name, also where it is given as TYPE/NAME."""
    if value is None:
        return None
    prefix = next((kind for kind in _KINDS if value.startswith(kind)), "")
    check_name("NAME", value.removeprefix(prefix))
    return value.removeprefix(prefix)


NAME = click.argument("name", metavar="NAME", callback=bare)
OUTPUT = click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["json", "yaml"]),
    default=None,
    help="Print one document for programs in place of text.",
)
CYCLE = click.argument("cycle", metavar="[CYCLE]", type=click.IntRange(min=0), required=False, default=None)


def asking(command: _Command) -> _Command:
    """``--wait``, ``--timeout`` and ``--dry-run``."""
    wrapped: Any = command
    for decorate in (
        click.option(
            "--dry-run", is_flag=True, help="Say what would happen, and whether it can; write nothing."
        ),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0.0, min_open=True),
            default=60.0,
            show_default=True,
            metavar="SECONDS",
            help="How long --wait waits.",
        ),
        click.option(
            "--wait", is_flag=True, help="Wait until the operator has heard it, and show the outcome."
        ),
    ):
        wrapped = decorate(wrapped)
    found: _Command = wrapped
    return found


class Verbs(click.Group):
    """The group, with the exit codes below its help."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The exit codes that a script may rely on."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), text) for code, text in EXIT_CODES.items()])

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the base class gives it
        """The verbs, in the order of first need."""
        return list(self.commands)


EXIT_CODES = {
    Exit.OK: "done, or shown",
    Exit.DIFFERENT: "replay: a decision came out differently",
    Exit.NOTHING: "it is so already, or there is nothing to do it to; nothing was written",
    Exit.WRONG_INPUT: "no such resource, cycle, digest, option, context or kubeconfig; no such kind",
    Exit.INTERNAL: "a fault of this program",
    Exit.DISK: "report: the page cannot be written",
    Exit.CLUSTER: "the cluster does not answer, or no operator has heard the request in time; try again",
    Exit.FORBIDDEN: "a right is missing, or the credentials are not accepted",
    Exit.INTERRUPTED: "interrupted",
}
