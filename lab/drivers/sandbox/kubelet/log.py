"""Owns the journal of the node's units: the kubelet's lines as klog prints them, kept where journalctl reads them.

One line an entry: `<RFC 3339 time> <unit> <identifier>[<pid>] <message>`. Messages are single lines.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from .clock import Clock

JOURNAL = "/var/log/journal/units.log"
_MOST = 8 << 20


class Journal:
    """The file that journalctl reads. It never grows beyond twice 8 MiB; a full disk loses lines, not the node."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._size = -1

    def write(self, unit: str, identifier: str, pid: int, message: str) -> None:
        """Append one entry."""
        now = self._clock.wall()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"
        text = message.replace("\n", " ")
        entry = f"{stamp} {unit} {identifier}[{pid}] {text}\n".encode("utf-8", "surrogateescape")
        try:
            self._append(entry)
        except OSError:
            # Nowhere to say it: the journal is where it would be said.
            self._size = -1

    def _append(self, entry: bytes) -> None:
        if self._size > _MOST:
            self._path.replace(self._path.with_suffix(".log.1"))
            self._size = -1
        if self._size < 0:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        # Opened each time: a learner may delete or truncate it, and a fork must not share the offset.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            os.write(descriptor, entry)
            self._size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)


class Klog:
    """Writes lines in klog's structured form: `E1124 03:52:22.123456     812 file.go:187] "Message" key="value"`."""

    def __init__(self, journal: Journal, clock: Clock, pid: int) -> None:
        self._journal = journal
        self._clock = clock
        self.pid = pid

    def info(self, where: str, message: str, /, **values: object) -> None:
        self._write("I", where, structured(message, values))

    def warning(self, where: str, message: str, /, **values: object) -> None:
        self._write("W", where, structured(message, values))

    def error(self, where: str, message: str, err: str, /, **values: object) -> None:
        """Write an error; as in klog, `err` comes first."""
        self._write("E", where, structured(message, {"err": err, **values}))

    def plain(self, severity: str, where: str, text: str) -> None:
        """Write a line that is not structured."""
        self._write(severity, where, text)

    def _write(self, severity: str, where: str, text: str) -> None:
        now = self._clock.wall()
        stamp = time.strftime("%m%d %H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}"
        self._journal.write("kubelet", "kubelet", self.pid, f"{severity}{stamp} {self.pid:7d} {where}] {text}")


def structured(message: str, values: Mapping[str, object]) -> str:
    """Return a message and its values as klog prints them: strings quoted as Go does, numbers bare, lists as JSON."""
    return " ".join([quoted(message), *(f"{key}={_value(value)}" for key, value in values.items())])


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ",".join(quoted(str(item)) for item in value) + "]"
    return quoted(value) if isinstance(value, str) else str(value)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def quoted(text: str) -> str:
    """Return the text as Go's strconv.Quote does."""
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escaped(c)) for c in text) + '"'


def _escaped(character: str) -> str:
    number = ord(character)
    if number < 0x80:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
