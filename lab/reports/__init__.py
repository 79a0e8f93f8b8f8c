"""Owns the table of report formats: a name -> the module whose `render` writes it, imported when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from ..errors import LabError

if TYPE_CHECKING:
    from checkers.grade import Report

FORMATS: dict[str, str] = {
    "text": "lab.reports.text",
    "json": "lab.reports.json",
}


@dataclass(frozen=True, slots=True)
class Style:
    """How a report may look where it is shown: `width` in columns; without `symbols` only ASCII marks are used."""

    colour: bool = False
    width: int = 80
    symbols: bool = True


PLAIN = Style()


class Render(Protocol):
    """Writes a report in one format, its last line ended. Pure: the same report and style give the same text."""

    def __call__(self, report: Report, style: Style = PLAIN) -> str: ...


def renderer(name: str) -> Render:
    """Return what writes the format of that name. Raises LabError, with the known names, for any other."""
    if name not in FORMATS:
        raise LabError(f"no report format {name!r}", f"known: {', '.join(FORMATS)}")
    return cast(Render, import_module(FORMATS[name]).render)
