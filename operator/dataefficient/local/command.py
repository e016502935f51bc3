"""The pod template's container ``trainer`` as a command line of this machine.

Command, arguments and plain environment variables mean the same here as in a pod. What only a cluster
has (image, volumes, placement, values from secrets) is left out and said once.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataefficient.api.compute import TRAINER_CONTAINER
from dataefficient.api.spec import Spec
from dataefficient.local.errors import WrongInputError

_PLACE = "spec.trainer.template.spec.containers[0]"
_DEFAULT = ("python", "-m", "dataefficient_trainer")
_UNDERSTOOD = {"name", "command", "args", "env"}


@dataclass(frozen=True)
class Command:
    """What is launched, where, and what of the template has no meaning here."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    folder: Path
    """Work folder of the trainer: that of the resource's file, as for ``data.uri``."""
    ignored: tuple[str, ...] = ()

    def notice(self) -> str | None:
        """One sentence about what was left out; None: nothing was."""
        if not self.ignored:
            return None
        return (
            f"Without a cluster these parts of spec.trainer.template are not used: {', '.join(self.ignored)}."
        )


def command_of(spec: Spec, folder: Path) -> Command:
    """The command of ``spec``'s trainer.

    Raises:
        WrongInputError: names the field that is no command, or the program that is not found.
    """
    pod: dict[str, Any] = spec.trainer.template["spec"]
    container: dict[str, Any] = pod["containers"][0]
    command = _texts(container.get("command", []), "command")
    argv = [*(command or _DEFAULT), *_texts(container.get("args", []), "args")]
    argv[0] = _program(argv[0], folder)
    env, unset = _environment(container.get("env", []))
    ignored = [
        *(f"containers.{TRAINER_CONTAINER}.{name}" for name in sorted(set(container) - _UNDERSTOOD)),
        *(f"containers.{TRAINER_CONTAINER}.env.{name}" for name in unset),
        *sorted(set(pod) - {"containers"}),
    ]
    return Command(tuple(argv), env, folder, tuple(ignored))


def _texts(value: object, name: str) -> Sequence[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise WrongInputError(
            f"{_PLACE}.{name}: found {value!r}; allowed: a list of strings; write each word as one entry in "
            "quotes"
        )
    return value


def _program(name: str, folder: Path) -> str:
    if name in ("python", "python3"):
        return sys.executable
    path = str(folder / name) if os.sep in name else name
    found = shutil.which(path)
    if found is None:
        raise WrongInputError(
            f"{_PLACE}.command: the program {name!r} is not found on this machine, or is not executable; "
            "install it, or name another"
        )
    return found


def _environment(value: object) -> tuple[dict[str, str], list[str]]:
    allowed = "allowed: a list of {name: ..., value: ...}"
    if not isinstance(value, list):
        raise WrongInputError(f"{_PLACE}.env: found {value!r}; {allowed}")
    known: dict[str, str] = {}
    unset = []
    for i, entry in enumerate(value):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise WrongInputError(f"{_PLACE}.env[{i}]: found {entry!r}; {allowed}")
        text = entry.get("value", "")
        if not isinstance(text, str):
            raise WrongInputError(
                f"{_PLACE}.env[{i}].value: found {text!r}; allowed: a string; write it in quotes"
            )
        if "valueFrom" in entry:
            unset.append(entry["name"])
        else:
            known[entry["name"]] = text
    return known, unset
