"""The command that shows the whole job without a terminal: what `make lab` runs where there is none."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import click

from ..drivers import DRIVERS
from ..errors import EXIT_NO, EXIT_YES
from .talk import examples


@click.command(epilog=examples("cks-lab demo", "cks-lab demo --on sandbox"))
@click.option(
    "--on",
    type=click.Choice(["auto", *DRIVERS]),
    default="auto",
    show_default=True,
    help="The kind of node. auto: the quickest there is here.",
)
def demo(on: str) -> int:
    """Watch the whole job done on a node of its own, right and wrong.

    A node is started, graded untouched, given the widely published wrong answer and then the right one, and removed.
    Exit status: 0 every grade came out as it must, 1 one did not.
    """
    from ..demo import Demonstration
    from ..reports.harmless import safe

    def ended(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ended)

    def say(text: str) -> None:
        click.echo(safe(text))
        sys.stdout.flush()

    return EXIT_YES if Demonstration(say, on=on).run() else EXIT_NO
