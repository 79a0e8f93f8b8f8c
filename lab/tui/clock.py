"""Owns how times look on the screen."""

from __future__ import annotations

from datetime import datetime


def elapsed(since: datetime | None, now: datetime) -> str:
    """Return the time since a moment as h:mm:ss; an empty text without the moment."""
    if since is None:
        return ""
    seconds = max(0, int((now - since).total_seconds()))
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago something was, in the largest unit that fits."""
    seconds = max(0, int((now - moment).total_seconds()))
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if (count := seconds // size) > 0:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
