"""The commands that judge and capture: grade, collect."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from checkers.result import Status

from ..errors import EXIT_COULD_NOT, EXIT_NO, EXIT_YES, LabError
from ..reports import FORMATS, renderer
from .talk import GivenPath, examples, lab_option, optional_scenario_argument, say, style

if TYPE_CHECKING:
    from checkers.grade import Report

_EXITS = {Status.PASS: EXIT_YES, Status.FAIL: EXIT_NO, Status.ERROR: EXIT_COULD_NOT}


@click.command(
    epilog=examples(
        "cks-lab grade",
        "cks-lab grade --format json -o report.json",
        "cks-lab grade audit-log --root ./copy-of-a-node",
        "cks-lab grade --bundle monday.tar.gz",
    )
)
@optional_scenario_argument
@lab_option
@click.option("--root", type=GivenPath(path_type=Path), metavar="DIR", help="Grade a directory laid out as a node's /.")
@click.option("--bundle", type=GivenPath(path_type=Path), metavar="FILE", help="Grade what `collect` wrote.")
@click.option("--seed", type=click.IntRange(min=0), help="The variant of the task that a directory answers.")
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True, help="The report's format."
)
@click.option(
    "-o", "--output", type=GivenPath(path_type=Path, dir_okay=False), metavar="FILE", help="Write the report there."
)
def grade(
    scenario: str | None,
    lab_name: str | None,
    root: Path | None,
    bundle: Path | None,
    seed: int | None,
    form: str,
    output: Path | None,
) -> int:
    """Prove the work right or wrong, check by check.

    Without --root or --bundle the running lab is graded, and the grade is kept in the history.
    Exit status: 0 everything passed, 1 something failed, 2 it could not be judged.
    """
    if sum(given is not None for given in (root, bundle, lab_name)) > 1:
        raise click.UsageError("--root, --bundle and --lab exclude each other")
    if root is not None and scenario is None:
        raise click.UsageError("--root needs the task: cks-lab grade audit-log --root DIR")
    if seed is not None and root is None:
        raise click.UsageError("--seed goes with --root: labs and bundles carry their own")
    report = _report(scenario, lab_name, root, bundle, seed)
    write = renderer(form)
    if output is None:
        click.echo(write(report, style()), nl=False)
    else:
        from ..home import write_whole
        from ..reports.text import headline

        write_whole(output, write(report).encode())
        say(f"{headline(report)}; the report: {output}")
    return _EXITS[report.verdict]


def _report(
    scenario: str | None, lab_name: str | None, root: Path | None, bundle: Path | None, seed: int | None
) -> Report:
    from ..session import Session

    session = Session()
    if scenario is not None:
        # No lab is of a task that does not exist: then that is what there is to say.
        session.scenario(scenario)
    if root is not None:
        assert scenario is not None
        return session.grade_directory(root, scenario, seed)
    if bundle is not None:
        return session.grade_bundle(bundle, scenario)
    from .talk import progress

    lab = session.lab(lab_name, scenario)
    graded = session.grade(lab, progress=progress() if sys.stderr.isatty() else lambda step: None)
    for note in graded.notes:
        say(f"Warning: {note}")
    return graded.report


@click.command(epilog=examples("cks-lab collect -o monday.tar.gz", "cks-lab grade --bundle monday.tar.gz"))
@lab_option
@click.option(
    "-o",
    "--output",
    type=GivenPath(path_type=Path, dir_okay=False),
    metavar="FILE",
    required=True,
    help="The bundle: a tar.gz.",
)
def collect(lab_name: str | None, output: Path) -> int:
    """Write what a grade looks at into one file, for later or for someone else.

    No private key and no kubeconfig is taken. The same file gives the same report, byte for byte.
    """
    from ..session import Session

    if output.exists() and not output.is_file():
        raise LabError(f"{output} is no file, and a bundle would take its place", "cks-lab collect -o FILE.tar.gz")
    session = Session()
    session.collect(session.lab(lab_name), output)
    say(f"Grade it anywhere: cks-lab grade --bundle {output}")
    return EXIT_YES
