"""Owns the table of report formats: a name -> the module whose `render` writes it, imported when asked for."""

from __future__ import annotations

import re
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
_MORE_SUFFIXES = {".htm": "html", **dict.fromkeys((".txt", ".text", ".log", ".out"), "text")}
_FILE_TYPE = re.compile(r"\.[a-z][a-z0-9]{1,4}", re.ASCII)
"""What a suffix that promises a type of file looks like; mktemp's, a date's or a number's does not."""


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
    """Return the format that a file's suffix asks for; text where there is no file, or its name asks for none.

    Raises LabError where the suffix promises a type of file that is not written here.
    """
    suffix = "" if output is None else output.suffix.lower()
    form = SUFFIXES.get(suffix) or _MORE_SUFFIXES.get(suffix)
    if form is None and output is not None and _FILE_TYPE.fullmatch(suffix):
        raise LabError(
            f"{output}: no report is written as {output.suffix}",
            (
                f"-o {output.with_suffix('.html')} is a page that prints well, into a PDF too; "
                if suffix == ".pdf"
                else ""
            )
            + f"known: {', '.join(SUFFIXES)}, .txt; or add --format",
        )
    return form or "text"


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
