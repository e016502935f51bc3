"""Every way a run can end badly, each with the exit code that tells the operator what to do.

The message is the one line that a person sees on stderr: it names the field, file or row, what was
found, and what to do. Anything that is not one of these is a defect of the trainer, not of its input.
"""

from __future__ import annotations

from dataefficient.contract import ExitCode


class TrainerError(Exception):
    """Base of all; ``code`` is the process's exit code.

    UserError           the request or ``trainer.config`` is wrong
    DataError           a column is missing, a file is damaged, time runs backwards
    EmptyIntervalError  no row lies in the interval, or all have one label
    NotReadyError       the stream has not come as far as the interval
    CheckpointError     a checkpoint is gone, damaged or of another model
    NotFiniteError      the loss is not finite; nothing was written by that step
    StoppedError        SIGTERM; a resumable state was saved
    """

    code = ExitCode.USER_ERROR


class UserError(TrainerError):
    """The request or the configuration is wrong."""


class DataError(TrainerError):
    """The data cannot be used."""

    code = ExitCode.DATA_ERROR


class EmptyIntervalError(TrainerError):
    """Nothing to learn from lies in the interval."""

    code = ExitCode.EMPTY_INTERVAL


class NotReadyError(TrainerError):
    """The stream ends before the interval begins: its rows may still come."""

    code = ExitCode.DATA_NOT_READY


class CheckpointError(TrainerError):
    """A checkpoint is gone, damaged or of another model."""

    code = ExitCode.CHECKPOINT_MISSING


class NotFiniteError(TrainerError):
    """The loss was not finite; the run stopped before the optimizer step."""

    code = ExitCode.NOT_FINITE


class StoppedError(TrainerError):
    """SIGTERM arrived and a resumable state was saved."""

    code = ExitCode.INTERRUPTED
