"""Owns what the rest of the program does with a sandbox node: its files, its API server, its shell, its commands."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

from checkers.evidence import FileKind, FileStat, Missing, NotAFile, Unreadable
from lab import __version__

from ... import procs
from ...errors import LabError
from ..base import ApiResponse
from .skeleton import PATH
from .state import StateFolder

_PATIENCE = 10.0
"""Seconds that init may take to answer: it takes a millisecond."""
_PORT = 6443
_REAL_SERVER = 29.0
"""Seconds that a real API server may take to answer after an edit: it takes about four where the machine is idle."""

_ENTER = (
    "umask 022; cd /root; exec /usr/bin/env -i HOME=/root USER=root LOGNAME=root SHELL=/bin/bash LANG=C.UTF-8 "
    f'PATH={PATH} TERM="${{TERM:-xterm-256color}}" ${{COLORTERM:+COLORTERM="$COLORTERM"}} "$@"'
)


def connect(folder: Path, timeout: float = _PATIENCE) -> socket.socket:
    """Connect to a node's init. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        # By way of a descriptor: the path of a socket may have 107 bytes, the folder's may be longer.
        door = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        try:
            connection.connect(f"/proc/self/fd/{door}/control.sock")
        finally:
            os.close(door)
    except BaseException:
        connection.close()
        raise
    return connection


def ask(folder: Path, request: Mapping[str, Any], timeout: float = _PATIENCE) -> dict[str, Any]:
    """Send init one request and return its answer. Raises OSError, or ValueError where the answer makes no sense."""
    with connect(folder, timeout) as connection, connection.makefile("rb") as lines:
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(lines.readline())
        if not isinstance(answer, dict):
            raise ValueError("init's answer is no object")
        return answer


