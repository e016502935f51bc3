"""The verbs of ``kubectl det`` and their options, as kubectl's users expect them.

kubectl finds the program ``kubectl-det`` on the PATH and hands over what follows ``det``. What each verb does
is in the other modules; what goes wrong becomes a message and an exit code in ``cli``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataefficient.cli_cluster import Where, ask, check_name
from dataefficient.kubectl.options import (
    CYCLE,
    NAME,
    OUTPUT,
    PLACE,
    Verbs,
    asking,
    bare,
    place,
    place_options,
)

if TYPE_CHECKING:
    from dataefficient.cluster.api import Api, Body
    from dataefficient.cluster.names import Key
    from dataefficient.kubectl.acting import Prepare
    from dataefficient.kubectl.asking import Done

READS = "It takes the verb get on dataefficienttrainings there; the role view has it"
LISTS = "It takes the verb list on dataefficienttrainings; the role view has it"
WRITES = "It takes the verbs get and patch on dataefficienttrainings there; the role edit has them"
WRITES_KNOWING = (
    "It takes the verbs get and patch on dataefficienttrainings, and get on configmaps there; the role edit "
    "has them"
)
APPROVES = (
    "It takes the verbs get, patch and approve on dataefficienttrainings there; the role admin has them"
)


@click.group(
    cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, name="det"
)
@click.version_option(package_name="data-efficient-training", prog_name="kubectl det")
@place_options
@click.pass_context
def det(
    context: click.Context, *, namespace: str | None, kube_context: str | None, kubeconfig: Path | None
) -> None:
    """Look at resources of kind DataEfficientTraining, and ask something of their operator.

    \b
      kubectl det status -n team                 all resources of a namespace; -A: of the cluster
      kubectl det status late-flights -n team    one of them
      kubectl det why late-flights 3 -n team     why a cycle ran as it did
      kubectl det approve late-flights 7a7277f25116 -n team --wait

    Looking writes nothing. A request is an annotation, or spec.suspend, that the operator answers within
    seconds; --wait waits for it.
    """
    check_name("--namespace", namespace)
    context.meta[PLACE] = Where(namespace, kube_context, kubeconfig)


@det.command("status")
@click.argument("name", metavar="[NAME]", callback=bare, required=False, default=None)
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Those of the whole cluster.")
@OUTPUT
@place
def status_command(where: Where, *, name: str | None, everywhere: bool, form: str | None) -> None:
    """How a resource stands; without NAME, one line for each.

    STATE is the reason of the condition Ready, behind "NotReady:" where a person may have to act.
    """
    from dataefficient.kubectl import looking  # noqa: PLC0415
    from dataefficient.kubectl.page import Page, write_as  # noqa: PLC0415

    if name is not None:
        if everywhere:
            raise click.UsageError("Found NAME and --all-namespaces: give one of them.")
        body = _one(where, name)
        if form:
            write_as(form, looking.summary(body))
        else:
            looking.show_one(Page(), body, now=datetime.now(UTC), again=_again(where, body))
        return
    bodies, place = _every(where, everywhere=everywhere)
    if form:
        write_as(form, {"items": [looking.summary(body) for body in bodies]})
    elif bodies:
        looking.show_list(Page(), bodies, everywhere=everywhere)
    else:
        click.echo(f"No DataEfficientTraining in {place}.", err=True)


@det.command("plan", short_help="What runs or comes next, its forecast, and what waits for approval.")
@NAME
@OUTPUT
@place
def plan_command(where: Where, *, name: str, form: str | None) -> None:
    """What runs or comes next, what is expected of it, and what waits for approval."""
    from dataefficient.kubectl import looking  # noqa: PLC0415
    from dataefficient.kubectl.page import Page, write_as  # noqa: PLC0415

    body = _one(where, name)
    if form:
        write_as(form, looking.plan_of(body))
    else:
        looking.show_plan(Page(), body, now=datetime.now(UTC), again=_again(where, body))


@det.command("history")
@NAME
@click.option(
    "--last", type=click.IntRange(min=1), default=None, metavar="N", help="The newest N cycles only."
)
@OUTPUT
@place
def history_command(where: Where, *, name: str, last: int | None, form: str | None) -> None:
    """The finished cycles, one line each, up to the newest 20."""
    from dataefficient.kubectl import looking  # noqa: PLC0415
    from dataefficient.kubectl.page import Page, write_as  # noqa: PLC0415

    body = _one(where, name)
    if form:
        write_as(form, looking.history_of(body, last=last))
    else:
        looking.show_history(Page(), body, last=last, again=_again(where, body))


@det.command("why", short_help="Why a cycle ran as it did, with every option refused.")
@NAME
@CYCLE
@OUTPUT
@place
def why_command(where: Where, *, name: str, cycle: int | None, form: str | None) -> None:
    """Why a cycle ran as it did, with every option that was refused; of the last 64 cycles.

    Without CYCLE: the newest that was planned.
    """
    from dataefficient.cli_look import tell_why  # noqa: PLC0415
    from dataefficient.cli_source import remote  # noqa: PLC0415

    tell_why(remote(where, name), cycle, as_json=form is not None, write=_writer(form))


@det.command("approve", short_help="Approve what waits in mode Recommend.")
@NAME
@click.argument("digest", metavar="[DIGEST]", required=False, default=None)
@asking
@OUTPUT
@place
def approve_command(where: Where, *, name: str, digest: str | None, **how: Any) -> None:
    """Approve what waits in mode Recommend, under the digest that "plan" shows.

    Without DIGEST it says what waits and writes nothing.
    """
    from dataefficient.kubectl import acting  # noqa: PLC0415

    _request(where, name, acting.approval(digest, _named(where, name)), needs=APPROVES, verb="approve", **how)


@det.command("run-now", short_help="Wait for no clock: begin or retry at once.")
@NAME
@asking
@OUTPUT
@place
def run_now_command(where: Where, *, name: str, **how: Any) -> None:
    """Wait for no clock: begin a cycle whose interval is over before its label delay is, retry at once.

    The rows of an interval are not there before it ends, and no budget is passed over.
    """
    from dataefficient.kubectl import acting  # noqa: PLC0415

    _request(where, name, acting.hurry, needs=WRITES_KNOWING, verb="run-now", **how)


@det.command("suspend", short_help="Start nothing new, and end what runs.")
@NAME
@asking
@OUTPUT
@place
def suspend_command(where: Where, *, name: str, **how: Any) -> None:
    """Start nothing new, and end what runs; it keeps its state and goes on with "resume".

    Sets spec.suspend. Where a GitOps tool owns the spec, set it there.
    """
    from dataefficient.kubectl import acting  # noqa: PLC0415

    _request(where, name, acting.suspension, needs=WRITES, verb="suspend", **how)


@det.command("resume", short_help="Go on after suspend, or after what stopped it was mended.")
@NAME
@asking
@OUTPUT
@place
def resume_command(where: Where, *, name: str, **how: Any) -> None:
    """Go on after "suspend", or after you mended what stopped the resource."""
    from dataefficient.kubectl import acting  # noqa: PLC0415

    _request(where, name, acting.resumption, needs=WRITES, verb="resume", **how)


@det.command("rollback")
@NAME
@click.option(
    "--to-cycle",
    "cycle",
    type=click.IntRange(min=0),
    default=None,
    metavar="K",
    help="The cycle whose champion is to serve again. Default: the one before the present one.",
)
@asking
@OUTPUT
@place
def rollback_command(where: Where, *, name: str, cycle: int | None, **how: Any) -> None:
    """Have an earlier champion serve again, and go on from it.

    For control.everyCycles cycles nothing cheaper than its plan is run or tried. Champions that came after
    it are not kept.
    """
    from dataefficient.kubectl import acting  # noqa: PLC0415

    _request(where, name, acting.going_back(cycle), needs=WRITES_KNOWING, verb="rollback", **how)


@det.command("report", short_help="What was saved so far, and at which quality; also as a page.")
@NAME
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="Where the page is written. Default: NAME-report.html here.",
)
@OUTPUT
@place
def report_command(where: Where, *, name: str, file: Path | None, form: str | None) -> None:
    """What was saved so far, and at which quality; also as a page of its own."""
    from dataefficient.cli_look import tell_report  # noqa: PLC0415
    from dataefficient.cli_source import remote  # noqa: PLC0415

    tell_report(remote(where, name), file, as_json=form is not None, write=_writer(form))


@det.command("replay", short_help="Make a cycle's recorded decisions again; must be identical.")
@NAME
@CYCLE
@OUTPUT
@place
def replay_command(where: Where, *, name: str, cycle: int | None, form: str | None) -> int:
    """Make a cycle's recorded decisions again, of the last 5 cycles: they must be identical."""
    from dataefficient.cli_look import tell_replay  # noqa: PLC0415
    from dataefficient.cli_source import remote  # noqa: PLC0415

    return tell_replay(remote(where, name), cycle, as_json=form is not None, write=_writer(form))


