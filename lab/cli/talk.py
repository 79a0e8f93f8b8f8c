"""Owns how commands speak: data to stdout, talk to stderr, tables, progress, questions, and the options they share."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from ..drivers.base import Progress, Step
from ..errors import LabError
from ..reports import Style


def _lab_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the labs for the shell's completion, which must never say anything else."""
    from ..session import Session

    try:
        return [lab.name for lab in Session().labs() if lab.name.startswith(incomplete)]
    except LabError:
        return []


def _scenario_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the tasks for the shell's completion."""
    from ..session import Session

    try:
        return [scenario.id for scenario in Session().scenarios() if scenario.id.startswith(incomplete)]
    except LabError:
        return []


class GivenPath(click.Path):
    """A path on the command line. An empty one, as an unset variable gives, would mean the current directory."""

    def convert(
        self, value: str | os.PathLike[str], parameter: click.Parameter | None, context: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """Return the path as click does, an empty one refused."""
        if not os.fspath(value):
            self.fail("an empty path names nothing", parameter, context)
        return super().convert(value, parameter, context)


lab_option = click.option(
    "--lab",
    "lab_name",
    metavar="NAME",
    shell_complete=_lab_names,
    help="The lab; default: the only one, or the last started.",
)
scenario_argument = click.argument("scenario", shell_complete=_scenario_ids)
optional_scenario_argument = click.argument("scenario", required=False, shell_complete=_scenario_ids)
format_option = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print it."
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def examples(*lines: str) -> str:
    """Return the epilog of a command: how it is typed."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def say(text: str) -> None:
    """Talk to the person: never part of the data. What a node said in it does nothing to the terminal."""
    from ..reports.harmless import safe

    click.echo(safe(text), err=True)


def out(text: str) -> None:
    """Write data."""
    click.echo(text)


def out_json(value: object) -> None:
    """Write data as JSON, for scripts."""
    click.echo(json.dumps(value, indent=2))


def style() -> Style:
    """Return how a report may look on this standard output."""
    # As no-color.org and force-color.org have it: set and not empty counts, and "no" wins.
    is_wanted = bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")
    colour = is_wanted and not os.environ.get("NO_COLOR")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100
    try:
        "✓✗–…→".encode(sys.stdout.encoding or "ascii")
        symbols = True
    except (UnicodeEncodeError, LookupError):
        symbols = False
    return Style(colour=colour, width=width, symbols=symbols)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as columns; the first row is the heading."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def moment(value: datetime | None) -> str:
    """Return a moment in UTC for scripts: RFC 3339, to the second."""
    return "" if value is None else value.strftime("%Y-%m-%dT%H:%M:%SZ")


def answered() -> bool:
    """Say whether a person at a terminal can answer; a closed standard input (None in Python) has nobody."""
    return sys.stdin is not None and sys.stdin.isatty()


def ask(question: str, yes: bool) -> None:
    """Ask and return on yes. Raises LabError where nobody answers; ends the command with 1 on no."""
    if yes:
        return
    if sys.stdin is None:
        raise _unanswered()
    try:
        agreed = click.confirm(question, default=False, err=True)
    except click.Abort:
        if answered():
            raise
        raise _unanswered() from None
    if not agreed:
        say("Nothing was done.")
        raise click.exceptions.Exit(1)


def _unanswered() -> LabError:
    return LabError("the question has no answer", "add --yes to agree without being asked")


def progress() -> Progress:
    """Return what shows the steps of a start: one line each on a terminal that is overwritten, else one line a step."""
    from ..reports.harmless import one_line

    live = sys.stderr.isatty()
    last: list[str] = []

    def show(step: Step) -> None:
        text = f"[{step.number}/{step.total}] {step.title}" + (f": {one_line(step.detail)}" if step.detail else "")
        if live:
            columns = shutil.get_terminal_size().columns - 1
            click.echo("\r\x1b[K" + text[:columns], err=True, nl=step.number == step.total)
        elif step.title not in last:
            click.echo(text, err=True)
            last[:] = [step.title]

    return show


def markdown(text: str) -> str:
    """Return Markdown as it is for a pipe, and laid out for a terminal."""
    if not sys.stdout.isatty():
        return text.rstrip("\n")
    import io

    from rich.console import Console
    from rich.markdown import Markdown

    width = min(shutil.get_terminal_size().columns, 100)
    plain = bool(os.environ.get("NO_COLOR"))
    console = Console(file=io.StringIO(), width=width, force_terminal=True, no_color=plain)
    console.print(Markdown(text))
    shown = console.file
    assert isinstance(shown, io.StringIO)
    return shown.getvalue().rstrip("\n")


def existing(path: str) -> Path:
    """Return a path that the person typed, `~` understood."""
    return Path(path).expanduser()
