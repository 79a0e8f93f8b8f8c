"""Owns reading what a pod's containers said, from the node's log folder, as `kubectl logs` asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

TRUE = ("1", "t", "T", "TRUE", "true", "True", "")
"""How a query says yes."""
_LOOK_AGAIN = 0.2


class NoPrevious(LookupError):
    """The container has ended only once, or never; the text is the kubelet's."""


class LogOptions:
    """What is asked for. Raises ValueError for a number that is none."""

    def __init__(self, query: Mapping[str, Sequence[str]]) -> None:
        def number(name: str) -> int | None:
            return int(query[name][0]) if name in query else None

        self.tail = number("tailLines")
        self.limit = number("limitBytes")
        self.timestamps = query.get("timestamps", ["false"])[0] in TRUE
        self.follow = query.get("follow", ["false"])[0] in TRUE
        self.previous = query.get("previous", ["false"])[0] in TRUE


def find_log(logs: Path, namespace: str, pod: str, container: str, *, previous: bool) -> Path | None:
    """Return the newest log of a container below the folder `logs`, or the one before it; None where there is none.

    Raises NoPrevious.
    """
    folders = [folder / container for folder in logs.glob(f"{namespace}_{pod}_*") if (folder / container).is_dir()]
    if not folders:
        return None
    folder = max(folders, key=lambda found: found.stat().st_mtime)
    found = sorted((log for log in folder.glob("*.log") if log.stem.isdigit()), key=lambda log: int(log.stem))
    if not previous:
        return found[-1] if found else None
    if len(found) < 2:
        raise NoPrevious(f'previous terminated container "{container}" in pod "{pod}" not found')
    return found[-2]


async def read_log(path: Path, options: LogOptions) -> AsyncGenerator[bytes, None]:
    """Yield what a container said, without the marks of the CRI's log format, and go on while it is followed."""
    left = options.limit
    with path.open("rb") as file:
        data = file.read()
        whole, _, rest = data.rpartition(b"\n")
        lines = whole.split(b"\n") if whole else []
        if options.tail is not None:
            lines = lines[len(lines) - options.tail :] if options.tail else []
        while True:
            shown = b"".join(_said(line, options.timestamps) for line in lines)
            if left is not None:
                shown = shown[:left]
                left -= len(shown)
            if shown:
                yield shown
            if not options.follow or left == 0:
                return
            await asyncio.sleep(_LOOK_AGAIN)
            more = rest + file.read()
            whole, newline, rest = more.rpartition(b"\n")
            lines = whole.split(b"\n") if newline else []
            if not newline:
                rest = more


def _said(line: bytes, timestamps: bool) -> bytes:
    """Return what one line of a CRI log holds: `<time> stdout F <text>`; P is a part of a line."""
    parts = line.split(b" ", 3)
    if len(parts) < 4:
        return line + b"\n"
    text = parts[3] if parts[2] == b"P" else parts[3] + b"\n"
    return parts[0] + b" " + text if timestamps else text
