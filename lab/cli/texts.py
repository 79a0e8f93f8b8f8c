"""The commands that show texts and the record: task, hint, solution, history."""

from __future__ import annotations

from dataclasses import asdict

import click

from ..errors import EXIT_NO, EXIT_YES
from ..session import Session
from .talk import (
    ask,
    examples,
    format_option,
    lab_option,
    markdown,
    moment,
    optional_scenario_argument,
    out,
    out_json,
    say,
    table,
    yes_option,
)


@click.command(epilog=examples("cks-lab task", "cks-lab task audit-log"))
@lab_option
@optional_scenario_argument
def task(lab_name: str | None, scenario: str | None) -> int:
    """Show the task of a lab, or of SCENARIO without a lab."""
    session = Session()
    if scenario is not None and lab_name is None:
        out(markdown(session.scenario(scenario).task))
        return EXIT_YES
    lab = session.lab(lab_name)
    out(markdown(session.scenario(lab.scenario, lab.seed).task))
    return EXIT_YES


@click.command(epilog=examples("cks-lab hint"))
@lab_option
def hint(lab_name: str | None) -> int:
    """Show the next hint. Each call shows one more; it is noted in the attempt. Nothing on the node changes."""
    session = Session()
    lab = session.lab(lab_name)
    found = session.next_hint(lab)
    if found is None:
        say("All hints have been shown. The solution: cks-lab solution")
        return EXIT_NO
    say(f"Hint {found.number} of {found.total}")
    out(markdown(f"**{found.title}**\n\n{found.text}" if found.title else found.text))
    return EXIT_YES


@click.command(epilog=examples("cks-lab solution", "cks-lab solution --yes"))
@lab_option
@yes_option
def solution(lab_name: str | None, yes: bool) -> int:
    """Show the solution. It is noted in the attempt; nothing on the node changes."""
    session = Session()
    lab = session.lab(lab_name)
    if not session.attempted(lab):
        ask("You have not graded this attempt yet. Show the solution all the same?", yes)
    out(markdown(session.solution(lab)))
    return EXIT_YES


@click.command(epilog=examples("cks-lab history", "cks-lab history --format json"))
@format_option
def history(form: str) -> int:
    """Show what was done so far, with the best grade of each attempt."""
    rows = Session().history()
    if form == "json":
        times = ("started", "ended", "graded")
        out_json([asdict(row) | {name: moment(getattr(row, name)) or None for name in times} for row in rows])
        return EXIT_YES
    if not rows:
        say("Nothing was done yet. Begin: cks-lab start audit-log")
        return EXIT_YES
    lines = [("STARTED", "SCENARIO", "LAB", "GRADES", "BEST", "NOW", "HINTS", "SOLUTION", "ENDED")]
    lines += [
        (
            moment(row.started),
            row.scenario,
            row.lab,
            str(row.gradings),
            "" if row.percent is None else f"{row.percent} %",
            row.verdict or "",
            str(row.hints),
            "seen" if row.solution else "",
            moment(row.ended),
        )
        for row in rows
    ]
    out(table(lines))
    return EXIT_YES
