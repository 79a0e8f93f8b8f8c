"""Owns how the node's tools print: Go's tabwriter, JSON, YAML, ages and sizes as docker's units say them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any


def table(rows: Sequence[Sequence[str]], least: int = 10, padding: int = 3) -> str:
    """Return rows in columns as Go's text/tabwriter lays them: the last cell of a row is not padded."""
    widths: list[int] = []
    for row in rows:
        for column, cell in enumerate(row[:-1]):
            width = max(least, len(cell) + padding)
            if column < len(widths):
                widths[column] = max(widths[column], width)
            else:
                widths.append(width)
    lines = ("".join(cell.ljust(widths[n]) for n, cell in enumerate(row[:-1])) + row[-1] for row in rows)
    return "".join(f"{line}\n" for line in lines)


def as_json(value: Any) -> str:
    """Return JSON with two blanks a level, as Go's MarshalIndent and protojson write it."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def as_yaml(value: Any) -> str:
    """Return YAML in block style."""
    return "".join(f"{line}\n" for line in _yaml_lines(value))


def _yaml_lines(value: Any) -> list[str]:
    if isinstance(value, dict) and value:
        lines = []
        for key, item in value.items():
            nested = _yaml_lines(item)
            if isinstance(item, dict | list) and item:
                shift = "  " if isinstance(item, dict) else ""
                lines += [f"{key}:", *(shift + line for line in nested)]
            else:
                lines.append(f"{key}: {nested[0]}")
        return lines
    if isinstance(value, list) and value:
        lines = []
        for item in value:
            nested = _yaml_lines(item)
            lines += [f"- {nested[0]}", *(f"  {line}" for line in nested[1:])]
        return lines
    return [_yaml_scalar(value)]


def _yaml_scalar(value: Any) -> str:
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z/][\w./@-]*( [\w./@-]+)*", value)
        return (
            value
            if plain and value.lower() not in ("true", "false", "null", "yes", "no", "on", "off")
            else (json.dumps(value, ensure_ascii=False))
        )
    return json.dumps(value)


def ago(seconds: float) -> str:
    """Return an age in words. Source: docker/go-units, HumanDuration."""
    whole = int(seconds)
    minutes = whole // 60
    hours = int(seconds / 3600 + 0.5)
    if whole < 1:
        words = "Less than a second"
    elif whole == 1:
        words = "1 second"
    elif whole < 60:
        words = f"{whole} seconds"
    elif minutes == 1:
        words = "About a minute"
    elif minutes < 60:
        words = f"{minutes} minutes"
    elif hours == 1:
        words = "About an hour"
    elif hours < 48:
        words = f"{hours} hours"
    elif hours < 24 * 14:
        words = f"{hours // 24} days"
    elif hours < 24 * 60:
        words = f"{hours // 24 // 7} weeks"
    elif hours < 24 * 365 * 2:
        words = f"{hours // 24 // 30} months"
    else:
        words = f"{hours // 24 // 365} years"
    return f"{words} ago"


def size(count: int) -> str:
    """Return a number of bytes with three digits. Source: docker/go-units, HumanSizeWithPrecision."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.3g}{unit}"


def short(identifier: str) -> str:
    """Return the first 13 digits of an id, without its algorithm."""
    return identifier.removeprefix("sha256:")[:13]
