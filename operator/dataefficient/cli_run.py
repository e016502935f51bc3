"""``detctl run``: a resource file, driven on this machine until it is finished.

It puts the parts together: store, command, driver, what people see, the report at the end. What to run
is the state machine's, how the local driver's.
"""

from __future__ import annotations

import contextlib
import glob
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from dataefficient.api.spec import Mode, Resource, Spec
from dataefficient.cli import Session
from dataefficient.cli_look import show_report
from dataefficient.cycle import approving
from dataefficient.cycle.machine import advance, begin, continued
from dataefficient.cycle.model import FailureKind, Memory, Step
from dataefficient.local.command import command_of
from dataefficient.local.drive import Driver, Work, cores
from dataefficient.local.errors import DataMissingError, Exit, LocalError, WrongInputError
from dataefficient.local.launcher import Launcher
from dataefficient.local.lock import locked
from dataefficient.local.progress import watcher
from dataefficient.local.store import Store, place, read_resource
from dataefficient.local.watch import Watcher

STOPPED = {
    "BudgetExhausted": Exit.BUDGET,
    FailureKind.USER_ERROR: Exit.WRONG_INPUT,
    FailureKind.DATA_ERROR: Exit.DATA,
    FailureKind.DATA_NOT_READY: Exit.DATA,
    FailureKind.EMPTY_INTERVAL: Exit.DATA,
}
"""Exit code by the reason for which a resource stopped; any other reason is the trainer's."""


class StoppedError(LocalError):
    """The resource needs a person before it goes on."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code


@click.command("run")
@click.option(
    "-f",
    "--file",
    "file",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The resource, a YAML file of kind DataEfficientTraining. Paths in it start at its own folder.",
)
@click.option(
    "--workdir",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="Folder for everything that the run writes. Default: work/NAME in the current folder, by the "
    "resource's name. Give the same folder again to continue.",
)
@click.option(
    "--cycles",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="Stop once cycles 0 to N-1 are done, counted from the resource's beginning and not from this call. "
    "Cycle 0 trains on the history. Default: go on to endTime, or for ever.",
)
@click.option(
    "--control",
    is_flag=True,
    help="Also train two controls on the same stream, to hold the savings against: all rows at the largest "
    "size, and all rows at the smallest size that does as well on the history. They use spare cores and are "
    "not charged to the budget.",
)
@click.option(
    "--approve",
    default="",
    metavar="DIGEST",
    help="In mode Recommend, approve what waits: the digest that was printed with the recommendation.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the report as one JSON object on standard output."
)
@click.pass_obj
def run_command(
    session: Session,
    file: Path,
    workdir: Path | None,
    cycles: int | None,
    *,
    control: bool,
    approve: str,
    as_json: bool,
) -> int:
    """Run a resource on this machine, cycle after cycle.

    Each cycle trains on the next interval of your stream. Cycle 0 first measures, with small runs on the
    history, how much data is enough; later cycles go on from the published model and move the sampling rate
    and the model size to where your tolerance and target are met with the least compute. Intervals that
    have passed follow each other at once; later ones are waited for.

    Ctrl-C, a kill or a full disk lose nothing: the same command continues, and no finished run is repeated.
    A resource that stopped for a reason goes on when the command is given again.

    In mode Recommend every cycle trains as was last approved, at first on full data at the largest size. What
    would be changed or tried is printed with a digest; give it with --approve to have it done.

    The folder of the work holds report.html, the log of every run (runs/NAME/log.txt) and everything that
    "detctl report", "why" and "replay" read.
    """
    resource = read_resource(file)
    store = Store.create(workdir or Path("work") / resource.metadata.name)
    session.crash_folder = store.folder
    console = Console(stderr=True)
    with locked(store.folder) as lock:
        screen = watcher(resource.spec, console, cycles)
        try:
            work = partial(Work, cycles=cycles, control=control, approval=approve)
            memory = _drive(resource, file, store, lock, screen=screen, work=work)
        finally:
            screen.close()
    if memory.history:
        show_report(store, as_json=as_json)
    if memory.step is Step.STOPPED and memory.stopped is not None:
        raise StoppedError(
            f"stopped: {memory.stopped.message}. Logs are in {store.folder / 'runs'}; once this is mended, "
            "the same command goes on.",
            STOPPED.get(memory.stopped.code, Exit.TRAINER),
        )
    if (asked := memory.proposal) is not None and resource.spec.mode is Mode.RECOMMEND:
        waits = f"cycle {memory.cycle} waits for approval" if asked.holds else "what is recommended waits"
        click.echo(f"detctl: {waits}; the same command with --approve {asked.digest} approves it.", err=True)
    if cycles is not None and memory.step is not Step.FINISHED and not (asked and asked.holds):
        click.echo(f"detctl: stopped after cycle {cycles - 1}, as --cycles {cycles} asks.", err=True)
    if resource.spec.suspend:
        click.echo("detctl: spec.suspend is true: nothing new was started.", err=True)
    return Exit.OK


def _drive(
    resource: Resource,
    file: Path,
    store: Store,
    lock: int,
    *,
    screen: Watcher,
    work: Callable[[Spec, Path], Work],
) -> Memory:
    folder = file.resolve().parent
    command = command_of(resource.spec, folder)
    check_data(resource, folder)
    name = f"{resource.metadata.namespace}/{resource.metadata.name}"
    memory = continued(resource.spec, store.memory()) if store.has_memory() else None
    todo = work(resource.spec, folder)
    if (objection := approving.objection(resource.spec, memory or begin(name), todo.approval)) is not None:
        raise WrongInputError(f"--approve: {objection}")
    changes = store.adopt(resource, file.read_bytes())
    if changes and memory is not None:
        screen.say(f"The resource has changed: {'; '.join(changes)}")
    for notice in (command.notice(), crowding(resource)):
        if notice:
            screen.say(notice)
    with Launcher(command) as launcher:
        driver = Driver(todo, store, lock, screen, advance=advance, launcher=launcher)
        return driver.drive(memory or begin(name))


def check_data(resource: Resource, folder: Path) -> None:
    """Find a wrong path before anything is spent; addresses are left to the trainer.

    Raises:
        DataMissingError: a local path that leads to nothing.
    """
    uri = resource.spec.data.uri
    if "://" in uri:
        return
    path = place(uri, folder)
    with contextlib.suppress(OSError):
        if Path(path).exists() or glob.glob(path):  # noqa: PTH207 - the pattern is absolute
            return
    raise DataMissingError(
        f"spec.data.uri: found {uri!r}, but there is no {path}; correct the path (it starts at the "
        "resource's folder), or put the data there"
    )


def crowding(resource: Resource) -> str | None:
    """A sentence where a run may use more cores than there are."""
    accelerator = resource.spec.accelerators[0]
    wanted, here = accelerator.per_pod * accelerator.pods, cores()
    if accelerator.resource.value != "cpu" or wanted <= here:
        return None
    return (
        f"spec.accelerators[0] asks for {wanted} cores and this machine has {here}: runs follow each other, "
        "and device hours are counted as asked for."
    )
