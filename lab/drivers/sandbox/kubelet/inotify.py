"""Owns the kernel's news about the manifests folder: inotify through the C library, without a thread.

The set of events is the one a kubelet asks for, so that the same doings (chmod, mv, cp) wake it.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

IN_MODIFY = 0x2
IN_ATTRIB = 0x4
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x1000000
WRITTEN = IN_MODIFY | IN_ATTRIB | IN_MOVED_TO | IN_CREATE
GONE = IN_MOVED_FROM | IN_DELETE
LOST = IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_Q_OVERFLOW
_HEAD = struct.Struct("iIII")


@dataclass(frozen=True, slots=True)
class Event:
    """What happened (a mask of IN_ bits) to the entry `name` of the folder."""

    mask: int
    name: str


class Inotify:
    """A watch on one folder. Raises OSError where there is no such folder or no inotify left."""

    def __init__(self, folder: str) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self.fd: int = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        mask = WRITTEN | GONE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
        if library.inotify_add_watch(self.fd, os.fsencode(folder), mask) < 0:
            number = ctypes.get_errno()
            os.close(self.fd)
            raise OSError(number, os.strerror(number), folder)

    def events(self) -> Iterator[Event]:
        """Yield what has happened since the last call; nothing if nothing has."""
        while True:
            try:
                data = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                _, mask, _, length = _HEAD.unpack_from(data, at)
                at += _HEAD.size
                name = data[at : at + length].split(b"\0", 1)[0]
                at += length
                yield Event(mask, os.fsdecode(name))

    def close(self) -> None:
        os.close(self.fd)
