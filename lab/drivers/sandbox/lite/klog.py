"""Owns the server's own log lines: klog's format on standard error, and the words of the system's errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, TextIO

from checkers.kube.gotext import quote


def os_error(error: OSError, call: str, path: str) -> str:
    """Return an error of the system as Go words it: `open /p: no such file or directory`."""
    return f"{call} {path}: {os.strerror(error.errno or 0).lower()}"


class Klog:
    """Writes lines such as `E1124 03:58:00.123456       1 run.go:72] "command failed" err="…"`."""

    def __init__(self, stream: TextIO | None = None, now: Callable[[], datetime] = datetime.now) -> None:
        self._stream = stream or sys.stderr
        self._now = now

    def line(self, severity: str, source: str, text: str) -> None:
        """Write one line. `severity` is I, W, E or F, `source` the file and line of the real one, as in `run.go:72`."""
        stamp = self._now().strftime("%m%d %H:%M:%S.%f")
        self.plain(f"{severity}{stamp} {os.getpid():>7} {source}] {text}")

    def info(self, source: str, text: str) -> None:
        """Write an information line."""
        self.line("I", source, text)

    def structured(self, severity: str, source: str, message: str, **fields: Any) -> None:
        """Write a message with fields, the values quoted."""
        self.line(
            severity, source, quote(message) + "".join(f" {key}={quote(str(value))}" for key, value in fields.items())
        )

    def plain(self, text: str) -> None:
        """Write a line as it is. A closed standard error is nobody's business here."""
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = open(os.devnull, "w")  # noqa: SIM115  the log's reader is gone, the server stays
