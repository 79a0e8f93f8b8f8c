"""Owns the words that cells share: ages, selectors, labels, the containers of a template, `<none>`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ..border import Json

Cells = list[Any]
CellsOf = Callable[[Json, datetime], Cells]
"""What renders an object of one resource: all its cells but the name."""
NONE = "<none>"


def duration(seconds: int) -> str:
    """Render a duration as kubectl does: `59s`, `2m3s`, `3h`, `2d4h`."""
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    if seconds < 120:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 10:
        rest = seconds % 60
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = seconds // 3600
    if hours < 8:
        rest = minutes % 60
        return f"{hours}h{rest}m" if rest else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        rest = hours % 24
        return f"{hours // 24}d{rest}h" if rest else f"{hours // 24}d"
    days = hours // 24
    if days < 730:
        return f"{days}d"
    if days < 2920:
        rest = days % 365
        return f"{days // 365}y{rest}d" if rest else f"{days // 365}y"
    return f"{days // 365}y"


def since(stamp: str | None, now: datetime) -> str:
    """Render how long ago a timestamp was."""
    if not stamp:
        return "<unknown>"
    moment = datetime.fromisoformat(stamp)
    return duration(int((now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))).total_seconds()))


def age(obj: Json, now: datetime) -> str:
    """Render how long ago an object was created."""
    return since(obj["metadata"].get("creationTimestamp"), now)


def selector_text(selector: Json | None) -> str:
    """Render a label selector."""
    if selector is None:
        return NONE
    parts = [f"{k}={v}" for k, v in sorted((selector.get("matchLabels") or {}).items())]
    for term in selector.get("matchExpressions") or []:
        values = ",".join(sorted(term.get("values") or []))
        key = term.get("key", "")
        parts.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }.get(term.get("operator", ""), key)
        )
    return ",".join(parts) or NONE


def labels_text(labels: Json | None) -> str:
    """Render labels, or a selector that has nothing but them."""
    return ",".join(f"{k}={v}" for k, v in sorted((labels or {}).items())) or NONE


def names_and_images(template: Json | None) -> tuple[str, str]:
    """Return the names of a pod template's containers, and their images."""
    containers = ((template or {}).get("spec") or {}).get("containers") or []
    return ",".join(c.get("name", "") for c in containers), ",".join(c.get("image", "") for c in containers)


def first(values: list[str], most: int = 3, between: str = ",") -> str:
    """Render the first of some values, and how many are left out."""
    return between.join(values[:most]) + (f" + {len(values) - most} more..." if len(values) > most else "")


def field_and_age(*path: str) -> CellsOf:
    """Return the function of a resource that shows one text of its own and its age."""

    def cells(obj: Json, now: datetime) -> Cells:
        value: Any = obj
        for part in path:
            value = value.get(part, {}) if isinstance(value, dict) else ""
        return [value if isinstance(value, str) else "", age(obj, now)]

    return cells
