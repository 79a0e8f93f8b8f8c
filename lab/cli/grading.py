"""The commands that judge and capture: grade, collect."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from checkers.result import Status

from ..errors import EXIT_COULD_NOT, EXIT_NO, EXIT_YES, LabError
from ..reports import FORMATS, SUFFIXES, format_for, renderer
from .talk import GivenPath, answered, examples, lab_option, optional_scenario_argument, say, style

if TYPE_CHECKING:
    from checkers.grade import Report

    from ..drivers.base import Progress

_EXITS = {Status.PASS: EXIT_YES, Status.FAIL: EXIT_NO, Status.ERROR: EXIT_COULD_NOT}

_NODES = "docker://NAME, ssh://[user@]host[:port] (your own ssh and its config) or local"


@click.command(
    epilog=examples(
        "cks-lab grade",
        "cks-lab grade -o report.html",
        "cks-lab grade audit-log --root ./copy-of-a-node",
        "cks-lab grade --bundle monday.tar.gz",
        "cks-lab grade audit-log --node docker://kind-control-plane",
        "cks-lab grade audit-log --node ssh://root@10.0.0.5",
        "cks-lab grade --bundles 'class/*.tar.gz' --format csv -o class.csv",
    ),
    context_settings={"allow_extra_args": True},
)
@optional_scenario_argument
@lab_option
@click.option("--root", type=GivenPath(path_type=Path), metavar="DIR", help="Grade a directory laid out as a node's /.")
@click.option("--bundle", type=GivenPath(path_type=Path), metavar="FILE", help="Grade what `collect` wrote.")
@click.option("--node", metavar="URL", help=f"Grade a node that is no lab of ours: {_NODES}.")
@click.option(
    "--bundles",
    type=GivenPath(),
    multiple=True,
    metavar="GLOB",
    help="Grade all of these as one: a pattern (** for any folders), a folder with its *.tar.gz, or a file.",
)
@click.option(
    "--workers", type=click.IntRange(1, 256), metavar="N", help="How many at once; default: one for each core."
)
@click.option("--seed", type=click.IntRange(min=0), help="The variant of the task that a directory or node answers.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    help=f"The report's format; default: as the file's name ends ({', '.join(SUFFIXES)}), else text.",
)
@click.option(
    "-o", "--output", type=GivenPath(path_type=Path, dir_okay=False), metavar="FILE", help="Write the report there."
)
def grade(
    scenario: str | None,
    lab_name: str | None,
    root: Path | None,
    bundle: Path | None,
    node: str | None,
    bundles: tuple[str, ...],
    workers: int | None,
    seed: int | None,
    form: str | None,
    output: Path | None,
) -> int:
    """Prove the work right or wrong, check by check.

    Without --root, --bundle, --bundles or --node the running lab is graded, and the grade is kept in the history.
    Exit status: 0 everything passed, 1 something failed, 2 it could not be judged.
    """
    if sum(given is not None for given in (root, bundle, bundles or None, node, lab_name)) > 1:
        raise click.UsageError("--root, --bundle, --bundles, --node and --lab exclude each other")
    more = click.get_current_context().args
    if more and not bundles:
        raise click.UsageError(f"Got unexpected extra argument{'s' * (len(more) > 1)} ({' '.join(more)})")
    if workers is not None and not bundles:
        raise click.UsageError("--workers goes with --bundles")
    if root is not None and scenario is None:
        raise click.UsageError("--root needs the task: cks-lab grade audit-log --root DIR")
    if node is not None and scenario is None:
        raise click.UsageError("--node needs the task: cks-lab grade audit-log --node URL")
    if seed is not None and root is None and node is None:
        raise click.UsageError("--seed goes with --root or --node: labs and bundles carry their own")
    form = form or format_for(output)
    if bundles:
        from .bulk import grade_bundles, told_apart

        scenario, beside = told_apart([word for word in (scenario, *more) if word])
        return grade_bundles([*bundles, *beside], scenario, form, output, workers)
    report = _report(scenario, lab_name, root, bundle, node, seed)
    write = renderer(form)
    if output is None:
        shown = style()
        click.echo(write(report, shown), nl=False, color=shown.colour)
    else:
        from ..home import write_whole
        from ..reports.words import headline

        write_whole(output, write(report).encode())
        say(f"{headline(report)}; the report: {output}")
    return _EXITS[report.verdict]


def _report(
    scenario: str | None,
    lab_name: str | None,
    root: Path | None,
    bundle: Path | None,
    node: str | None,
    seed: int | None,
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
    if node is not None:
        assert scenario is not None
        return session.grade_node(node, scenario, seed, at_terminal=answered(), progress=_progress())
    lab = session.lab(lab_name, scenario)
    graded = session.grade(lab, progress=_progress())
    for note in graded.notes:
        say(f"Warning: {note}")
    return graded.report


def _progress() -> Progress:
    """Return what shows the steps of a grade: nothing where nobody watches."""
    from .talk import progress

    return progress() if sys.stderr.isatty() else lambda step: None


@click.command(
    epilog=examples(
        "cks-lab collect -o monday.tar.gz",
        "cks-lab collect --node ssh://root@10.0.0.5 -o monday.tar.gz",
        "cks-lab collect --script > collect.py",
        "ssh root@10.0.0.5 python3 - < collect.py > monday.tar.gz",
        "cks-lab grade --bundle monday.tar.gz",
    )
)
@optional_scenario_argument
@lab_option
@click.option("--node", metavar="URL", help=f"Collect on a node that is no lab of ours: {_NODES}.")
@click.option("--script", is_flag=True, help="Print a program that collects on a machine that has only python3.")
@click.option("--seed", type=click.IntRange(min=0), help="The variant of the task that the node answers.")
@click.option(
    "-o", "--output", type=GivenPath(path_type=Path, dir_okay=False), metavar="FILE", help="The bundle: a tar.gz."
)
def collect(
    scenario: str | None, lab_name: str | None, node: str | None, script: bool, seed: int | None, output: Path | None
) -> int:
    """Write what a grade looks at into one file, for later or for someone else.

    No private key and no kubeconfig is taken. The same file gives the same report, byte for byte.
    """
    from ..session import Session

    if sum((script, node is not None, lab_name is not None)) > 1:
        raise click.UsageError("--script, --node and --lab exclude each other")
    if seed is not None and not script and node is None:
        raise click.UsageError("--seed goes with --node or --script: labs carry their own")
    if output is None and not script:
        raise click.UsageError("Missing option '-o' / '--output': the file to write, FILE.tar.gz")
    session = Session()
    if scenario is not None:
        session.scenario(scenario)
    if output is not None and output.exists() and not output.is_file():
        raise LabError(f"{output} is no file, and a bundle would take its place", "cks-lab collect -o FILE.tar.gz")
    if script:
        program = session.collector(scenario, seed)
        if output is None:
            click.echo(program, nl=False)
            return EXIT_YES
        from ..home import write_whole

        write_whole(output, program.encode())
        say(f"On the node: sudo python3 {output.name} -o FILE.tar.gz")
        return EXIT_YES
    assert output is not None
    if node is not None:
        session.collect_node(node, scenario, output, seed, at_terminal=answered(), progress=_progress())
    else:
        session.collect(session.lab(lab_name, scenario), output)
    say(f"Grade it anywhere: cks-lab grade --bundle {output}")
    return EXIT_YES