class _Reader:
    """One connection to the node's file service."""

    def __init__(self, folder: Path) -> None:
        self._socket = connect(folder)
        self._lines: IO[bytes] = self._socket.makefile("rb")
        try:
            self._socket.sendall(b'{"op": "files"}\n')
            if not self._lines.readline():
                raise ConnectionResetError("init closed the connection")
        except BaseException:
            self.close()
            raise

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        return self.next()

    def next(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise ConnectionResetError("init closed the connection")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def content(self, size: int) -> bytes:
        data = self._lines.read(size)
        if len(data) < size:
            raise ConnectionResetError("init closed the connection")
        return data

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


class SandboxFiles:
    """The node's files, looked at inside the node. May be used from several threads."""

    def __init__(self, folder: Path, gone: LabError) -> None:
        self._folder = folder
        self._gone = gone
        self._reader: _Reader | None = None
        self._lock = threading.Lock()

    def read(self, path: str, limit: int = 10 << 20) -> bytes:
        """Return the file's first `limit` bytes."""
        _, content = self._ask({"op": "read", "path": path, "limit": limit})
        return content

    def stat(self, path: str) -> FileStat:
        """Say what is at the path."""
        answer, _ = self._ask({"op": "stat", "path": path})
        found = answer["stat"]
        return FileStat(**{**found, "kind": FileKind(found["kind"])})

    def list(self, path: str) -> list[str]:
        """Return the names in a directory, sorted by code point."""
        answer, _ = self._ask({"op": "list", "path": path})
        return list(answer["names"])

    def stream(self, path: str) -> Iterator[bytes]:
        """Yield the whole file in chunks of up to 1 MiB, over a connection of its own."""
        try:
            reader = _Reader(self._folder)
        except OSError as error:
            raise self._gone from error
        try:
            answer = reader.ask({"op": "stream", "path": path})
            while True:
                _judge(path, answer)
                if not answer["size"]:
                    return
                yield reader.content(answer["size"])
                answer = reader.next()
        except OSError as error:
            raise Unreadable(path, f"the node went away: {error}") from error
        finally:
            reader.close()

    def _ask(self, request: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        path = request["path"]
        with self._lock:
            for last in (False, True):
                try:
                    if self._reader is None:
                        self._reader = _Reader(self._folder)
                    answer = self._reader.ask(request)
                    content = self._reader.content(answer.get("size", 0))
                    break
                except (OSError, ValueError) as error:
                    # A connection that was opened before a reset leads nowhere: one more try with a new one.
                    if self._reader is not None:
                        self._reader.close()
                        self._reader = None
                    if last:
                        raise self._gone from error
        _judge(path, answer)
        return answer, content


def _judge(path: str, answer: Mapping[str, Any]) -> None:
    if answer.get("missing"):
        raise Missing(path)
    if "kind" in answer:
        raise NotAFile(path, FileKind(answer["kind"]))
    if "unreadable" in answer:
        raise Unreadable(path, answer["unreadable"])


class SandboxApi:
    """The node's API server, as its administrator: with a certificate that the learner cannot lose.

    `who` is master for what comes before the administrator has any rights.
    """

    def __init__(self, state: StateFolder, who: Literal["admin", "master"] = "admin") -> None:
        self._state = state
        self._who = who
        self._context: tuple[int, ssl.SSLContext] | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,
    ) -> ApiResponse:
        """Send one request. Raises LabError if nothing answers."""
        try:
            with self._connect(timeout) as connection:
                client = http.client.HTTPConnection("127.0.0.1", _PORT, timeout=timeout)
                client.sock = connection
                client.request(method, path, body, {"User-Agent": f"cks-lab/{__version__}", **(headers or {})})
                answer = client.getresponse()
                return ApiResponse(answer.status, dict(answer.getheaders()), answer.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            said = str(error) or type(error).__name__
            raise LabError(
                f"the API server of {self._state.path.name} does not answer {method} {path}: {said}",
                f"cks-lab shell --lab {self._state.path.name} -- crictl ps -a",
            ) from error

    def _connect(self, timeout: float) -> ssl.SSLSocket:
        context = self._trust()
        with connect(self._state.path, timeout) as door:
            door.sendall(json.dumps({"op": "connect", "port": _PORT}).encode() + b"\n")
            said, descriptors, _, _ = socket.recv_fds(door, 4096, 1)
        if not descriptors:
            raise ConnectionError(json.loads(said)["error"] if said else "init closed the connection")
        plain = socket.socket(fileno=descriptors[0])
        try:
            plain.settimeout(timeout)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return context.wrap_socket(plain, server_hostname="127.0.0.1")
        except BaseException:
            plain.close()
            raise

    def _trust(self) -> ssl.SSLContext:
        # A reset makes new certificates: the ones at hand count for as long as their file is the same.
        certificate, key = (self._state.admin / f"{self._who}.{part}" for part in ("crt", "key"))
        made = certificate.stat().st_mtime_ns
        if self._context is None or self._context[0] != made:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(self._state.admin / "ca.crt")
            context.load_cert_chain(certificate, key)
            self._context = (made, context)
        return self._context[1]


def _start_again(state: StateFolder) -> str:
    """Return the command that starts a lab again; one that says what there is where nobody knows the lab's task.

    Asked while the folder is there: who removes a lab removes what its task was.
    """
    lab = state.lab()
    if lab is None:
        return "cks-lab status"
    seed = "" if lab.seed is None else f" --seed {lab.seed}"
    return f"cks-lab start {lab.scenario}{seed} --lab {lab.name}"


class SandboxNode:
    """A node that runs. Its init's process is looked up anew for each command, so that a reset does no harm."""

    def __init__(self, state: StateFolder, node: str) -> None:
        self._state = state
        self._name = node
        self._gone = LabError(f"the node of lab {state.path.name} does not run", _start_again(state))
        self._files = SandboxFiles(state.path, self._gone)
        self._api = SandboxApi(state)

    @property
    def name(self) -> str:
        """The node's name in Kubernetes."""
        return self._name

    @property
    def files(self) -> SandboxFiles:
        """The node's files."""
        return self._files

    @property
    def api(self) -> SandboxApi:
        """The node's API server."""
        return self._api

    @property
    def patience(self) -> float:
        """How long an edited manifest may take here until its API server answers, in seconds."""
        lab = self._state.lab()
        if lab is not None and lab.pace == "real":
            return 90.0
        return 8.0 if lab is None or lab.lite else _REAL_SERVER

    def shell_argv(self, command: Sequence[str] = ()) -> list[str]:
        """Return the command that opens the node's root shell on this terminal, or runs `command` in its place.

        Raises LabError if the node does not run.
        """
        process = self._state.process()
        if process is None or not process.alive:
            raise self._gone
        shell = ["/bin/bash", "--login"] if Path("/bin/bash").exists() else ["/bin/sh", "-l"]
        spaces = ("--user", "--mount", "--uts", "--ipc", "--net", "--pid")
        nsenter = shutil.which("nsenter") or "nsenter"
        argv = [nsenter, "--preserve-credentials", *spaces, "--target", str(process.pid), "--"]
        return [*argv, "/bin/sh", "-c", _ENTER, "sh", *(command or shell)]

    def run(self, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None) -> procs.Completed:
        """Run a command on the node as root; a status other than 0 is an answer like any other.

        Raises LabError if the node is gone or the time is over.
        """
        done = procs.run(self.shell_argv(argv), timeout=timeout, stdin=stdin, check=False)
        if done.exit_code == 1 and done.stderr.startswith(b"nsenter:"):
            raise self._gone
        return procs.Completed(tuple(argv), done.exit_code, done.stdout, done.stderr)
