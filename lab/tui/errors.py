"""Owns how a failure becomes words on the screen: what failed, why, and the next step, never a traceback."""

from __future__ import annotations

from ..errors import LabError
from .messages import Failed


def failed(what: str, error: BaseException) -> Failed:
    """Return the message for an exception that ended `what`."""
    if isinstance(error, LabError):
        return Failed(what, error.message, error.hint)
    return Failed(what, f"{type(error).__name__}: {error}", "a fault of CKS Lab; try again, then: cks-lab doctor")