def _writer(form: str | None) -> Callable[[Any], None]:
    from dataefficient.kubectl.page import write_as  # noqa: PLC0415

    return functools.partial(write_as, form or "json")


def _one(where: Where, name: str) -> Body:
    async def work(api: Api, namespace: str) -> Body:
        from dataefficient.cluster.names import Key  # noqa: PLC0415
        from dataefficient.kubectl.asking import one  # noqa: PLC0415

        return await one(api, Key(namespace, name))

    return ask(where, work, needs=READS)


def _every(where: Where, *, everywhere: bool) -> tuple[list[Body], str]:
    """The resources, and where they were looked for in words."""

    async def work(api: Api, namespace: str) -> tuple[list[Body], str]:
        from dataefficient.kubectl.asking import every  # noqa: PLC0415

        if everywhere:
            return await every(api, None), "the cluster"
        return await every(api, namespace), f"namespace {namespace}; -A looks at all"

    return ask(where, work, needs=LISTS)


def _again(where: Where, body: Body) -> str:
    """How the resource is named in another command."""
    about = body["metadata"]
    return _named(Where(about["namespace"], where.context, where.kubeconfig), about["name"])


def _named(where: Where, name: str) -> str:
    options = {"-n": where.namespace, "--context": where.context, "--kubeconfig": where.kubeconfig}
    given = " ".join(f"{option} {value}" for option, value in options.items() if value is not None)
    return f"{name} {given}".rstrip()


