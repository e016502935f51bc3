"""The one way an estimate ends badly: a message for the owner and an exit code by kind."""

from __future__ import annotations

import click

from dataefficient.contract import ExitCode


class EstimateError(click.ClickException):
    """What was wrong, in one message that names option, column or file; ``code`` tells scripts the kind.

    USER_ERROR 64: an option is wrong. DATA_ERROR 65: the log cannot be used.
    """

    def __init__(self, message: str, code: ExitCode | int) -> None:
        super().__init__(message)
        self.code = int(code)

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """What the process exits with."""
        return self.code
