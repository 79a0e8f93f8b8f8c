"""A node without python3, looked at through the programs that every Linux has: sh, stat, head, tail, readlink, bash.

One shell on the node answers all questions about files, so that a question costs no new process here; commands are run
beside it, and the API server is reached through a bash of the node that passes bytes on.
"""

from __future__ import annotations

import secrets
import shlex
import socket
from collections.abc import Mapping, Sequence
from types import TracebackType

from .. import procs
from ..errors import LabError
from .collector.host import FOLDERS, Answer, Host, Missing, NoAnswer, Stat, Unreadable
from .collector.kube_api import KubeApi
from .reach import Way

_ASK_TIMEOUT = 60.0
_MISSING = (
    "No such file or directory",
    "Not a directory",
    "Too many levels of symbolic links",
    "Symbolic link loop",
)
_CHUNK = 1 << 20
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
""".replace("FOLDERS", FOLDERS)
_RUN = f'PATH="$PATH:{FOLDERS}"; exec "$@"'
_PASS_ON = 'exec 3<>"/dev/tcp/$1/$2" || exit 1; echo open; cat <&3 & cat >&3; kill $!'
_OPEN = b"open\n"


class _Session:
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


class ShellHost(Host):
    """A node by its shell. To be closed: it is a context manager."""

    def __init__(self, way: Way, prefix: Sequence[str], manifests: str) -> None:
        """`prefix` makes a command one of root's there: nothing, or `sudo -n`."""
        self._way = way
        self._prefix = tuple(prefix)
        self._session: _Session | None = None
        self._passages: list[_Session] = []
        self._api = KubeApi(self, manifests, self._connect)

    def __enter__(self) -> ShellHost:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._api.close()
        for session in (*self._passages, *([self._session] if self._session else [])):
            session.close()

    def stat(self, path: str) -> Stat:
        """Say what is at the path."""
        said = self._ask(path, f"look {shlex.quote(path)}")
        numbers, _, link = said.partition(b"\n")
        mode, uid, gid, size, mtime = numbers.split()
        text = link.removesuffix(b"\n").decode("utf-8", "surrogateescape") if link else None
        return Stat.of(int(mode, 16), int(uid), int(gid), int(size), int(mtime), text)

    def names(self, path: str) -> list[str]:
        """Return the names in a directory."""
        said = self._ask(path, f"names {shlex.quote(path)}")
        return sorted(name.decode("utf-8", "surrogateescape") for name in said.split(b"\0") if name)

    def read(self, path: str, limit: int) -> bytes:
        """Return a file's first bytes."""
        return self._ask(path, f"head -c {limit} -- {shlex.quote(path)}")

    def tail(self, path: str, count: int) -> bytes:
        """Return a file's last bytes."""
        return self._ask(path, f"tail -c {count} -- {shlex.quote(path)}")

    def run(self, argv: Sequence[str], timeout: float) -> Answer:
        """Run a command."""
        try:
            done = procs.run(self._argv("sh", "-c", _RUN, "sh", *argv), timeout=timeout, check=False)
        except LabError as error:
            raise NoAnswer(f"{argv[0]} gave no answer within {timeout:g} s") from error
        if failure := self._way.failure(done):
            raise failure
        return Answer(done.exit_code, done.stdout, done.stderr)

    def request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> tuple[int, bytes]:
        """Ask the node's API server."""
        return self._api.request(method, path, body, headers, timeout)

    def _argv(self, *argv: str) -> list[str]:
        return self._way.argv([*self._prefix, *argv])

    def _ask(self, path: str, command: str) -> bytes:
        """Return what a command of the shell says. Raises Missing or Unreadable in the words of its failure."""
        if self._session is None:
            self._session = _Session(self._argv("sh"), _ASK_TIMEOUT)
            self._session.socket.sendall(_SETUP.encode())
        mark = f"\n{secrets.token_hex(8)} "
        asked = f"{{ {command}; }} </dev/null 2>&1; printf '{mark}%s\\n' $?\n"
        said = bytearray()
        end = mark.encode()
        try:
            self._session.socket.sendall(asked.encode("utf-8", "surrogateescape"))
            while True:
                more = self._session.socket.recv(_CHUNK)
                if not more:
                    raise ConnectionError("the shell ended")
                seen = max(0, len(said) - len(end) - 8)
                said += more
                at = said.find(end, seen)
                if at >= 0 and said.endswith(b"\n") and len(said) > at + len(end) + 1:
                    break
        except OSError as error:
            raise LabError(
                f"the node {self._way.name} went away while {path} was looked at: {error}", "grade again"
            ) from error
        content, status = bytes(said[:at]), int(said[at + len(end) :])
        if status == 0:
            return content
        words = content.decode("utf-8", "replace").strip()
        if words.endswith(
            ("No such file or directory", "Not a directory", "Too many levels of symbolic links", "Symbolic link loop")
        ):
            raise Missing(path)
        raise Unreadable(path, words.rpartition(": ")[2] or f"exit status {status}")

    def _connect(self, address: str, port: int, timeout: float) -> socket.socket:
        session = _Session(self._argv("bash", "-c", _PASS_ON, "bash", address, str(port)), timeout)
        said = b""
        try:
            while len(said) < len(_OPEN):
                more = session.socket.recv(len(_OPEN) - len(said))
                if not more:
                    raise ConnectionRefusedError(f"nothing answers at {address}:{port} of the node")
                said += more
            if said != _OPEN:
                raise ConnectionError(f"the node's bash says {said!r}")
        except BaseException:
            session.close()
            raise
        self._passages.append(session)
        return session.socket
