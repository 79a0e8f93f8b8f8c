"""The record of what was done: attempts, their grades, and what happened meanwhile."""

from __future__ import annotations

from .store import AttemptRow, Attempts, Subject

__all__ = ["AttemptRow", "Attempts", "Subject"]
