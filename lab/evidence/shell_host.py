"""A node without python3, looked at through the programs that every Linux has: sh, stat, head, tail, readlink, bash.

One shell on the node answers all questions about files, so that a question costs no new process here; commands are run
beside it, and the API server is reached through a bash of the node that passes bytes on.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from types import TracebackType

from .. import procs
from ..errors import LabError
from .collector.host import FOLDERS, Answer, Host, NoAnswer, Stat
from .collector.kube_api import KubeApi
from .node_shell import NodeShell, Pipe
from .reach import Way

_RUN = f'PATH="$PATH:{FOLDERS}"; exec "$@"'
_PASS_ON = 'exec 3<>"/dev/tcp/$1/$2" || exit 1; echo open; cat <&3 & cat >&3; kill $!'
_OPEN = b"open\n"


class ShellHost(Host):
    """A node by its shell. To be closed: it is a context manager."""

    def __init__(self, way: Way, prefix: Sequence[str], manifests: str) -> None:
        """`prefix` makes a command one of root's there: nothing, or `sudo -n`."""
        self._way = way
        self._prefix = tuple(prefix)
        self._shell = NodeShell(lambda: self._argv("sh"), way.name)
        self._passages: list[Pipe] = []
        self._api = KubeApi(self, manifests, self._connect)

    def __enter__(self) -> ShellHost:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._api.close()
        for passage in self._passages:
            passage.close()
        self._shell.close()

    def stat(self, path: str) -> Stat:
        """Say what is at the path."""
        return self._shell.stat(path)

    def names(self, path: str) -> list[str]:
        """Return the names in a directory."""
        return self._shell.names(path)

    def read(self, path: str, limit: int) -> bytes:
        """Return a file's first bytes."""
        return self._shell.read(path, limit)

    def tail(self, path: str, count: int) -> bytes:
        """Return a file's last bytes."""
        return self._shell.tail(path, count)

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

    def _connect(self, address: str, port: int, timeout: float) -> socket.socket:
        passage = Pipe(self._argv("bash", "-c", _PASS_ON, "bash", address, str(port)), timeout)
        said = b""
        try:
            while len(said) < len(_OPEN):
                more = passage.socket.recv(len(_OPEN) - len(said))
                if not more:
                    raise ConnectionRefusedError(f"nothing answers at {address}:{port} of the node")
                said += more
            if said != _OPEN:
                raise ConnectionError(f"the node's bash says {said!r}")
        except BaseException:
            passage.close()
            raise
        self._passages.append(passage)
        return passage.socket
