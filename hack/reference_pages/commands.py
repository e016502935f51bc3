"""Every command of detctl, from its parser."""

import importlib
import inspect
import re

import click
from markdown import GENERATED, document, prose, table

from dataefficient.cli import COMMANDS, EXIT_CODES, detctl


def page() -> str:
    """The page of detctl."""
    return document(
        "# detctl",
        GENERATED.format(source="operator/dataefficient/cli*.py"),
        "`detctl COMMAND --help` shows the same.",
        *(_command(name) for name in COMMANDS),
        "## Exit codes",
        "What scripts may rely on.",
        table(("code", "meaning"), ((str(int(code)), prose(text)) for code, text in EXIT_CODES.items())),
    )


def _command(name: str) -> str:
    module, attribute = COMMANDS[name][0].split(":")
    command: click.Command = getattr(importlib.import_module(f"dataefficient.{module}"), attribute)
    context = click.Context(command, info_name=name, parent=click.Context(detctl, info_name="detctl"))
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    options = [_option(p, context) for p in command.params if isinstance(p, click.Option)]
    return document(
        f"## `detctl {name}`",
        f"```text\n{usage}\n```",
        _help(command.help or ""),
        table(("option", "meaning"), options) if options else "",
    ).rstrip()


def _option(option: click.Option, context: click.Context) -> tuple[str, str]:
    record = option.get_help_record(context)
    assert record is not None, "no option is hidden"
    names, told = record
    # [default: ...] stands in brackets that are no link.
    return f"`{names}`", prose(" ".join(told.split()))


def _help(text: str) -> str:
    """Paragraphs as prose; those that click keeps as they are, as text."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        kept = paragraph.startswith("\b")
        lines = paragraph.removeprefix("\b").strip("\n")
        parts.append(f"```text\n{lines}\n```" if kept else prose(" ".join(lines.split())))
    return "\n\n".join(parts)
