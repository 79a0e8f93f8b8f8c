"""Owns what a check may look at: the files of a node and the facts of the moment they were captured.

A bundle, a directory and a live node serve the same two things, so the same check runs over each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Missing(Exception):
    """There is no such file on the node: the learner's doing, an answer like any other."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: no such file or directory")
        self.path = path


class Unreadable(Exception):
    """The file is there and we failed to look at it: our doing, never the learner's."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class NotAFile(Exception):
    """There is something at the path, but nothing that can be read as a file: a directory, a socket."""

    def __init__(self, path: str, kind: FileKind) -> None:
        super().__init__(f"{path}: is a {kind}")
        self.path = path
        self.kind = kind


class FileKind(StrEnum):
    """What a path leads to."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    SOCKET = "socket"
    CHAR_DEVICE = "character device"
    BLOCK_DEVICE = "block device"
    FIFO = "fifo"


@dataclass(frozen=True, slots=True)
class FileStat:
    """What stat(2) says, links followed; `link` is the text of the link when the path itself is one.

    `mode` holds the permission bits only; `mtime` is in nanoseconds since the epoch.
    """

    kind: FileKind
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: str | None = None


class NodeFiles(Protocol):
    """The files of a node by absolute path. Links are followed as on the node: never out of its root.

    Every method raises `Missing` (also for a dangling link), `NotAFile` or `Unreadable`.
    """

    def read(self, path: str, limit: int = 10 << 20) -> bytes:
        """Return the file's first `limit` bytes."""
        ...

    def stat(self, path: str) -> FileStat:
        """Say what is at the path."""
        ...

    def list(self, path: str) -> list[str]:
        """Return the names in a directory, sorted by code point."""
        ...

    def stream(self, path: str) -> Iterator[bytes]:
        """Yield the whole file in chunks: a log may be bigger than memory."""
        ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """One instant of a node: its files, and the facts (the decoded facts.json; {} for a bare directory).

    `memo` keeps what several checks work out from the same bytes; it holds nothing else.
    """

    files: NodeFiles
    facts: Mapping[str, Any] = field(default_factory=dict)
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
