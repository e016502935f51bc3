"""What may go wrong on this machine, and the exit code that says so to a script.

Each error is one message for the person at the terminal, with what to do. Failures of a single run
are no exceptions: they are outcomes, and the state machine answers them.
"""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """Exit codes of ``detctl``."""

    OK = 0
    DIFFERENT = 1
    """A recorded decision, made again, is another one."""
    NOTHING = 4
    """What is asked for is so already, or there is nothing to do it to."""
    WRONG_INPUT = 64
    """An option, a resource file or a work folder is wrong."""
    DATA = 65
    """The data cannot be used."""
    TRAINER = 69
    """The trainer failed for good."""
    INTERNAL = 70
    """A fault of this program."""
    BUDGET = 73
    """The budget is spent, or too small for one run."""
    DISK = 74
    """The work folder cannot be written."""
    CLUSTER = 75
    """The cluster does not answer, or not now."""
    FORBIDDEN = 77
    """The cluster refuses: a right is missing, or the credentials are not accepted."""
    INTERRUPTED = 130
    """SIGINT or SIGTERM; the same command continues."""


class LocalError(Exception):
    """A message for the user and the exit code that goes with it."""

    code = Exit.INTERNAL


class WrongInputError(LocalError):
    """An option, file or folder that a person can correct."""

    code = Exit.WRONG_INPUT


class DataMissingError(LocalError):
    """The stream is not where the resource says."""

    code = Exit.DATA


class DiskError(LocalError):
    """The work folder cannot be written; what was there before is whole."""

    code = Exit.DISK


class InterruptedRunError(LocalError):
    """A person or the system asked to stop; everything needed to go on is saved."""

    code = Exit.INTERRUPTED
