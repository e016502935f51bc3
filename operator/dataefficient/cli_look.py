"""The commands that only look: validate, crd, report, why, replay."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dataefficient import contract
from dataefficient.cli_source import Folder, Place, Source, place_options
from dataefficient.local.errors import DiskError, Exit, WrongInputError
from dataefficient.local.files import write_atomic
from dataefficient.local.store import Store

_CYCLE = click.option(
    "--cycle",
    type=click.IntRange(min=0),
    default=None,
    metavar="K",
    help="The cycle's number. Default: the newest that was decided.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
_MAX_WIDTH = 120


def print_json(body: Any) -> None:
    """One JSON object on standard output."""
    click.echo(json.dumps(body, indent=2, allow_nan=False, ensure_ascii=False))


@click.command("validate")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@_JSON
def validate_command(file: Path, *, as_json: bool) -> int:
    """Check a resource file without running anything.

    Every mistake is named at once, each with its line, the field, what was found, what is allowed and what
    to do. Whether the data can be read shows when it is run.
    """
    from dataefficient.api.load import InvalidResource, load_resource  # noqa: PLC0415

    try:
        resource = load_resource(file)
    except InvalidResource as error:
        if not as_json:
            raise WrongInputError(str(error)) from error
        mistakes = [
            {
                "path": mistake.path,
                "line": mistake.line,
                "allowed": mistake.allowed,
                "hint": mistake.hint,
                "message": str(mistake),
            }
            for mistake in error.errors
        ]
        print_json({"file": str(file), "valid": False, "errors": mistakes})
        return Exit.WRONG_INPUT
    name = f"{resource.metadata.namespace}/{resource.metadata.name}"
    if as_json:
        print_json({"file": str(file), "valid": True, "resource": name, "errors": []})
    else:
        click.echo(f"{file}: valid; it declares {name}")
    return Exit.OK


@click.command("crd")
def crd_command() -> None:
    """Print the CustomResourceDefinition, to apply to a cluster.

    \b
      detctl crd | kubectl apply --server-side -f -
    """
    from dataefficient.api.crd import render_crd  # noqa: PLC0415

    click.echo(render_crd(), nl=False)


@click.command("report")
@place_options
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="Where the page is written. Default: report.html in WORKDIR, or NAME-report.html here.",
)
@_JSON
def report_command(place: Place, *, output: Path | None, as_json: bool) -> None:
    """Say what was saved so far, and write it as a page.

    \b
      detctl report WORKDIR                     the folder of a "detctl run", finished or not
      detctl report --name NAME -n NAMESPACE    a resource on a cluster

    Printed are the convergence point, each cycle with forecast and actual, and the savings against the
    controls with their uncertainty. The page is one file that needs no network.

    A cluster keeps the last 5 cycles' runs in full, a line for each run of the last 64, and the sum of what
    was spent before; what is not known for that reason is said. Reading it takes the verb get on
    dataefficienttrainings and configmaps, which the role view has.
    """
    tell_report(place.open(), output, as_json=as_json)


def show_report(store: Store, *, as_json: bool) -> None:
    """Write ``report.html`` and print the report of a work folder.

    Raises:
        DiskError: the page cannot be written.
    """
    tell_report(Folder(store), None, as_json=as_json)


def tell_report(
    source: Source, output: Path | None, *, as_json: bool, write: Callable[[Any], None] = print_json
) -> None:
    """Write the page of a resource's statement, and print the statement; ``write`` prints it for programs.

    Raises:
        DiskError: the page cannot be written.
    """
    from dataefficient.report.html import render as as_page  # noqa: PLC0415 - plots and templates
    from dataefficient.report.text import render as as_text  # noqa: PLC0415

    statement = source.statement()
    page = output or source.page
    try:
        write_atomic(page, as_page(statement).encode())
    except OSError as error:
        raise DiskError(
            f"{page}: cannot be written ({error.strerror or error}); name another file with --output"
        ) from error
    if as_json:
        write(contract.encode(statement))
        return
    click.echo(as_text(statement, min(shutil.get_terminal_size().columns, _MAX_WIDTH)))
    click.echo(f"\nThe whole report: {page}")


@click.command("why")
@place_options
@_CYCLE
@_JSON
def why_command(place: Place, *, cycle: int | None, as_json: bool) -> None:
    """Say why a cycle ran as it did.

    \b
      detctl why WORKDIR --cycle 3              the folder of a "detctl run", finished or not
      detctl why --name NAME -n NAMESPACE       a resource on a cluster

    Printed are the plan that was chosen and the reason, forecast and actual cost and KPI, whether the
    candidate was published, what else was decided, and every option that was weighed with the reason of its
    refusal.

    On a cluster it takes the verb get on dataefficienttrainings and configmaps, which the role view has.
    """
    tell_why(place.open(), cycle, as_json=as_json)


def tell_why(
    source: Source, cycle: int | None, *, as_json: bool, write: Callable[[Any], None] = print_json
) -> None:
    """Print why a cycle ran as it did; None: the newest that was planned.

    Raises:
        WrongInputError: the cycle is not known.
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from dataefficient.local import why  # noqa: PLC0415

    memory = source.memory()
    told = why.explain(memory, source.spec(), why.newest(memory) if cycle is None else cycle)
    if as_json:
        write(told.as_json())
    else:
        console = Console(highlight=False)
        for line in told.lines:
            console.print(Text(line), soft_wrap=not console.is_terminal)


@click.command("replay")
@place_options
@_CYCLE
@_JSON
def replay_command(place: Place, *, cycle: int | None, as_json: bool) -> int:
    """Make a cycle's decisions again, from what was recorded when they were made.

    \b
      detctl replay WORKDIR --cycle 3           the folder of a "detctl run", finished or not
      detctl replay --name NAME -n NAMESPACE    a resource on a cluster, which keeps the last 5 cycles

    Identical: exit code 0. Otherwise the first difference is named and the exit code is 1; that happens when
    another version of the program decided.

    On a cluster it takes the verb get on dataefficienttrainings and configmaps, which the role view has.
    """
    return tell_replay(place.open(), cycle, as_json=as_json)


def tell_replay(
    source: Source, cycle: int | None, *, as_json: bool, write: Callable[[Any], None] = print_json
) -> int:
    """Make a cycle's decisions again and print how they came out; the exit code.

    Raises:
        WrongInputError: they are not recorded.
    """
    from dataefficient.cycle.machine import advance  # noqa: PLC0415

    if cycle is None:
        cycle = max(source.recorded(), default=0)
    count, difference = source.replay(cycle, advance)
    if as_json:
        body: dict[str, Any] = {"cycle": cycle, "decisions": count, "identical": difference is None}
        if difference is not None:
            body["difference"] = {
                "decision": difference.number,
                "path": difference.path,
                "recorded": difference.recorded,
                "recomputed": difference.recomputed,
            }
        write(body)
    elif difference is None:
        decisions = "1 decision" if count == 1 else f"{count} decisions"
        click.echo(f"Cycle {cycle}: {decisions} made again, identical")
    else:
        click.echo(f"Different: {difference}")
    return Exit.OK if difference is None else Exit.DIFFERENT
