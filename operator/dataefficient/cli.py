"""``detctl``: the program's front door.

It names the commands and loads each one's module only when it is used, so that help is instant. It also
is the one place where errors become messages and exit codes: nobody sees a traceback for a mistake of
their own, and a fault of the program is written to a file.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from dataefficient.local.errors import Exit, LocalError

EXIT_CODES: Mapping[Exit, str] = {
    Exit.OK: "all is well",
    Exit.DIFFERENT: "replay: a decision came out differently",
    Exit.NOTHING: "kubectl det: it is so already, or there is nothing to do it to; nothing was changed",
    Exit.WRONG_INPUT: "wrong input: an option, a resource file, a work folder, a name, a kubeconfig",
    Exit.DATA: "the data cannot be used",
    Exit.TRAINER: "the trainer failed for good",
    Exit.INTERNAL: "a fault of this program",
    Exit.BUDGET: "the budget is spent, or too small for one run",
    Exit.DISK: "the work folder cannot be written, or the disk is full",
    Exit.CLUSTER: "the cluster does not answer; try again",
    Exit.FORBIDDEN: "the cluster refuses: a right is missing, or the credentials are not accepted",
    Exit.INTERRUPTED: "interrupted; the same command continues",
}
"""What scripts may rely on."""

COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("cli_run:run_command", "Run a resource on this machine, cycle after cycle."),
    "validate": ("cli_look:validate_command", "Check a resource file; names every mistake at once."),
    "estimate": (
        "estimate.command:estimate_command",
        "What could be saved on a log file, before installing.",
    ),
    "report": ("cli_look:report_command", "What was saved so far, of a work folder or on a cluster."),
    "why": ("cli_look:why_command", "Why a cycle ran as it did, in sentences."),
    "replay": ("cli_look:replay_command", "Make a cycle's recorded decisions again; must be identical."),
    "curve": ("cli_fits:curve_command", "How much data is enough, from a measured learning curve."),
    "fit": ("cli_fits:fit_command", "Best model size and data for a compute budget, from measured runs."),
    "operator": ("cli_operator:operator_command", "Drive the resources of a Kubernetes cluster."),
    "crd": ("cli_look:crd_command", "Print the CustomResourceDefinition for a cluster."),
}
"""Name to module (in this package) and attribute, and the line that help shows."""


class Commands(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the base class gives it
        """The names, in the order of first need."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command ``name``."""
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name][0].split(":")
        command: click.Command = getattr(importlib.import_module(f"dataefficient.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """One line for each command, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), text) for code, text in EXIT_CODES.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="data-efficient-training", prog_name="detctl")
def detctl() -> None:
    """Retrain a click-through model for ever, at the quality you ask for, with the least compute.

    A resource file says what the model must achieve and what it may cost. "detctl run" trains it over your
    stream of events on this machine and finds out how much data and how large a model that takes;
    everything is kept in a work folder, and the same command continues after any interruption.

    \b
    Start here:
      detctl estimate LOG.parquet --time T --label Y   is there anything to save?
      detctl run -f examples/flights/late-flights.yaml --control
      detctl why WORKDIR --cycle 3                     or, on a cluster: --name NAME -n NAMESPACE
    """


@dataclass
class Session:
    """What a command tells the front door as it goes."""

    crash_folder: Path | None = None
    """Where a fault of the program is written; None: a temporary folder."""


def main() -> None:
    """Entry point of the program."""
    sys.exit(run(sys.argv[1:]))


def kubectl_main() -> None:
    """Entry point of ``kubectl-det``, which kubectl finds on the PATH as ``kubectl det``."""
    from dataefficient.kubectl.command import det  # noqa: PLC0415 - detctl does without it

    sys.exit(run(sys.argv[1:], det, "kubectl det"))


def run(arguments: list[str], program: click.Command = detctl, name: str = "detctl") -> int:
    """Run one command and return its exit code; every error has been told on standard error."""
    session = Session()
    try:
        code = program.main(arguments or ["--help"], name, standalone_mode=False, obj=session)
    except click.ClickException as error:
        error.show()
        wrong = isinstance(error, click.UsageError) or error.exit_code == 1
        return Exit.WRONG_INPUT if wrong else error.exit_code
    except LocalError as error:
        click.echo(f"{name}: {error}", err=True)
        return error.code
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"{name}: interrupted", err=True)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe had enough; what is still buffered must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except Exception as error:  # noqa: BLE001 - the last resort, told in one line
        where = _crash_log(session.crash_folder)
        click.echo(
            f"{name}: a fault of this program, not yours: {error!r}. The trace is in {where}", err=True
        )
        return Exit.INTERNAL
    return code if isinstance(code, int) else Exit.OK


def _crash_log(folder: Path | None) -> Path:
    """Write the current exception's trace; the file that it went to."""
    trace = traceback.format_exc()
    for place in (folder, Path(tempfile.gettempdir())):
        if place is not None:
            with contextlib.suppress(OSError):
                path = place / ("crash.log" if place == folder else f"detctl-crash-{os.getpid()}.log")
                path.write_text(trace)
                return path
    click.echo(trace, err=True)
    return Path("the lines above")
