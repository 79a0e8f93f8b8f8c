"""Owns how a node's files are looked at from outside: a child of init answers one connection, inside the node's root.

The kernel follows the links, as it does for the API server. One JSON line asks, one JSON line answers; `size` bytes
follow it where the answer has content.
    {"op": "read", "path": P, "limit": N}   {"size": N} and the bytes
    {"op": "stat", "path": P}               {"stat": {...}}
    {"op": "list", "path": P}               {"names": [...]}
    {"op": "stream", "path": P}             {"size": N} and the bytes, again and again; {"size": 0} at the end
Else: {"missing": true}, {"kind": K} where there is something of another kind, {"unreadable": reason}.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat as stat_module
from typing import Any

from checkers.evidence import FileKind

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


class _OtherKind(Exception):
    def __init__(self, kind: FileKind) -> None:
        super().__init__(kind)
        self.kind = kind


def serve(connection: socket.socket) -> None:
    """Answer a connection's requests until its other end is closed."""
    with connection, connection.makefile("rb") as lines:
        for line in lines:
            try:
                request = json.loads(line)
                _OPERATIONS[request["op"]](connection, request)
            except _OtherKind as other:
                _answer(connection, {"kind": other.kind})
            except (BrokenPipeError, ConnectionResetError):
                return
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    _answer(connection, {"missing": True})
                else:
                    _answer(connection, {"unreadable": error.strerror or str(error)})
            except (ValueError, KeyError, TypeError) as error:
                _answer(connection, {"unreadable": f"the request cannot be read: {error}"})


def _answer(connection: socket.socket, answer: dict[str, Any], content: bytes = b"") -> None:
    connection.sendall(json.dumps(answer).encode() + b"\n" + content)


def _open(path: str) -> int:
    # O_NONBLOCK: a fifo that nobody writes to must not hold us.
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise _OtherKind(FileKind.SOCKET) from None
        raise
    kind = _KINDS[stat_module.S_IFMT(os.fstat(fd).st_mode)]
    if kind is not FileKind.FILE:
        os.close(fd)
        raise _OtherKind(kind)
    return fd


def _read(connection: socket.socket, request: dict[str, Any]) -> None:
    with os.fdopen(_open(request["path"]), "rb") as file:
        content = file.read(request["limit"])
    _answer(connection, {"size": len(content)}, content)


def _stream(connection: socket.socket, request: dict[str, Any]) -> None:
    with os.fdopen(_open(request["path"]), "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            _answer(connection, {"size": len(chunk)}, chunk)
    _answer(connection, {"size": 0})


def _stat(connection: socket.socket, request: dict[str, Any]) -> None:
    found = os.stat(request["path"])
    try:
        link = os.readlink(request["path"])
    except OSError:
        link = None
    answer = {
        "kind": _KINDS[stat_module.S_IFMT(found.st_mode)],
        "mode": stat_module.S_IMODE(found.st_mode),
        "uid": found.st_uid,
        "gid": found.st_gid,
        "size": found.st_size,
        "mtime": found.st_mtime_ns,
        "link": link,
    }
    _answer(connection, {"stat": answer})


def _list(connection: socket.socket, request: dict[str, Any]) -> None:
    try:
        names = sorted(os.listdir(request["path"]))
    except NotADirectoryError:
        kind = _KINDS[stat_module.S_IFMT(os.stat(request["path"]).st_mode)]
        if kind is FileKind.DIRECTORY:
            raise
        raise _OtherKind(kind) from None
    _answer(connection, {"names": names})


_OPERATIONS = {"read": _read, "stream": _stream, "stat": _stat, "list": _list}
