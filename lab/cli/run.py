"""Owns the end of every command: its exit status, and what is said when it fails. No traceback reaches a person."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence

import click

from checkers.kube.goyaml.nodes import TooBig

from ..errors import EXIT_COULD_NOT, EXIT_YES, LabError

EXIT_INTERRUPTED = 130
EXIT_PIPE = 141
_COMPLETE = "_CKS_LAB_COMPLETE"
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG)


def run(args: Sequence[str]) -> int:
    """Run one command and return its exit status: 0 yes, 1 no, 2 could not, 130 interrupted, 141 nobody reads on."""
    from .root import root

    # A stream that is closed is one that nobody reads: the exit status still tells.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the end
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if instruction := os.environ.get(_COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(root, {}, "cks-lab", _COMPLETE, instruction)
    try:
        status = _invoke(root, args)
        sys.stdout.flush()
        return status
    except click.exceptions.Exit as end:
        return _flushed(end.exit_code)
    except click.UsageError as error:
        error.show()
        return EXIT_COULD_NOT
    except click.ClickException as error:
        _say(f"Error: {error.format_message()}")
        return EXIT_COULD_NOT
    except LabError as error:
        _say(f"Error: {error.message}", error.hint)
        return error.exit_code
    except TooBig as error:
        _say(f"Error: a file that was given is {error}", "an audit policy has a few hundred")
        return EXIT_COULD_NOT
    except (KeyboardInterrupt, click.Abort):
        return _interrupted()
    except BrokenPipeError:
        return _pipe_closed()
    except OSError as error:
        if error.errno in _DISK:
            place = f"{error.filename}: " if error.filename else "the output could not be written: "
            _discard(sys.stdout)
            _say(f"Error: {place}{error.strerror}", "make room on that disk, or write somewhere else")
            return EXIT_COULD_NOT
        return _crashed(error, args)
    except Exception as error:
        return _crashed(error, args)


def _invoke(root: click.Group, args: Sequence[str]) -> int:
    with root.make_context("cks-lab", list(args)) as context:
        status = root.invoke(context)
    return status if isinstance(status, int) else EXIT_YES


def _flushed(status: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _pipe_closed()
    return status


def _say(text: str, hint: str = "") -> None:
    from .talk import say

    try:
        say(text)
        if hint:
            say(f"  {hint}")
    except OSError:
        # Nobody reads what we say: the exit status still tells.
        _discard(sys.stderr)


def _discard(stream: object) -> None:
    """Let what is still buffered go nowhere, so that the interpreter's own flush at the end has nothing to complain."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[attr-defined]
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        # A stream without a descriptor (a test's) has no flush at the end either.
        return


def _pipe_closed() -> int:
    _discard(sys.stdout)
    _discard(sys.stderr)
    return EXIT_PIPE


def _interrupted() -> int:
    """Say what a person who pressed Ctrl-C has to know: what is still there."""
    _say("\nInterrupted.")
    try:
        from ..session import Session

        for lab in Session().labs():
            _say(f"Still there: the lab {lab.name} ({lab.state}).", f"cks-lab stop --lab {lab.name}")
    except (LabError, OSError, ImportError, KeyboardInterrupt):
        _say("What is still there could not be found out.", "cks-lab status")
    return EXIT_INTERRUPTED


def _crashed(error: BaseException, args: Sequence[str]) -> int:
    """Keep the traceback in a file and say so in one line."""
    import platform
    import shlex
    import traceback
    from datetime import UTC, datetime

    from .. import __version__
    from ..home import Home, made

    head = f"cks-lab {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
    text = f"{head}$ cks-lab {shlex.join(args)}\n\n{''.join(traceback.format_exception(error))}"
    short = traceback.format_exception_only(error)[-1].strip()
    try:
        path = made(Home.of().crashes) / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.txt"
        path.write_text(text)
    except (OSError, LabError) as why:
        _say(f"Sorry, this is a fault of CKS Lab itself: {short}", f"its details could not be kept: {why}")
        return EXIT_COULD_NOT
    _say(f"Sorry, this is a fault of CKS Lab itself: {short}", f"please report it with this file: {path}")
    return EXIT_COULD_NOT
