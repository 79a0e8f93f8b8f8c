"""Owns a container's log file: `<time> <stream> F <line>`, as containerd writes it for the kubelet and crictl.

Source: Kubernetes, pkg/kubelet/kuberuntime/logs; containerd splits lines longer than 16 KiB into parts tagged P.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

_LONGEST = 16 << 10


def timestamp(nanoseconds: int) -> str:
    """Write a time since the epoch as RFC 3339 with nine decimals, UTC."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


class LogFile:
    """Takes what a container writes and keeps whole lines of it. A full disk loses lines, never the container."""

    def __init__(self, path: str, clock: Callable[[], int]) -> None:
        """Open the file for appending; `clock` returns nanoseconds since the epoch. Raises OSError."""
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._clock = clock
        self._rest = {"stdout": b"", "stderr": b""}

    def feed(self, stream: str, data: bytes) -> None:
        """Take bytes that came from `stdout` or `stderr`."""
        *lines, rest = (self._rest[stream] + data).split(b"\n")
        entries = bytearray()
        stamp = timestamp(self._clock()).encode()
        for line in lines:
            while len(line) > _LONGEST:
                entries += b"%s %s P %s\n" % (stamp, stream.encode(), line[:_LONGEST])
                line = line[_LONGEST:]
            entries += b"%s %s F %s\n" % (stamp, stream.encode(), line)
        while len(rest) > _LONGEST:
            entries += b"%s %s P %s\n" % (stamp, stream.encode(), rest[:_LONGEST])
            rest = rest[_LONGEST:]
        self._rest[stream] = rest
        self._write(entries)

    def close(self) -> None:
        """Write what has no end of line yet, and close the file."""
        stamp = timestamp(self._clock()).encode()
        for stream, rest in self._rest.items():
            if rest:
                self._write(b"%s %s P %s\n" % (stamp, stream.encode(), rest))
        os.close(self._fd)

    def _write(self, entries: bytes | bytearray) -> None:
        if not entries:
            return
        try:
            os.write(self._fd, entries)
        except OSError:
            # Disk full: containerd loses the line too, and the container goes on.
            return
