"""The command line: it parses, calls the session and prints. `main` is the `cks-lab` command."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line of this process and end with its status."""
    from .run import run

    sys.exit(run(sys.argv[1:]))
