"""Lets the collector look at a node of ours through its driver's handle. No driver is asked who it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from checkers import evidence
from checkers.evidence import NodeFiles, NotAFile

from ..errors import LabError
from ..procs import Completed
from .collector import facts
from .collector.host import Answer, Host, Missing, NoAccess, NoAnswer, Stat, Unreadable

_TAIL_TIMEOUT = 60.0
_READY_TIMEOUT = 3.0


class Response(Protocol):
    """What an API server answered."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def body(self) -> bytes: ...


class Api(Protocol):
    """The part of a driver's ApiAccess that evidence needs."""

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = ...,
    ) -> Response: ...


class Node(Protocol):
    """The part of a driver's NodeHandle that evidence needs."""

    @property
    def files(self) -> NodeFiles: ...

    @property
    def api(self) -> Api | None: ...

    def run(self, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None) -> Completed: ...


class NodeHost(Host):
    """A node of a driver, as the collector asks it."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def stat(self, path: str) -> Stat:
        """Say what is at the path."""
        try:
            found = self._node.files.stat(path)
        except evidence.Missing as error:
            raise Missing(path) from error
        except evidence.Unreadable as error:
            raise Unreadable(path, error.reason) from error
        seconds = found.mtime // 1_000_000_000
        return Stat(found.kind.value, found.mode, found.uid, found.gid, found.size, seconds, found.link)

    def names(self, path: str) -> list[str]:
        """Return the names in a directory."""
        try:
            return self._node.files.list(path)
        except (evidence.Missing, NotAFile) as error:
            raise Missing(path) from error
        except evidence.Unreadable as error:
            raise Unreadable(path, error.reason) from error

    def read(self, path: str, limit: int) -> bytes:
        """Return a file's first bytes."""
        try:
            return self._node.files.read(path, limit)
        except (evidence.Missing, NotAFile) as error:
            raise Missing(path) from error
        except evidence.Unreadable as error:
            raise Unreadable(path, error.reason) from error

    def tail(self, path: str, count: int) -> bytes:
        """Return a file's last bytes."""
        return self.run(["tail", "-c", str(count), path], _TAIL_TIMEOUT).stdout

    def run(self, argv: Sequence[str], timeout: float) -> Answer:
        """Run a command."""
        try:
            done = self._node.run(argv, timeout=timeout)
        except LabError as error:
            raise NoAnswer(error.message) from error
        return Answer(done.exit_code, done.stdout, done.stderr)

    def request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> tuple[int, bytes]:
        """Ask the API server."""
        if self._node.api is None:
            raise NoAccess("this kind of node gives no access to its API server")
        try:
            answer = self._node.api.request(method, path, body=body, headers=headers, timeout=timeout)
        except LabError as error:
            raise NoAnswer(error.message) from error
        return answer.status, answer.body


def containers(node: Node, *, newest_only: bool = False) -> list[dict[str, Any]] | None:
    """Return the API server's containers, newest first (see `facts.containers`).

    Where crictl does not answer, those that run are found as processes. None: not even so is the one found that
    answers.
    """
    host = NodeHost(node)
    try:
        return facts.containers(host, newest_only)
    except NoAnswer:
        found = facts.processes(host)
    if found:
        return found
    try:
        host.request("GET", "/readyz", None, {}, _READY_TIMEOUT)
    except (NoAnswer, NoAccess):
        return []
    return None
