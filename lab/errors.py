"""Owns what the program says when something fails: one error tree, and the exit status of every command.

Every message says what failed and on what; the hint is the next command to type.
"""

from __future__ import annotations

EXIT_YES = 0
"""All passed, equal, nothing found."""
EXIT_NO = 1
"""Something failed, is different, was found."""
EXIT_COULD_NOT = 2
"""The question could not be answered; a usage error included."""


class LabError(Exception):
    """Something that a user or a broken node caused, to be shown as a message and never as a traceback."""

    def __init__(self, message: str, hint: str = "", *, exit_code: int = EXIT_COULD_NOT) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message
