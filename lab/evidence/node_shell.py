"""One shell on a node that answers all questions about its files, so that a question costs no new process here.

It needs what every Linux has: sh, stat, head, tail, dd, readlink.
"""

from __future__ import annotations

import secrets
import shlex
import socket
from collections.abc import Callable, Sequence

from .. import procs
from ..errors import LabError
from .collector.host import FOLDERS, Missing, Stat, Unreadable

_TIMEOUT = 60.0
_CHUNK = 1 << 20
_MISSING = (
    "No such file or directory",
    "Not a directory",
    "Too many levels of symbolic links",
    "Symbolic link loop",
    "Not a regular file",
)
_SETUP = r"""
export LC_ALL=C PATH="$PATH:FOLDERS"
look() { stat -L -c '%f %u %g %s %Y' -- "$1" && if [ -h "$1" ]; then readlink -- "$1"; fi; }
names() {
    if [ ! -d "$1" ]; then stat -L -c '' -- "$1" >/dev/null && echo 'Not a directory' >&2; return 1; fi
    if [ ! -r "$1" ] || [ ! -x "$1" ]; then echo 'Permission denied' >&2; return 1; fi
    for each in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        if [ -e "$each" ] || [ -h "$each" ]; then printf '%s\0' "${each##*/}"; fi
    done
}
file() {
    if [ -f "$1" ]; then return 0; fi
    stat -L -c '' -- "$1" >/dev/null && echo 'Not a regular file' >&2
    return 1
}
""".replace("FOLDERS", FOLDERS)


class Pipe:
    """A process on the node whose standard input and output are a socket here: every wait on it has a timeout."""

    def __init__(self, argv: Sequence[str], timeout: float) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(timeout)
        try:
            self._process = procs.start(argv, stdin=theirs.fileno(), stdout=theirs.fileno())
        except BaseException:
            self.socket.close()
            raise
        finally:
            theirs.close()

    def close(self) -> None:
        """End the process."""
        self.socket.close()
        procs.end(self._process)


class NodeShell:
    """A shell of a node, started at the first question. To be closed."""

    def __init__(self, argv: Callable[[], Sequence[str]], name: str) -> None:
        """`argv` gives the command that is `sh` on the node; `name` is the node's, for people."""
        self._argv = argv
        self._name = name
        self._pipe: Pipe | None = None

    def close(self) -> None:
        """End the shell; the next question starts another one."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def stat(self, path: str) -> Stat:
        """Say what is at the path. Raises Missing or Unreadable."""
        said = self.ask(path, f"look {shlex.quote(path)}")
        numbers, _, link = said.partition(b"\n")
        mode, uid, gid, size, mtime = numbers.split()
        text = link.removesuffix(b"\n").decode("utf-8", "surrogateescape") if link else None
        return Stat.of(int(mode, 16), int(uid), int(gid), int(size), int(mtime), text)

    def names(self, path: str) -> list[str]:
        """Return the names in a directory. Raises Missing (also for what is no directory) or Unreadable."""
        said = self.ask(path, f"names {shlex.quote(path)}")
        return sorted(name.decode("utf-8", "surrogateescape") for name in said.split(b"\0") if name)

    def read(self, path: str, limit: int) -> bytes:
        """Return a file's first bytes. Raises Missing or Unreadable."""
        return self._of_file(path, f"head -c {limit} -- {shlex.quote(path)}")

    def part(self, path: str, number: int, size: int) -> bytes:
        """Return the part of a file with that number, from 0, all of that size but the last. Raises as `read`."""
        return self._of_file(path, f"dd if={shlex.quote(path)} bs={size} skip={number} count=1 status=none")

    def tail(self, path: str, count: int) -> bytes:
        """Return a file's last bytes. Raises Missing or Unreadable."""
        return self._of_file(path, f"tail -c {count} -- {shlex.quote(path)}")

    def _of_file(self, path: str, command: str) -> bytes:
        # Of a pipe that nobody writes to, a read would never end.
        return self.ask(path, f"file {shlex.quote(path)} && {command}")

    def ask(self, path: str, command: str) -> bytes:
        """Return what a command of the shell says. Raises Missing or Unreadable in the words of its failure.

        Raises LabError where the node went away.
        """
        if self._pipe is None:
            self._pipe = Pipe(self._argv(), _TIMEOUT)
            self._send(path, _SETUP.encode())
        mark = f"\n{secrets.token_hex(8)} "
        self._send(
            path, f"{{ {command}; }} </dev/null 2>&1; printf '{mark}%s\\n' $?\n".encode("utf-8", "surrogateescape")
        )
        said, status = self._answer(path, mark.encode())
        if status == 0:
            return said
        words = said.decode("utf-8", "replace").strip()
        if words.endswith(_MISSING):
            raise Missing(path)
        raise Unreadable(path, words.rpartition(": ")[2] or f"exit status {status}")

    def _send(self, path: str, text: bytes) -> None:
        assert self._pipe is not None
        try:
            self._pipe.socket.sendall(text)
        except OSError as error:
            raise self._gone(path, error) from error

    def _answer(self, path: str, mark: bytes) -> tuple[bytes, int]:
        assert self._pipe is not None
        said = bytearray()
        while True:
            try:
                more = self._pipe.socket.recv(_CHUNK)
            except OSError as error:
                raise self._gone(path, error) from error
            if not more:
                raise self._gone(path, "the shell ended")
            seen = max(0, len(said) - len(mark) - 8)
            said += more
            at = said.find(mark, seen)
            if at >= 0 and said.endswith(b"\n") and len(said) > at + len(mark) + 1:
                return bytes(said[:at]), int(said[at + len(mark) :])

    def _gone(self, path: str, why: object) -> LabError:
        self.close()
        return LabError(f"the node {self._name} went away while {path} was looked at: {why}", "grade again")
