"""Owns the reading of a container's log: lines of the CRI, each to the stream it was written to."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import IO

_POLL = 0.2


def follow(path: str, *, tail: int, stamps: bool, wait: bool, runs: Callable[[], bool]) -> None:
    """Print the log; with `tail` ≥ 0 only its last lines; with `wait` go on until the container has ended.

    Raises FileNotFoundError.
    """
    with open(path, "rb") as file:
        lines = file.readlines()
        rest = b""
        if lines and not lines[-1].endswith(b"\n"):
            rest = lines.pop()
        for line in lines[-tail:] if tail > 0 else lines[:0] if tail == 0 else lines:
            _print(line, stamps)
        sys.stdout.flush()
        sys.stderr.flush()
        while wait:
            line = file.readline()
            if line.endswith(b"\n"):
                _print(rest + line, stamps)
                rest = b""
                continue
            rest += line
            sys.stdout.flush()
            sys.stderr.flush()
            if not line and not runs():
                return
            time.sleep(_POLL)


def _print(line: bytes, stamps: bool) -> None:
    parts = line.split(b" ", 3)
    if len(parts) < 4 or parts[1] not in (b"stdout", b"stderr"):
        return
    stream: IO[bytes] = sys.stdout.buffer if parts[1] == b"stdout" else sys.stderr.buffer
    text = parts[3]
    if parts[2] == b"P":
        text = text.removesuffix(b"\n")
    stream.write((parts[0] + b" " if stamps else b"") + text)
