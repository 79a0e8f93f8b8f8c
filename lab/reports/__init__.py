"""Owns the table of report formats: a name -> the module whose `render` writes it, imported when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePath
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

from ..errors import LabError

if TYPE_CHECKING:
    from checkers.grade import Report

FORMATS: dict[str, str] = {
    "text": "lab.reports.text",
    "json": "lab.reports.json",
    "junit": "lab.reports.junit",
    "html": "lab.reports.html",
    "markdown": "lab.reports.markdown",
    "github": "lab.reports.github",
    "csv": "lab.reports.csv",
}

SUFFIXES = {".json": "json", ".xml": "junit", ".html": "html", ".md": "markdown", ".csv": "csv"}
"""What a file's suffix says of the format wanted in it."""


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


@dataclass(frozen=True, slots=True)
class Entry:
    """One graded thing of several: what it was called, and its report, or why there is none."""

    source: str
    report: Report | None
    error: str = ""
    hint: str = ""


class RenderMany(Protocol):
    """Writes several reports as one, in the order given: pieces of text, the last line ended. Pure, as `Render` is.

    The entries are gone through as often as the format needs, one at a time, and none is kept.
    """

    def __call__(self, entries: Sequence[Entry], style: Style = PLAIN) -> Iterator[str]: ...


def format_for(output: PurePath | None) -> str:
    """Return the format that a file's suffix asks for; text for any other, and where there is no file."""
    return SUFFIXES.get(output.suffix.lower(), "text") if output is not None else "text"


def renderer(name: str) -> Render:
    """Return what writes the format of that name. Raises LabError, with the known names, for any other."""
    return cast(Render, _module(name).render)


def renderer_of_many(name: str) -> RenderMany:
    """Return what writes several reports in that format. Raises LabError, naming those that can, where it cannot."""
    module = _module(name)
    if not hasattr(module, "render_many"):
        able = [known for known in FORMATS if hasattr(_module(known), "render_many")]
        raise LabError(f"the format {name!r} holds one report, not several", f"formats that can: {', '.join(able)}")
    return cast(RenderMany, module.render_many)


def _module(name: str) -> ModuleType:
    if name not in FORMATS:
        raise LabError(f"no report format {name!r}", f"known: {', '.join(FORMATS)}")
    return import_module(FORMATS[name])
