"""Lets atheris throw at one target: it keeps the inputs that reach new code and goes on from them.

python -m tests.fuzz.guided TARGET CORPUS [libFuzzer's options]
"""

from __future__ import annotations

import sys

import atheris  # type: ignore[import-not-found, unused-ignore]

with atheris.instrument_imports(include=["checkers", "lab"]):
    from .targets import TARGETS


def main() -> None:
    """Fuzz until the time is over or something fails."""
    name = sys.argv.pop(1)
    target = TARGETS[name]
    atheris.Setup([*sys.argv, "-print_final_stats=1"], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
