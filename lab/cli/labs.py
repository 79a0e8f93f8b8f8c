"""The commands around a lab's life: list, start, shell, reset, status, stop."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from .. import procs
from ..drivers import DRIVERS
from ..drivers.base import Lab, NodeOptions
from ..errors import EXIT_YES, LabError
from ..session import Session
from .talk import (
    GivenPath,
    answered,
    ask,
    examples,
    format_option,
    lab_option,
    moment,
    out,
    out_json,
    progress,
    say,
    scenario_argument,
    table,
    yes_option,
)


@click.command("list", epilog=examples("cks-lab list", "cks-lab list --format json"))
@format_option
def list_(form: str) -> int:
    """Show the tasks there are."""
    scenarios = Session().scenarios()
    if form == "json":
        keys = [{"id": s.id, "title": s.title, "minutes": s.minutes, "points": s.points} for s in scenarios]
        out_json(keys)
        return EXIT_YES
    rows = [("ID", "TITLE", "MINUTES", "POINTS")]
    rows += [(s.id, s.title, str(s.minutes), str(s.points)) for s in scenarios]
    out(table(rows))
    say("\nStart one: cks-lab start " + scenarios[0].id if scenarios else "No task is installed.")
    return EXIT_YES


@click.command(
    epilog=examples(
        "cks-lab start audit-log",
        "cks-lab start audit-log --lab monday --pace real",
        "cks-lab start audit-log --on sandbox",
        "cks-lab start audit-log --on kind --kubernetes-version 1.34",
        "cks-lab start audit-log --on kind --adopt my-cluster",
    )
)
@scenario_argument
@click.option(
    "--on",
    type=click.Choice(["auto", *DRIVERS]),
    default="auto",
    show_default=True,
    help="The kind of node. auto: a lab that is there already, else what this machine can do.",
)
@click.option(
    "--apiserver",
    type=click.Choice(["auto", "lite", "real"]),
    default="auto",
    show_default=True,
    help="The API server of a sandbox. auto: the real one where it is installed.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), help="Draw other names and values for the task; the same seed, the same task."
)
@click.option("--lab", "name", metavar="NAME", help="Name the lab; default: after the task.")
@click.option(
    "--pace",
    type=click.Choice(["fast", "real"]),
    default="fast",
    show_default=True,
    help="real: the kubelet waits as long as a real one.",
)
@click.option("--image", metavar="IMAGE", help="kind, minikube: the node's image.")
@click.option("--kubernetes-version", metavar="V", help="1.34 or v1.34.4; default: the newest there is.")
@click.option(
    "--config", type=GivenPath(exists=True, dir_okay=False, path_type=Path), help="kind: its own config file."
)
@click.option("--adopt", metavar="CLUSTER", help="Lay the task on a cluster of your own; it is never removed by us.")
@click.option("--retain", is_flag=True, help="Leave what a failed start made, to look at it.")
@yes_option
def start(scenario: str, on: str, seed: int | None, name: str | None, yes: bool, **asked: Any) -> int:
    """Start a lab: a node of your own with the task laid out on it.

    Prints the lab's name once kubectl answers on the node. A running lab of the same task is used again.
    """
    session = Session()
    options = NodeOptions(**asked)
    if options.adopt is not None:
        ask(
            f"Lay the task on your cluster {options.adopt}? You will edit its API server; `cks-lab stop` puts the "
            "manifest back, and leaves the cluster.",
            yes,
        )
    plan = session.plan(scenario, on=on, seed=seed, name=name, needs=options.needs, apiserver=options.apiserver)
    say(f"{plan.driver}: {plan.why}")
    lab = session.start(scenario, on=on, seed=seed, name=name, options=options, progress=progress())
    out(lab.name)
    _warn(session)
    say("Read the task:  cks-lab task\nWork on it:     cks-lab shell\nCheck it:       cks-lab grade")
    return EXIT_YES


@click.command(
    epilog=examples(
        "cks-lab shell",
        "cks-lab shell -- kubectl get nodes",
        "cks-lab shell -- tee /etc/kubernetes/audit/policy.yaml < policy.yaml",
    ),
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@lab_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD…]")
def shell(lab_name: str | None, command: tuple[str, ...]) -> int:
    """Open a root shell on the node, or run one command there.

    With CMD the command's output and exit status are passed on, and it reads this command's standard input.
    """
    session = Session()
    lab = session.lab(lab_name)
    argv = session.node(lab).shell_argv(command)
    if command:
        sys.stdout.flush()
        procs.replace(argv)
    if answered():
        say(f"The node of {lab.name}. `exit` leaves it, the lab stays. From another terminal: cks-lab grade")
    return procs.attach(argv)


@click.command(epilog=examples("cks-lab reset", "cks-lab reset --yes --lab monday"))
@lab_option
@yes_option
def reset(lab_name: str | None, yes: bool) -> int:
    """Put the node back to its first state.

    A copy of your files (/etc/kubernetes, /root, /var/log/audit) is made first; its path is printed.
    """
    session = Session()
    lab = session.lab(lab_name)
    ask(f"Put {lab.name} back to its first state? A copy of your files is kept.", yes)
    copy = session.reset(lab, progress())
    out(str(copy))
    _warn(session)
    say(f"{lab.name} is as at its start. Your files: tar -xzf {copy}")
    return EXIT_YES


@click.command(epilog=examples("cks-lab status", "cks-lab status --format json"))
@lab_option
@format_option
def status(lab_name: str | None, form: str) -> int:
    """Show the labs there are."""
    session = Session()
    labs = session.labs() if lab_name is None else [session.lab(lab_name)]
    for driver, reason in session.unreachable.items():
        say(f"{driver} could not be asked: {reason}")
    if form == "json":
        out_json([_status(lab) for lab in labs])
        return EXIT_YES
    if not labs:
        say("There is no lab. Start one: cks-lab start audit-log")
        return EXIT_YES
    rows = [("NAME", "SCENARIO", "DRIVER", "APISERVER", "STATE", "SEED", "STARTED")]
    rows += [tuple("" if value is None else str(value) for value in _status(lab).values()) for lab in labs]  # type: ignore[misc]
    out(table(rows))
    for lab in labs:
        if lab.detail and lab.state != "running":
            say(f"{lab.name}: {lab.detail}")
    return EXIT_YES


def _status(lab: Lab) -> dict[str, object]:
    return {
        "name": lab.name,
        "scenario": lab.scenario,
        "driver": lab.driver,
        "apiserver": lab.apiserver,
        "state": lab.state,
        "seed": lab.seed,
        "started": moment(lab.started) or None,
    }


@click.command(epilog=examples("cks-lab stop", "cks-lab stop --lab monday", "cks-lab stop --all --yes"))
@lab_option
@click.option("--all", "everything", is_flag=True, help="Remove every lab.")
@yes_option
def stop(lab_name: str | None, everything: bool, yes: bool) -> int:
    """Remove a lab, or all of them: no process, mount or file of it stays. Its grades stay in the history."""
    if everything and lab_name is not None:
        raise click.UsageError("--all and --lab exclude each other")
    session = Session()
    if everything:
        labs = session.labs()
        if labs:
            ask(f"Remove {', '.join(lab.name for lab in labs)} with everything on the nodes?", yes)
        for name in session.stop_all():
            out(name)
        _warn(session)
        if not labs:
            say("There is no lab.")
        return EXIT_YES
    lab = session.lab(lab_name)
    if lab_name is None and not yes and not answered():
        _only_one(session.labs(), lab)
    if answered():
        ask(f"Remove {lab.name} with everything on its node?", yes)
    session.stop(lab)
    out(lab.name)
    _warn(session)
    return EXIT_YES


def _warn(session: Session) -> None:
    for told in session.unrecorded:
        say(f"Warning: {told}")


def _only_one(labs: list[Lab], last: Lab) -> None:
    """Raise LabError where there are several labs: nobody is there to be asked whether the last started is meant."""
    if len(labs) > 1:
        raise LabError(
            f"there are several labs: {', '.join(lab.name for lab in labs)}; say which one goes",
            f"cks-lab stop --lab {last.name}   or every one: cks-lab stop --all --yes",
        )
