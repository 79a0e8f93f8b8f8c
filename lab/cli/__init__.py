"""The command line: it parses, calls the session and prints. `main` is the `cks-lab` command."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line of this process and end with its status."""
    from .run import EXIT_INTERRUPTED, run

    status = run(sys.argv[1:])
    if status == EXIT_INTERRUPTED:
        # Where Ctrl-C came while a library evaluated source text, as dataclasses do, Python forgets that it was caught,
        # and ends by the signal in place of this status. Source: run_eval_code_obj in CPython's pythonrun.c.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)
    sys.exit(status)
