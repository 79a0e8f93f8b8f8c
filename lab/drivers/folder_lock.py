"""Owns who may work on a lab's folder: one program at a time; and what is said where its disk takes no more."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import LabError

_LOCK_LIMIT = 0.5
_LOOK_AGAIN = 0.01


@contextlib.contextmanager
def disk_told(folder: Path) -> Iterator[None]:
    """Say where there is no room: that a write failed, Python tells without a path. Raises LabError."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
            raise
        raise LabError(
            f"the node cannot be written into {folder}: {error.strerror}",
            f"make room there: df -h {folder.parent}",
        ) from error


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only program that works on this lab. Raises LabError where another one is."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise LabError(f"cannot open {folder}: {error.strerror}", f"ls -ld {folder}") from error
    deadline = time.monotonic() + _LOCK_LIMIT
    try:
        # Whoever only looks holds the lock for a moment; whoever works on the lab, for longer than we wait.
        while not _try_lock(fd, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise LabError(f"another program is working on the lab {folder.name}", "cks-lab status, and try again")
            time.sleep(_LOOK_AGAIN)
        yield
    finally:
        os.close(fd)


def _try_lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(folder: Path) -> bool:
    """Say whether a program works on this lab."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        return not _try_lock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)
