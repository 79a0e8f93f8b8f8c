"""Owns the table of commands: a name -> the function behind it, imported when it is asked for."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from .. import __version__
from ..errors import LabError

COMMANDS: dict[str, tuple[str, str]] = {
    "list": ("lab.cli.labs:list_", "Show the tasks there are."),
    "start": ("lab.cli.labs:start", "Start a lab: a node of your own with the task laid out on it."),
    "task": ("lab.cli.texts:task", "Show the task."),
    "shell": ("lab.cli.labs:shell", "Open a root shell on the node, or run one command there."),
    "grade": ("lab.cli.grading:grade", "Prove the work right or wrong, check by check."),
    "hint": ("lab.cli.texts:hint", "Show the next hint."),
    "solution": ("lab.cli.texts:solution", "Show the solution."),
    "reset": ("lab.cli.labs:reset", "Put the node back to its first state; your files are kept."),
    "status": ("lab.cli.labs:status", "Show the labs there are."),
    "stop": ("lab.cli.labs:stop", "Remove a lab, or all of them."),
    "history": ("lab.cli.texts:history", "Show what was done so far, with the grades."),
    "collect": ("lab.cli.grading:collect", "Write what a grade looks at into one file, for later or for someone else."),
    "policy": ("lab.cli.policy:policy", "Check, explain and compare audit policies; no cluster needed."),
    "log": ("lab.cli.log:log", "Check an audit log against a policy; count what is in one."),
    "demo": ("lab.cli.demo:demo", "Watch the whole job done on a node of its own, right and wrong."),
    "setup": ("lab.cli.setup:setup", "Get the real kube-apiserver and etcd for the sandbox."),
    "doctor": ("lab.cli.doctor:doctor", "Say what works on this machine, and what to do about the rest."),
    "completion": ("lab.cli.completion:completion", "Print the script that completes cks-lab in your shell."),
}

EXAMPLES = """\b
Examples:
  cks-lab                            the screen: task, terminal and checks in one
  cks-lab start audit-log            start the audit-log task
  cks-lab shell                      work on its node
  cks-lab grade                      see what is right and what is not
  cks-lab stop                       remove it again
"""


class Commands(click.Group):
    """A group whose commands are imported one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a learner needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for a misspelt one, name the nearest."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(name, COMMANDS, 1)
            raise click.UsageError(f"No such command {name!r}." + (f" Did you mean {near[0]}?" if near else ""), ctx)
        return super().resolve_command(ctx, args)


@click.command(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXAMPLES,
)
@click.version_option(__version__, prog_name="cks-lab", message="%(prog)s %(version)s")
@click.pass_context
def root(context: click.Context) -> int:
    """Practise the CKS exam on a node of your own, and have the work proven right or wrong.

    Without a command the screen opens. Exit status: 0 yes, 1 no, 2 could not.
    """
    if context.invoked_subcommand is not None:
        return 0
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()):
        raise LabError(
            "the screen needs a terminal, and this is none",
            "cks-lab --help shows the commands; cks-lab demo shows the whole job without a terminal",
        )
    from ..tui.app import run

    run()
    return 0
