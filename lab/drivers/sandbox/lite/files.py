"""Owns how the server opens files at its start: as the user of its container, with the system's words in Go's way.

A node of ours has one user only, so no process of it can be another one. What `runAsUser` asks for is told in the
environment variable CKS_LITE_RUN_AS, and the mode bits decide here, as they do in a kernel: those of the owner for
files of that user, else those of everyone (files of the node are root's).
"""

from __future__ import annotations

import errno
import os

from .klog import os_error

RUN_AS = "CKS_LITE_RUN_AS"
READ, WRITE, SEARCH = 4, 2, 1


class FileError(Exception):
    """A file that cannot be read: `open /p: no such file or directory`, `read /p: is a directory`."""


def read(path: str) -> bytes:
    """Return what is in a file. Raises FileError."""
    call = "open"
    try:
        check(path, READ)
        with open(path, "rb") as file:
            call = "read"
            return file.read()
    except OSError as error:
        # Opening a folder works in Go, reading it does not; Python refuses at once.
        call = "read" if isinstance(error, IsADirectoryError) else call
        raise FileError(os_error(error, call, path)) from None


def check(path: str, want: int) -> None:
    """Raise PermissionError where the container's user may not do with a path what `want` says; other OSErrors too."""
    if is_root():
        return
    real = os.path.realpath(path)
    folder = os.path.dirname(real)
    while True:
        _allow(folder, SEARCH)
        if folder == "/":
            break
        folder = os.path.dirname(folder)
    _allow(real, want)


def is_root() -> bool:
    """Say whether the server runs as root, whom mode bits do not stop."""
    return _user() == 0


def _user() -> int:
    return int(os.environ.get(RUN_AS) or 0)


def _allow(path: str, want: int) -> None:
    about = os.stat(path)
    shift = 6 if about.st_uid == _user() else 0
    if about.st_mode >> shift & want != want:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
