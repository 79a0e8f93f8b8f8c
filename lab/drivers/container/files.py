"""Owns the files of a node in a container, as checks and the program see them: through one shell on the node."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from checkers.evidence import FileKind, FileStat, Missing, NotAFile, Unreadable

from ...errors import LabError
from ...evidence.collector import host
from ...evidence.node_shell import NodeShell

_PART = 1 << 20
_T = TypeVar("_T")


class ContainerFiles:
    """The node's files (`NodeFiles`). May be used from several threads; a shell that was lost is opened once more."""

    def __init__(self, argv: Callable[[], list[str]], name: str, gone: Callable[[], LabError]) -> None:
        """`argv` gives the command that is `sh` on the node; `gone` says why the node cannot be looked at."""
        self._shell = NodeShell(argv, name)
        self._gone = gone
        self._lock = threading.Lock()

    def read(self, path: str, limit: int = 10 << 20) -> bytes:
        """Return the file's first `limit` bytes."""
        return self._content(path, lambda: self._shell.read(path, limit))

    def stat(self, path: str) -> FileStat:
        """Say what is at the path, links followed."""
        found = self._ask(path, lambda: self._shell.stat(path))
        kind = FileKind(found.kind)
        return FileStat(kind, found.mode, found.uid, found.gid, found.size, found.mtime * 10**9, found.link)

    def list(self, path: str) -> list[str]:
        """Return the names in a directory, sorted by code point."""
        try:
            return self._ask(path, lambda: self._shell.names(path))
        except Missing:
            kind = self.stat(path).kind
            if kind is FileKind.DIRECTORY:
                raise
            raise NotAFile(path, kind) from None

    def stream(self, path: str) -> Iterator[bytes]:
        """Yield the whole file in chunks of 1 MiB; a log may grow meanwhile."""
        number = 0
        while True:
            part = self._content(path, lambda number=number: self._shell.part(path, number, _PART))  # type: ignore[misc]
            if part:
                yield part
            if len(part) < _PART:
                return
            number += 1

    def close(self) -> None:
        """End the shell on the node; the next question starts another one."""
        with self._lock:
            self._shell.close()

    def _content(self, path: str, question: Callable[[], bytes]) -> bytes:
        try:
            return self._ask(path, question)
        except Missing:
            kind = self.stat(path).kind
            if kind is FileKind.FILE:
                raise
            raise NotAFile(path, kind) from None

    def _ask(self, path: str, question: Callable[[], _T]) -> _T:
        with self._lock:
            for last in (False, True):
                try:
                    return question()
                except host.Missing:
                    raise Missing(path) from None
                except host.Unreadable as error:
                    raise Unreadable(path, str(error).partition(": ")[2]) from None
                except LabError as error:
                    # A shell from before a restart of the node leads nowhere: one more try with a new one.
                    if last:
                        raise self._gone() from error
        raise AssertionError
