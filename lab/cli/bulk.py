"""`cks-lab grade --bundles`: many bundles graded as one, with progress, to be stopped and gone on with at any time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import EXIT_COULD_NOT, EXIT_NO, EXIT_YES, LabError
from ..reports import PLAIN, renderer_of_many
from .run import EXIT_INTERRUPTED
from .talk import say, style

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

    from ..bulk import Tally
    from ..reports import Entry

_SHOWN = 5


def told_apart(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the task and the bundles among the words beside --bundles: a shell that expands a pattern leaves both.

    Raises UsageError for a word that is neither.
    """
    from ..session import Session

    tasks = [scenario.id for scenario in Session().scenarios()] if words else []
    task: str | None = None
    paths = []
    for word in words:
        if word in tasks and task is None:
            task = word
        elif os.path.lexists(word):
            paths.append(word)
        else:
            raise click.UsageError(f"{word!r} is neither a task nor a file; the tasks: {', '.join(tasks)}")
    return task, paths


def grade_bundles(
    given: Sequence[str], scenario: str | None, form: str, output: Path | None, workers: int | None
) -> int:
    """Grade them, write the reports as one, and return the exit status: 1 where any failed, else 2 where any could not
    be judged, else 0.
    """
    from ..bulk import bundles, grade_all, journal_of, usual_workers

    write = renderer_of_many(form)
    sources = bundles(given)
    began = time.monotonic()
    with journal_of(output, scenario) as journal, _stoppable(journal.path is not None, len(sources)) as counted:
        with ExitStack() as on_screen:
            bars: list[ProgressBar[str]] = []

            def begun(tally: Tally) -> None:
                counted.append(tally)
                if tally.kept:
                    say(f"{tally.kept} of {len(sources)} are graded already; going on with the rest.")
                bars.append(on_screen.enter_context(_bar(len(sources) - tally.kept)))

            def done(source: str, tally: Tally) -> None:
                bars[0].update(1, f"{(tally.total - tally.kept) / max(time.monotonic() - began, 1e-9):.0f}/s")

            tally, entries = grade_all(
                sources,
                scenario,
                journal,
                workers=workers or usual_workers(),
                begun=begun,
                done=done,
                warn=lambda text: say(f"Warning: {text}"),
            )
        if output is None:
            shown = style()
            for piece in write(entries, shown):
                click.echo(piece, nl=False, color=shown.colour)
        else:
            from ..home import write_whole

            write_whole(output, (piece.encode("utf-8", "replace") for piece in write(entries, PLAIN)))
            journal.remove()
        _say_what_came_out(tally, entries, output)
    return EXIT_NO if tally.failed else EXIT_COULD_NOT if tally.unjudged else EXIT_YES


@contextmanager
def _stoppable(kept: bool, total: int) -> Iterator[list[Tally]]:
    """Say at Ctrl-C what is kept and how to go on, and end the command; the list takes the counts, once there are."""
    counted: list[Tally] = []
    try:
        yield counted
    except KeyboardInterrupt:
        done = counted[0].total if counted else 0
        if not kept:
            say(f"\nStopped after {done} of {total} bundles; with -o FILE they would have been kept.")
        else:
            say(f"\nStopped: {done} of {total} bundles are graded and kept. The same command goes on from there.")
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
    except LabError as error:
        if not (kept and counted and counted[0].total):
            raise
        hint = f"{error.hint}; what was graded is kept: the same command goes on from there"
        raise LabError(error.message, hint, exit_code=error.exit_code) from error


def _bar(total: int) -> ProgressBar[str]:
    """Return the bar that a terminal shows: how many of all are done, how long it will take, and how fast it goes."""
    return click.progressbar(
        [""] * total,
        label="Grading",
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        show_pos=True,
        show_percent=False,
        item_show_func=lambda rate: rate or "",
        update_min_steps=max(1, total // 1000),
    )


def _say_what_came_out(tally: Tally, entries: Sequence[Entry], output: Path | None) -> None:
    counts = ((tally.passed, "passed"), (tally.failed, "failed"), (tally.unjudged, "could not be judged"))
    told = ", ".join(f"{count} {word}" for count, word in counts if count)
    bundles = "1 bundle" if tally.total == 1 else f"{tally.total} bundles"
    say(f"{bundles}: {told}" + (f"; the reports: {output}" if output else ""))
    if not tally.unjudged:
        return
    left = tally.unjudged
    for entry in entries:
        if entry.report is None:
            say(f"  {entry.error}")
            left -= 1
        if tally.unjudged - left == _SHOWN:
            break
    if left:
        say(f"  and {left} more")
