"""Serves a directory of this machine as the root of a node."""

from __future__ import annotations

import errno
import os
import stat as stat_module
from collections.abc import Iterator
from pathlib import Path

from checkers.evidence import FileKind, FileStat, Missing, NotAFile, Unreadable

from ..errors import LabError
from .links import follow

_CHUNK = 1 << 20
_KINDS = {
    stat_module.S_IFREG: FileKind.FILE,
    stat_module.S_IFDIR: FileKind.DIRECTORY,
    stat_module.S_IFLNK: FileKind.SYMLINK,
    stat_module.S_IFSOCK: FileKind.SOCKET,
    stat_module.S_IFCHR: FileKind.CHAR_DEVICE,
    stat_module.S_IFBLK: FileKind.BLOCK_DEVICE,
    stat_module.S_IFIFO: FileKind.FIFO,
}


class DirectoryFiles:
    """The files under a directory, by their path on the node. Links never lead out of the directory."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise LabError(
                f"{root}: {'is not a directory' if root.exists() else 'no such directory'}", "ls " + str(root.parent)
            )
        self._root = str(root.resolve()).rstrip("/")

    def read(self, path: str, limit: int = 10 << 20) -> bytes:
        """Return the file's first `limit` bytes."""
        fd = self._open(path)
        with os.fdopen(fd, "rb") as file:
            try:
                return file.read(limit)
            except OSError as error:
                raise _unreadable(path, error) from error

    def stream(self, path: str) -> Iterator[bytes]:
        """Yield the whole file in chunks of 1 MiB."""
        fd = self._open(path)
        with os.fdopen(fd, "rb", buffering=0) as file:
            try:
                while chunk := file.read(_CHUNK):
                    yield chunk
            except OSError as error:
                raise _unreadable(path, error) from error

    def stat(self, path: str) -> FileStat:
        """Say what is at the path, links followed; `link` is the path's own link."""
        real = follow(path, self._link_at)
        try:
            found = os.lstat(self._root + real)
        except OSError as error:
            raise _unreadable(path, error) from error
        return FileStat(
            kind=_KINDS[stat_module.S_IFMT(found.st_mode)],
            mode=stat_module.S_IMODE(found.st_mode),
            uid=found.st_uid,
            gid=found.st_gid,
            size=found.st_size,
            mtime=found.st_mtime_ns,
            link=self._own_link(path),
        )

    def list(self, path: str) -> list[str]:
        """Return the names in a directory, sorted by code point."""
        real = follow(path, self._link_at)
        try:
            return sorted(os.listdir(self._root + real))
        except NotADirectoryError:
            # Of another kind, or below something of another kind: then it is missing.
            raise NotAFile(path, self.stat(path).kind) from None
        except OSError as error:
            raise _unreadable(path, error) from error

    def _open(self, path: str) -> int:
        real = follow(path, self._link_at)
        try:
            # O_NONBLOCK: a fifo that nobody writes to must not hold us.
            fd = os.open(self._root + real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ENXIO:
                raise NotAFile(path, FileKind.SOCKET) from None
            raise _unreadable(path, error) from error
        kind = _KINDS[stat_module.S_IFMT(os.fstat(fd).st_mode)]
        if kind is not FileKind.FILE:
            os.close(fd)
            raise NotAFile(path, kind)
        return fd

    def _own_link(self, path: str) -> str | None:
        folder, _, name = path.rstrip("/").rpartition("/")
        if name in ("", ".", ".."):
            return None
        return self._link_at(follow(folder or "/", self._link_at).rstrip("/") + "/" + name)

    def _link_at(self, path: str) -> str | None:
        try:
            return os.readlink(self._root + path)
        except OSError:
            return None


def _unreadable(path: str, error: OSError) -> Missing | Unreadable:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Missing(path)
    return Unreadable(path, error.strerror or str(error))