def _request(
    where: Where,
    name: str,
    prepare: Prepare,
    *,
    needs: str,
    verb: str,
    form: str | None,
    wait: bool,
    timeout: float,
    dry_run: bool,
) -> None:
    """Write a request, say what follows, and wait for it where that is asked."""
    from dataefficient.kubectl.acting import Request  # noqa: PLC0415
    from dataefficient.kubectl.page import write_as  # noqa: PLC0415

    def told(request: Request) -> None:
        if not form:
            click.echo(request.told)

    async def work(api: Api, namespace: str) -> Done:
        from dataefficient.cluster.names import Key  # noqa: PLC0415
        from dataefficient.kubectl.asking import write  # noqa: PLC0415

        key = Key(namespace, name)
        seconds = timeout if wait else None
        return await write(api, key, prepare, dry_run=dry_run, seconds=seconds, written=told)

    done = ask(where, work, needs=needs, writes=not dry_run)
    if form:
        write_as(form, _outcome(done, verb, dry_run=dry_run))
    elif dry_run:
        click.echo(f"Would be done: {done.request.told} Nothing was written.")
    elif not done.heard:
        click.echo(f"It is written; kubectl det status {_named(where, name)} shows when it was heard.")
    else:
        _heard(done.key, done.body)


def _heard(key: Key, body: Body) -> None:
    from dataefficient.kubectl.looking import state  # noqa: PLC0415
    from dataefficient.kubectl.words import condition  # noqa: PLC0415

    told = condition(body, "Progressing").get("message") or condition(body, "Ready").get("message", "")
    click.echo(f"The operator has heard it. {key} is {state(body).text}: {told}")


def _outcome(done: Done, verb: str, *, dry_run: bool) -> dict[str, Any]:
    return {
        "namespace": done.key.namespace,
        "name": done.key.name,
        "verb": verb,
        "message": done.request.told,
        "request": done.request.word,
        "written": not dry_run,
        "heard": done.heard,
    }
